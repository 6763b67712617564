/* What a domain prints comes over a UNIX socket that its QEMU connects to, so that nothing is lost
 * from the first byte on. QEMU connects again when a keeper has gone and another has come. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/libvirt/libvirt.h"

#define READ_SIZE 4096

static void free_event(struct event **event)
{
    if (*event)
        event_free(*event);
    *event = NULL;
}

/* --- what it says --- */

static void console_event(void *argument, enum console_event event, const char *line)
{
    struct libvirt_domain *domain = argument;
    if (event != CONSOLE_WANTED && domain->machine)
        log_debug("%s: console: %s", domain->service, line);
    if (event == CONSOLE_ENTERED && domain->machine && !domain->entered) {
        domain->entered = true;
        keeper_machine_entered(domain->machine, clock_now());
    }
    libvirt_ready_console(domain, event);
}

static void on_console(evutil_socket_t socket, short events, void *argument)
{
    (void)socket, (void)events;
    struct libvirt_domain *domain = argument;
    char bytes[READ_SIZE];
    ssize_t got = recv(domain->console_socket, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) {
        console_feed(&domain->console, bytes, (size_t)got, console_event, domain);
        if (domain->machine)
            keeper_machine_console(domain->machine, bytes, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        free_event(&domain->console_readable);
        descriptor_close(&domain->console_socket);
    }
}

/* --- who says it --- */

/* It exists: it calls. */
static void note_caller(struct libvirt_domain *domain)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(domain->console_socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
        return;
    bool known = domain->console_user == peer.uid;
    domain->console_user = peer.uid;
    if (domain->machine)
        domain->machine->pid = peer.pid;
    if (!known)
        libvirt_domain_remember(domain);
    libvirt_domain_spawned(domain);
}

static void on_call(evutil_socket_t listening, short events, void *argument)
{
    (void)events;
    struct libvirt_domain *domain = argument;
    int socket_ = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket_ == -1)
        return;
    free_event(&domain->console_readable);
    descriptor_close(&domain->console_socket);
    domain->console_socket = socket_;
    domain->console_readable = event_new(domain->connection->libvirt->keeper->base, socket_,
                                         EV_READ | EV_PERSIST, on_console, domain);
    if (!domain->console_readable || event_add(domain->console_readable, NULL) != 0)
        log_error("%s: memory is exhausted: its console is not read", domain->service);
    note_caller(domain);
}

/* --- the socket --- */

int libvirt_console_listen(struct libvirt_domain *domain, char *path, size_t size,
                           struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct keeper *keeper = domain->connection->libvirt->keeper;
    int length = snprintf(path, size, "%s/libvirt/%s/console.sock", keeper->config->run_directory,
                          domain->directory_name);
    if (length < 0 || (size_t)length >= size || (size_t)length >= sizeof address.sun_path)
        return error_set(error, "run-directory %s is too long for the paths of sockets in it",
                         keeper->config->run_directory);
    memcpy(address.sun_path, path, (size_t)length + 1);
    unlinkat(domain->directory, "console.sock", 0);
    int listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    domain->console_listening = listening;
    if (listening == -1)
        return error_set_errno(error, "cannot make a socket");
    /* libvirt gives it to the user that QEMU runs as; after a restart of the keeper we do. */
    if (fchmod(listening, 0600) != 0 ||
        bind(listening, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listening, 4) != 0 ||
        (domain->console_user != (uid_t)-1 && domain->console_user != geteuid() &&
         chown(path, domain->console_user, (gid_t)-1) != 0))
        return error_set_errno(error, "cannot listen on %s", path);
    domain->console_calls =
        event_new(keeper->base, listening, EV_READ | EV_PERSIST, on_call, domain);
    if (!domain->console_calls || event_add(domain->console_calls, NULL) != 0)
        return error_set(error, "memory is exhausted");
    return 0;
}

void libvirt_console_close(struct libvirt_domain *domain)
{
    free_event(&domain->console_calls);
    free_event(&domain->console_readable);
    descriptor_close(&domain->console_listening);
    descriptor_close(&domain->console_socket);
}
