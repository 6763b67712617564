#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "front/front.h"
#include "keeper/keeper.h"
#include "keeper/message.h"

/* A process that ends sooner than this after its start is started again with a growing delay. */
#define STEADY_AFTER      (2 * NANOSECONDS_PER_SECOND)
#define RESTART_DELAY_MAX (5 * NANOSECONDS_PER_SECOND)
#define RESTART_DELAY_MIN (50 * NANOSECONDS_PER_MILLISECOND)

enum role { KEEPER, FRONT, ROLES };
static const char *const role_names[ROLES] = {[KEEPER] = "keeper", [FRONT] = "front"};

struct child {
    pid_t pid;          /* 0: not running */
    int socket;         /* our end; the child learns from its closing that we are gone */
    uint64_t started;   /* clock_now() */
    uint64_t delay;     /* before the next start */
    uint64_t start_due; /* clock_now() of the next start; 0: none due */
};

struct supervisor {
    const struct supervisor_options *options;
    struct config *config;
    struct child children[ROLES];
    int passed_first, passed_count; /* sockets that systemd opened */
    int signals;
    sigset_t old_mask;
    int ready;   /* see options */
    bool served; /* everything has been ready once */
    bool stopping;
    int status;
};

/* Writes `title` over the command line that ps(1) shows, as far as there is room. */
static void set_title(const struct supervisor_options *options, const char *title)
{
    char **arguments = options->arguments;
    const char *last = arguments[options->argument_count - 1];
    size_t room = (size_t)(last + strlen(last) + 1 - arguments[0]);
    memset(arguments[0], 0, room);
    snprintf(arguments[0], room, "%s", title);
    prctl(PR_SET_NAME, title);
}

/* Under systemd the service is started again by it; otherwise the keeper, which still has the
 * privileges, takes the place of a supervisor that was killed. */
static void take_over(char **arguments)
{
    if (getenv("NOTIFY_SOCKET"))
        return;
    log_warning("the supervising process is gone: taking its place");
    execv("/proc/self/exe", arguments);
    log_error("cannot take its place: %s", strerror(errno));
}

static char **copy_arguments(const struct supervisor_options *options)
{
    char **copy = calloc((size_t)options->argument_count + 1, sizeof *copy);
    for (int i = 0; copy && i < options->argument_count; i++)
        copy[i] = strdup(options->arguments[i]);
    return copy;
}

static int run_keeper(const struct supervisor *supervisor, int link, int socket)
{
    const struct supervisor_options *options = supervisor->options;
    char **arguments = copy_arguments(options);
    set_title(options, "jitsud: keeper");
    log_set_process("keeper");
    struct keeper_options keeper = {.config = supervisor->config,
                                    .link = link,
                                    .supervisor = socket,
                                    .change_user = options->identity.change,
                                    .user = options->identity.user,
                                    .group = options->identity.group,
                                    .passed_first = supervisor->passed_first,
                                    .passed_count = supervisor->passed_count};
    int status = keeper_run(&keeper);
    if (status == KEEPER_ORPHANED && arguments)
        take_over(arguments);
    for (char **argument = arguments; argument && *argument; argument++)
        free(*argument);
    free(arguments);
    return status;
}

static int run_front(const struct supervisor *supervisor, int link, int socket)
{
    const struct supervisor_options *options = supervisor->options;
    set_title(options, "jitsud: front");
    log_set_process("front");
    struct front_options front = {.config = supervisor->config,
                                  .link = link,
                                  .supervisor = socket,
                                  .control = options->control,
                                  .identity = &options->identity,
                                  .stop_machines = options->stop_machines};
    return front_run(&front);
}

/* What the child does not need of ours, and signals as a process expects them. */
static void become_child(const struct supervisor *supervisor, enum role role)
{
    for (unsigned i = 0; i < ROLES; i++)
        if (supervisor->children[i].pid)
            close(supervisor->children[i].socket);
    close(supervisor->signals);
    if (supervisor->ready != -1)
        close(supervisor->ready);
    if (role == KEEPER)
        close(supervisor->options->control);
    else
        for (int i = 0; i < supervisor->passed_count; i++)
            close(supervisor->passed_first + i);
    signal(SIGINT,
           SIG_IGN); /* a terminal sends it to all three; the supervisor's SIGTERM follows */
    signal(SIGPIPE, SIG_IGN);
    if (role == KEEPER)
        signal(SIGHUP, SIG_IGN);
    sigprocmask(SIG_SETMASK, &supervisor->old_mask, NULL);
}

