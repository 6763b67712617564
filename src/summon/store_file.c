#include "summon/store_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "summon/machine_state.h"

#define APPLICATION_ID 0x4a697473 /* "Jits" */
#define VERSION        1          /* of the tables: user_version */
#define BUSY_TIMEOUT   2000       /* milliseconds, for somebody else who reads or writes */

#define QUOTED(number)  QUOTED_(number)
#define QUOTED_(number) #number

static const char schema[] =
    "BEGIN IMMEDIATE;"
    "PRAGMA application_id = " QUOTED(
        APPLICATION_ID) ";"
                        "PRAGMA user_version = " QUOTED(VERSION) ";"
                                                                 "CREATE TABLE service ("
                                                                 "  name TEXT NOT NULL PRIMARY KEY,"
                                                                 "  starts INTEGER NOT NULL,"
                                                                 "  failures INTEGER NOT NULL,"
                                                                 "  last_use REAL NOT NULL,"
                                                                 "  state TEXT NOT NULL,"
                                                                 "  serial INTEGER NOT NULL,"
                                                                 "  pid INTEGER NOT NULL,"
                                                                 "  started REAL NOT NULL"
                                                                 ") WITHOUT ROWID;"
                                                                 "COMMIT;";

static const char select_rows[] =
    "SELECT name, starts, failures, last_use, state, serial, pid, started FROM service";

static const char replace_row[] = "INSERT OR REPLACE INTO service"
                                  " (name, starts, failures, last_use, state, serial, pid, started)"
                                  " VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

static const char delete_row[] = "DELETE FROM service WHERE name = ?";

struct store_file {
    sqlite3 *database;
    sqlite3_stmt *replace, *remove;
    bool damaged; /* what went wrong is that the file is no sound database */
    char path[CONFIG_PATH_MAX];
};

/* --- what is wrong --- */

static bool is_damage(int code)
{
    return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

static int explain(struct store_file *file, const char *what, struct error *error)
{
    int code = file->database ? sqlite3_errcode(file->database) : SQLITE_NOMEM;
    int system = file->database ? sqlite3_system_errno(file->database) : 0;
    const char *why = file->database ? sqlite3_errmsg(file->database) : sqlite3_errstr(code);
    file->damaged = file->damaged || is_damage(code);
    bool of_system = system && ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_IOERR);
    return error_set(error, "%s: cannot %s: %s%s%s", file->path, what, why, of_system ? ": " : "",
                     of_system ? strerror(system) : "");
}

/* --- reading --- */

