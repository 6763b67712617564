/* The libvirt backend: machines as domains of libvirt connections. */
#include "keeper/backend.h"
#include "keeper/machine.h"
#include "keeper/process.h"

static int libvirt_open(struct keeper *keeper, struct error *error)
{
    (void)keeper, (void)error;
    return 0;
}

static int libvirt_start(struct machine *machine, const struct config_service *service,
                         struct error *error)
{
    (void)machine, (void)service;
    return error_set(error, "backend 'libvirt' cannot start machines yet");
}

static void libvirt_seen_ready(struct machine *machine)
{
    (void)machine;
}

static void libvirt_resume(struct machine *machine)
{
    (void)machine;
}

static void libvirt_stop(struct machine *machine, enum config_stop mode)
{
    (void)machine, (void)mode;
}

static void libvirt_remember(struct machine *machine)
{
    (void)machine;
}

static void libvirt_forget(struct machine *machine)
{
    (void)machine;
}

static void libvirt_reload(struct keeper *keeper, const struct config *config)
{
    (void)keeper, (void)config;
}

static void libvirt_settled(struct keeper *keeper)
{
    (void)keeper;
}

static void libvirt_close(struct keeper *keeper)
{
    (void)keeper;
}

const struct backend libvirt_backend = {
    .name = "libvirt",
    .open = libvirt_open,
    .start = libvirt_start,
    .seen_ready = libvirt_seen_ready,
    .resume = libvirt_resume,
    .stop = libvirt_stop,
    .remember = libvirt_remember,
    .forget = libvirt_forget,
    .reload = libvirt_reload,
    .settled = libvirt_settled,
    .close = libvirt_close,
};
