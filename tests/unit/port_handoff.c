/* Connections that the port accepts in the machine's stead, and hands over: every segment that it
 * sends, and those that it must not. */
#include <string.h>

#include "port_world.h"

#define ISN  0xfffffff0u /* the client's: its numbers pass the end soon */
#define DATA (ISN + 1)

static void begin(struct world *world)
{
    struct port_machine machine = world_machine(PORT_READY_ANNOUNCE);
    machine.hold = PORT_HANDOFF;
    world_replace(world, &machine);
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
    machine_connects(world);
}

/* --- the client's side --- */

static const struct packet *expect_segment(struct world *world, uint16_t port, uint8_t flags)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_TCP);
    assert_true(tcp_checksum_is_right(&packet->ip));
    assert_true(mac_equal(packet->ethernet.destination, world_client_mac));
    assert_true(mac_equal(packet->ethernet.source, world_machine_mac));
    assert_int_equal(packet->tcp.source_port, 80);
    assert_int_equal(packet->tcp.destination_port, port);
    assert_int_equal(packet->tcp.flags, flags);
    return packet;
}

/* What comes back is for the test to expect. */
static void client_says(struct world *world, uint16_t port, uint32_t sequence,
                        uint32_t acknowledgement, uint8_t flags, const void *data, size_t length)
{
    struct tcp_segment segment = {.source_port = port,
                                  .destination_port = 80,
                                  .sequence = sequence,
                                  .acknowledgement = acknowledgement,
                                  .flags = flags,
                                  .window = 502,
                                  .data = data,
                                  .data_length = length};
    client_segment(world, &world_to_machine4, &segment);
}

/* Connects; returns the number of the port's first byte. */
static uint32_t client_connects(struct world *world, uint16_t port)
{
    client_opens(world, port, 80, ISN);
    uint32_t next = expect_segment(world, port, TCP_SYN | TCP_ACK)->tcp.sequence + 1;
    client_says(world, port, DATA, next, TCP_ACK, NULL, 0);
    world_silence(world);
    return next;
}

static void expect_acknowledged(struct world *world, uint16_t port, uint32_t next, uint32_t count)
{
    const struct packet *packet = expect_segment(world, port, TCP_ACK);
    assert_int_equal(packet->tcp.sequence, next);
    assert_int_equal(packet->tcp.acknowledgement, DATA + count);
    assert_int_equal(packet->tcp.window, CONDUIT_WINDOW - count);
    assert_int_equal(packet->tcp.data_length, 0);
}

/* --- the handshake --- */

static void the_port_offers_what_the_machine_would(void **state)
{
    struct world *world = *state;
    begin(world);
    client_opens(world, 1000, 80, ISN);
    const struct packet *packet = expect_segment(world, 1000, TCP_SYN | TCP_ACK);
    assert_int_equal(packet->tcp.acknowledgement, DATA);
    assert_int_equal(packet->tcp.window, CONDUIT_WINDOW);
    assert_int_equal(packet->tcp.segment_max, CONDUIT_SEGMENT_MAX_IPV4);
    assert_true(packet->tcp.has_scale);
    assert_int_equal(packet->tcp.scale, CONDUIT_WINDOW_SCALE);
    assert_true(packet->tcp.permits_sack);
    assert_int_equal(world->wanted, 1);
    assert_int_equal(world_statistics(world).half_open, 1);
}

static void what_the_client_does_not_offer_is_not_answered(void **state)
{
    struct world *world = *state;
    struct tcp_segment segment = {
        .source_port = 1000, .destination_port = 80, .sequence = ISN, .flags = TCP_SYN};
    begin(world);
    client_segment(world, &world_to_machine6, &segment);
    const struct packet *packet = expect_segment(world, 1000, TCP_SYN | TCP_ACK);
    assert_int_equal(packet->tcp.segment_max, CONDUIT_SEGMENT_MAX_IPV6);
    assert_false(packet->tcp.has_scale);
    assert_false(packet->tcp.permits_sack);
}

