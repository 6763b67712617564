/* Who is answered, what is held, who summons, and what becomes of what was held: the rules of
 * holding, each seen in the frames that the port sent and those that it did not. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "port_world.h"

/* --- addresses --- */

static void arp_is_answered_with_the_machines_address(void **state)
{
    struct world *world = *state;
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
}

static void a_unicast_arp_request_is_answered(void **state)
{
    struct world *world = *state;
    struct arp arp = {.operation = ARP_REQUEST,
                      .sender_mac = world_client_mac,
                      .sender = world_client4,
                      .target = world_machine4};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_arp(frame, world_machine_mac, &arp));
    expect_arp_answer(world, world_machine_mac, &world_machine4);
}

static void a_solicitation_is_answered_with_the_machines_address(void **state)
{
    struct world *world = *state;
    client_asks6(world);
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_NEIGHBOUR);
    assert_true(mac_equal(packet->ethernet.source, world_machine_mac));
    assert_true(mac_equal(packet->ethernet.destination, world_client_mac));
    assert_true(address_equal(&packet->ip.source, &world_machine6));
    assert_true(address_equal(&packet->ip.destination, &world_client6));
    assert_int_equal(packet->neighbour.type, NEIGHBOUR_ADVERTISEMENT);
    assert_int_equal(packet->neighbour.flags, NEIGHBOUR_SOLICITED | NEIGHBOUR_OVERRIDE);
    assert_true(mac_equal(packet->neighbour.mac, world_machine_mac));
}

static void other_addresses_are_not_answered_for(void **state)
{
    struct world *world = *state;
    struct arp arp = {.operation = ARP_REQUEST,
                      .sender_mac = world_client_mac,
                      .sender = world_client4,
                      .target = {AF_INET, {10, 0, 0, 11}}};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_arp(frame, MAC_BROADCAST, &arp));
    world_silence(world);
}

static void the_port_answers_for_its_own_addresses(void **state)
{
    struct world *world = *state;
    struct address own = neighbour_link_local(world_port_mac), group = neighbour_group(&own);
    struct arp arp = {.operation = ARP_REQUEST,
                      .sender_mac = world_client_mac,
                      .sender = world_client4,
                      .target = world_port4};
    struct way way = {world_client_mac, neighbour_group_mac(&group), world_client6, group};
    struct neighbour neighbour = {.type = NEIGHBOUR_SOLICITATION, .target = own};
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_arp(frame, MAC_BROADCAST, &arp));
    expect_arp_answer(world, world_port_mac, &world_port4);
    world_give(world, frame, frame_neighbour(frame, &way, &neighbour));
    assert_true(mac_equal(world_next(world)->neighbour.mac, world_port_mac));
}

static void a_machine_that_announces_itself_is_not_answered(void **state)
{
    struct world *world = *state;
    port_service_starting(world->service);
    machine_announces(world);
    expect_draw(world); /* which is for the bridge alone */
    world_silence(world);
}

static void who_looks_for_duplicates_is_left_alone(void **state)
{
    struct world *world = *state;
    struct address group = neighbour_group(&world_machine6);
    struct arp arp = {.operation = ARP_REQUEST, .target = world_machine4};
    struct neighbour neighbour = {.type = NEIGHBOUR_SOLICITATION, .target = world_machine6};
    const struct mac askers[] = {world_machine_mac, world_client_mac};
    uint8_t frame[ETHERNET_FRAME_MAX];

    for (size_t i = 0; i < 2; i++) {
        struct way way = {askers[i], neighbour_group_mac(&group), world_nobody6, group};
        arp.sender_mac = askers[i];
        arp.sender = world_nobody4;
        world_give(world, frame, frame_arp(frame, MAC_BROADCAST, &arp));
        arp.sender = world_machine4;
        world_give(world, frame, frame_arp(frame, MAC_BROADCAST, &arp));
        world_give(world, frame, frame_neighbour(frame, &way, &neighbour));
        world_silence(world);
    }
}

