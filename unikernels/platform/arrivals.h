/* The record of clients' connections, for every platform's streams. */
#ifndef JITSU_PLATFORM_ARRIVALS_H
#define JITSU_PLATFORM_ARRIVALS_H

#include "jitsu/stream.h"

/* A client's connection is there, which the application will be offered. */
void arrivals_add(enum stream_origin origin);

#endif
