/* www: serves the files of an archive, the machine's boot module, over HTTP/1.1; a page of its own
 * where there is none.
 *
 * Options: port=N (80), name=NAME (of the service, for the page). */
#include <stdlib.h>
#include <string.h>

#include "jitsu/application.h"
#include "jitsu/boot.h"
#include "jitsu/http.h"
#include "jitsu/memory.h"
#include "jitsu/module.h"
#include "jitsu/options.h"
#include "site/answer.h"
#include "site/site.h"
#include "www/page.h"

static struct site *site;

/* The page, once somebody wants to see it. Without the memory for it, `site` stays NULL. */
static void make_page(void)
{
    static char text[PAGE_SIZE_MAX];
    struct option name = option_get("name");
    const struct boot_phase *phases;
    size_t phase_count = boot_phases(&phases);
    const struct page_facts facts = {
        .name = name.value,
        .name_length = name.length,
        .boot_nanoseconds = phase_count > 0 ? phases[phase_count - 1].ended : 0,
        .memory = memory_free(),
    };
    const struct site_file file = {
        .name = "index.html",
        .name_length = strlen("index.html"),
        .size = page_write(text, &facts),
        .bytes = (const uint8_t *)text,
    };

    site = site_of_file(&file);
}

static void answer(const struct http_request *request, struct http_response *response)
{
    if (!site)
        make_page();
    if (site)
        site_answer(site, request, response);
    else
        http_error(response, 503);
}

static void open_site(struct boot_module module)
{
    const char *problem;
    size_t position;

    site = site_open(module.bytes, module.length, &problem, &position);
    if (!site)
        application_fail("the boot module: %s (at byte %zu of %zu)", problem, position,
                         module.length);
}

void application_main(void)
{
    struct boot_module module = boot_module();

    if (module.bytes)
        open_site(module);
    http_listen((uint16_t)option_number("port", 80, 1, 65535), answer);
    network_serve();
}