static void the_machine_itself_is_not_answered(void **state)
{
    struct world *world = *state;
    struct arp arp = {.operation = ARP_REQUEST,
                      .sender_mac = world_machine_mac,
                      .sender = world_machine4,
                      .target = world_machine4};
    struct address group = neighbour_group(&world_machine6);
    struct way way = {world_machine_mac, neighbour_group_mac(&group),
                      neighbour_link_local(world_machine_mac), group};
    struct neighbour neighbour = {.type = NEIGHBOUR_SOLICITATION, .target = world_machine6};
    uint8_t frame[ETHERNET_FRAME_MAX];
    arp.sender.bytes[3] = 77; /* another of its addresses */
    world_give(world, frame, frame_arp(frame, MAC_BROADCAST, &arp));
    world_give(world, frame, frame_neighbour(frame, &way, &neighbour));
    world_silence(world);
}

static void for_a_ready_machine_the_port_is_silent(void **state)
{
    struct world *world = *state;
    port_service_ready(world->service);
    client_asks4(world);
    client_asks6(world);
    world_pass(world, 10 * SECOND);
    client_opens(world, 1000, 80, 1);
    client_datagram(world, 80, "flooded");
    world_silence(world);
    assert_int_equal(world->wanted, 0);
    assert_int_equal(world_statistics(world).held, 0);
}

/* --- who summons --- */

static void a_connection_attempt_summons(void **state)
{
    struct world *world = *state;
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
    client_opens(world, 1000, 80, 1);
    assert_int_equal(world->wanted, 1);
    assert_int_equal(world->wanted_port, 80);
    assert_int_equal(world->wanted_by.port, 1000);
    assert_true(address_equal(&world->wanted_by.address, &world_client4));
    assert_int_equal(world_statistics(world).frames, 1);
    assert_true(port_service_last_use(world->service) > 0);
}

static void a_datagram_summons(void **state)
{
    struct world *world = *state;
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
    client_datagram(world, 80, "hello");
    assert_int_equal(world->wanted, 1);
    assert_int_equal(world->wanted_by.port, 5353);
}

static void a_client_with_the_address_cached_is_drawn(void **state)
{
    struct world *world = *state;
    client_opens(world, 1000, 80, 1);
    expect_announcement(world);
    assert_int_equal(world->wanted, 1);
    client_opens(world, 1001, 80, 1);
    world_silence(world);
}

static void scans_and_pings_do_not_summon(void **state)
{
    struct world *world = *state;
    static const uint8_t echo[] = {8, 0, 0xf7, 0xff, 0, 0, 0, 0};
    uint8_t frame[ETHERNET_FRAME_MAX];
    struct way broadcast = world_to_machine4;

    client_opens(world, 1000, 22, 1);
    client_datagram(world, 161, "scan");
    client_sends(world, 1000, 22, TCP_ACK);
    world_give(world, frame,
               frame_ip(frame, &world_to_machine4, IP_PROTOCOL_ICMP, echo, sizeof echo));
    broadcast.to_mac = MAC_BROADCAST;
    broadcast.to = (struct address){AF_INET, {10, 0, 0, 255}};
    world_give(world, frame, frame_udp(frame, &broadcast, 80, "noise"));
    world_silence(world);
    assert_int_equal(world->wanted, 0);
    assert_int_equal(world_statistics(world).held, 0);
    assert_int_equal(port_service_last_use(world->service), 0);
}

static void without_a_list_of_ports_any_packet_but_a_ping_summons(void **state)
{
    struct world *world = *state;
    static const uint8_t echo[] = {8, 0, 0xf7, 0xff, 0, 0, 0, 0};
    uint8_t frame[ETHERNET_FRAME_MAX];
    struct port_machine machine = world_machine(PORT_READY_TOLD);
    machine.port_count = 0;
    world_replace(world, &machine);

    world_give(world, frame,
               frame_ip(frame, &world_to_machine4, IP_PROTOCOL_ICMP, echo, sizeof echo));
    assert_int_equal(world->wanted, 0);
    world_give(world, frame, frame_ip(frame, &world_to_machine4, 47, "tunnel", 6));
    expect_announcement(world);
    assert_int_equal(world->wanted, 1);
    assert_int_equal(world->wanted_port, 0);
    client_opens(world, 1000, 2222, 1);
    client_datagram(world, 123, "time");
    assert_int_equal(world->wanted, 3);
}

