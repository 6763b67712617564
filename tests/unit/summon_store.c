/* What outlives the front, and every way in which its file can be unusable. */
#include "summon_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"

#define MILLISECOND NANOSECONDS_PER_MILLISECOND

static char directory[64];
static char path[80];
static struct store *store;
static unsigned available_count;

static int begin(void **state)
{
    if (world_begin(state) != 0)
        return -1;
    available_count = 0;
    strcpy(directory, "/tmp/jitsu-store-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/state.db", directory);
    return 0;
}

/* Calls `function` for the name of each file in the directory. */
static void each_file(void (*function)(const char *name))
{
    DIR *entries = opendir(directory);
    struct dirent *entry;
    while (entries && (entry = readdir(entries)))
        if (entry->d_name[0] != '.')
            function(entry->d_name);
    if (entries)
        closedir(entries);
}

static void remove_file(const char *name)
{
    char file[400];
    snprintf(file, sizeof file, "%s/%s", directory, name);
    unlink(file);
}

static int end(void **state)
{
    if (store)
        store_free(store);
    store = NULL;
    world_end(state);
    each_file(remove_file);
    return rmdir(directory);
}

/* --- the store by itself --- */

static void note_available(void *argument)
{
    (void)argument;
    available_count++;
}

static void open_store(void)
{
    struct error error;
    struct store_options options = {.path = path,
                                    .gather = 1 * MILLISECOND,
                                    .retry = 20 * MILLISECOND,
                                    .base = world.base,
                                    .available = note_available};
    store = store_new(&options, &error);
    if (!store)
        fail_msg("%s", error.text);
}

static void close_store(void)
{
    store_free(store);
    store = NULL;
}

static struct store_row row_of(const char *service, uint64_t starts)
{
    struct store_row row = {.state = MACHINE_RUNNING,
                            .pid = 4711,
                            .serial = 0xfedcba98,
                            .starts = starts,
                            .failures = 3,
                            .last_use = 1700000000.25,
                            .started = 1600000000.5};
    snprintf(row.service, sizeof row.service, "%s", service);
    return row;
}

static void put(const char *service, uint64_t starts)
{
    struct store_slot slot = {0};
    struct store_row row = row_of(service, starts);
    store_put(store, &slot, &row);
}

/* Opens the file, expects it to be fine, and returns the `starts` of the service; -1: no row. */
static int64_t written_starts(const char *service)
{
    struct store_row *rows = NULL;
    size_t count = 0;
    int64_t starts = -1;
    open_store();
    assert_true(store_take(store, &rows, &count));
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].service, service) == 0)
            starts = (int64_t)rows[i].starts;
    free(rows);
    close_store();
    return starts;
}

static void take(bool readable, size_t expected)
{
    struct store_row *rows = NULL;
    size_t count = 0;
    assert_int_equal(store_take(store, &rows, &count), readable);
    assert_int_equal(count, expected);
    free(rows);
}

static bool is_available(void)
{
    return available_count > 0;
}

static void what_is_put_is_read_back(void **state)
{
    (void)state;
    struct store_row *rows = NULL;
    size_t count = 0;
    open_store();
    take(true, 0);
    put("www.example.org", 12);
    close_store();
    open_store();
    assert_true(store_take(store, &rows, &count));
    assert_int_equal(count, 1);
    struct store_row expected = row_of("www.example.org", 12);
    assert_string_equal(rows[0].service, expected.service);
    assert_int_equal(rows[0].state, expected.state);
    assert_int_equal(rows[0].pid, expected.pid);
    assert_int_equal(rows[0].serial, expected.serial);
    assert_int_equal(rows[0].starts, 12);
    assert_int_equal(rows[0].failures, 3);
    assert_true(rows[0].last_use >= expected.last_use && rows[0].last_use <= expected.last_use);
    assert_true(rows[0].started >= expected.started && rows[0].started <= expected.started);
    free(rows);
}

