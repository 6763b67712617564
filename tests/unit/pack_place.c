#include "pack_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void shell(const char *format, ...)
{
    char command[4 * PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0)
        fail_msg("%s: failed", command);
}

int place_set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    place->options = (struct pack_options){.compress = true, .latest_time = INT64_MAX};
    strcpy(place->directory, "/tmp/jitsu-pack-XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    snprintf(place->site, sizeof place->site, "%s/site", place->directory);
    snprintf(place->archive, sizeof place->archive, "%s/site.cpio", place->directory);
    shell("cd %s && mkdir -p site/css site/empty && printf hello >site/index.html && "
          "printf 'a{}' >site/css/z.css && printf x >site/css/a.css && : >site/nothing && "
          "chmod 600 site/index.html && chmod 755 site/css/a.css && "
          "find site -exec touch -d @1700000000 {} +",
          place->directory);
    *state = place;
    return 0;
}

int place_tear_down(void **state)
{
    struct place *place = *state;
    shell("rm -rf %s", place->directory);
    free(place);
    return 0;
}

struct pack_totals assert_packs(const struct place *place, const char *archive, unsigned files)
{
    struct pack_totals totals;
    struct error error = {""};
    if (pack_directory(place->site, archive, &place->options, &totals, &error) != 0)
        fail_msg("%s", error.text);
    assert_int_equal(totals.files, files);
    struct stat status;
    assert_int_equal(stat(archive, &status), 0);
    assert_int_equal(totals.archive_bytes, status.st_size);
    return totals;
}

void assert_refuses(const struct place *place, const char *why)
{
    struct pack_totals totals;
    struct error error = {""};
    assert_int_equal(pack_directory(place->site, place->archive, &place->options, &totals, &error),
                     -1);
    if (!strstr(error.text, why))
        fail_msg("\"%s\" is not in \"%s\"", why, error.text);
    assert_int_equal(access(place->archive, F_OK), -1);
    shell("test \"$(ls %s)\" = site", place->directory);
}
