/* The boot module: a copy of a file, or an archive of a directory, in memory of its own, so that it
 * stays as it is whatever becomes of its origin. */
#include "jitsu/module.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jitsu/application.h"
#include "platform/unix/process.h"

#define COPIED_AT_ONCE (1u << 30)

static struct boot_module module;

struct boot_module boot_module(void)
{
    return module;
}

static void copy_file(const char *path, int to)
{
    struct stat status;
    int from = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t copied = 0;

    if (from == -1 || fstat(from, &status) != 0)
        application_fail("module=%s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        application_fail("module=%s: not a file (site=DIR serves a directory)", path);
    do {
        copied = sendfile(to, from, NULL, COPIED_AT_ONCE);
    } while (copied > 0 || (copied < 0 && errno == EINTR));
    if (copied < 0)
        application_fail("module=%s: %s", path, strerror(errno));
    close(from);
}

void module_start(const char *file, const char *site)
{
    struct stat status;

    if (!file && !site)
        return;
    if (file && site)
        application_fail("options module= and site=: only one of them is possible");
    int descriptor = memfd_create("boot module", MFD_CLOEXEC);
    if (descriptor == -1)
        application_fail("no memory for the boot module: %s", strerror(errno));
    if (file)
        copy_file(file, descriptor);
    else
        pack_site(site, descriptor);
    if (fstat(descriptor, &status) != 0)
        application_fail("the boot module: %s", strerror(errno));
    if (status.st_size > 0) {
        module.length = (size_t)status.st_size;
        void *bytes = mmap(NULL, module.length, PROT_READ, MAP_SHARED, descriptor, 0);
        if (bytes == MAP_FAILED)
            application_fail("no memory for the boot module: %s", strerror(errno));
        module.bytes = bytes;
    }
    close(descriptor);
}