/* All others may summon. */
static void keep_client_out(struct world *world)
{
    struct prefix welcome = {{AF_INET, {10, 0, 1, 0}}, 24};
    struct port_machine machine = world_machine(PORT_READY_TOLD);
    machine.summon_from = &welcome;
    machine.summon_from_count = 1;
    world_replace(world, &machine);
}

static void only_the_welcome_summon(void **state)
{
    struct world *world = *state;
    keep_client_out(world);
    client_opens(world, 1000, 80, 1);
    assert_int_equal(world->wanted, 0);
    assert_int_equal(port_service_last_use(world->service), 0);
    assert_int_equal(world_statistics(world).held, 0);
}

static void segments_of_lost_connections_are_reset(void **state)
{
    struct world *world = *state;
    client_sends(world, 1000, 80, TCP_ACK | TCP_PSH);
    expect_announcement(world);
    expect_reset(world, 1000);
    assert_int_equal(world->packet.tcp.sequence, 2000);
    client_sends(world, 1000, 80, TCP_RST);
    assert_int_equal(world->wanted, 0);
}

/* --- what is held --- */

static void draw(struct world *world)
{
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
}

static void a_repeated_opening_is_held_once(void **state)
{
    struct world *world = *state;
    draw(world);
    client_opens(world, 1000, 80, 7);
    client_opens(world, 1000, 80, 7);
    client_opens(world, 1001, 80, 7);
    client_opens(world, 1000, 80, 7);
    assert_int_equal(world->wanted, 2);
    assert_int_equal(world_statistics(world).frames, 2);
    assert_int_equal(world_statistics(world).repeated, 2);
    port_service_starting(world->service);
    client_opens(world, 1001, 80, 7);
    assert_int_equal(world_statistics(world).frames, 2);
}

static void a_new_attempt_takes_the_place_of_the_old(void **state)
{
    struct world *world = *state;
    draw(world);
    client_opens(world, 1000, 80, 7);
    client_opens(world, 1000, 80, 8);
    assert_int_equal(world_statistics(world).frames, 1);
    assert_int_equal(world_statistics(world).dropped, 1);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    expect_opening(world, 1000);
    assert_int_equal(world->packet.tcp.sequence, 8);
}

static void everything_for_a_machine_that_starts_is_held(void **state)
{
    struct world *world = *state;
    static const uint8_t echo[] = {8, 0, 0xf7, 0xff, 0, 0, 0, 0};
    uint8_t frame[ETHERNET_FRAME_MAX];
    draw(world);
    client_opens(world, 1000, 80, 1);
    port_service_starting(world->service);
    client_datagram(world, 161, "other port");
    world_give(world, frame,
               frame_ip(frame, &world_to_machine4, IP_PROTOCOL_ICMP, echo, sizeof echo));
    client_opens(world, 1001, 80, 1);
    assert_int_equal(world_statistics(world).frames, 4);

    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    expect_opening(world, 1000);
    assert_int_equal(world_next(world)->kind, PACKET_UDP);
    assert_true(mac_equal(world->packet.ethernet.source, world_port_mac));
    assert_int_equal(world_next(world)->ip.protocol, IP_PROTOCOL_ICMP);
    expect_opening(world, 1001);
    assert_int_equal(world_statistics(world).released, 4);
}

/* So many clients are asked whether they are there (port_challenge.c). */
static void expect_challenges(struct world *world, unsigned count)
{
    for (; count > 0; count--)
        assert_int_equal(world_next(world)->tcp.flags, TCP_ACK);
}

