/* The configuration: the YAML file as checked C values. Read jitsud.yaml(5) for what the keys mean.
 *
 * A struct config is immutable once loaded and may be read by any thread. All strings and arrays in
 * it belong to it. Durations are nanoseconds, sizes are bytes. */
#ifndef JITSU_CONFIG_CONFIG_H
#define JITSU_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/address.h"
#include "common/error.h"
#include "common/log.h"

#define CONFIG_DEFAULT_FILE "/etc/jitsu/jitsud.yaml"

/* Limits of the format itself; a file beyond one is an error that names it. */
#define CONFIG_PORTS_MAX           16    /* of a service */
#define CONFIG_ADDRESSES_MAX       8     /* of a service */
#define CONFIG_ALIASES_MAX         64    /* of a service */
#define CONFIG_SUMMON_FROM_MAX     64    /* prefixes of a service */
#define CONFIG_FORWARD_TO_MAX      8     /* upstream resolvers */
#define CONFIG_FORWARD_FROM_MAX    64    /* prefixes of clients whose queries are forwarded */
#define CONFIG_MAC_SIZE            6     /* bytes of a MAC address */
#define CONFIG_DISKS_MAX           16    /* of a service */
#define CONFIG_PREWARM_MAX         16    /* spare machines of a service */
#define CONFIG_INSTANCES_MAX       16384 /* of a wildcard */
#define CONFIG_PLACE_ADDRESSES_MAX 2     /* of an instance */
#define CONFIG_LABEL_MAX           63    /* bytes of a label (RFC 1035, 2.3.4) */
#define CONFIG_PATH_MAX            1024  /* of any path, with its NUL */
#define CONFIG_NETWORK_MAX         64    /* of a network's name, with its NUL */
#define CONFIG_DOMAIN_MAX          256   /* of a libvirt domain's name, with its NUL */
#define CONFIG_CMDLINE_MAX         1024  /* of a kernel command line, with its NUL */
#define CONFIG_NAME_TEXT_MAX                                                                       \
    254 /* of a domain name as text without its last dot, with its NUL (RFC 1035, 2.3.4) */

enum config_backend { CONFIG_BACKEND_QEMU, CONFIG_BACKEND_LIBVIRT, CONFIG_BACKEND_XEN };
enum config_network_type { CONFIG_NETWORK_BRIDGE, CONFIG_NETWORK_USER };
enum config_hold { CONFIG_HOLD_DELAY, CONFIG_HOLD_HANDOFF, CONFIG_HOLD_PROXY };
enum config_accel { CONFIG_ACCEL_AUTO, CONFIG_ACCEL_KVM, CONFIG_ACCEL_TCG };
enum config_answer { CONFIG_ANSWER_AT_ONCE, CONFIG_ANSWER_WHEN_READY };
enum config_ready {
    CONFIG_READY_DEFAULT, /* not given: announce for an image that says it does, else tcp: its first
                             port */
    CONFIG_READY_ANNOUNCE,
    CONFIG_READY_TCP, /* tcp:PORT */
    CONFIG_READY_ARP,
    CONFIG_READY_CONSOLE,  /* console:TEXT */
    CONFIG_READY_XENSTORE, /* xenstore:KEY */
    CONFIG_READY_AFTER,    /* after:TIME */
};
enum config_idle_connections { CONFIG_CONNECTIONS_KEEP, CONFIG_CONNECTIONS_IGNORE };
enum config_stop { CONFIG_STOP_DESTROY, CONFIG_STOP_SHUTDOWN, CONFIG_STOP_SUSPEND };
enum config_disk_format { CONFIG_DISK_RAW, CONFIG_DISK_QCOW2 };
enum config_suspend_to { CONFIG_SUSPEND_TO_MEMORY, CONFIG_SUSPEND_TO_DISK };
enum config_keep { CONFIG_KEEP_ON_DEMAND, CONFIG_KEEP_ALWAYS };

/* What starts a service: bits of config_service.summon. */
#define CONFIG_SUMMON_DNS    1u
#define CONFIG_SUMMON_PACKET 2u

/* [8080:80]: listen on 8080 for the machine's 80; [80] is both. */
struct config_port {
    uint16_t listen;
    uint16_t machine;
};

/* The addresses of one family on a bridge network. */
struct config_subnet {
    struct prefix prefix;   /* of family 0: none */
    struct address gateway; /* the same; inside the prefix */
};

