#include "keeper/xen/store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "common/log.h"

struct xen_watch {
    struct xen_watch *next;
    struct xen_store *store;
    char token[24];
    xen_store_function *changed;
    void *argument;
    char path[];
};

struct xen_store {
    struct xs_handle *handle;
    struct event *readable;
    struct xen_watch *watches;
    unsigned long long number; /* of the next watch */
};

/* A watch that has been ended may still have news on its way. */
static struct xen_watch *find_watch(const struct xen_store *store, const char *token)
{
    struct xen_watch *watch = store->watches;
    while (watch && strcmp(watch->token, token) != 0)
        watch = watch->next;
    return watch;
}

static void on_readable(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct xen_store *store = argument;
    char **news;
    for (; (errno = 0, news = xs_check_watch(store->handle)); free(news)) {
        const struct xen_watch *watch = find_watch(store, news[XS_WATCH_TOKEN]);
        if (watch)
            watch->changed(watch->argument);
    }
    if (errno == EAGAIN)
        return;
    log_error("xenstored is gone (%s): the ends of Xen machines are not noticed until jitsud is "
              "started again",
              strerror(errno));
    event_del(store->readable);
}

struct xen_store *xen_store_open(struct event_base *base, struct error *error)
{
    struct xen_store *store = calloc(1, sizeof *store);
    if (!store) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    store->handle = xs_open(0);
    if (!store->handle) {
        error_set_errno(error, "cannot talk to xenstored");
        free(store);
        return NULL;
    }
    store->readable =
        event_new(base, xs_fileno(store->handle), EV_READ | EV_PERSIST, on_readable, store);
    if (store->readable && event_add(store->readable, NULL) == 0)
        return store;
    error_set(error, "memory is exhausted");
    xen_store_close(store);
    return NULL;
}

void xen_store_close(struct xen_store *store)
{
    if (!store)
        return;
    if (store->readable)
        event_free(store->readable);
    xs_close(store->handle);
    free(store);
}

struct xen_watch *xen_store_watch(struct xen_store *store, const char *path,
                                  xen_store_function *changed, void *argument, struct error *error)
{
    struct xen_watch *watch = calloc(1, sizeof *watch + strlen(path) + 1);
    if (!watch) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    watch->store = store;
    watch->changed = changed;
    watch->argument = argument;
    strcpy(watch->path, path);
    snprintf(watch->token, sizeof watch->token, "%llu", store->number++);
    if (!xs_watch(store->handle, path, watch->token)) {
        error_set_errno(error, "cannot watch %s in xenstore", path);
        free(watch);
        return NULL;
    }
    watch->next = store->watches;
    store->watches = watch;
    return watch;
}

void xen_store_unwatch(struct xen_watch *watch)
{
    if (!watch)
        return;
    struct xen_watch **place = &watch->store->watches;
    while (*place != watch)
        place = &(*place)->next;
    *place = watch->next;
    xs_unwatch(watch->store->handle, watch->path, watch->token);
    free(watch);
}

void xen_store_read(struct xen_store *store, const char *path, char value[XEN_STORE_VALUE_SIZE])
{
    unsigned length;
    char *found = xs_read(store->handle, XBT_NULL, path, &length);
    snprintf(value, XEN_STORE_VALUE_SIZE, "%s", found ? found : "");
    free(found);
}

int xen_store_write(struct xen_store *store, const char *path, const char *value,
                    struct error *error)
{
    if (!xs_write(store->handle, XBT_NULL, path, value, (unsigned)strlen(value)))
        return error_set_errno(error, "cannot write %s in xenstore", path);
    return 0;
}
