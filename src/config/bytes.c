/* The file's bytes as they are, unparsed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/descriptor.h"
#include "config/config.h"
#include "config/source.h"

char *config_read(const char *file, size_t *length, struct error *error)
{
    struct stat status;
    char *bytes = NULL;
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor == -1 || fstat(descriptor, &status) != 0) {
        error_set_errno(error, "cannot open %s", file);
        goto out;
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size > CONFIG_FILE_MAX) {
        error_set(error, "%s is not a file of at most %zu MiB", file, CONFIG_FILE_MAX >> 20);
        goto out;
    }
    size_t size = (size_t)status.st_size;
    bytes = malloc(size + 1);
    if (!bytes) {
        error_set(error, "memory is exhausted while reading %s", file);
        goto out;
    }
    *length = 0;
    while (*length < size) {
        ssize_t got = read(descriptor, bytes + *length, size - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_set_errno(error, "cannot read %s", file);
            free(bytes);
            bytes = NULL;
            goto out;
        }
        if (got == 0)
            break;
        *length += (size_t)got;
    }
    bytes[*length] = '\0';
out:
    descriptor_close(&descriptor);
    return bytes;
}