static void first_numbers_differ(void **state)
{
    struct world *world = *state;
    begin(world);
    uint32_t one = client_connects(world, 1000), other = client_connects(world, 1001);
    assert_int_not_equal(one, other);
}

static void a_repeated_opening_is_answered_again(void **state)
{
    struct world *world = *state;
    begin(world);
    client_opens(world, 1000, 80, ISN);
    uint32_t first = expect_segment(world, 1000, TCP_SYN | TCP_ACK)->tcp.sequence;
    client_opens(world, 1000, 80, ISN);
    assert_int_equal(expect_segment(world, 1000, TCP_SYN | TCP_ACK)->tcp.sequence, first);
    assert_int_equal(world_statistics(world).connections, 1);
    assert_int_equal(world_statistics(world).repeated, 1);
    assert_int_equal(world->wanted, 1);
}

static void the_answer_goes_out_again_and_not_for_ever(void **state)
{
    struct world *world = *state;
    begin(world);
    client_opens(world, 1000, 80, ISN);
    for (int i = 0; i < 5; i++) {
        expect_segment(world, 1000, TCP_SYN | TCP_ACK);
        world_silence(world);
        world_pass(world, SECOND);
    }
    assert_int_equal(world_statistics(world).connections, 0);
    world_pass(world, 10 * SECOND);
}

static void a_client_that_opens_anew_is_answered_anew(void **state)
{
    struct world *world = *state;
    begin(world);
    client_opens(world, 1000, 80, ISN);
    expect_segment(world, 1000, TCP_SYN | TCP_ACK);
    client_opens(world, 1000, 80, 77);
    assert_int_equal(expect_segment(world, 1000, TCP_SYN | TCP_ACK)->tcp.acknowledgement, 78);
    assert_int_equal(world_statistics(world).connections, 1);
}

static void a_wrong_acknowledgement_is_reset(void **state)
{
    struct world *world = *state;
    begin(world);
    client_opens(world, 1000, 80, ISN);
    uint32_t first = expect_segment(world, 1000, TCP_SYN | TCP_ACK)->tcp.sequence;
    client_says(world, 1000, DATA, first + 2, TCP_ACK, NULL, 0);
    assert_int_equal(expect_segment(world, 1000, TCP_RST)->tcp.sequence, first + 2);
    assert_int_equal(world_statistics(world).half_open, 1);
}

/* --- data --- */

static void data_are_acknowledged_in_order(void **state)
{
    struct world *world = *state;
    begin(world);
    uint32_t next = client_connects(world, 1000);
    client_says(world, 1000, DATA, next, TCP_ACK, "GET ", 4);
    expect_acknowledged(world, 1000, next, 4);
    client_says(world, 1000, DATA + 5, next, TCP_ACK, " HTTP", 5); /* too early */
    expect_acknowledged(world, 1000, next, 4);
    client_says(world, 1000, DATA + 2, next, TCP_ACK, "T /", 3); /* partly again */
    expect_acknowledged(world, 1000, next, 5);
    client_says(world, 1000, DATA, next, TCP_ACK, "GET", 3); /* again */
    expect_acknowledged(world, 1000, next, 5);
    client_says(world, 1000, DATA + 5, next, TCP_ACK | TCP_FIN, " HTTP", 5);
    expect_acknowledged(world, 1000, next, 11);
    client_says(world, 1000, DATA + 5, next, TCP_ACK | TCP_FIN, " HTTP", 5);
    expect_acknowledged(world, 1000, next, 11);

    port_service_starting(world->service);
    machine_hello(world);
    struct conduit_take take = machine_is_offered(world);
    assert_int_equal(take.data_length, 10);
    assert_memory_equal(take.data, "GET / HTTP", 10);
    assert_true(take.flags & CONDUIT_CLIENT_ENDED);
    assert_int_equal(take.receive_next, DATA + 11);
    assert_int_equal(take.receive_window, CONDUIT_WINDOW - 11);
}