struct config_network {
    char *name;
    enum config_network_type type;
    enum config_hold hold;
    /* The rest is of bridge networks only. */
    char *bridge; /* its interface; NULL on a user network */
    bool create;  /* jitsud makes the bridge where there is none */
    struct config_subnet ipv4, ipv6;
    struct address port_address; /* jitsud's own, inside the IPv4 prefix; family 0: none */
};

struct config_zone {
    char *name;   /* lower case, no last dot */
    char *file;   /* absolute; NULL: SOA and NS are made from the configuration */
    uint32_t ttl; /* seconds */
};

/* A disk image, or a block device. */
struct config_disk {
    char *path;     /* absolute */
    uint8_t format; /* enum config_disk_format */
    bool read_only;
};

/* A wildcard has a fixed number of places, each with addresses of its own; an instance takes one
 * for as long as it is known. They are the same in every process that has read the same file. */
struct config_places {
    uint32_t count;
    uint8_t address_count; /* of each: 1 or more, of different families */
    /* Those of the first place first; places in the order of their first addresses. */
    struct address *addresses;
};

/* A service with a machine of its own; or a wildcard, whose name begins with "*." and which has a
 * machine for each label that is put in the place of the asterisk: its instances. Those are
 * services, too, made by config_instance_new(). */
struct config_service {
    char *name;                      /* lower case, no last dot */
    char **aliases;                  /* the same */
    char *image, *ramdisk, *cmdline; /* absolute paths; ramdisk may be NULL; cmdline may be "" */
    char *connect;                   /* libvirt URI, given or not; NULL for other backends */
    char *domain;     /* libvirt: name or UUID of an existing domain; NULL if not given */
    char *domain_xml; /* libvirt: absolute path of a template; NULL if not given */
    char *xl;         /* xl.cfg; NULL if not given */
    char *ready_text; /* of console:TEXT or xenstore:KEY, else NULL */
    const struct config_network *network; /* NULL only for backends that need none */
    struct prefix *summon_from;           /* none: anybody */
    struct address *addresses; /* at least one, be it chosen by jitsud; of a wildcard: none */
    const struct config_places *places; /* of a wildcard and its instances; else NULL */
    struct config_port *ports;
    struct config_disk *disks;
    uint16_t alias_count, summon_from_count;
    uint8_t address_count, port_count, disk_count;
    uint8_t backend; /* enum config_backend; likewise the other uint8_t below */
    uint8_t accel, answer, hold, ready, idle_connections, stop, suspend_to, keep;
    uint8_t summon; /* bits */
    uint8_t prewarm;
    uint8_t mac[CONFIG_MAC_SIZE]; /* of the machine; all 0: not given */
    uint16_t vcpus;
    uint16_t ready_port;  /* of tcp:PORT */
    uint32_t ttl;         /* seconds */
    uint32_t line;        /* where the entry begins in the file */
    uint32_t zone;        /* index into config.zones: the longest that holds the name */
    uint64_t ready_after; /* of after:TIME */
    uint64_t memory;
    uint64_t boot_timeout, answer_delay, idle, shutdown_timeout;
};

/* What is done about names outside the zones. */
struct config_forward {
    struct endpoint *to; /* resolvers, in the order in which they are asked */
    size_t to_count;     /* 0: nothing is forwarded */
    bool anyone;         /* every client may ask; `from` is not looked at */
    struct prefix *from; /* else these */
    size_t from_count;
    uint64_t timeout;        /* of a query */
    unsigned queries;        /* that may be under way */
    unsigned client_queries; /* and those of one client's address */
};

struct config {
    char *file;             /* its path as given, for messages */
    bool is_from_arguments; /* of the command line: there is no file that could be read again */

    struct endpoint *listen;
    size_t listen_count;
    unsigned workers;
    char *user;            /* NULL: not given */
    char *run_directory;   /* absolute */
    char *state_directory; /* absolute */
    bool has_metrics;
    struct endpoint metrics;
    enum log_level log;

    uint64_t memory_limit;
    unsigned machine_limit, start_limit;
    uint64_t held_limit;            /* bytes, of all bridge networks */
    unsigned held_connection_limit; /* of a service */

    struct config_forward forward;

    struct config_network *networks;
    size_t network_count;
    struct config_zone *zones;
    size_t zone_count;
    struct config_service *services;
    size_t service_count;

