/* jitsuctl pack: what www reads in the archive is the site, an index that tells the truth about
 * every file, and compressed forms that become the files again; and always the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <brotli/decode.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <sha2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "pack_place.h"
#include "site/archive.h"

/* An archive in memory. */
struct packed {
    uint8_t *bytes;
    size_t length;
};

static struct packed read_archive(const char *path)
{
    struct stat status;
    int descriptor = open(path, O_RDONLY);

    assert_int_equal(fstat(descriptor, &status), 0);
    struct packed packed = {.length = (size_t)status.st_size};
    packed.bytes = mmap(NULL, packed.length, PROT_READ, MAP_PRIVATE, descriptor, 0);
    assert_ptr_not_equal(packed.bytes, MAP_FAILED);
    close(descriptor);
    return packed;
}

static void forget(const struct packed *packed)
{
    munmap(packed->bytes, packed->length);
}

/* Finds a file by its name. */
static bool find(const struct packed *packed, const char *name, struct archive_entry *entry)
{
    struct archive archive = archive_open(packed->bytes, packed->length);

    while (archive_next(&archive, entry) == ARCHIVE_ENTRY)
        if (entry->kind == ARCHIVE_FILE && entry->name_length == strlen(name) &&
            memcmp(entry->name, name, entry->name_length) == 0)
            return true;
    return false;
}

static struct archive_entry get(const struct packed *packed, const char *name)
{
    struct archive_entry entry;

    if (!find(packed, name, &entry))
        fail_msg("there is no %s", name);
    return entry;
}

static void assert_missing(const struct packed *packed, const char *name)
{
    struct archive_entry entry;

    if (find(packed, name, &entry))
        fail_msg("there is %s", name);
}

/* The index says exactly this. */
static void assert_index(const struct packed *packed, const char *expected)
{
    struct archive archive = archive_open(packed->bytes, packed->length);
    struct archive_entry first;

    assert_int_equal(archive_next(&archive, &first), ARCHIVE_ENTRY);
    assert_int_equal(first.name_length, strlen(".jitsu/index"));
    assert_memory_equal(first.name, ".jitsu/index", first.name_length);
    if (first.size != strlen(expected) || memcmp(first.bytes, expected, first.size) != 0)
        fail_msg("the index is\n%.*s\nnot\n%s", (int)first.size, first.bytes, expected);
}

/* Whether the index says that the file has that type, and the ETag of its contents. */
static void assert_indexed(const struct packed *packed, const char *name, const char *type)
{
    struct archive_entry index = get(packed, ".jitsu/index"), file = get(packed, name);
    char line[2 * PATH_MAX], sum[SHA256_DIGEST_STRING_LENGTH];

    SHA256Data(file.bytes, file.size, sum);
    snprintf(line, sizeof line, "%s\t%s\t%.16s\n", name, type, sum);
    if (!memmem(index.bytes, index.size, line, strlen(line)))
        fail_msg("the index has no %s", line);
}