static void no_more_is_taken_than_the_window(void **state)
{
    struct world *world = *state;
    static uint8_t data[1400];
    begin(world);
    uint32_t next = client_connects(world, 1000), sent = 0;
    for (; sent + sizeof data <= CONDUIT_WINDOW; sent += (uint32_t)sizeof data) {
        client_says(world, 1000, DATA + sent, next, TCP_ACK, data, sizeof data);
        expect_acknowledged(world, 1000, next, sent + (uint32_t)sizeof data);
    }
    client_says(world, 1000, DATA + sent, next, TCP_ACK | TCP_FIN, data, sizeof data);
    expect_acknowledged(world, 1000, next, CONDUIT_WINDOW);
    client_says(world, 1000, DATA + CONDUIT_WINDOW, next, TCP_ACK, data, 1); /* a window probe */
    expect_acknowledged(world, 1000, next, CONDUIT_WINDOW);

    port_service_starting(world->service);
    machine_hello(world);
    struct conduit_take take = machine_is_offered(world);
    assert_int_equal(take.data_length, CONDUIT_WINDOW);
    assert_int_equal(take.receive_window, 0);
    assert_false(take.flags & CONDUIT_CLIENT_ENDED);
}

static void without_memory_data_are_not_acknowledged(void **state)
{
    struct world *world = *state;
    begin(world);
    struct port_limits limits = WORLD_LIMITS;
    uint32_t next = client_connects(world, 1000);
    size_t bytes = world_statistics(world).bytes;
    limits.bytes = bytes + 100;
    world_limit(world, &limits);
    client_says(world, 1000, DATA, next, TCP_ACK, "GET ", 4);
    world_silence(world);
    assert_int_equal(world_statistics(world).bytes, bytes);
}

static void damaged_segments_are_ignored(void **state)
{
    struct world *world = *state;
    struct tcp_segment segment = {.source_port = 1000,
                                  .destination_port = 80,
                                  .sequence = DATA,
                                  .flags = TCP_ACK,
                                  .data = (const uint8_t *)"GET",
                                  .data_length = 3};
    uint8_t frame[ETHERNET_FRAME_MAX];
    begin(world);
    segment.acknowledgement = client_connects(world, 1000);
    size_t length = frame_tcp(frame, &world_to_machine4, &segment);
    frame[length - 1] ^= 4;
    world_give(world, frame, length);
    world_silence(world);
}

/* --- resets --- */

static void a_client_may_reset(void **state)
{
    struct world *world = *state;
    begin(world);
    uint32_t next = client_connects(world, 1000);
    client_says(world, 1000, DATA + 1, 0, TCP_RST, NULL, 0); /* by guess: the client is asked */
    expect_acknowledged(world, 1000, next, 0);
    client_says(world, 1000, DATA + 100000, 0, TCP_RST, NULL, 0);
    assert_int_equal(world_statistics(world).connections, 1);
    client_says(world, 1000, DATA, 0, TCP_RST, NULL, 0);
    assert_int_equal(world_statistics(world).connections, 0);
}

static void a_failed_start_resets(void **state)
{
    struct world *world = *state;
    begin(world);
    uint32_t next = client_connects(world, 1000);
    client_opens(world, 1001, 80, ISN);
    expect_segment(world, 1001, TCP_SYN | TCP_ACK);
    port_service_starting(world->service);
    port_service_fail(world->service);
    expect_announcement(world);
    const struct packet *packet = expect_segment(world, 1000, TCP_RST | TCP_ACK);
    assert_int_equal(packet->tcp.sequence, next);
    assert_int_equal(packet->tcp.acknowledgement, DATA);
    expect_segment(world, 1001, TCP_RST | TCP_ACK);
    world_pass(world, SECOND);
    assert_int_equal(world->wanted, 2);
}

static void while_refused_nothing_is_accepted(void **state)
{
    struct world *world = *state;
    begin(world);
    client_connects(world, 1000);
    port_service_refuse(world->service, true);
    expect_segment(world, 1000, TCP_RST | TCP_ACK);
    client_opens(world, 1001, 80, ISN);
    expect_segment(world, 1001, TCP_RST | TCP_ACK);
    assert_int_equal(world_statistics(world).connections, 0);
}

