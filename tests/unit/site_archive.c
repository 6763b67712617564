/* Archives as sites are read from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "unit/site_fixture.h"

static void has(const struct site *site, const char *path, const char *contents)
{
    const struct site_file *file = site_find(site, path, strlen(path), "");

    if (!file)
        fail_msg("%s is not there", path);
    assert_int_equal(file->size, strlen(contents));
    assert_memory_equal(file->bytes, contents, file->size);
}

static void has_not(const struct site *site, const char *path)
{
    assert_null(site_find(site, path, strlen(path), ""));
}

static void reads_cpio(void **state)
{
    (void)state;
    add_cpio_full(".", "", DIRECTORY_MODE, 0, 2);
    add_cpio("./index.html", "hello");
    add_cpio("/a/b", "x");
    add_cpio("empty", "");
    add_cpio_full("link", "index.html", 0120777, 0, 1);
    end_cpio();
    struct site *site = must_open();
    assert_int_equal(site_file_count(site), 3);
    has(site, "/index.html", "hello");
    has(site, "/a/b", "x");
    has(site, "/empty", "");
    has_not(site, "/link");
    has_not(site, "/a");
    has_not(site, "/TRAILER!!!");
    assert_int_equal(site_find(site, "/a/b", 4, "")->modified, MODIFIED);
    site_free(site);
}

static void gives_every_name_of_a_cpio_file_its_contents(void **state)
{
    (void)state;
    add_cpio_full("one", "", FILE_MODE, 7, 3);
    add_cpio_full("other", "", FILE_MODE, 8, 2);
    add_cpio_full("two", "", FILE_MODE, 7, 3);
    add_cpio_full("three", "contents", FILE_MODE, 7, 3);
    end_cpio();
    struct site *site = must_open();
    has(site, "/one", "contents");
    has(site, "/two", "contents");
    has(site, "/three", "contents");
    has(site, "/other", "");
    site_free(site);
}

static void reads_tar(void **state)
{
    (void)state;
    add_tar_full("", "./", "", '5', "");
    add_tar("./index.html", "hello");
    add_tar_full("deep/down", "file", "x", '0', "");
    add_tar_full("", "hard", "", '1', "./index.html");
    add_tar_full("", "soft", "", '2', "index.html");
    add_tar_full("", "dangling", "", '1', "nowhere");
    end_tar();
    struct site *site = must_open();
    assert_int_equal(site_file_count(site), 3);
    has(site, "/index.html", "hello");
    has(site, "/deep/down/file", "x");
    has(site, "/hard", "hello");
    has_not(site, "/soft");
    has_not(site, "/dangling");
    site_free(site);
}

static void reads_long_names_of_tar(void **state)
{
    (void)state;
    add_tar_full("", "././@LongLink", "long/gnu", 'L', "");
    add_tar("long/g", "gnu");
    add_tar_full("", "PaxHeaders/x", "18 path=long/pax1\n20 mtime=1234567.8\n", 'x', "");
    add_tar_full("prefix", "long/p", "pax", '0', "");
    add_tar("short", "s");
    end_tar();
    struct site *site = must_open();
    has(site, "/long/gnu", "gnu");
    has(site, "/long/pax1", "pax");
    has(site, "/short", "s");
    has_not(site, "/long/g");
    assert_int_equal(site_file_count(site), 3);
    site_free(site);
}

static void takes_the_last_of_a_name(void **state)
{
    (void)state;
    add_tar("a", "old");
    add_tar("./a", "new");
    end_tar();
    struct site *site = must_open();
    assert_int_equal(site_file_count(site), 1);
    has(site, "/a", "new");
    site_free(site);
}

static void finds_each_of_many(void **state)
{
    char name[20];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "f%d.html", i);
        add_cpio(name, name);
    }
    end_cpio();
    struct site *site = must_open();
    assert_int_equal(site_file_count(site), 300);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "/f%d.html", i);
        has(site, name, name + 1);
    }
    has_not(site, "/f300.html");
    site_free(site);
}

static void reads_types_and_tags_from_an_index(void **state)
{
    const struct site_file *file;

    (void)state;
    add_cpio(".jitsu/index", "a\ttext/x-a\t0123456789abcdef\n"
                             "none\ttext/x-a\t0123456789abcdef\n"
                             "b\ttext/plain\tshort\n"
                             "c\ttext\rinjected: yes\t0123456789ABCDEF\n"
                             "d\ttext/x-d\n"
                             "e\ttext/x-e\t0123456789abcdef\tmore\n"
                             "\n\t\t\n"
                             "f\ttext/x-f\t0123456789abcdef");
    for (const char *name = "a\0b\0c\0d\0e\0f\0"; *name; name += 2)
        add_cpio(name, "x");
    end_cpio();
    struct site *site = must_open();
    file = site_find(site, "/a", 2, "");
    assert_int_equal(file->type.length, 8);
    assert_memory_equal(file->type.at, "text/x-a", 8);
    assert_memory_equal(file->tag, "0123456789abcdef", 16);
    file = site_find(site, "/b", 2, "");
    assert_int_equal(file->type.length, 10);
    assert_null(file->tag);
    file = site_find(site, "/c", 2, "");
    assert_null(file->type.at);
    assert_non_null(file->tag);
    file = site_find(site, "/d", 2, "");
    assert_null(file->type.at);
    file = site_find(site, "/e", 2, "");
    assert_null(file->type.at);
    file = site_find(site, "/f", 2, "");
    assert_non_null(file->type.at);
    assert_non_null(file->tag);
    site_free(site);
}

static void hides_its_own_directory(void **state)
{
    (void)state;
    add_cpio(".jitsu/index", "");
    add_cpio("./.jitsu/other", "secret");
    add_cpio(".jitsu/index.html", "secret");
    add_cpio(".jitsu2", "public");
    add_cpio("a/.jitsu/b", "public");
    end_cpio();
    struct site *site = must_open();
    has_not(site, "/.jitsu/index");
    has_not(site, "/.jitsu/other");
    assert_null(site_find(site, "/.jitsu/", 8, "index.html"));
    assert_null(site_find(site, "/.jitsu", 7, "/index.html"));
    has(site, "/.jitsu2", "public");
    has(site, "/a/.jitsu/b", "public");
    site_free(site);
}

static void finds_smaller_files_beside_others(void **state)
{
    const struct site_file *file;

    (void)state;
    add_cpio("a.br", "br");
    add_cpio("a", "plain");
    add_cpio("a.gz", "larger");
    add_cpio("b.gz", "alone");
    add_cpio(".gz", "");
    end_cpio();
    struct site *site = must_open();
    file = site_find(site, "/a", 2, "");
    assert_ptr_equal(file->coded[CODING_BROTLI], site_find(site, "/a.br", 5, ""));
    assert_null(file->coded[CODING_GZIP]);
    file = site_find(site, "/b.gz", 5, "");
    assert_null(file->coded[CODING_BROTLI]);
    assert_null(file->coded[CODING_GZIP]);
    site_free(site);
}

static void refuses_what_is_no_archive(void **state)
{
    const char *problem;
    size_t position;

    (void)state;
    memcpy(archive_bytes, "\x1f\x8b\x08", 3);
    assert_null(open_site(1024, &problem, &position));
    assert_string_equal(problem, "neither a cpio archive (newc) nor a tar archive");
    assert_null(open_site(0, &problem, &position));
}

/* Wherever it is cut, an archive is refused or (tar without its end) read as far as it goes. */
static void survives_every_cut(void **state)
{
    const char *problem;
    size_t position;

    (void)state;
    add_cpio("index.html", "hello");
    size_t second = archive_length;
    add_cpio("b", "world");
    end_cpio();
    size_t trailer_end = archive_length - 3;
    for (size_t cut = 0; cut < trailer_end; cut++) {
        struct site *site = open_site(cut, &problem, &position);
        assert_null(site);
        if (cut > second)
            assert_true(position >= second);
    }

    begin_archive(NULL);
    add_tar_full("", "././@LongLink", "long/gnu", 'L', "");
    add_tar("long/g", "gnu");
    end_tar();
    for (size_t cut = 0; cut < archive_length; cut++)
        site_free(open_site(cut, &problem, &position));
}