static void schedule(struct child *child)
{
    uint64_t now = clock_now();
    bool steady = now - child->started >= STEADY_AFTER;
    child->delay = steady                                 ? 0
                   : child->delay == 0                    ? RESTART_DELAY_MIN
                   : child->delay * 2 > RESTART_DELAY_MAX ? RESTART_DELAY_MAX
                                                          : child->delay * 2;
    child->start_due = now + child->delay;
}

/* Starts the process of that role with `link` as its end of a link; the caller still owns that. */
static int start(struct supervisor *supervisor, enum role role, int link)
{
    struct child *child = &supervisor->children[role];
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        goto failed;
    pid_t pid = fork();
    if (pid == 0) {
        become_child(supervisor, role);
        close(pair[0]);
        int own_link = dup(link);
        close(link);
        int status = role == KEEPER ? run_keeper(supervisor, own_link, pair[1])
                                    : run_front(supervisor, own_link, pair[1]);
        exit(status);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        goto failed;
    }
    child->pid = pid;
    child->socket = pair[0];
    child->started = clock_now();
    child->start_due = 0;
    return 0;

failed:
    log_error("cannot start the %s: %s", role_names[role], strerror(errno));
    child->started = clock_now();
    schedule(child);
    return -1;
}

/* Starts the child and gives the other end of its link to its running peer. */
static void restart(struct supervisor *supervisor, enum role role)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        schedule(&supervisor->children[role]);
        return;
    }
    const struct child *peer = &supervisor->children[role == KEEPER ? FRONT : KEEPER];
    if (start(supervisor, role, pair[0]) == 0) {
        log_info("started the %s again", role_names[role]);
        if (peer->pid && descriptor_send(peer->socket, "link", 4, pair[1]) != 0)
            log_warning("cannot connect the new %s: %s", role_names[role], strerror(errno));
    }
    close(pair[0]);
    close(pair[1]);
}

static int start_both(struct supervisor *supervisor)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    int failed = start(supervisor, KEEPER, pair[0]);
    if (!failed)
        failed = start(supervisor, FRONT, pair[1]);
    close(pair[0]);
    close(pair[1]);
    return failed;
}

static void signal_child(const struct supervisor *supervisor, enum role role, int number)
{
    if (supervisor->children[role].pid)
        kill(supervisor->children[role].pid, number);
}

/* The front goes first: it may still have machines to stop through the keeper. Asked a second time,
 * it goes at once. */
static void stop(struct supervisor *supervisor, int status)
{
    if (supervisor->stopping && status == 0 && supervisor->children[FRONT].pid) {
        log_warning("asked to stop again: not waiting any longer");
        signal_child(supervisor, FRONT, SIGKILL);
        return;
    }
    if (!supervisor->stopping) {
        sd_notify(0, "STOPPING=1");
        supervisor->stopping = true;
        supervisor->status = status;
    }
    if (supervisor->children[FRONT].pid)
        signal_child(supervisor, FRONT, SIGTERM);
    else
        signal_child(supervisor, KEEPER, SIGTERM);
}

static const char *describe_end(int status, char text[64])
{
    if (WIFSIGNALED(status))
        snprintf(text, 64, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(text, 64, "exit status %d", WEXITSTATUS(status));
    return text;
}

static void child_ended(struct supervisor *supervisor, enum role role, int status)
{
    struct child *child = &supervisor->children[role];
    char text[64];

    close(child->socket);
    child->pid = 0;
    if (supervisor->stopping) {
        signal_child(supervisor, role == FRONT ? KEEPER : FRONT, SIGTERM);
        return;
    }
    if (!supervisor->served) {
        bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 1;
        if (!clean)
            log_error("the %s ended during the start: %s", role_names[role],
                      describe_end(status, text));
        stop(supervisor, 1);
        return;
    }
    schedule(child);
    log_error("the %s ended: %s; starting it again", role_names[role], describe_end(status, text));
}

static void reap(struct supervisor *supervisor)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned role = 0; role < ROLES; role++)
            if (supervisor->children[role].pid == pid)
                child_ended(supervisor, role, status);
}

static void ignore_problem(void *argument, const char *text)
{
    (void)argument, (void)text;
}

