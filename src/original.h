/* The command line of the original Jitsu (the one written in OCaml), translated into the same
 * configuration that a file gives: jitsud(8) says what becomes of each option and key. The text of
 * a configuration file is written and read as such, so that all checks are the same; what is wrong
 * is told of the option or argument that the line comes from. */
#ifndef JITSU_ORIGINAL_H
#define JITSU_ORIGINAL_H

#include <stdbool.h>

#include "config/config.h"

/* Has it option -x, or an argument KEY=VALUE? */
bool original_is_meant(int argc, char **argv);

/* A translation. */
struct original;

/* What it says besides the configuration. */
struct original_options {
    bool check, print, verbose, stop_machines, version, help;
};

/* Translates. `resolvers` is the file that says which resolvers there are where the command line
 * does not: /etc/resolv.conf. Returns the translation, or NULL having reported what is wrong;
 * `*is_usage` says then whether an option was not understood at all, which getopt has printed. */
struct original *original_translate(int argc, char **argv, const char *resolvers,
                                    struct original_options *options, bool *is_usage,
                                    config_error_function *report, void *argument);

/* The same as a configuration file. Belongs to the translation. */
const char *original_text(const struct original *original);

/* The configuration, or NULL having reported what is wrong with it. */
struct config *original_config(struct original *original);

/* NULL is allowed. */
void original_free(struct original *original);

#endif