static void the_oldest_of_a_service_is_dropped(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    draw(world);
    limits.frames_per_service = 3;
    world_limit(world, &limits);
    for (uint16_t port = 1000; port < 1005; port++)
        client_opens(world, port, 80, 1);
    expect_challenges(world, 5);
    assert_int_equal(world_statistics(world).frames, 3);
    assert_int_equal(world_statistics(world).dropped, 2);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    for (uint16_t port = 1002; port < 1005; port++)
        expect_opening(world, port);
}

/* Another service, 10.0.0.11, and the way to it. */
static struct port_service *add_other(struct world *world, struct way *way)
{
    struct port_machine machine = world_machine(PORT_READY_TOLD);
    static const struct address address = {AF_INET, {10, 0, 0, 11}};
    machine.mac[5]++;
    machine.addresses = &address;
    machine.address_count = 1;
    struct port_service *other = port_service_new(world->port, world, &machine, NULL);
    assert_non_null(other);
    *way = world_to_machine4;
    way->to = address;
    memcpy(way->to_mac.bytes, machine.mac, sizeof machine.mac);
    return other;
}

static void wants_other(struct world *world, const struct way *way)
{
    uint8_t frame[ETHERNET_FRAME_MAX];
    world_give(world, frame, frame_udp(frame, way, 80, "datagram"));
}

static void the_oldest_of_all_is_dropped(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    struct way way;
    struct port_service *other = add_other(world, &way);

    draw(world);
    client_opens(world, 1000, 80, 1);
    client_opens(world, 1001, 80, 1);
    limits.bytes = world_statistics(world).bytes;
    world_limit(world, &limits);
    wants_other(world, &way);
    world_next(world); /* the other's announcement */
    assert_int_equal(world_statistics(world).frames, 2);
    assert_int_equal(world->service->frame_count, 1);
    limits.bytes /= 2; /* as long as one of them */
    world_limit(world, &limits);
    assert_int_equal(world_statistics(world).frames, 1);
    assert_int_equal(other->frame_count, 1);
    client_opens(world, 1002, 80, 1);
    expect_challenges(world, 1);
    assert_int_equal(world_statistics(world).frames, 1);
    assert_int_equal(world_statistics(world).bytes, limits.bytes);
    assert_int_equal(other->frame_count, 0);
    port_service_free(other);
}

static void a_service_over_its_share_drops_its_own(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    struct way way;
    struct port_service *other = add_other(world, &way);

    draw(world);
    wants_other(world, &way);
    world_next(world); /* the other's announcement */
    client_opens(world, 1000, 80, 1);
    limits.bytes_per_service = world->service->bytes;
    world_limit(world, &limits);
    client_opens(world, 1001, 80, 1);
    expect_challenges(world, 1);
    assert_int_equal(other->frame_count, 1);
    assert_int_equal(world->service->frame_count, 1);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    expect_opening(world, 1001);
    port_service_free(other);
}

static void a_frame_that_has_no_room_even_alone_is_dropped(void **state)
{
    struct world *world = *state;
    struct port_limits limits = WORLD_LIMITS;
    draw(world);
    limits.bytes = 50;
    world_limit(world, &limits);
    client_opens(world, 1000, 80, 1);
    assert_int_equal(world_statistics(world).frames, 0);
    assert_int_equal(world_statistics(world).dropped, 1);
}

static void nobody_waits_for_ever(void **state)
{
    struct world *world = *state;
    draw(world);
    client_opens(world, 1000, 80, 1);
    world_pass(world, 60 * SECOND);
    client_opens(world, 1001, 80, 1);
    client_opens(world, 1000, 80, 1);
    client_datagram(world, 80, "datagram");
    world_pass(world, 119 * SECOND);
    assert_int_equal(world_statistics(world).frames, 3);
    world_pass(world, 2 * SECOND);
    assert_int_equal(world_statistics(world).frames, 0);
    assert_int_equal(world_statistics(world).dropped, 3);
}

/* --- no --- */