static void refuses_broken_fields(void **state)
{
    const char *problem;
    size_t position;

    (void)state;
    add_cpio("a", "x");
    add_cpio("b", "y");
    end_cpio();
    memset(archive_bytes + 6 + 11 * 8, 'F', 8); /* the name's size */
    assert_null(open_site(archive_length, &problem, &position));
    memset(archive_bytes + 6 + 11 * 8, '0', 8);
    assert_null(open_site(archive_length, &problem, &position));

    begin_archive(NULL);
    add_tar("a", "x");
    end_tar();
    memset(archive_bytes + 124, '7', 12);
    assert_null(open_site(archive_length, &problem, &position));
    assert_string_equal(problem, "the archive is broken or cut off");
    memset(archive_bytes + 124, 0xff, 12);
    assert_null(open_site(archive_length, &problem, &position));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin_archive, free_archive)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_cpio),
        TEST(gives_every_name_of_a_cpio_file_its_contents),
        TEST(reads_tar),
        TEST(reads_long_names_of_tar),
        TEST(takes_the_last_of_a_name),
        TEST(finds_each_of_many),
        TEST(reads_types_and_tags_from_an_index),
        TEST(hides_its_own_directory),
        TEST(finds_smaller_files_beside_others),
        TEST(refuses_what_is_no_archive),
        TEST(survives_every_cut),
        TEST(refuses_broken_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