static void the_last_row_of_a_service_counts_and_others_stay(void **state)
{
    (void)state;
    struct store_slot slot = {0};
    open_store();
    take(true, 0);
    put("other.example.org", 1);
    for (unsigned i = 1; i <= 1000; i++) {
        struct store_row row = row_of("www.example.org", i);
        store_put(store, &slot, &row);
        if (i % 100 == 0)
            usleep(2000); /* so that some fall into different transactions */
    }
    close_store();
    assert_int_equal(written_starts("www.example.org"), 1000);
    assert_int_equal(written_starts("other.example.org"), 1);
}

static void what_is_forgotten_is_not_read_again(void **state)
{
    (void)state;
    struct store_row gone = {.forgotten = true};
    struct store_slot slot = {0};
    open_store();
    take(true, 0);
    put("www.example.org", 1);
    put("gone.example.org", 2);
    close_store();
    open_store();
    take(true, 2);
    strcpy(gone.service, "gone.example.org");
    store_put(store, &slot, &gone);
    strcpy(gone.service, "never.example.org");
    slot = (struct store_slot){0};
    store_put(store, &slot, &gone);
    close_store();
    assert_int_equal(written_starts("gone.example.org"), -1);
    assert_int_equal(written_starts("www.example.org"), 1);
}

static void ten_thousand_rows_go_in_one_breath(void **state)
{
    (void)state;
    char name[32];
    open_store();
    take(true, 0);
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(name, sizeof name, "s%u.example.org", i);
        put(name, i);
    }
    close_store();
    open_store();
    take(true, 10000);
}

static char aside[400];

static void find_aside(const char *name)
{
    size_t length = strlen(name);
    if (strncmp(name, "state.db.corrupt-", 17) == 0 && strcmp(name + length - 4, "-wal") != 0 &&
        strcmp(name + length - 4, "-shm") != 0)
        snprintf(aside, sizeof aside, "%s/%s", directory, name);
}

static void write_file(const char *file, long at, const void *bytes, size_t length)
{
    int descriptor = open(file, O_WRONLY | O_CREAT, 0644);
    assert_true(descriptor >= 0);
    assert_int_equal(pwrite(descriptor, bytes, length, at), length);
    close(descriptor);
}

static void what_is_no_database_is_put_aside_whole(void **state)
{
    (void)state;
    char text[5000], kept[5000];
    memset(text, 'x', sizeof text);
    write_file(path, 0, text, sizeof text);
    open_store();
    take(true, 0);
    put("www.example.org", 1);
    close_store();
    assert_int_equal(written_starts("www.example.org"), 1);

    aside[0] = '\0';
    each_file(find_aside);
    int descriptor = open(aside, O_RDONLY);
    assert_true(descriptor >= 0);
    assert_int_equal(read(descriptor, kept, sizeof kept), sizeof kept);
    assert_memory_equal(kept, text, sizeof text);
    close(descriptor);
}

static void a_damaged_database_is_put_aside(void **state)
{
    (void)state;
    char rubbish[4096];
    open_store();
    take(true, 0);
    for (unsigned i = 0; i < 300; i++) {
        char name[32];
        snprintf(name, sizeof name, "s%u.example.org", i);
        put(name, i);
    }
    close_store();
    memset(rubbish, 0xa5, sizeof rubbish);
    write_file(path, 4096, rubbish, sizeof rubbish); /* the table's root page */
    open_store();
    take(true, 0);
    put("www.example.org", 7);
    close_store();
    assert_int_equal(written_starts("www.example.org"), 7);
    aside[0] = '\0';
    each_file(find_aside);
    assert_int_equal(access(aside, R_OK), 0);
}

static void execute(const char *statements)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, statements, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void rename_away(void)
{
    char away[100];
    snprintf(away, sizeof away, "%s.away", path);
    assert_int_equal(rename(path, away), 0);
}

/* The file cannot be used; a row is put; the cause is removed; the row must arrive. */
static void assert_unusable_then_recovers(void (*mend)(void))
{
    open_store();
    take(false, 0);
    put("www.example.org", 5);
    mend();
    wait_for(is_available);
    take(true, 0);
    close_store();
    assert_int_equal(written_starts("www.example.org"), 5);
}