static void a_failed_start_answers_at_once(void **state)
{
    struct world *world = *state;
    draw(world);
    client_opens(world, 1000, 80, 41);
    port_service_starting(world->service);
    client_datagram(world, 80, "datagram");
    port_service_fail(world->service);
    expect_announcement(world);
    expect_reset(world, 1000);
    assert_int_equal(world->packet.tcp.acknowledgement, 42);
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->ip.protocol, IP_PROTOCOL_ICMP);
    assert_int_equal(packet->ip.payload[0], 3);
    assert_true(address_equal(&packet->ip.destination, &world_client4));
    assert_int_equal(world_statistics(world).frames, 0);
    assert_int_equal(world_statistics(world).refused, 2);

    client_opens(world, 1001, 80, 1);
    assert_int_equal(world->wanted, 2);
    world_pass(world, SECOND);
    assert_int_equal(world->wanted, 2);
}

static void while_refused_nobody_waits(void **state)
{
    struct world *world = *state;
    draw(world);
    client_opens(world, 1000, 80, 1);
    port_service_refuse(world->service, true);
    expect_reset(world, 1000);
    client_opens(world, 1001, 80, 1);
    expect_reset(world, 1001);
    assert_int_equal(world->wanted, 1);
    port_service_refuse(world->service, false);
    client_opens(world, 1002, 80, 1);
    assert_int_equal(world->wanted, 2);
    assert_int_equal(world_statistics(world).frames, 1);
}

static void refuse(struct world *world)
{
    port_service_refuse(world->service, true);
}

static void the_owner_may_refuse_at_once(void **state)
{
    struct world *world = *state;
    draw(world);
    world->on_wanted = refuse;
    client_opens(world, 1000, 80, 1);
    expect_reset(world, 1000);
}

static void go_away(struct world *world)
{
    port_service_free(world->service);
    world->service = NULL;
}

static void the_owner_may_free_the_service(void **state)
{
    struct world *world = *state;
    draw(world);
    world->on_wanted = go_away;
    client_opens(world, 1000, 80, 1);
    assert_null(world->service);
    client_asks4(world);
    client_opens(world, 1000, 80, 1);
}

/* --- stopping --- */

static void a_machine_that_leaves_is_drawn_to_the_port_first(void **state)
{
    struct world *world = *state;
    port_service_ready(world->service);
    port_service_attract(world->service);
    expect_announcement(world);
    client_opens(world, 1000, 80, 1);
    client_sends(world, 1001, 80, TCP_ACK);
    assert_int_equal(world->wanted, 0);
    assert_int_equal(world_statistics(world).frames, 2);
    client_asks4(world);
    expect_arp_answer(world, world_machine_mac, &world_machine4);

    /* It still speaks, and is drawn again. */
    world_pass(world, 2 * MILLISECOND);
    expect_draw(world);

    /* The new connection wants it again; the old one is no more. */
    port_service_gone(world->service);
    expect_announcement(world);
    expect_reset(world, 1001);
    assert_int_equal(world->wanted, 0);
    world_pass(world, 0);
    assert_int_equal(world->wanted, 1);
    assert_int_equal(world->wanted_by.port, 1000);
    assert_int_equal(world_statistics(world).frames, 1);
}

static void a_suspended_machine_keeps_its_connections(void **state)
{
    struct world *world = *state;
    port_service_ready(world->service);
    port_service_attract(world->service);
    expect_announcement(world);
    port_service_suspended(world->service);
    expect_announcement(world);
    world_pass(world, SECOND);
    assert_int_equal(world->wanted, 0);
    client_sends(world, 1000, 80, TCP_ACK | TCP_PSH);
    assert_int_equal(world->wanted, 1);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    const struct packet *packet = world_next(world);
    assert_int_equal(packet->kind, PACKET_TCP);
    assert_memory_equal(packet->tcp.data, "data", 4);
    assert_true(mac_equal(packet->ethernet.source, world_port_mac));
}

static void who_came_just_before_the_machine_died_wants_it_again(void **state)
{
    struct world *world = *state;
    draw(world);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    client_opens(world, 1000, 80, 1);
    port_service_gone(world->service);
    expect_announcement(world);
    world_pass(world, 0);
    assert_int_equal(world->wanted, 1);
    assert_int_equal(world_statistics(world).frames, 1);
}