static void assert_gzip_of(const struct packed *packed, const char *name)
{
    char coded_name[PATH_MAX];
    snprintf(coded_name, sizeof coded_name, "%s.gz", name);
    struct archive_entry file = get(packed, name), coded = get(packed, coded_name);
    uint8_t *bytes = malloc(file.size + 1);
    z_stream stream = {
        .next_in = (uint8_t *)(uintptr_t)coded.bytes,
        .avail_in = (uInt)coded.size,
        .next_out = bytes,
        .avail_out = (uInt)file.size + 1,
    };

    assert_int_equal(inflateInit2(&stream, MAX_WBITS + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, file.size);
    assert_int_equal(stream.avail_in, 0);
    assert_memory_equal(bytes, file.bytes, file.size);
    inflateEnd(&stream);
    free(bytes);
    /* No flags, so no name; no time. */
    assert_memory_equal(coded.bytes, "\x1f\x8b\x08\0\0\0\0\0", 8);
    assert_true(coded.size * 20 <= file.size * 19);
    assert_int_equal(coded.modified, file.modified);
}

static void assert_brotli_of(const struct packed *packed, const char *name)
{
    char coded_name[PATH_MAX];
    snprintf(coded_name, sizeof coded_name, "%s.br", name);
    struct archive_entry file = get(packed, name), coded = get(packed, coded_name);
    uint8_t *bytes = malloc(file.size + 1);
    size_t size = file.size + 1;

    assert_int_equal(BrotliDecoderDecompress(coded.size, coded.bytes, &size, bytes),
                     BROTLI_DECODER_RESULT_SUCCESS);
    assert_int_equal(size, file.size);
    assert_memory_equal(bytes, file.bytes, size);
    free(bytes);
    assert_true(coded.size * 20 <= file.size * 19);
}

/* A text that compresses well, of `lines` lines. */
static void write_text(const struct place *place, const char *name, unsigned lines)
{
    shell("seq -f 'line %%g of %s' %u >'%s/%s'", name, lines, place->site, name);
}

static void the_index_comes_first_and_names_every_file(void **state)
{
    struct place *place = *state;

    assert_packs(place, place->archive, 4);
    struct packed packed = read_archive(place->archive);
    assert_index(&packed, "css/a.css\ttext/css; charset=utf-8\t2d711642b726b044\n"
                          "css/z.css\ttext/css; charset=utf-8\t5f546eb4606b5c2b\n"
                          "index.html\ttext/html; charset=utf-8\t2cf24dba5fb0a30e\n"
                          "nothing\ttext/plain; charset=utf-8\te3b0c44298fc1c14\n");
    forget(&packed);
}

static void compressed_forms_follow_what_compresses(void **state)
{
    struct place *place = *state;

    write_text(place, "page.html", 1000);
    write_text(place, "font.ttf", 1000);
    write_text(place, "css/plain", 1000);
    shell("head -c 20000 /dev/urandom >%s/random.txt", place->site);
    write_text(place, "photo.jpg", 1000);
    struct pack_totals totals = assert_packs(place, place->archive, 9);
    struct packed packed = read_archive(place->archive);

    assert_gzip_of(&packed, "page.html");
    assert_brotli_of(&packed, "page.html");
    assert_gzip_of(&packed, "font.ttf");
    assert_brotli_of(&packed, "font.ttf");
    assert_gzip_of(&packed, "css/plain");
    assert_brotli_of(&packed, "css/plain");
    assert_missing(&packed, "random.txt.gz");
    assert_missing(&packed, "random.txt.br");
    assert_missing(&packed, "photo.jpg.gz");
    assert_missing(&packed, "photo.jpg.br");
    assert_missing(&packed, "index.html.gz");
    assert_missing(&packed, "nothing.br");

    assert_indexed(&packed, "page.html", "text/html; charset=utf-8");
    assert_indexed(&packed, "page.html.gz", "application/gzip");
    assert_indexed(&packed, "page.html.br", "application/octet-stream");
    assert_indexed(&packed, "css/plain", "text/plain; charset=utf-8");
    assert_indexed(&packed, "random.txt", "text/plain");

    assert_int_equal(totals.compressed_files, 3);
    assert_int_equal(totals.compressed_from, get(&packed, "page.html").size +
                                                 get(&packed, "font.ttf").size +
                                                 get(&packed, "css/plain").size);
    assert_int_equal(totals.compressed_to, get(&packed, "page.html.br").size +
                                               get(&packed, "font.ttf.br").size +
                                               get(&packed, "css/plain.br").size);
    forget(&packed);
}

static void no_compression_is_added_where_none_is_wanted(void **state)
{
    struct place *place = *state;

    write_text(place, "page.html", 1000);
    place->options.compress = false;
    struct pack_totals totals = assert_packs(place, place->archive, 5);
    struct packed packed = read_archive(place->archive);
    assert_indexed(&packed, "page.html", "text/html; charset=utf-8");
    assert_missing(&packed, "page.html.gz");
    assert_missing(&packed, "page.html.br");
    assert_int_equal(totals.compressed_files, 0);
    forget(&packed);
}

static void a_compressed_form_that_is_there_is_kept(void **state)
{
    struct place *place = *state;

    write_text(place, "page.html", 1000);
    shell("cd %s && gzip -1 -k page.html", place->site);
    assert_packs(place, place->archive, 6);
    struct packed packed = read_archive(place->archive);
    struct archive_entry gzip = get(&packed, "page.html.gz");
    shell("test $(stat -c %%s %s/page.html.gz) = %zu", place->site, gzip.size);
    assert_brotli_of(&packed, "page.html");
    assert_missing(&packed, "page.html.gz.br");
    forget(&packed);
}

static void a_compressed_form_of_something_else_is_refused(void **state)
{
    struct place *place = *state;
    static const char gzip_name[] = "site/page.html.gz does not hold what page.html has in it";

    write_text(place, "page.html", 1000);
    shell("cd %s && head -n 999 page.html | gzip >page.html.gz", place->site);
    assert_refuses(place, gzip_name);
    shell("cd %s && { cat page.html; echo more; } | gzip >page.html.gz", place->site);
    assert_refuses(place, gzip_name);
    shell("cd %s && gzip -c page.html | head -c 500 >page.html.gz", place->site);
    assert_refuses(place, gzip_name);
    shell("cd %s && { gzip -c page.html; echo; } >page.html.gz", place->site);
    assert_refuses(place, gzip_name);
    shell("cd %s && : >page.html.gz", place->site);
    assert_refuses(place, gzip_name);
    shell("cd %s && { head -n 500 page.html | gzip; tail -n +501 page.html | gzip; } >page.html.gz",
          place->site);
    assert_packs(place, place->archive, 6);

    /* brotli(1) may not be there: the archive has its files. */
    struct packed packed = read_archive(place->archive);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/page.html.br", place->site);
    struct archive_entry brotli = get(&packed, "page.html.br");
    FILE *file = fopen(path, "w");
    assert_int_equal(fwrite(brotli.bytes, 1, brotli.size, file), brotli.size);
    fclose(file);
    forget(&packed);
    assert_packs(place, place->archive, 7);
    shell("rm %s && truncate -s -1 %s", place->archive, path);
    assert_refuses(place, "site/page.html.br does not hold what page.html has in it");
    shell("echo ab >>%s", path);
    assert_refuses(place, "site/page.html.br does not hold what page.html has in it");
}

static void large_files_are_packed_but_not_compressed(void **state)
{
    struct place *place = *state;
    const unsigned limit = PACK_COMPRESS_LIMIT;

    place->options.compress = true;
    shell("cd %s && yes text | head -c %u >large.txt && printf '\\351' | "
          "dd of=large.txt bs=1 seek=%u conv=notrunc status=none",
          place->site, limit + 1, limit);
    assert_packs(place, place->archive, 5);
    struct packed packed = read_archive(place->archive);
    assert_int_equal(get(&packed, "large.txt").size, limit + 1);
    /* Its last byte makes it something else than UTF-8. */
    assert_indexed(&packed, "large.txt", "text/plain");
    assert_indexed(&packed, "nothing", "text/plain; charset=utf-8");
    assert_missing(&packed, "large.txt.gz");
    assert_missing(&packed, "large.txt.br");
    forget(&packed);
}

static void names_that_the_index_cannot_hold_are_left_out_of_it(void **state)
{
    struct place *place = *state;

    shell("cd %s && rm -r * && echo >'a\tb' && echo >'a\nb'", place->site);
    assert_packs(place, place->archive, 2);
    struct packed packed = read_archive(place->archive);
    assert_index(&packed, "");
    get(&packed, "a\tb");
    get(&packed, "a\nb");
    forget(&packed);
}

static void many_files_stay_in_their_order(void **state)
{
    struct place *place = *state;

    shell("cd %s && rm -r * && for i in $(seq 1000 1999); do mkdir d$i && seq $i $((i + i %% 90)) "
          ">d$i/f.txt; done",
          place->site);
    assert_packs(place, place->archive, 1000);
    struct packed packed = read_archive(place->archive);
    struct archive archive = archive_open(packed.bytes, packed.length);
    struct archive_entry entry;
    char name[32];
    assert_int_equal(archive_next(&archive, &entry), ARCHIVE_ENTRY);
    for (unsigned i = 1000; i < 2000; i++) {
        int length = snprintf(name, sizeof name, "d%u/f.txt", i);
        do
            assert_int_equal(archive_next(&archive, &entry), ARCHIVE_ENTRY);
        while (entry.kind != ARCHIVE_FILE || memcmp(entry.name + entry.name_length - 3, "txt", 3));
        assert_int_equal(entry.name_length, length);
        assert_memory_equal(entry.name, name, entry.name_length);
        assert_int_equal(strtoul((const char *)entry.bytes, NULL, 10), i);
        assert_indexed(&packed, name, "text/plain; charset=utf-8");
    }
    assert_gzip_of(&packed, "d1079/f.txt");
    assert_brotli_of(&packed, "d1079/f.txt");
    forget(&packed);
}

static void who_packs_where_and_when_changes_nothing(void **state)
{
    struct place *place = *state;
    struct place other = *place;

    for (char letter = 'a'; letter <= 'f'; letter++)
        write_text(place, (char[]){letter, '.', 't', 'x', 't', '\0'}, 500);
    write_text(place, "A.txt", 500);
    write_text(place, "\xc3\xa9.txt", 500);
    shell("find %s -exec touch -d @1700000000 {} +", place->site);
    assert_packs(place, place->archive, 12);

    /* The same files, made in another order, by another user, in other directories' times. */
    snprintf(other.site, sizeof other.site, "%s/moved", place->directory);
    snprintf(other.archive, sizeof other.archive, "%s/another-name.cpio", place->directory);
    shell("cd %s && mkdir -p moved/empty moved/css && cd site && ls -r | grep -v empty | "
          "while read name; do cp -a \"$name\" ../moved; done && cd ../moved && "
          "chmod -R go-rwx . && chown -R 1:1 . 2>/dev/null; touch css empty",
          place->directory);
    mode_t mask = umask(077);
    setenv("TZ", "Pacific/Kiritimati", 1);
    setlocale(LC_ALL, "C.UTF-8");
    assert_packs(&other, other.archive, 12);
    setlocale(LC_ALL, "C");
    unsetenv("TZ");
    umask(mask);
    shell("cmp %s %s", place->archive, other.archive);
    shell("test $(stat -c %%a %s) = 600", other.archive);
}

static void times_are_no_later_than_the_latest(void **state)
{
    struct place *place = *state;

    shell("touch -d @1600000000 %s/nothing", place->site);
    place->options.latest_time = 1650000000;
    assert_packs(place, place->archive, 4);
    struct packed packed = read_archive(place->archive);
    assert_int_equal(get(&packed, "nothing").modified, 1600000000);
    assert_int_equal(get(&packed, "index.html").modified, 1650000000);
    forget(&packed);
}

static void names_that_the_archive_needs_are_refused(void **state)
{
    struct place *place = *state;

    shell("mkdir %s/.jitsu", place->site);
    assert_refuses(place, "site/.jitsu: a name that the archive needs for itself");
    shell("rmdir %s/.jitsu && touch '%s/TRAILER!!!'", place->site, place->site);
    assert_refuses(place, "site/TRAILER!!!: a name that the archive needs for itself");
    shell("mv '%s/TRAILER!!!' %s/css && mkdir %s/css/.jitsu", place->site, place->site,
          place->site);
    assert_packs(place, place->archive, 5);
}

static void files_that_may_not_be_read_are_named(void **state)
{
    struct place *place = *state;

    shell("chmod 0 %s/css/z.css && chmod 777 %s", place->site, place->directory);
    bool is_root = geteuid() == 0;
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    assert_refuses(place, "site/css/z.css: Permission denied");
    if (is_root)
        assert_int_equal(seteuid(0), 0);
}

/* Writes to the file as soon as somebody reads it. */
static void *change_when_read(void *path)
{
    struct inotify_event event;
    int notify = inotify_init1(IN_CLOEXEC);

    if (inotify_add_watch(notify, path, IN_ACCESS) != -1 && read(notify, &event, sizeof event) > 0)
        truncate(path, 40 << 20);
    close(notify);
    return NULL;
}

static void files_that_change_while_they_are_read_are_noticed(void **state)
{
    struct place *place = *state;
    struct error error = {""};
    struct pack_totals totals;
    char path[PATH_MAX];
    bool noticed = false;

    snprintf(path, sizeof path, "%s/zeroes", place->site);
    /* The other thread may be too late to change it: then again. */
    for (int i = 0; i < 100 && !noticed; i++) {
        pthread_t thread;
        shell("rm -f %s && truncate -s 32M %s", path, path);
        assert_int_equal(pthread_create(&thread, NULL, change_when_read, path), 0);
        noticed =
            pack_directory(place->site, place->archive, &place->options, &totals, &error) != 0;
        shell("cat %s >/dev/null", path);
        pthread_join(thread, NULL);
    }
    assert_true(noticed);
    assert_non_null(strstr(error.text, "site/zeroes changed while it was read"));
}

static void a_full_disk_leaves_the_old_archive(void **state)
{
    struct place *place = *state;
    struct rlimit old;
    struct error error = {""};
    struct pack_totals totals;

    assert_packs(place, place->archive, 4);
    shell("cp %s %s/old && head -c 300000 /dev/urandom >%s/random", place->archive,
          place->directory, place->site);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    /* Enough for nothing, for some, and for all but the index. */
    for (rlim_t room = 0; room <= 300000; room += 100000) {
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){room, old.rlim_max});
        int result = pack_directory(place->site, place->archive, &place->options, &totals, &error);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(result, -1);
        assert_non_null(strstr(error.text, "cannot write /tmp/"));
        assert_non_null(strstr(error.text, strerror(EFBIG)));
        shell("cmp %s %s/old && test \"$(ls %s)\" = 'old\nsite\nsite.cpio'", place->archive,
              place->directory, place->directory);
    }
    signal(SIGXFSZ, SIG_DFL);
    assert_packs(place, place->archive, 5);
}

#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, place_set_up, place_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(the_index_comes_first_and_names_every_file),
        IN_PLACE(compressed_forms_follow_what_compresses),
        IN_PLACE(no_compression_is_added_where_none_is_wanted),
        IN_PLACE(a_compressed_form_that_is_there_is_kept),
        IN_PLACE(a_compressed_form_of_something_else_is_refused),
        IN_PLACE(large_files_are_packed_but_not_compressed),
        IN_PLACE(names_that_the_index_cannot_hold_are_left_out_of_it),
        IN_PLACE(many_files_stay_in_their_order),
        IN_PLACE(who_packs_where_and_when_changes_nothing),
        IN_PLACE(times_are_no_later_than_the_latest),
        IN_PLACE(names_that_the_archive_needs_are_refused),
        IN_PLACE(files_that_may_not_be_read_are_named),
        IN_PLACE(files_that_change_while_they_are_read_are_noticed),
        IN_PLACE(a_full_disk_leaves_the_old_archive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
