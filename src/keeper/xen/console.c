/* A Xen machine's console: the terminal that xenconsoled keeps for it. What nobody has read yet
 * waits in there. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/process.h"
#include "keeper/xen/xen.h"

#define READ_SIZE 4096

static void console_event(void *argument, enum console_event event, const char *line)
{
    struct xen_domain *domain = argument;
    if (event != CONSOLE_WANTED)
        log_debug("%s: console: %s", domain->service, line);
    if (event == CONSOLE_ENTERED && domain->machine && !domain->entered) {
        domain->entered = true;
        keeper_machine_entered(domain->machine, clock_now());
    }
    xen_ready_console(domain, event);
}

/* Returns whether there may be more. */
static bool read_console(struct xen_domain *domain)
{
    char bytes[READ_SIZE];
    ssize_t got = read(domain->console_terminal, bytes, sizeof bytes);
    if (got > 0) {
        console_feed(&domain->console, bytes, (size_t)got, console_event, domain);
        if (domain->machine)
            keeper_machine_console(domain->machine, bytes, (size_t)got);
        return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        event_del(domain->console_readable);
    return false;
}

static void on_console(evutil_socket_t terminal, short events, void *argument)
{
    (void)terminal, (void)events;
    read_console(argument);
}

void xen_console_open(struct xen_domain *domain)
{
    xen_console_close(domain);
    if (!domain->terminal[0])
        return;
    domain->console_terminal = open(domain->terminal, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (domain->console_terminal == -1) {
        log_warning("%s: cannot open its console %s: %s; what it prints is not seen",
                    domain->service, domain->terminal, strerror(errno));
        return;
    }
    domain->console_readable = event_new(domain->xen->keeper->base, domain->console_terminal,
                                         EV_READ | EV_PERSIST, on_console, domain);
    if (!domain->console_readable || event_add(domain->console_readable, NULL) != 0)
        log_error("%s: memory is exhausted: its console is not read", domain->service);
}

void xen_console_drain(struct xen_domain *domain)
{
    while (domain->console_readable && read_console(domain))
        ;
}

void xen_console_close(struct xen_domain *domain)
{
    if (domain->console_readable)
        event_free(domain->console_readable);
    domain->console_readable = NULL;
    descriptor_close(&domain->console_terminal);
}
