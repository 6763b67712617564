/* Reading an xl.cfg (xl.cfg(5)): the settings that describe a machine as jitsud starts them. Its
 * grammar is libxlutil's; every setting that means something else than jitsud does is an error, as
 * a machine that is not what its file says helps nobody. */
#ifndef JITSU_KEEPER_XEN_XL_FILE_H
#define JITSU_KEEPER_XEN_XL_FILE_H

#include <libxl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "keeper/device_name.h"

enum xl_type { XL_TYPE_DEFAULT, XL_TYPE_PV, XL_TYPE_PVH };

/* Strings are its own; NULL or 0 where the file does not say. */
struct xl_file {
    char *path; /* its own */
    enum xl_type type;
    char *name;
    bool has_uuid;
    libxl_uuid uuid;
    char *kernel, *ramdisk; /* absolute */
    char *cmdline;          /* of `cmdline`, or of `root` and `extra` */
    uint64_t memory;        /* bytes */
    unsigned vcpus;
    bool has_mac;
    uint8_t mac[MAC_SIZE]; /* of its vif, like the next */
    char *bridge;
    libxl_device_disk *disks;
    size_t disk_count;
};

/* Called for each error: `text` is "FILE:LINE: what is wrong, and what was expected". */
typedef void xl_problem_function(void *argument, const char *text);

/* Reads `length` bytes; `path` is for messages. All errors are reported in one go; after a syntax
 * error nothing else is looked at. Returns 0, or -1: then there is nothing to free. */
int xl_file_parse(const char *bytes, size_t length, const char *path, struct xl_file *file,
                  xl_problem_function *report, void *argument);

/* The same from the file at `path`. */
int xl_file_read(const char *path, struct xl_file *file, xl_problem_function *report,
                 void *argument);

/* Does it say the same as `service`, where both say something? Reports what does not. 0, or -1. */
int xl_file_suits(const struct xl_file *file, const struct config_service *service,
                  xl_problem_function *report, void *argument);

void xl_file_free(struct xl_file *file);

#endif
