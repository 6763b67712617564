/* Lists in two directions, whose links are part of what is listed. */
#ifndef JITSU_PLATFORM_UNIX_LIST_H
#define JITSU_PLATFORM_UNIX_LIST_H

#include <stdbool.h>

/* A list (a ring through it), or a place in one. */
struct link {
    struct link *previous, *next;
};

#define LIST_EMPTY(list)                                                                           \
    {                                                                                              \
        &(list), &(list)                                                                           \
    }

static inline void list_append(struct link *list, struct link *link)
{
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

/* Takes it out of the list that it is in, whichever that is. */
static inline void list_remove(struct link *link)
{
    link->previous->next = link->next;
    link->next->previous = link->previous;
    link->previous = link->next = link;
}

/* Is nothing in the list; is the link in no list? */
static inline bool list_is_empty(const struct link *list)
{
    return list->next == list;
}

/* Moves all that is in `from` behind what is in `to`. */
static inline void list_move(struct link *to, struct link *from)
{
    if (list_is_empty(from))
        return;
    to->previous->next = from->next;
    from->next->previous = to->previous;
    from->previous->next = to;
    to->previous = from->previous;
    from->previous = from->next = from;
}

#endif