static void the_database_of_another_program_is_left_alone(void **state)
{
    (void)state;
    char away[100];
    execute("CREATE TABLE precious (a); INSERT INTO precious VALUES (42)");
    assert_unusable_then_recovers(rename_away);
    snprintf(away, sizeof away, "%s.away", path);
    assert_int_equal(rename(away, path), 0);
    execute("UPDATE precious SET a = 43 WHERE a = 42");
}

static void a_file_of_a_newer_version_is_left_alone(void **state)
{
    (void)state;
    open_store();
    take(true, 0);
    put("www.example.org", 9);
    close_store();
    execute("PRAGMA user_version = 2; ALTER TABLE service ADD COLUMN colour TEXT");
    assert_unusable_then_recovers(rename_away);
    rename_away();
}

static void make_directory(void)
{
    assert_int_equal(mkdir(directory, 0755), 0);
}

static void a_missing_directory_is_waited_for(void **state)
{
    (void)state;
    assert_int_equal(rmdir(directory), 0);
    assert_unusable_then_recovers(make_directory);
}

static void allow_writing(void)
{
    assert_int_equal(chmod(directory, 0777), 0);
}

/* Root may write everywhere, so it becomes somebody else for the while. */
static void a_read_only_directory_is_waited_for(void **state)
{
    (void)state;
    bool root = geteuid() == 0;
    assert_int_equal(chmod(directory, 0555), 0);
    if (root) {
        assert_int_equal(chown(directory, 65534, 65534), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    assert_unusable_then_recovers(allow_writing);
    if (root)
        assert_int_equal(seteuid(0), 0);
}

static void limit_files(rlim_t most)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* --- what is logged --- */

static int log_pipe[2], usual_log = -1;
static char logged[8192];

static void begin_to_read_the_log(void)
{
    assert_int_equal(pipe2(log_pipe, O_NONBLOCK), 0);
    usual_log = dup(STDERR_FILENO);
    dup2(log_pipe[1], STDERR_FILENO);
    logged[0] = '\0';
}

static bool log_says_it_cannot_write(void)
{
    size_t used = strlen(logged);
    ssize_t length = read(log_pipe[0], logged + used, sizeof logged - used - 1);
    if (length > 0)
        logged[used + (size_t)length] = '\0';
    return strstr(logged, "state.db: cannot write it: ");
}

static void end_reading_the_log(void)
{
    dup2(usual_log, STDERR_FILENO);
    close(usual_log);
    close(log_pipe[0]);
    close(log_pipe[1]);
}

/* A limit on the size of files stands for the end of the disk. */
static void a_full_disk_loses_nothing(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    open_store();
    take(true, 0);
    begin_to_read_the_log();
    limit_files(4096);
    put("www.example.org", 1);
    put("other.example.org", 2);
    wait_for(log_says_it_cannot_write);
    end_reading_the_log();
    put("www.example.org", 3);
    limit_files(RLIM_INFINITY);
    wait_for(is_available); /* it was opened anew */
    take(true, 0);
    close_store();
    assert_int_equal(written_starts("www.example.org"), 3);
    assert_int_equal(written_starts("other.example.org"), 2);
}

static void somebody_who_holds_the_file_is_outwaited(void **state)
{
    (void)state;
    sqlite3 *database;
    open_store();
    take(true, 0);
    assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    put("www.example.org", 4);
    usleep(50000);
    assert_int_equal(sqlite3_exec(database, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
    close_store();
    assert_int_equal(written_starts("www.example.org"), 4);
}

/* --- with the summoner --- */

static void counters_and_last_use_outlive_the_front(void **state)
{
    (void)state;
    struct service_status before, after;
    world_summon_with_store(world_config(3), path);
    keeper_arrives();
    keeper_synchronised();
    bring_up(0);
    query(1);
    turn();
    keeper_fails(1, "no such image");
    service_status(service_at(0), &before);
    world_dismiss();

    world_summon_with_store(world.config, path);
    service_status(service_at(0), &after);
    assert_int_equal(after.state, MACHINE_OFF); /* until the keeper says otherwise */
    assert_int_equal(after.starts, 1);
    assert_true(after.last_use > before.last_use - 0.1 && after.last_use < before.last_use + 0.1);
    service_status(service_at(1), &after);
    assert_int_equal(after.starts, 1);
    assert_int_equal(after.failures, 1);
    service_status(service_at(2), &after);
    assert_int_equal(after.starts, 0);
    keeper_arrives();
    keeper_has(NAME(0), last_sent(MESSAGE_START, NAME(0))->serial, true);
    keeper_synchronised();
    assert_int_equal(state_of(0), MACHINE_RUNNING);
    service_status(service_at(0), &after);
    assert_int_equal(after.starts, 1);
}

static void a_suspended_machine_outlives_both_processes(void **state)
{
    (void)state;
    world_summon_with_store(world_config(1), path);
    keeper_arrives();
    keeper_synchronised();
    bring_up(0);
    summoner_stop(world.summoner, service_at(0), CONFIG_STOP_SUSPEND, NULL);
    keeper_says(MESSAGE_SUSPENDED, 0);
    world_dismiss();

    world_summon_with_store(world.config, path);
    keeper_arrives();
    keeper_has(NAME(0), last_sent(MESSAGE_START, NAME(0))->serial, false);
    keeper_synchronised();
    assert_int_equal(state_of(0), MACHINE_SUSPENDED);
    assert_int_equal(sent(MESSAGE_START, NULL), 1);
    assert_true(connects(0));
    assert_int_equal(sent(MESSAGE_START, NULL), 2);
}

static bool has_recalled(void)
{
    return world.summoner->recalled;
}

/* The disk is mounted only after jitsud has started: what was counted on both sides is added. */
static void what_was_counted_before_the_file_could_be_read_is_added_to_it(void **state)
{
    (void)state;
    struct error error;
    struct service_status status;
    char away[100];
    open_store();
    take(true, 0);
    put("s0.example.org", 5);
    put("gone.example.org", 8);
    close_store();
    snprintf(away, sizeof away, "%s.away", directory);
    assert_int_equal(rename(directory, away), 0);

    world_summon_with_store(world_config(2), path);
    keeper_arrives();
    keeper_synchronised();
    struct store_options options = {.path = path,
                                    .gather = 1 * MILLISECOND,
                                    .retry = 20 * MILLISECOND,
                                    .base = world.base,
                                    .available = remember_again,
                                    .argument = world.summoner};
    store_free(world.summoner->store); /* in favour of one that tries again sooner */
    world.summoner->store = store_new(&options, &error);
    assert_non_null(world.summoner->store);
    bring_up(0);
    bring_up(1);
    assert_int_equal(rename(away, directory), 0);
    wait_for(has_recalled);
    service_status(service_at(0), &status);
    assert_int_equal(status.starts, 6);
    assert_int_equal(status.failures, 3);
    world_dismiss();
    assert_int_equal(written_starts("s0.example.org"), 6);
    assert_int_equal(written_starts("s1.example.org"), 1);
    assert_int_equal(written_starts("gone.example.org"), 8);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_read_back),
        TEST(the_last_row_of_a_service_counts_and_others_stay),
        TEST(what_is_forgotten_is_not_read_again),
        TEST(ten_thousand_rows_go_in_one_breath),
        TEST(what_is_no_database_is_put_aside_whole),
        TEST(a_damaged_database_is_put_aside),
        TEST(the_database_of_another_program_is_left_alone),
        TEST(a_file_of_a_newer_version_is_left_alone),
        TEST(a_missing_directory_is_waited_for),
        TEST(a_read_only_directory_is_waited_for),
        TEST(a_full_disk_loses_nothing),
        TEST(somebody_who_holds_the_file_is_outwaited),
        TEST(counters_and_last_use_outlive_the_front),
        TEST(a_suspended_machine_outlives_both_processes),
        TEST(what_was_counted_before_the_file_could_be_read_is_added_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