/* Keeps what the front has taken up, so that processes started later begin with it. */
static void follow_reload(struct supervisor *supervisor, uint64_t digest)
{
    const char *path = supervisor->config->file;
    size_t length;
    struct error error;
    char *text = config_read(path, &length, &error);
    struct config *config = NULL;
    if (text && message_digest(text, length) == digest)
        config = config_parse(text, length, path, ignore_problem, NULL);
    free(text);
    if (!config) {
        log_warning("%s changed again since it was reloaded: reload once more", path);
        return;
    }
    config_free(supervisor->config);
    supervisor->config = config;
}

static void front_says(struct supervisor *supervisor)
{
    struct front_note note;
    int descriptor;
    ssize_t length =
        descriptor_receive(supervisor->children[FRONT].socket, &note, sizeof note, &descriptor);
    descriptor_close(&descriptor);
    if (length != (ssize_t)sizeof note)
        return; /* its end is noticed by SIGCHLD */
    switch (note.kind) {
    case FRONT_READY:
        supervisor->served = true;
        sd_notify(0, "READY=1\nSTATUS=Serving.");
        if (supervisor->ready != -1) {
            if (write(supervisor->ready, "", 1) != 1)
                log_warning("cannot tell the starting process that all is ready");
            descriptor_close(&supervisor->ready);
        }
        break;
    case FRONT_RELOADING:
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_now() / 1000));
        break;
    case FRONT_RELOADED:
        follow_reload(supervisor, note.digest);
        sd_notify(0, "READY=1\nSTATUS=Serving.");
        break;
    case FRONT_RELOAD_FAILED:
        sd_notify(0, "READY=1\nSTATUS=Serving; the last reload failed.");
        break;
    }
}

static void take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo signal;
    while (read(supervisor->signals, &signal, sizeof signal) == (ssize_t)sizeof signal)
        switch (signal.ssi_signo) {
        case SIGCHLD:
            reap(supervisor);
            break;
        case SIGHUP:
            signal_child(supervisor, FRONT, SIGHUP);
            break;
        default:
            log_info("stopping on %s%s", strsignal((int)signal.ssi_signo),
                     supervisor->options->stop_machines ? "" : "; machines go on running");
            stop(supervisor, 0);
        }
}

/* Starts what is due; returns the milliseconds until the next start, -1: none is due. */
static int start_due(struct supervisor *supervisor)
{
    int wait = -1;
    for (unsigned role = 0; role < ROLES && !supervisor->stopping; role++) {
        struct child *child = &supervisor->children[role];
        if (child->pid || !child->start_due)
            continue;
        uint64_t now = clock_now();
        if (now >= child->start_due) {
            restart(supervisor, role);
            now = clock_now();
        }
        if (child->start_due) {
            int left = child->start_due > now
                           ? (int)((child->start_due - now) / NANOSECONDS_PER_MILLISECOND) + 1
                           : 0;
            wait = wait < 0 || left < wait ? left : wait;
        }
    }
    return wait;
}

static bool ended(const struct supervisor *supervisor)
{
    return supervisor->stopping && !supervisor->children[FRONT].pid &&
           !supervisor->children[KEEPER].pid;
}

static int watch_signals(struct supervisor *supervisor)
{
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &watched, &supervisor->old_mask) != 0)
        return -1;
    supervisor->signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    return supervisor->signals == -1 ? -1 : 0;
}

int supervise(const struct supervisor_options *options)
{
    struct supervisor supervisor = {.options = options,
                                    .config = options->config,
                                    .passed_first = SD_LISTEN_FDS_START,
                                    .passed_count = sd_listen_fds(1),
                                    .ready = options->ready};
    if (supervisor.passed_count < 0)
        supervisor.passed_count = 0;
    if (watch_signals(&supervisor) != 0 || start_both(&supervisor) != 0) {
        log_error("cannot start: %s", strerror(errno));
        stop(&supervisor, 1);
    }
    while (!ended(&supervisor)) {
        int wait = start_due(&supervisor);
        struct pollfd polled[] = {
            {.fd = supervisor.signals, .events = POLLIN},
            {.fd = supervisor.children[FRONT].pid ? supervisor.children[FRONT].socket : -1,
             .events = POLLIN},
        };
        if (poll(polled, 2, wait) < 0 && errno != EINTR)
            break;
        if (polled[1].revents & POLLIN)
            front_says(&supervisor);
        if (polled[0].revents)
            take_signals(&supervisor);
    }
    descriptor_close(&supervisor.ready);
    descriptor_close(&supervisor.signals);
    config_free(supervisor.config);
    return supervisor.status;
}
