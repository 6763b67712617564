/* The part of the status page that shows what happened. */
#ifndef JITSU_ADMIN_STATUS_PAGE_EVENTS_H
#define JITSU_ADMIN_STATUS_PAGE_EVENTS_H

#include "summon/summon.h"

struct evbuffer;

/* Appends the last STATUS_PAGE_EVENTS events, the newest first, with the phases of starts as bars.
 */
void status_page_events(struct evbuffer *out, struct summoner *summoner);

#endif
