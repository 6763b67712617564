/* An argument of the original's command line, KEY=VALUE,..., which describes a service. */
#ifndef JITSU_ORIGINAL_SERVICE_H
#define JITSU_ORIGINAL_SERVICE_H

#include "original_text.h"

enum original_backend { ORIGINAL_LIBVIRT = 1, ORIGINAL_LIBXL = 2, ORIGINAL_QEMU = 4 };

/* What all services have from the options. */
struct original_common {
    enum original_backend backend;
    const char *connect; /* libvirt only */
    const char *delay;   /* seconds; NULL: not given */
    const char *stop;
    bool has_networks; /* some service has a network device */
};

/* Values of one key, in their order. */
#define ORIGINAL_VALUES_MAX 65
struct original_values {
    const char *values[ORIGINAL_VALUES_MAX];
    size_t count;
    char *origin; /* "dns=www.example.org,...: key" */
};

enum original_key {
    ORIGINAL_DNS,
    ORIGINAL_IP,
    ORIGINAL_NAME,
    ORIGINAL_UUID,
    ORIGINAL_RESPONSE_DELAY,
    ORIGINAL_WAIT_FOR_KEY,
    ORIGINAL_USE_SYNJITSU,
    ORIGINAL_KERNEL,
    ORIGINAL_MEMORY,
    ORIGINAL_CMDLINE,
    ORIGINAL_NIC,
    ORIGINAL_MAC,
    ORIGINAL_DISK,
    ORIGINAL_PORT,
    ORIGINAL_RAMDISK,
    ORIGINAL_KEYS
};

struct original_service {
    char *argument; /* cut into keys and values, which point into it */
    char *origin;   /* "dns=www.example.org,..." */
    struct original_values keys[ORIGINAL_KEYS];
};

/* Takes the argument apart. What is wrong with it is reported as a fault of `text`. Returns -1 if
 * memory is exhausted. */
int original_service_parse(struct original_service *service, const char *argument,
                           enum original_backend backend, struct original_text *text);
void original_service_free(struct original_service *service);

/* Its value, or NULL. */
const char *original_service_value(const struct original_service *service, enum original_key key);

/* Writes its entry among the configuration's services. */
void original_service_write(const struct original_service *service,
                            const struct original_common *common, struct original_text *text);

#endif
