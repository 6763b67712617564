/* The page that tells a visitor what this is. */
#ifndef JITSU_PINATA_PAGE_H
#define JITSU_PINATA_PAGE_H

#include "pinata/contents.h"

/* Serves it on the port of the option port= (80), and the trust anchor's certificate as /ca.pem. */
void page_listen(const struct contents *contents);

#endif
