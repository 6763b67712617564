/* Kernel files: what can be booted, found out before a machine is started for nothing. */
#ifndef JITSU_KEEPER_IMAGE_H
#define JITSU_KEEPER_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

/* Which content of a path it was: another one if any of these differs. */
struct file_version {
    dev_t device;
    ino_t inode;
    off_t size;
    int64_t changed; /* nanoseconds since the epoch */
};

enum image_kind {
    IMAGE_PVH,   /* ELF with a PVH entry point */
    IMAGE_LINUX, /* bzImage */
    IMAGE_XEN,   /* ELF for paravirtualised Xen guests alone */
};

struct image {
    enum image_kind kind;
    bool announces;      /* it says on its console when it is ready, and takes Jitsu's arguments */
    uint64_t memory_end; /* physical address after its last byte; 0 for IMAGE_LINUX */
    struct file_version version;
};

/* Opens `path` and looks at it. Returns 0, or -1 with the reason in words: missing, not readable,
 * not a kernel that can be booted, cut off. Reads a few kilobytes, whatever the file's size. */
int image_examine(const char *path, struct image *image, struct error *error);

/* The same for Xen, which boots kernels of all kinds; image_examine() refuses IMAGE_XEN. */
int image_examine_for_xen(const char *path, struct image *image, struct error *error);

/* The same of a file's bytes in memory; `name` is for messages. `image->version` stays zero. */
int image_examine_bytes(const void *bytes, size_t length, const char *name, struct image *image,
                        struct error *error);

/* The version of any file (a ramdisk, say); -1 with the reason if it cannot be read. */
int file_version_read(const char *path, struct file_version *version, struct error *error);
bool file_version_equal(const struct file_version *a, const struct file_version *b);

#endif
