#include "keeper/backends.h"

#include "config.h"

#include <stddef.h>

static const struct backend *const backends[] = {
    [CONFIG_BACKEND_QEMU] = &qemu_backend,
#ifdef HAVE_LIBVIRT
    [CONFIG_BACKEND_LIBVIRT] = &libvirt_backend,
#endif
#ifdef HAVE_XEN
    [CONFIG_BACKEND_XEN] = &xen_backend,
#endif
};

#define COUNT (sizeof backends / sizeof backends[0])

const struct backend *backend_of(enum config_backend number)
{
    return number < COUNT ? backends[number] : NULL;
}

int backends_open(struct keeper *keeper, struct error *error)
{
    for (size_t i = 0; i < COUNT; i++)
        if (backends[i] && backends[i]->open(keeper, error) != 0)
            return -1;
    return 0;
}

void backends_reload(struct keeper *keeper, const struct config *config)
{
    for (size_t i = 0; i < COUNT; i++)
        if (backends[i])
            backends[i]->reload(keeper, config);
}

void backends_settled(struct keeper *keeper)
{
    for (size_t i = 0; i < COUNT; i++)
        if (backends[i])
            backends[i]->settled(keeper);
}

void backends_close(struct keeper *keeper)
{
    for (size_t i = 0; i < COUNT; i++)
        if (backends[i])
            backends[i]->close(keeper);
}
