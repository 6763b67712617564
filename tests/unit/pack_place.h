/* A temporary directory with a small site in it, for the tests of jitsuctl pack. */
#ifndef JITSU_TESTS_PACK_PLACE_H
#define JITSU_TESTS_PACK_PLACE_H

#include <limits.h>
#include <stdint.h>

#include "admin/client/pack.h"

struct place {
    char directory[PATH_MAX / 4]; /* everything is in it */
    char site[PATH_MAX / 2], archive[PATH_MAX / 2];
    struct pack_options options;
};

/* cmocka's set-up and tear-down; the state is a struct place. The site has index.html, css/a.css,
 * css/z.css, nothing, and the directory `empty`. */
int place_set_up(void **state);
int place_tear_down(void **state);

/* Runs a command, which must succeed. */
void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Packs the site, which must succeed and find so many files. */
struct pack_totals assert_packs(const struct place *place, const char *archive, unsigned files);

/* Packs the site, which must fail, say why, and leave nothing behind. */
void assert_refuses(const struct place *place, const char *why);

#endif