static void who_is_silent_for_minutes_has_gone(void **state)
{
    struct world *world = *state;
    begin(world);
    client_connects(world, 1000);
    world_pass(world, 119 * SECOND);
    world_silence(world);
    world_pass(world, 2 * SECOND);
    expect_segment(world, 1000, TCP_RST | TCP_ACK);
}

/* --- handing over --- */

static void expect_passed_on(struct world *world, uint16_t port, const char *data)
{
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_TCP);
    assert_true(mac_equal(packet->ethernet.source, world_port_mac));
    assert_true(mac_equal(packet->ethernet.destination, world_machine_mac));
    assert_int_equal(packet->tcp.source_port, port);
    assert_int_equal(packet->tcp.data_length, strlen(data));
    assert_memory_equal(packet->tcp.data, data, strlen(data));
}

static void a_connection_is_handed_over_in_two_phases(void **state)
{
    struct world *world = *state;
    begin(world);
    port_service_starting(world->service);
    client_opens(world, 1000, 80, ISN);
    uint32_t next = expect_segment(world, 1000, TCP_SYN | TCP_ACK)->tcp.sequence + 1;
    world_pass(world, 20 * MILLISECOND);
    client_says(world, 1000, DATA, next, TCP_ACK, "GET ", 4);
    expect_acknowledged(world, 1000, next, 4);

    /* From here on the port says nothing to the client. */
    machine_hello(world);
    struct conduit_take take = machine_is_offered(world);
    assert_int_equal(world->readies, 1);
    assert_int_equal(take.family, 4);
    assert_int_equal(take.state, CONDUIT_ESTABLISHED);
    assert_int_equal(take.flags, CONDUIT_SCALED | CONDUIT_SACK);
    assert_int_equal(take.send_scale, 7);
    assert_int_equal(take.receive_scale, CONDUIT_WINDOW_SCALE);
    assert_int_equal(take.client_segment_max, 1460);
    assert_memory_equal(take.machine_address, world_machine4.bytes, 16);
    assert_memory_equal(take.client_address, world_client4.bytes, 16);
    assert_int_equal(take.machine_port, 80);
    assert_int_equal(take.client_port, 1000);
    assert_int_equal(take.send_next, next);
    assert_int_equal(take.receive_next, DATA + 4);
    assert_int_equal(take.send_window, 502 << 7);
    assert_int_equal(take.receive_window, CONDUIT_WINDOW - 4);
    assert_int_equal(take.round_trip, 20);
    assert_int_equal(take.data_length, 4);
    assert_memory_equal(take.data, "GET ", 4);
    uint32_t id = take.id;
    client_says(world, 1000, DATA + 4, next, TCP_ACK, "/", 1);
    world_pass(world, MILLISECOND);
    world_silence(world);

    machine_takes(world, id, CONDUIT_DONE);
    expect_passed_on(world, 1000, "/");
    machine_hears(world, CONDUIT_SETTLED);
    client_says(world, 1000, DATA + 5, next, TCP_ACK, " HTTP", 5);
    expect_passed_on(world, 1000, " HTTP");
    assert_int_equal(world_statistics(world).connections, 0);
    assert_int_equal(world->memory->connection_bytes, 0);
    assert_int_equal(port_service_handed_over(world->service), 1);
    world_pass(world, 60 * SECOND);
}

/* Segments that were on their way to the port when the machine said HELLO. */
static void others_wait_meanwhile(void **state)
{
    struct world *world = *state;
    begin(world);
    uint32_t first = client_connects(world, 1000), second = client_connects(world, 1001);
    port_service_starting(world->service);
    machine_hello(world);
    struct conduit_take take = machine_is_offered(world);
    client_says(world, 1001, DATA, second, TCP_ACK, "other", 5);
    world_silence(world);
    machine_takes(world, take.id, CONDUIT_DONE);
    take = machine_is_offered(world);
    assert_int_equal(take.data_length, 0);
    client_says(world, 1000, DATA, first, TCP_ACK, "first", 5);
    expect_passed_on(world, 1000, "first");
    world_silence(world);
    machine_takes(world, take.id, CONDUIT_DONE);
    expect_passed_on(world, 1001, "other");
    machine_hears(world, CONDUIT_SETTLED);
    world_pass(world, MILLISECOND);
    client_says(world, 1000, DATA + 5, first, TCP_ACK, "more", 4);
    expect_passed_on(world, 1000, "more");
}

