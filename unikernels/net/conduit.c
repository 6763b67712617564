/* The session with the port: what is said, and when. One message is under way at a time; what else
 * there is to say waits in `unsaid`, where a newer one takes the place of an older. */
#include "net/conduit.h"

#include <string.h>

#include "common/conduit_link.h"
#include "jitsu/application.h"
#include "jitsu/clock.h"
#include "jitsu/options.h"
#include "jitsu/stream.h"
#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/tcp.h"
#include "net/early.h"
#include "net/half_open.h"
#include "net/hardware_address.h"
#include "net/hooks.h"
#include "net/network.h"
#include "net/stop.h"
#include "net/take.h"

#define ETHERNET_SIZE 14u
#define FIRST_NUMBER  1u /* the token is of this boot: there were no numbers before */
#define FEATURES      (CONDUIT_CAN_TAKE | CONDUIT_CAN_STOP | CONDUIT_CAN_LOAD)

static struct {
    bool is_open;
    uint8_t port[HARDWARE_ADDRESS_SIZE];
    struct conduit_link link;
    uint8_t body[CONDUIT_SMALL_BODY_MAX]; /* of the message under way */
    struct {
        bool hello, taken, stopped;
    } unsaid;
    struct conduit_taken taken;
    struct conduit_load load; /* as it was said last */
    uint64_t load_time;       /* when LOAD may be said next */
    uint64_t settled;         /* when all connections are handed over at the latest; 0: they are */
    uint64_t farewell;        /* 0; or when the machine powers off */
    uint32_t strangers;       /* frames that were not the port's */
} session;

static void transmit(void *owner, const uint8_t *payload, size_t length)
{
    (void)owner;
    network_send(session.port, CONDUIT_ETHERTYPE, payload, length);
}

static struct conduit_load load_now(void)
{
    struct conduit_load load = {
        .connections = (uint32_t)stream_count(),
        .dropped = session.strangers + session.link.dropped,
    };

    streams_bytes(&load.received, &load.sent);
    return load;
}

static bool load_has_changed(const struct conduit_load *load)
{
    return memcmp(load, &session.load, sizeof *load) != 0;
}

static void send(enum conduit_type type, size_t length, uint64_t now)
{
    conduit_link_send(&session.link, (uint8_t)type, session.body, length, now);
}

/* Says the next thing that is unsaid, if the one before has arrived. */
static void say_next(uint64_t now)
{
    if (conduit_link_is_busy(&session.link))
        return;
    if (session.unsaid.hello) {
        const struct conduit_hello hello = {.features = FEATURES};
        session.unsaid.hello = false;
        send(CONDUIT_HELLO, conduit_write_hello(&hello, session.body, sizeof session.body), now);
    } else if (session.unsaid.taken) {
        session.unsaid.taken = false;
        send(CONDUIT_TAKEN, conduit_write_taken(&session.taken, session.body, sizeof session.body),
             now);
    } else if (session.unsaid.stopped) {
        const struct conduit_stopped stopped = {.cut = stop_cut()};
        session.unsaid.stopped = false;
        send(CONDUIT_STOPPED, conduit_write_stopped(&stopped, session.body, sizeof session.body),
             now);
    } else if (session.load_time <= now) {
        struct conduit_load load = load_now();
        if (!load_has_changed(&load))
            return;
        session.load = load;
        session.load_time = now + CONDUIT_LOAD_INTERVAL;
        send(CONDUIT_LOAD, conduit_write_load(&load, session.body, sizeof session.body), now);
    }
}

void conduit_start(void)
{
    struct option port = option_get("conduit"), digits = option_get("token");
    uint8_t token[CONDUIT_TOKEN_SIZE];

    if (!port.value)
        return;
    if (!hardware_address_parse(port.value, port.length, session.port))
        application_fail("option conduit=%.*s: the port's Ethernet address is expected",
                         (int)port.length, port.value);
    if (!digits.value || !conduit_token_parse(token, digits.value, digits.length))
        application_fail("option token: with conduit=, %u hexadecimal digits are expected",
                         2 * CONDUIT_TOKEN_SIZE);
    conduit_link_start(&session.link, token, FIRST_NUMBER, transmit, NULL);
    session.is_open = true;
    session.unsaid.hello = true;
    session.settled = UINT64_MAX;
    /* As if it were still the kernel's entry: clock_now() might have to be measured first. */
    say_next(0);
}