    struct config_index *index; /* names -> services; see config_find_service */
    struct config_arena *arena; /* owns every string and array above */
};

/* Called once for each error found: `text` is "FILE:LINE:COLUMN: what is wrong, and what was
 * expected", in the order of the file, without a line break. */
typedef void config_error_function(void *argument, const char *text);

/* Reads and checks the whole file. Returns the configuration, owned by the caller, or NULL after
 * having reported every error in it (a syntax error ends the reading there: it is the last one).
 * Relative paths in the file are taken from the directory of the file.
 * Only the file itself is read: whether images, zone files or users exist is for others to find
 * out. */
struct config *config_load(const char *file, config_error_function *report, void *argument);

/* The same from `length` bytes in memory; `file` is the name for messages and relative paths. */
struct config *config_parse(const char *text, size_t length, const char *file,
                            config_error_function *report, void *argument);

/* The bytes of the file, at most CONFIG_FILE_MAX of them, owned by the caller: for those who must
 * know that two processes read the same. NULL with the reason in `error`. */
char *config_read(const char *file, size_t *length, struct error *error);

/* The same of a file that is open, which stays the caller's, from its beginning; of `file` only the
 * name is used, in `error`. */
char *config_read_open(int descriptor, const char *file, size_t *length, struct error *error);

/* Frees it; NULL is allowed. */
void config_free(struct config *config);

/* The service of that name or alias (lower case, no last dot), or NULL. */
const struct config_service *config_find_service(const struct config *config, const char *name);

static inline bool config_is_wildcard(const struct config_service *service)
{
    return service->name[0] == '*';
}

static inline bool config_is_instance(const struct config_service *service)
{
    return service->places && service->name[0] != '*';
}

/* Can a machine be called by that label: letters in lower case, digits, hyphens inside, underscores
 * (1 to CONFIG_LABEL_MAX of them)? Nothing else ever gets into paths and command lines. */
bool config_label_is_good(const char *label, size_t length);

/* The wildcard that has `name` (lower case, no last dot) as an instance, be it by an alias; NULL:
 * none, or the name is a service's own. `label` has room for CONFIG_LABEL_MAX + 1 bytes. */
const struct config_service *config_find_wildcard(const struct config *config, const char *name,
                                                  char *label);

/* The first address of that place. */
static inline const struct address *config_place(const struct config_places *places,
                                                 uint32_t number)
{
    return &places->addresses[(size_t)number * places->address_count];
}

/* The number of the place with just these addresses, or -1. */
long config_find_place(const struct config_places *places, const struct address *addresses,
                       size_t count);

/* The instance of `wildcard` for `label` in one of its places: placeholders in `image` and
 * `ramdisk` have been replaced. It is one allocation, to be freed by free(), and refers to what the
 * wildcard's configuration owns. NULL with the reason in `error`: the label is not good, name or a
 * path would be too long, or memory is exhausted. */
struct config_service *config_instance_new(const struct config_service *wildcard, const char *label,
                                           uint32_t place, struct error *error);

/* Do files depend on the instance (%{label} or %{name} in `image` or `ramdisk`)? */
bool config_has_files_of_instances(const struct config_service *wildcard);

static inline bool config_has_mac(const struct config_service *service)
{
    static const uint8_t none[CONFIG_MAC_SIZE];
    return memcmp(service->mac, none, sizeof none) != 0;
}

/* Do two entries of the same service differ in anything that a running machine would have to be
 * restarted for (image, ramdisk, command line, memory, vcpus, disks, MAC address, backend and what
 * it is asked for, network, accel, ports, machine's side)? */
bool config_service_same_machine(const struct config_service *a, const struct config_service *b);

/* Those of the address's family. */
const struct config_subnet *config_network_subnet(const struct config_network *network,
                                                  const struct address *address);

/* Words of the configuration for values, as they are written in the file. */
const char *config_backend_name(unsigned backend);
const char *config_hold_name(unsigned hold);
const char *config_stop_name(unsigned stop);
int config_stop_parse(const char *word, enum config_stop *stop);

/* "150ms", "2m" and "32M" as in the file; used by the control tool too. Return 0, or -1. */
int config_parse_duration(const char *text, uint64_t *nanoseconds);
int config_parse_size(const char *text, uint64_t *bytes);

#endif