static void what_is_lost_is_offered_again(void **state)
{
    struct world *world = *state;
    begin(world);
    client_connects(world, 1000);
    port_service_starting(world->service);
    machine_hello(world);
    world_next(world); /* TAKE */
    world_silence(world);
    world_pass(world, CONDUIT_PATIENCE_FIRST);
    struct conduit_take take = machine_is_offered(world);
    machine_takes(world, take.id, CONDUIT_DONE);
    machine_hears(world, CONDUIT_SETTLED);
}

/* The bridge would drop what is said to it. */
static void a_machine_that_was_drawn_here_is_asked_before_it_is_offered_anything(void **state)
{
    struct world *world = *state;
    begin(world);
    client_connects(world, 1000);
    port_service_starting(world->service);
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
    world->service->spoke = world->port->batch; /* HELLO came before that answer, and is read now */
    machine_hello(world);
    expect_question(world);
    world_pass(world, CONDUIT_PATIENCE_FIRST);
    expect_question(world);
    world_silence(world);
    world->port->batch++;
    machine_answers(world);
    struct conduit_take take = machine_is_offered(world);
    machine_takes(world, take.id, CONDUIT_DONE);
    machine_hears(world, CONDUIT_SETTLED);
}

static void a_half_open_connection_is_handed_over(void **state)
{
    struct world *world = *state;
    begin(world);
    port_service_starting(world->service);
    client_opens(world, 1000, 80, ISN);
    uint32_t next = expect_segment(world, 1000, TCP_SYN | TCP_ACK)->tcp.sequence + 1;
    machine_hello(world);
    struct conduit_take take = machine_is_offered(world);
    assert_int_equal(take.state, CONDUIT_SYN_RECEIVED);
    assert_int_equal(take.send_next, next);
    assert_int_equal(take.receive_next, DATA);
    assert_int_equal(take.send_window, 64240);
    client_says(world, 1000, DATA, next, TCP_ACK, NULL, 0);
    machine_takes(world, take.id, CONDUIT_DONE);
    expect_passed_on(world, 1000, "");
    machine_hears(world, CONDUIT_SETTLED);
}

static void hundreds_are_handed_over(void **state)
{
    struct world *world = *state;
    begin(world);
    for (uint16_t port = 1000; port < 1500; port++)
        client_connects(world, port);
    port_service_starting(world->service);
    machine_hello(world);
    for (uint16_t port = 1000; port < 1500; port++) {
        struct conduit_take take = machine_is_offered(world);
        assert_int_equal(take.client_port, port);
        machine_takes(world, take.id, CONDUIT_DONE);
    }
    machine_hears(world, CONDUIT_SETTLED);
    assert_int_equal(port_service_handed_over(world->service), 500);
    assert_int_equal(world_statistics(world).connections, 0);
}

static void what_the_machine_does_not_take_is_reset(void **state)
{
    struct world *world = *state;
    static const enum conduit_outcome outcomes[] = {CONDUIT_NOBODY, CONDUIT_FULL,
                                                    CONDUIT_NOT_UNDERSTOOD};
    begin(world);
    for (uint16_t port = 1000; port < 1003; port++)
        client_connects(world, port);
    port_service_starting(world->service);
    machine_hello(world);
    for (uint16_t port = 1000; port < 1003; port++) {
        struct conduit_take take = machine_is_offered(world);
        machine_takes(world, take.id, outcomes[port - 1000]);
        const struct packet *packet = world_next(world);
        assert_int_equal(packet->tcp.flags, TCP_RST | TCP_ACK);
        assert_int_equal(packet->tcp.destination_port, port);
        /* The bridge must not learn that the machine is here. */
        assert_true(mac_equal(packet->ethernet.source, world_port_mac));
    }
    machine_hears(world, CONDUIT_SETTLED);
}

