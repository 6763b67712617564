/* jitsuctl pack: the archive is what cpio reads, always the same, and nothing half-written is left.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/client/pack.h"
#include "admin/text.h"
#include "pack_place.h"

static void cpio_lists_and_unpacks_it(void **state)
{
    struct place *place = *state;

    if (system("command -v cpio >/dev/null") != 0)
        skip();
    assert_packs(place, place->archive, 4);
    shell("cd %s && printf '%%s\\n' .jitsu/index css css/a.css css/z.css empty index.html nothing "
          ">expected && "
          "cpio --quiet -it <site.cpio >listed && diff expected listed",
          place->directory);
    shell("cd %s && mkdir out && cd out && cpio --quiet -idm <../site.cpio && rm -r .jitsu && diff "
          "-r ../site . && "
          "test \"$(stat -c %%Y css/a.css)\" = 1700000000 && test \"$(stat -c %%a index.html)\" = "
          "644 && "
          "test \"$(stat -c %%a css/a.css)\" = 755",
          place->directory);
    shell("cd %s && TZ=UTC cpio --quiet -itvn <site.cpio | awk '$3 != 0 || $4 != 0 { exit 1 }'",
          place->directory);
}

static void the_same_site_gives_the_same_bytes(void **state)
{
    struct place *place = *state;
    char other[PATH_MAX];

    assert_packs(place, place->archive, 4);
    snprintf(other, sizeof other, "%s/other.cpio", place->directory);
    shell("cd %s && cp -a site copied && rm -r site && mkdir site && cp -a copied/. site && "
          "chmod 640 site/index.html && chgrp 1 site/index.html 2>/dev/null; true",
          place->directory);
    assert_packs(place, other, 4);
    shell("cmp %s %s", place->archive, other);
}

static void links_below_the_directory_are_followed(void **state)
{
    struct place *place = *state;

    shell("cd %s/site && ln -s index.html home.html && ln -s ../index.html css/up.html && "
          "ln -s css styles",
          place->directory);
    assert_packs(place, place->archive, 9);
    if (system("command -v cpio >/dev/null") == 0)
        shell("cd %s && mkdir out && cd out && cpio --quiet -id <../site.cpio && "
              "test ! -L home.html && test \"$(cat home.html css/up.html styles/a.css)\" = "
              "hellohellox",
              place->directory);
}

static void links_that_lead_out_are_refused(void **state)
{
    struct place *place = *state;

    shell("ln -s ../../etc %s/site/out", place->directory);
    assert_refuses(place, "site/out: a symbolic link that is absolute or leads out");
    shell("ln -sfn /etc/hostname %s/site/out", place->directory);
    assert_refuses(place, "site/out: a symbolic link that is absolute or leads out");
    shell("ln -sfn nowhere %s/site/out", place->directory);
    assert_refuses(place, "cannot open");
    shell("ln -sfn .. %s/site/css/up && rm %s/site/out", place->directory, place->directory);
    assert_refuses(place, "site/css/up: a symbolic link that leads back up");
    shell("rm %s/site/css/up && mkfifo %s/site/pipe", place->directory, place->directory);
    assert_refuses(place, "site/pipe: neither a file nor a directory");
}

static void the_archive_does_not_contain_itself(void **state)
{
    struct place *place = *state;
    char inside[PATH_MAX];

    snprintf(inside, sizeof inside, "%s/site.cpio", place->site);
    assert_packs(place, inside, 4);
    shell("cp %s %s && touch -d @1700000000 %s", inside, place->archive, place->site);
    assert_packs(place, inside, 4);
    shell("cmp %s %s", inside, place->archive);
}

static void what_cannot_be_read_or_written_is_named(void **state)
{
    struct place *place = *state;
    struct pack_totals totals;
    struct error error;

    assert_int_equal(
        pack_directory("/nonexistent", place->archive, &place->options, &totals, &error), -1);
    assert_non_null(strstr(error.text, "cannot open /nonexistent: No such file"));
    assert_int_equal(
        pack_directory(place->site, "/nonexistent/site.cpio", &place->options, &totals, &error),
        -1);
    assert_non_null(strstr(error.text, "cannot write /nonexistent/site.cpio"));
}

static void an_old_archive_survives_a_failure(void **state)
{
    struct place *place = *state;
    struct pack_totals totals;
    struct error error;

    assert_packs(place, place->archive, 4);
    shell("cp %s %s/old && mkfifo %s/site/pipe", place->archive, place->directory,
          place->directory);
    assert_int_equal(pack_directory(place->site, place->archive, &place->options, &totals, &error),
                     -1);
    shell("cmp %s %s/old && rm %s/old && test \"$(ls %s)\" = \"site\nsite.cpio\"", place->archive,
          place->directory, place->directory, place->directory);
}

static void durations_and_sizes_read_well(void **state)
{
    char text[TEXT_SIZE];

    (void)state;
    assert_string_equal(text_duration(-1, text), "0 ms");
    assert_string_equal(text_duration(0.45, text), "450 ms");
    assert_string_equal(text_duration(59.9, text), "59 s");
    assert_string_equal(text_duration(185, text), "3 m 05 s");
    assert_string_equal(text_duration(7800, text), "2 h 10 m");
    assert_string_equal(text_duration(3 * 86400 + 4 * 3600, text), "3 d 4 h");
    assert_string_equal(text_size(0, text), "0");
    assert_string_equal(text_size(1023, text), "1023");
    assert_string_equal(text_size(16 << 20, text), "16M");
    assert_string_equal(text_size(UINT64_C(1536) << 20, text), "1.5G");
    assert_string_equal(text_size(UINT64_MAX, text), "16E");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cpio_lists_and_unpacks_it, place_set_up, place_tear_down),
        cmocka_unit_test_setup_teardown(the_same_site_gives_the_same_bytes, place_set_up,
                                        place_tear_down),
        cmocka_unit_test_setup_teardown(links_below_the_directory_are_followed, place_set_up,
                                        place_tear_down),
        cmocka_unit_test_setup_teardown(links_that_lead_out_are_refused, place_set_up,
                                        place_tear_down),
        cmocka_unit_test_setup_teardown(the_archive_does_not_contain_itself, place_set_up,
                                        place_tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_read_or_written_is_named, place_set_up,
                                        place_tear_down),
        cmocka_unit_test_setup_teardown(an_old_archive_survives_a_failure, place_set_up,
                                        place_tear_down),
        cmocka_unit_test(durations_and_sizes_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
