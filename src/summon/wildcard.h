/* A wildcard's places, as the files that deal with its instances see them: which are free, and the
 * sockets that listen on their addresses. */
#ifndef JITSU_SUMMON_WILDCARD_H
#define JITSU_SUMMON_WILDCARD_H

#include "summon/parts.h"

struct place {
    struct service *instance;    /* NULL: free */
    struct proxy_service *proxy; /* NULL: an instance has it, or nothing is listened on */
    struct service_listener *listeners;
    uint16_t listener_count;
};

struct wildcard {
    const struct config_places *config;
    struct place *places;
    uint32_t *free; /* a ring: the numbers of free places, the one free longest first */
    uint32_t free_first, free_count;
    bool closed; /* no instance can be added, for want of a place or of room for machines */
};

/* All places are neither free nor an instance's. NULL if memory is exhausted. */
struct wildcard *wildcard_new(const struct config_places *config);
/* Closes the sockets that it has itself. */
void wildcard_free(struct wildcard *wildcard);

/* A place that is nobody's is free from now on: it is taken after those that are already. */
void wildcard_give_back(struct wildcard *wildcard, uint32_t number);
/* The same for all that are nobody's. */
void wildcard_give_back_all(struct wildcard *wildcard);
/* The same, in the order in which they were free as places of `from`; those that it had not come
 * first. */
void wildcard_inherit_free(struct wildcard *wildcard, const struct wildcard *from);

/* Takes that place from the free ones; false: it is not free. */
bool wildcard_take(struct wildcard *wildcard, uint32_t number);

/* An instance takes over what listens at its place; or gives it back, when its connections are
 * reset. */
void place_lend_proxy(struct service *instance, struct place *place);
void place_return_proxy(struct service *instance, struct place *place);

/* What listens moves on to the places with the same addresses, without its sockets if other ports
 * are to be listened on. */
void wildcard_move_proxies(struct wildcard *from, struct wildcard *to, bool same_ports);

#endif