static void a_machine_that_stops_leaves_them_for_its_next_start(void **state)
{
    struct world *world = *state;
    begin(world);
    uint32_t next = client_connects(world, 1000);
    port_service_starting(world->service);
    machine_hello(world);
    struct conduit_take take = machine_is_offered(world);
    machine_takes(world, take.id, CONDUIT_NO_MORE);
    machine_hears(world, CONDUIT_ACKNOWLEDGEMENT);
    world_silence(world);
    port_service_gone(world->service);
    expect_announcement(world);
    world_pass(world, 0);
    assert_int_equal(world->wanted, 2);
    client_says(world, 1000, DATA, next, TCP_ACK, "GET", 3);
    expect_acknowledged(world, 1000, next, 3);

    machine_connects(world);
    port_service_starting(world->service);
    machine_hello(world);
    take = machine_is_offered(world);
    assert_int_equal(take.data_length, 3);
    machine_takes(world, take.id, CONDUIT_DONE);
    machine_hears(world, CONDUIT_SETTLED);
}

static void what_a_machine_may_have_taken_before_it_died_is_reset(void **state)
{
    struct world *world = *state;
    begin(world);
    client_connects(world, 1000);
    client_connects(world, 1001);
    port_service_starting(world->service);
    machine_hello(world);
    machine_is_offered(world);
    port_service_gone(world->service);
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->tcp.flags, TCP_RST | TCP_ACK);
    assert_int_equal(packet->tcp.destination_port, 1000);
    expect_announcement(world);
    world_pass(world, 0);
    assert_int_equal(world->wanted_by.port, 1001);
    assert_int_equal(world_statistics(world).connections, 1);
}

static void a_machine_that_cannot_take_any_has_them_reset(void **state)
{
    struct world *world = *state;
    uint8_t body[CONDUIT_SMALL_BODY_MAX];
    const struct conduit_hello hello = {0};
    begin(world);
    client_connects(world, 1000);
    port_service_starting(world->service);
    machine_says(world, CONDUIT_HELLO, body, conduit_write_hello(&hello, body, sizeof body));
    assert_int_equal(world_next(world)->tcp.flags, TCP_RST | TCP_ACK);
    machine_hears(world, CONDUIT_SETTLED);
}

static void a_machine_that_resumes_takes_new_connections_itself(void **state)
{
    struct world *world = *state;
    begin(world);
    port_service_suspended(world->service);
    expect_announcement(world);
    client_opens(world, 1000, 80, ISN);
    world_silence(world);
    assert_int_equal(world->wanted, 1);
    port_service_starting(world->service);
    client_opens(world, 1001, 80, ISN);
    world_silence(world);
    assert_int_equal(world_statistics(world).frames, 2);
}

/* --- floods --- */

/* Returns what it sends next, by the cookie that it has got. */
static struct tcp_segment begin_with_cookie(struct world *world)
{
    struct port_limits limits = WORLD_LIMITS;
    limits.half_open = 0;
    world_limit(world, &limits);
    client_opens(world, 1000, 80, ISN);
    uint32_t next = expect_segment(world, 1000, TCP_SYN | TCP_ACK)->tcp.sequence + 1;
    return (struct tcp_segment){.source_port = 1000,
                                .destination_port = 80,
                                .sequence = DATA,
                                .acknowledgement = next,
                                .flags = TCP_ACK,
                                .window = 1000,
                                .data = (const uint8_t *)"GET",
                                .data_length = 3};
}

static void a_cookie_that_comes_back_wants_the_machine(void **state)
{
    struct world *world = *state;
    begin(world);
    struct tcp_segment segment = begin_with_cookie(world);
    port_service_starting(world->service);
    port_service_fail(world->service); /* it knows of nobody who waits */
    expect_announcement(world);
    unsigned wanted = world->wanted;
    client_segment(world, &world_to_machine4, &segment);
    expect_acknowledged(world, 1000, segment.acknowledgement, 3);
    assert_int_equal(world->wanted, wanted + 1);
    assert_int_equal(world->wanted_by.port, 1000);
}

