/* The status page: one self-contained HTML document for people. */
#ifndef JITSU_ADMIN_STATUS_PAGE_H
#define JITSU_ADMIN_STATUS_PAGE_H

#include <stddef.h>

#include "dns/dns.h"
#include "summon/summon.h"

struct evbuffer;

/* At most this many services and events are shown. */
#define STATUS_PAGE_SERVICES 500
#define STATUS_PAGE_EVENTS   30

/* Content-Security-Policy: nothing from elsewhere; the page brings its style and script along. */
#define STATUS_PAGE_POLICY                                                                         \
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "                  \
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors "     \
    "'none'"

/* Appends the page to `out`. */
void status_page(struct evbuffer *out, struct summoner *summoner, struct dns_server *dns);

#endif
