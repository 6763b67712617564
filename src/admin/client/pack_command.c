#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin/client/commands.h"
#include "admin/client/output.h"
#include "admin/client/pack.h"

/* SOURCE_DATE_EPOCH is how builds that are to be reproducible say what time it is. Returns 0, or -1
 * if it is not a time. */
static int latest_time(int64_t *time, struct error *error)
{
    const char *text = getenv("SOURCE_DATE_EPOCH");
    char *end;

    *time = INT64_MAX;
    if (!text || !*text)
        return 0;
    errno = 0;
    *time = strtoll(text, &end, 10);
    if (errno || *end || *time < 0)
        return error_set(error, "SOURCE_DATE_EPOCH is \"%s\": not seconds since the epoch", text);
    return 0;
}

static void print_totals(const char *file, const struct pack_totals *totals)
{
    char content[TEXT_SIZE], archive[TEXT_SIZE], from[TEXT_SIZE], to[TEXT_SIZE];

    printf("%s: %u file%s, %s", file, totals->files, totals->files == 1 ? "" : "s",
           text_size(totals->content_bytes, content));
    if (totals->compressed_files > 0)
        printf("; %u of them compressed from %s to %s, which saves %.0f %%",
               totals->compressed_files, text_size(totals->compressed_from, from),
               text_size(totals->compressed_to, to),
               100 - 100 * (double)totals->compressed_to / (double)totals->compressed_from);
    printf("; archive %s\n", text_size(totals->archive_bytes, archive));
}

static void print_totals_json(const struct pack_totals *totals)
{
    printf("{\"ok\":true,\"files\":%u,\"bytes\":%ju,\"content_bytes\":%ju,"
           "\"compressed_files\":%u,\"compressed_from\":%ju,\"compressed_to\":%ju}\n",
           totals->files, (uintmax_t)totals->archive_bytes, (uintmax_t)totals->content_bytes,
           totals->compressed_files, (uintmax_t)totals->compressed_from,
           (uintmax_t)totals->compressed_to);
}

int command_pack(const struct arguments *arguments)
{
    struct pack_options options = {.compress = !arguments->no_compress};
    struct pack_totals totals;
    struct error error;

    if (latest_time(&options.latest_time, &error) != 0 ||
        pack_directory(arguments->operand, arguments->output, &options, &totals, &error) != 0) {
        print_error("%s", error.text);
        return EXIT_REFUSED;
    }
    if (arguments->json)
        print_totals_json(&totals);
    else
        print_totals(arguments->output, &totals);
    return finish_output(EXIT_DONE);
}