static void what_waits_when_it_was_suspended_wants_it_again(void **state)
{
    struct world *world = *state;
    port_service_ready(world->service);
    port_service_attract(world->service);
    expect_announcement(world);
    client_opens(world, 1000, 80, 1);
    port_service_suspended(world->service);
    expect_announcement(world);
    world_pass(world, 0);
    assert_int_equal(world->wanted, 1);
}

static void a_connection_s_packet_while_it_is_being_suspended_wants_it_again(void **state)
{
    struct world *world = *state;
    port_service_ready(world->service);
    port_service_attract(world->service);
    expect_announcement(world);
    client_sends(world, 1000, 80, TCP_ACK | TCP_PSH);
    assert_false(port_service_is_wanted(world->service));
    port_service_suspended(world->service);
    expect_announcement(world);
    assert_true(port_service_is_wanted(world->service));
    world_pass(world, 0);
    assert_int_equal(world->wanted, 1);
    assert_int_equal(world_statistics(world).frames, 1);
}

static void only_the_welcome_resume_it(void **state)
{
    struct world *world = *state;
    keep_client_out(world);
    port_service_ready(world->service);
    port_service_attract(world->service);
    expect_announcement(world);
    client_sends(world, 1000, 80, TCP_ACK | TCP_PSH);
    client_opens(world, 1001, 80, 1);
    port_service_suspended(world->service);
    expect_announcement(world);
    client_sends(world, 1000, 80, TCP_ACK | TCP_PSH);
    world_pass(world, 0);
    assert_int_equal(world->wanted, 0);
    assert_false(port_service_is_wanted(world->service));
    assert_int_equal(port_service_last_use(world->service), 0);
}

/* It may still take frames that are no client's, and would refuse this one. */
static void the_unwelcome_wait_until_it_is_ready_too(void **state)
{
    struct world *world = *state;
    keep_client_out(world);
    draw(world);
    port_service_starting(world->service);
    client_opens(world, 1000, 80, 1);
    world_pass(world, 5 * MILLISECOND);
    expect_draw(world);
    machine_announces(world);
    expect_draw(world);
    port_service_ready(world->service);
    expect_question(world);
    machine_answers(world);
    expect_opening(world, 1000);
    assert_int_equal(port_service_last_use(world->service), 0);
}

static void a_ping_that_waited_does_not_resume_it(void **state)
{
    struct world *world = *state;
    static const uint8_t echo[] = {8, 0, 0xf7, 0xff, 0, 0, 0, 0};
    uint8_t frame[128];
    draw(world);
    port_service_starting(world->service);
    port_service_ready(world->service);
    expect_question(world);
    world_give(world, frame,
               frame_ip(frame, &world_to_machine4, IP_PROTOCOL_ICMP, echo, sizeof echo));
    assert_int_equal(world_statistics(world).frames, 1);
    port_service_attract(world->service);
    expect_announcement(world);
    port_service_suspended(world->service);
    expect_announcement(world);
    world_pass(world, 0);
    assert_int_equal(world->wanted, 0);
}

/* --- services --- */

static void machines_do_not_share_addresses(void **state)
{
    struct world *world = *state;
    struct port_machine machine = world_machine(PORT_READY_TOLD);
    struct error error;
    assert_null(port_service_new(world->port, world, &machine, &error));
    assert_non_null(strstr(error.text, "MAC"));
    machine.mac[5]++;
    assert_null(port_service_new(world->port, world, &machine, &error));
    assert_non_null(strstr(error.text, "10.0.0.10"));
}

/* --- the device and the loop --- */

static void frames_come_from_the_device(void **state)
{
    struct world *world = *state;
    struct arp arp = {.operation = ARP_REQUEST,
                      .sender_mac = world_client_mac,
                      .sender = world_client4,
                      .target = world_machine4};
    uint8_t frame[ETHERNET_FRAME_MAX];
    size_t length = frame_arp(frame, MAC_BROADCAST, &arp);
    for (int i = 0; i < 3; i++)
        assert_int_equal(write(world->bridge, frame, length), length);
    event_base_loop(world->base, EVLOOP_NONBLOCK);
    for (int i = 0; i < 3; i++)
        expect_arp_answer(world, world_machine_mac, &world_machine4);
}