/* The first column of the first row; -1 if that fails. */
static int64_t ask_number(struct store_file *file, const char *question)
{
    sqlite3_stmt *statement;
    int64_t number = -1;
    if (sqlite3_prepare_v2(file->database, question, -1, &statement, NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static struct store_row read_row(sqlite3_stmt *statement)
{
    enum machine_state state = MACHINE_OFF;
    struct store_row row = {
        .starts = (uint64_t)sqlite3_column_int64(statement, 1),
        .failures = (uint64_t)sqlite3_column_int64(statement, 2),
        .last_use = sqlite3_column_double(statement, 3),
        .serial = (uint32_t)sqlite3_column_int64(statement, 5),
        .pid = sqlite3_column_int(statement, 6),
        .started = sqlite3_column_double(statement, 7),
    };
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    const char *word = (const char *)sqlite3_column_text(statement, 4);
    strncpy(row.service, name ? name : "", sizeof row.service - 1);
    if (word && machine_state_parse(word, &state) == 0)
        row.state = (uint8_t)state;
    return row;
}

/* Returns SQLite's code; SQLITE_DONE if all is well. */
static int read_rows(struct store_file *file, store_file_row *give, void *argument)
{
    sqlite3_stmt *statement;
    int code = sqlite3_prepare_v2(file->database, select_rows, -1, &statement, NULL);
    if (code != SQLITE_OK)
        return code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct store_row row = read_row(statement);
        if (give(argument, &row) != 0) {
            code = SQLITE_NOMEM;
            break;
        }
    }
    sqlite3_finalize(statement);
    return code;
}

/* --- opening --- */

static int execute(struct store_file *file, const char *statements)
{
    return sqlite3_exec(file->database, statements, NULL, NULL, NULL);
}

/* Is it ours, and of a version we know? An empty file becomes ours. */
static int check_owner(struct store_file *file, struct error *error)
{
    int64_t application = ask_number(file, "PRAGMA application_id");
    int64_t version = ask_number(file, "PRAGMA user_version");
    int64_t tables = ask_number(file, "SELECT count(*) FROM sqlite_master");

    if (application < 0 || version < 0 || tables < 0)
        return explain(file, "read it", error);
    if (application == 0 && version == 0 && tables == 0) {
        if (execute(file, schema) == SQLITE_OK)
            return 0;
        explain(file, "make the tables", error);
        execute(file, "ROLLBACK");
        return -1;
    }
    if (application != APPLICATION_ID)
        return error_set(error,
                         "%s: is not jitsud's state file but another program's database; it is "
                         "left as it is: move it away, or give another state-directory",
                         file->path);
    if (version != VERSION)
        return error_set(error,
                         "%s: was written by another version of jitsud (format %" PRId64
                         ", this one knows %d); it is left as it is",
                         file->path, version, VERSION);
    return 0;
}

/* Do all pages hang together? Otherwise rows could be read before damage is noticed. */
static int check_pages(struct store_file *file, struct error *error)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(file->database, "PRAGMA quick_check(1)", -1, &statement, NULL) !=
            SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        explain(file, "check it", error);
        sqlite3_finalize(statement);
        return -1;
    }
    const char *verdict = (const char *)sqlite3_column_text(statement, 0);
    file->damaged = !verdict || strcmp(verdict, "ok") != 0;
    if (file->damaged) {
        const char *last_line = verdict ? strrchr(verdict, '\n') : NULL;
        error_set(error, "%s: is damaged: %s", file->path,
                  last_line ? last_line + 1 : "the integrity check failed");
    }
    sqlite3_finalize(statement);
    return file->damaged ? -1 : 0;
}

/* SQLite says only that it cannot open the file, when its directory is what hinders. */
static int explain_open(struct store_file *file, struct error *error)
{
    char directory[sizeof file->path];
    strcpy(directory, file->path);
    char *slash = strrchr(directory, '/');
    if (slash && slash != directory) {
        *slash = '\0';
        if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) != 0)
            return error_set_errno(error, "%s: cannot make files in %s", file->path, directory);
    }
    return explain(file, "open it", error);
}

static int open_database(struct store_file *file, store_file_row *row, void *argument,
                         struct error *error)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(file->path, &file->database, flags, NULL) != SQLITE_OK)
        return explain_open(file, error);
    sqlite3_extended_result_codes(file->database, 0);
    sqlite3_busy_timeout(file->database, BUSY_TIMEOUT);
    if (sqlite3_db_readonly(file->database, "main") == 1)
        return error_set(error, "%s: may be read but not written", file->path);
    if (check_owner(file, error) != 0 || check_pages(file, error) != 0)
        return -1;
    if (execute(file, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL") != SQLITE_OK)
        return explain(file, "begin its write-ahead log", error);
    if (read_rows(file, row, argument) != SQLITE_DONE)
        return explain(file, "read it", error);
    if (sqlite3_prepare_v3(file->database, replace_row, -1, SQLITE_PREPARE_PERSISTENT,
                           &file->replace, NULL) != SQLITE_OK ||
        sqlite3_prepare_v3(file->database, delete_row, -1, SQLITE_PREPARE_PERSISTENT, &file->remove,
                           NULL) != SQLITE_OK)
        return explain(file, "write it", error);
    return 0;
}

static void close_database(struct store_file *file)
{
    sqlite3_finalize(file->replace);
    sqlite3_finalize(file->remove);
    sqlite3_close(file->database);
    file->replace = file->remove = NULL;
    file->database = NULL;
}

/* --- a damaged file --- */

/* Its log goes along, without which it may not be complete. Returns -1 with errno. */
static int rename_with_log(const char *path, const char *aside)
{
    static const char *const suffixes[] = {"-wal", "-shm"};
    char from[CONFIG_PATH_MAX + 8], to[CONFIG_PATH_MAX + 48];
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        snprintf(from, sizeof from, "%s%s", path, suffixes[i]);
        snprintf(to, sizeof to, "%s%s", aside, suffixes[i]);
        if (access(from, F_OK) == 0 && rename(from, to) != 0)
            return -1;
    }
    return rename(path, aside);
}

