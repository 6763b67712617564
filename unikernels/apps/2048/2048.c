/* 2048: serves the game, which is part of the image.
 *
 * Options: port=N (80). */
#include <stddef.h>
#include <stdint.h>

#include "jitsu/application.h"
#include "jitsu/http.h"
#include "jitsu/options.h"
#include "site/answer.h"
#include "site/site.h"

/* The archive of the directory `site` (site.S). */
extern const uint8_t game_archive[], game_archive_end[];

static struct site *game;

static void answer(const struct http_request *request, struct http_response *response)
{
    site_answer(game, request, response);
}

void application_main(void)
{
    const char *problem;
    size_t position;

    game = site_open(game_archive, (size_t)(game_archive_end - game_archive), &problem, &position);
    if (!game)
        application_fail("the game's archive: %s (at byte %zu)", problem, position);
    http_listen((uint16_t)option_number("port", 80, 1, 65535), answer);
    network_serve();
}
