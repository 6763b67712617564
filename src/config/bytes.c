/* The file's bytes as they are, unparsed. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "config/source.h"

/* Reads up to `size` bytes; a file that has become shorter meanwhile gives fewer. */
static ssize_t read_bytes(int descriptor, char *bytes, size_t size)
{
    size_t length = 0;
    while (length < size) {
        ssize_t got = pread(descriptor, bytes + length, size - length, (off_t)length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    return (ssize_t)length;
}

char *config_read_open(int descriptor, const char *file, size_t *length, struct error *error)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0) {
        error_set_errno(error, "cannot look at %s", file);
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size > CONFIG_FILE_MAX) {
        error_set(error, "%s is not a file of at most %zu MiB", file, CONFIG_FILE_MAX >> 20);
        return NULL;
    }
    char *bytes = malloc((size_t)status.st_size + 1);
    if (!bytes) {
        error_set(error, "memory is exhausted while reading %s", file);
        return NULL;
    }
    ssize_t got = read_bytes(descriptor, bytes, (size_t)status.st_size);
    if (got < 0) {
        error_set_errno(error, "cannot read %s", file);
        free(bytes);
        return NULL;
    }
    bytes[got] = '\0';
    *length = (size_t)got;
    return bytes;
}

char *config_read(const char *file, size_t *length, struct error *error)
{
    int descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor == -1) {
        error_set_errno(error, "cannot open %s", file);
        return NULL;
    }
    char *bytes = config_read_open(descriptor, file, length, error);
    close(descriptor);
    return bytes;
}