static int put_aside(const char *path, const struct error *damage, struct error *error)
{
    char aside[CONFIG_PATH_MAX + 40], date[24];
    time_t now = time(NULL);
    struct tm local;

    localtime_r(&now, &local);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &local);
    snprintf(aside, sizeof aside, "%s.corrupt-%s", path, date);
    for (unsigned n = 1; access(aside, F_OK) == 0 && n < 100; n++)
        snprintf(aside, sizeof aside, "%s.corrupt-%s.%u", path, date, n);
    if (rename_with_log(path, aside) != 0)
        return error_set_errno(error, "%s: is damaged and cannot be renamed to %s", path, aside);
    log_error("%s; renamed to %s; beginning a new one, counters and last use of earlier runs are "
              "in the old one only",
              damage->text, aside);
    return 0;
}

struct store_file *store_file_open(const char *path, store_file_row *row, void *argument,
                                   struct error *error)
{
    struct store_file *file = calloc(1, sizeof *file);
    if (!file || strlen(path) >= sizeof file->path) {
        free(file);
        error_set(error, "%s: %s", path, file ? "the path is too long" : "memory is exhausted");
        return NULL;
    }
    strcpy(file->path, path);
    if (open_database(file, row, argument, error) == 0)
        return file;

    struct error damage = *error;
    close_database(file);
    if (file->damaged && put_aside(path, &damage, error) == 0 &&
        open_database(file, row, argument, error) == 0) {
        file->damaged = false;
        return file;
    }
    store_file_close(file);
    return NULL;
}

void store_file_close(struct store_file *file)
{
    if (!file)
        return;
    close_database(file);
    free(file);
}

/* --- writing --- */

static int run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static int remove_row(struct store_file *file, const struct store_row *row)
{
    sqlite3_bind_text(file->remove, 1, row->service, -1, SQLITE_STATIC);
    return run(file->remove);
}

static int write_row(struct store_file *file, const struct store_row *row)
{
    if (row->forgotten)
        return remove_row(file, row);
    sqlite3_stmt *statement = file->replace;
    sqlite3_bind_text(statement, 1, row->service, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)row->starts);
    sqlite3_bind_int64(statement, 3, (int64_t)row->failures);
    sqlite3_bind_double(statement, 4, row->last_use);
    sqlite3_bind_text(statement, 5, machine_state_name((enum machine_state)row->state), -1,
                      SQLITE_STATIC);
    sqlite3_bind_int64(statement, 6, row->serial);
    sqlite3_bind_int(statement, 7, row->pid);
    sqlite3_bind_double(statement, 8, row->started);
    return run(statement);
}

int store_file_write(struct store_file *file, const struct store_row *rows, size_t count,
                     bool *usable, struct error *error)
{
    int code = execute(file, "BEGIN IMMEDIATE");
    for (size_t i = 0; i < count && code == SQLITE_OK; i++)
        code = write_row(file, &rows[i]);
    if (code == SQLITE_OK)
        code = execute(file, "COMMIT");
    *usable = true;
    if (code == SQLITE_OK)
        return 0;

    explain(file, "write it", error);
    if (file->damaged) {
        struct error damage = *error;
        close_database(file);
        put_aside(file->path, &damage, error);
        *usable = false;
        return -1;
    }
    if (!sqlite3_get_autocommit(file->database))
        execute(file, "ROLLBACK");
    *usable = (code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_BUSY;
    return -1;
}
