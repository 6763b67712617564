/* The process at work: one loop for all connections, until a signal ends it. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "jitsu/application.h"
#include "jitsu/boot.h"
#include "jitsu/clock.h"
#include "jitsu/console.h"
#include "jitsu/stream.h"
#include "platform/boot.h"
#include "platform/unix/lingering.h"
#include "platform/unix/poller.h"
#include "platform/unix/streams.h"

#define READY     "jitsu: ready\n"
#define STOP_TIME (10 * CLOCK_SECOND) /* for open requests, once the process is to end */

static bool stop_wanted;

static void signal_happened(struct watch *watch, uint32_t events)
{
    (void)watch;
    (void)events;
    stop_wanted = true;
}

static sigset_t ending_signals(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    return signals;
}

static void watch_signals(void)
{
    static struct watch watch = {.happened = signal_happened};
    sigset_t signals = ending_signals();

    sigprocmask(SIG_BLOCK, &signals, NULL);
    int descriptor = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (descriptor == -1 || !poller_add(&watch, descriptor, EPOLLIN | EPOLLONESHOT))
        application_fail("cannot wait for signals: %s", strerror(errno));
}

/* A second signal ends the process at once: the first is taken out, and both act as usual again. */
static void let_signals_end_the_process(void)
{
    const struct timespec at_once = {0};
    sigset_t signals = ending_signals();

    sigtimedwait(&signals, NULL, &at_once);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
}

/* Accepts nothing more, and gives open requests some time. Returns until when. */
static uint64_t begin_stopping(void)
{
    let_signals_end_the_process();
    listeners_stop();
    streams_stop();
    lingering_hurry();
    return clock_now() + STOP_TIME;
}

static void cut_connections(void)
{
    streams_cut();
    lingering_cut();
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

_Noreturn void network_serve(void)
{
    uint64_t end = NEVER;

    watch_signals();
    boot_phase("application");
    console_write(READY, strlen(READY));
    boot_phase("ready");
    boot_report();
    for (;;) {
        uint64_t next = earlier(end, listeners_run());
        next = earlier(next, streams_run());
        next = earlier(next, lingering_run());
        if (end != NEVER && clock_now() >= end)
            cut_connections();
        if (end != NEVER && streams_are_over() && lingering_is_over())
            application_power_off();
        poller_wait(next);
        if (stop_wanted && end == NEVER)
            end = begin_stopping();
    }
}