static void a_cookie_is_good_where_an_earlier_machine_had_a_connection(void **state)
{
    struct world *world = *state;
    begin(world);
    client_connects(world, 1000);
    port_service_starting(world->service);
    machine_hello(world);
    machine_takes(world, machine_is_offered(world).id, CONDUIT_DONE);
    machine_hears(world, CONDUIT_SETTLED);
    port_service_gone(world->service);
    expect_announcement(world);
    expect_segment(world, 1000, TCP_ACK);
    struct tcp_segment segment = begin_with_cookie(world);
    port_service_starting(world->service);
    client_segment(world, &world_to_machine4, &segment);
    expect_acknowledged(world, 1000, segment.acknowledgement, 3);
}

static void past_the_limit_there_are_cookies(void **state)
{
    struct world *world = *state;
    struct tcp_segment segment = {.source_port = 1002,
                                  .destination_port = 80,
                                  .sequence = DATA,
                                  .flags = TCP_ACK,
                                  .window = 1000,
                                  .data = (const uint8_t *)"GET",
                                  .data_length = 3};
    struct port_limits limits = WORLD_LIMITS;
    begin(world);
    limits.half_open = 2;
    world_limit(world, &limits);
    for (uint16_t port = 1000; port < 1010; port++) {
        client_opens(world, port, 80, ISN);
        const struct packet *packet = expect_segment(world, port, TCP_SYN | TCP_ACK);
        if (port == 1002) {
            segment.acknowledgement = packet->tcp.sequence + 1;
            assert_false(packet->tcp.has_scale);
            assert_false(packet->tcp.permits_sack);
            assert_int_equal(packet->tcp.window, CONDUIT_WINDOW);
        }
    }
    assert_int_equal(world_statistics(world).connections, 2);
    assert_int_equal(world_statistics(world).cookies, 8);

    client_segment(world, &world_to_machine4, &segment);
    expect_acknowledged(world, 1002, segment.acknowledgement, 3);
    assert_int_equal(world_statistics(world).connections, 3);
    port_service_starting(world->service);
    machine_hello(world);
    struct conduit_take take = machine_is_offered(world);
    assert_int_equal(take.client_port, 1002);
    assert_int_equal(take.flags, 0);
    assert_int_equal(take.send_window, 1000);
    assert_int_equal(take.client_segment_max, 1460);
    assert_int_equal(take.data_length, 3);
    machine_takes(world, take.id, CONDUIT_DONE);
    for (uint16_t port = 1000; port < 1002; port++) {
        take = machine_is_offered(world);
        assert_int_equal(take.client_port, port);
        assert_int_equal(take.state, CONDUIT_SYN_RECEIVED);
        machine_takes(world, take.id, CONDUIT_DONE);
    }
    machine_hears(world, CONDUIT_SETTLED);
}

static void forged_and_old_cookies_are_reset(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    begin(world);
    limits.half_open_per_service = 0;
    world_limit(world, &limits);
    client_opens(world, 1000, 80, ISN);
    uint32_t next = expect_segment(world, 1000, TCP_SYN | TCP_ACK)->tcp.sequence + 1;
    client_says(world, 1000, DATA, next + 1, TCP_ACK, NULL, 0);
    expect_segment(world, 1000, TCP_RST);
    client_says(world, 1001, DATA, next, TCP_ACK, NULL, 0);
    expect_segment(world, 1001, TCP_RST);
    world_pass(world, 200 * SECOND);
    client_says(world, 1000, DATA, next, TCP_ACK, NULL, 0);
    expect_segment(world, 1000, TCP_RST);
    assert_int_equal(world_statistics(world).connections, 0);
}

static void connections_are_limited(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    begin(world);
    limits.connections_per_service = 2;
    world_limit(world, &limits);
    client_connects(world, 1000);
    client_connects(world, 1001);
    uint32_t next = client_connects(world, 1002); /* by a cookie; there is no room for it */
    assert_int_equal(world_statistics(world).connections, 2);
    client_says(world, 1000, DATA, 0, TCP_RST, NULL, 0);
    client_says(world, 1002, DATA, next, TCP_ACK, "GET", 3);
    expect_acknowledged(world, 1002, next, 3);
    assert_int_equal(world_statistics(world).connections, 2);
}