/* A frame of the machine's that was waiting to be read while the port spoke in its name does not
 * show where it is: the port spoke later. */
static void what_was_said_before_shows_nothing(void **state)
{
    struct world *world = *state;
    struct arp question = {.operation = ARP_REQUEST,
                           .sender_mac = world_client_mac,
                           .sender = world_client4,
                           .target = world_machine4};
    struct arp announcement = {.operation = ARP_REQUEST,
                               .sender_mac = world_machine_mac,
                               .sender = world_machine4,
                               .target = world_machine4};
    uint8_t frame[ETHERNET_FRAME_MAX];
    port_service_starting(world->service);
    size_t length = frame_arp(frame, MAC_BROADCAST, &question);
    assert_int_equal(write(world->bridge, frame, length), length);
    length = frame_arp(frame, MAC_BROADCAST, &announcement);
    assert_int_equal(write(world->bridge, frame, length), length);
    event_base_loop(world->base, EVLOOP_NONBLOCK);
    expect_arp_answer(world, world_machine_mac, &world_machine4);
    client_opens(world, 1000, 80, 1);
    port_service_ready(world->service);
    expect_question(world);
    world_silence(world);
    length = frame_arp(frame, MAC_BROADCAST, &announcement);
    assert_int_equal(write(world->bridge, frame, length), length);
    event_base_loop(world->base, EVLOOP_NONBLOCK);
    expect_opening(world, 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(arp_is_answered_with_the_machines_address),
        TEST(a_unicast_arp_request_is_answered),
        TEST(a_solicitation_is_answered_with_the_machines_address),
        TEST(other_addresses_are_not_answered_for),
        TEST(the_port_answers_for_its_own_addresses),
        TEST(a_machine_that_announces_itself_is_not_answered),
        TEST(who_looks_for_duplicates_is_left_alone),
        TEST(the_machine_itself_is_not_answered),
        TEST(for_a_ready_machine_the_port_is_silent),
        TEST(a_connection_attempt_summons),
        TEST(a_datagram_summons),
        TEST(a_client_with_the_address_cached_is_drawn),
        TEST(scans_and_pings_do_not_summon),
        TEST(without_a_list_of_ports_any_packet_but_a_ping_summons),
        TEST(only_the_welcome_summon),
        TEST(segments_of_lost_connections_are_reset),
        TEST(a_repeated_opening_is_held_once),
        TEST(a_new_attempt_takes_the_place_of_the_old),
        TEST(everything_for_a_machine_that_starts_is_held),
        TEST(the_oldest_of_a_service_is_dropped),
        TEST(the_oldest_of_all_is_dropped),
        TEST(a_service_over_its_share_drops_its_own),
        TEST(a_frame_that_has_no_room_even_alone_is_dropped),
        TEST(nobody_waits_for_ever),
        TEST(a_failed_start_answers_at_once),
        TEST(while_refused_nobody_waits),
        TEST(the_owner_may_refuse_at_once),
        TEST(the_owner_may_free_the_service),
        TEST(a_machine_that_leaves_is_drawn_to_the_port_first),
        TEST(a_suspended_machine_keeps_its_connections),
        TEST(who_came_just_before_the_machine_died_wants_it_again),
        TEST(what_waits_when_it_was_suspended_wants_it_again),
        TEST(a_connection_s_packet_while_it_is_being_suspended_wants_it_again),
        TEST(only_the_welcome_resume_it),
        TEST(the_unwelcome_wait_until_it_is_ready_too),
        TEST(a_ping_that_waited_does_not_resume_it),
        TEST(machines_do_not_share_addresses),
        TEST(frames_come_from_the_device),
        TEST(what_was_said_before_shows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
