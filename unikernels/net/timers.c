/* lwIP's timers. Each runs only while there is something for it to do, so that an idle machine
 * wakes up once a second, not ten times. */
#include "jitsu/clock.h"
#include "lwip/etharp.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"
#include "net/network.h"

static bool tcp_needed(void)
{
    return tcp_active_pcbs || tcp_tw_pcbs || time_wait_is_needed();
}

static void run_tcp(void)
{
    tcp_tmr();
    closing_limit();
    time_wait_run();
}

static bool always(void)
{
    return true;
}

static bool mld_needed(void)
{
    const struct mld_group *group = netif_default ? netif_mld6_data(netif_default) : NULL;

    for (; group; group = group->next)
        if (group->timer > 0)
            return true;
    return false;
}

static struct timer {
    uint32_t interval; /* milliseconds */
    void (*run)(void);
    bool (*needed)(void);
    uint64_t due; /* 0: it does not run */
} timers[] = {
    {TCP_TMR_INTERVAL, run_tcp, tcp_needed, 0},
    {ARP_TMR_INTERVAL, etharp_tmr, always, 0},
    {ND6_TMR_INTERVAL, nd6_tmr, network_speaks_ipv6, 0},
    {MLD6_TMR_INTERVAL, mld6_tmr, mld_needed, 0},
};

uint64_t timers_run(void)
{
    uint64_t now = clock_now();
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; i++) {
        struct timer *timer = &timers[i];
        uint64_t interval = timer->interval * CLOCK_MILLISECOND;
        if (timer->due && timer->due <= now) {
            timer->run();
            /* After a pause of the machine: go on from here, do not make up for what was missed. */
            timer->due = timer->due + interval > now ? timer->due + interval : now + interval;
        }
        if (!timer->needed())
            timer->due = 0;
        else if (!timer->due)
            timer->due = now + interval;
        if (timer->due && timer->due < next)
            next = timer->due;
    }
    return next;
}

/* lwIP asks for its TCP timer here; timers_run() sees for itself. */
void tcp_timer_needed(void)
{
}

u32_t sys_now(void)
{
    return (u32_t)(clock_now() / CLOCK_MILLISECOND);
}