static void of_one_service_not_all_may_be_half_open(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    begin(world);
    limits.half_open_per_service = 1;
    world_limit(world, &limits);
    client_opens(world, 1000, 80, ISN);
    expect_segment(world, 1000, TCP_SYN | TCP_ACK);
    client_opens(world, 1001, 80, ISN);
    uint32_t next = expect_segment(world, 1001, TCP_SYN | TCP_ACK)->tcp.sequence + 1;
    assert_int_equal(world_statistics(world).cookies, 1);
    client_says(world, 1001, DATA, next, TCP_ACK, NULL, 0);
    assert_int_equal(world_statistics(world).connections, 2);
    client_says(world, 1000, DATA, 0, TCP_RST, NULL, 0);
    client_opens(world, 1002, 80, ISN);
    expect_segment(world, 1002, TCP_SYN | TCP_ACK);
    assert_int_equal(world_statistics(world).cookies, 1);
}

static void connections_leave_a_quarter_to_frames(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    begin(world);
    limits.bytes = 4 * port_memory_of_connection();
    world_limit(world, &limits);
    for (uint16_t port = 1000; port < 1003; port++)
        client_connects(world, port);
    client_connects(world, 1003); /* by a cookie; there is no room for it */
    assert_int_equal(world_statistics(world).cookies, 1);
    assert_int_equal(world_statistics(world).connections, 3);
    client_datagram(world, 80, "datagram");
    assert_int_equal(world_statistics(world).frames, 1);
}

static void frames_give_way_to_connections(void **state)
{
    static const uint8_t data[1000];
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    begin(world);
    client_datagram(world, 80, "datagram");
    uint32_t next = client_connects(world, 1000);
    limits.bytes_per_service = world_statistics(world).bytes + 2000;
    world_limit(world, &limits);
    client_says(world, 1000, DATA, next, TCP_ACK, data, sizeof data);
    expect_acknowledged(world, 1000, next, sizeof data);
    assert_int_equal(world_statistics(world).frames, 0);
    assert_int_equal(world_statistics(world).dropped, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_port_offers_what_the_machine_would),
        TEST(what_the_client_does_not_offer_is_not_answered),
        TEST(first_numbers_differ),
        TEST(a_repeated_opening_is_answered_again),
        TEST(the_answer_goes_out_again_and_not_for_ever),
        TEST(a_client_that_opens_anew_is_answered_anew),
        TEST(a_wrong_acknowledgement_is_reset),
        TEST(data_are_acknowledged_in_order),
        TEST(no_more_is_taken_than_the_window),
        TEST(without_memory_data_are_not_acknowledged),
        TEST(damaged_segments_are_ignored),
        TEST(a_client_may_reset),
        TEST(a_failed_start_resets),
        TEST(while_refused_nothing_is_accepted),
        TEST(who_is_silent_for_minutes_has_gone),
        TEST(a_connection_is_handed_over_in_two_phases),
        TEST(others_wait_meanwhile),
        TEST(what_is_lost_is_offered_again),
        TEST(a_machine_that_was_drawn_here_is_asked_before_it_is_offered_anything),
        TEST(a_half_open_connection_is_handed_over),
        TEST(hundreds_are_handed_over),
        TEST(what_the_machine_does_not_take_is_reset),
        TEST(a_machine_that_stops_leaves_them_for_its_next_start),
        TEST(what_a_machine_may_have_taken_before_it_died_is_reset),
        TEST(a_machine_that_cannot_take_any_has_them_reset),
        TEST(a_machine_that_resumes_takes_new_connections_itself),
        TEST(past_the_limit_there_are_cookies),
        TEST(a_cookie_that_comes_back_wants_the_machine),
        TEST(a_cookie_is_good_where_an_earlier_machine_had_a_connection),
        TEST(forged_and_old_cookies_are_reset),
        TEST(connections_are_limited),
        TEST(of_one_service_not_all_may_be_half_open),
        TEST(connections_leave_a_quarter_to_frames),
        TEST(frames_give_way_to_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