static void settle(void)
{
    session.settled = 0;
    early_release_all();
}

static void take_over(const struct conduit_message *message)
{
    struct conduit_take take;

    if (session.unsaid.taken)
        return; /* it comes again */
    conduit_link_accept(&session.link);
    early_release();
    session.taken.outcome = CONDUIT_NOT_UNDERSTOOD;
    if (conduit_read_take(&take, message->body, message->length))
        session.taken.outcome = (uint8_t)take_connection(&take);
    if (session.taken.outcome == CONDUIT_DONE) {
        struct ends ends = take_ends(&take);
        early_taken(&ends);
    }
    session.taken.id = take.id;
    session.unsaid.taken = true;
}

static void handle(const struct conduit_message *message, uint64_t now)
{
    struct conduit_hello hello;
    struct conduit_settled settled;
    struct conduit_stop stop;

    if (message->type == CONDUIT_TAKE) {
        take_over(message);
        return;
    }
    conduit_link_accept(&session.link);
    if (message->type == CONDUIT_HELLO &&
        conduit_read_hello(&hello, message->body, message->length)) {
        session.unsaid.hello = true;
        session.load = (struct conduit_load){0};
    } else if (message->type == CONDUIT_STOP &&
               conduit_read_stop(&stop, message->body, message->length)) {
        stop_begin(now + stop.deadline * CLOCK_MILLISECOND);
    } else if (message->type == CONDUIT_SETTLED) {
        if (conduit_read_settled(&settled, message->body, message->length))
            half_open_agree(&settled.key, settled.now, settled.expires);
        settle();
    }
}

void conduit_receive(const uint8_t *frame, size_t length)
{
    struct conduit_message message;

    if (!session.is_open)
        return;
    uint64_t now = clock_now();
    if (memcmp(frame + HARDWARE_ADDRESS_SIZE, session.port, HARDWARE_ADDRESS_SIZE) != 0) {
        session.strangers++;
        return;
    }
    if (conduit_link_receive(&session.link, frame + ETHERNET_SIZE, length - ETHERNET_SIZE,
                             &message)) {
        /* The frame may have made way for what answers an earlier one. */
        say_next(now);
        handle(&message, now);
    }
    say_next(now);
    conduit_link_flush(&session.link);
}

/* Everything is closed: says so, and goes once it has been heard, or not for long. */
static void leave(uint64_t now)
{
    if (!session.farewell) {
        session.farewell = now + CONDUIT_FAREWELL;
        session.unsaid.stopped = true;
        say_next(now);
    } else if (session.farewell <= now ||
               (!session.unsaid.stopped && !conduit_link_is_busy(&session.link))) {
        application_power_off();
    }
}

static uint64_t earlier(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

uint64_t conduit_run(void)
{
    if (!session.is_open && !stop_is_under_way())
        return UINT64_MAX;
    uint64_t now = clock_now();
    uint64_t next = stop_run(now);
    if (!session.is_open && stop_is_done())
        application_power_off();
    if (!session.is_open)
        return next;
    if (session.settled == UINT64_MAX)
        session.settled = now + CONDUIT_SETTLING;
    else if (session.settled && session.settled <= now)
        settle();
    if (session.settled)
        next = earlier(next, session.settled);
    if (stop_is_done())
        leave(now);
    else
        say_next(now);
    next = earlier(next, conduit_link_run(&session.link, now));
    if (session.farewell)
        return earlier(next, session.farewell);
    if (conduit_link_is_busy(&session.link))
        return next;
    struct conduit_load load = load_now();
    return load_has_changed(&load) ? earlier(next, session.load_time) : next;
}

bool conduit_keeps(struct pbuf *frame, bool checksum_good)
{
    const struct eth_hdr *header = frame->payload;

    return session.settled && memcmp(&header->src, session.port, HARDWARE_ADDRESS_SIZE) != 0 &&
           early_keep(frame, checksum_good);
}

bool network_admits(const struct tcp_hdr *header)
{
    if (stop_is_under_way())
        return false;
    if (!session.is_open)
        return true;
    return !(TCPH_FLAGS(header) & TCP_ACK) || !session.settled;
}
