/* What an upstream's response becomes for a client: form, sizes, OPT records, extended errors. */
#include "dns_fixture.h"

#include <string.h>

#include "dns/forward_message.h"

enum { A = 1, TXT = 16 };

static struct question question;
static uint8_t query[512];     /* the client's */
static uint8_t response[4096]; /* the upstream's, with id 0x4321 */
static struct writer writer;
static uint8_t out[UINT16_MAX];

/* The client asks for www.example.com; EDNS with that size if it is not 0. */
static void ask(uint16_t type, uint16_t edns_size)
{
    size_t length = fixture_query(query, 0x1234, "wWw.example.com", type, edns_size);
    assert_true(question_parse(&question, query, length, 0));
    assert_int_equal(question.rcode, 0);
}

static void begin(uint8_t rcode, uint16_t answers, uint16_t authorities, uint16_t additionals)
{
    writer = writer_over(response, sizeof response);
    writer_u16(&writer, 0x4321);
    writer_u8(&writer, 0x81);
    writer_u8(&writer, 0x80 | rcode);
    writer_u16(&writer, 1);
    writer_u16(&writer, answers);
    writer_u16(&writer, authorities);
    writer_u16(&writer, additionals);
    writer_bytes(&writer, question.name.wire, question.name.length);
    writer_u16(&writer, question.type);
    writer_u16(&writer, 1);
}

static void add_address(uint8_t last)
{
    writer_u16(&writer, 0xc00c);
    writer_u16(&writer, A);
    writer_u16(&writer, 1);
    writer_u32(&writer, 60);
    writer_u16(&writer, 4);
    writer_bytes(&writer, (uint8_t[]){192, 0, 2, last}, 4);
}

static void add_text(uint8_t size)
{
    writer_u16(&writer, 0xc00c);
    writer_u16(&writer, TXT);
    writer_u16(&writer, 1);
    writer_u32(&writer, 60);
    writer_u16(&writer, (uint16_t)(size + 1));
    writer_u8(&writer, size);
    memset(writer_reserve(&writer, size), 'x', size);
}

static void add_opt(uint8_t rcode, const uint8_t *options, uint16_t length)
{
    writer_u8(&writer, 0);
    writer_u16(&writer, 41);
    writer_u16(&writer, 4096);
    writer_u8(&writer, rcode);
    writer_u8(&writer, 0);
    writer_u16(&writer, 0);
    writer_u16(&writer, length);
    writer_bytes(&writer, options, length);
}

static bool is_accepted(void)
{
    struct forward_response read;
    assert_false(writer.failed);
    return forward_response_read(&read, response, writer.position, 0x4321, &question);
}

/* What the client gets, which is at most `limit` bytes. */
static ldns_pkt *pass_on(size_t limit)
{
    struct forward_response read;
    assert_false(writer.failed);
    assert_true(forward_response_read(&read, response, writer.position, 0x4321, &question));
    size_t length = forward_response_write(&read, &question, query, out, limit);
    assert_true(length <= limit);
    ldns_pkt *packet = fixture_parse(out, length);
    assert_int_equal(ldns_pkt_id(packet), 0x1234);
    assert_section(ldns_pkt_question(packet),
                   question.type == A ? "wWw.example.com. IN A" : "wWw.example.com. IN TXT");
    return packet;
}

static void the_upstreams_opt_record_is_replaced_by_ours(void **state)
{
    (void)state;
    ask(A, 1232);
    begin(0, 1, 0, 2);
    add_address(1);
    add_address(2);
    add_opt(0, (const uint8_t[]){0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}, 12); /* a cookie */
    ldns_pkt *packet = pass_on(1232);
    assert_true(ldns_pkt_edns(packet));
    assert_int_equal(ldns_pkt_edns_udp_size(packet), 1232);
    assert_null(ldns_pkt_edns_data(packet));
    assert_section(ldns_pkt_answer(packet), "wWw.example.com. 60 IN A 192.0.2.1");
    assert_section(ldns_pkt_additional(packet), "wWw.example.com. 60 IN A 192.0.2.2");
    ldns_pkt_free(packet);

    ask(A, 0);
    packet = pass_on(512);
    assert_false(ldns_pkt_edns(packet));
    assert_section(ldns_pkt_additional(packet), "wWw.example.com. 60 IN A 192.0.2.2");
    ldns_pkt_free(packet);
}

static void what_follows_the_opt_record_is_left_out(void **state)
{
    (void)state;
    ask(A, 1232);
    begin(0, 0, 0, 3);
    add_address(1);
    add_opt(0, NULL, 0);
    add_address(2);
    ldns_pkt *packet = pass_on(1232);
    assert_section(ldns_pkt_additional(packet), "wWw.example.com. 60 IN A 192.0.2.1");
    ldns_pkt_free(packet);
}

static void extended_errors_are_passed_on(void **state)
{
    static const uint8_t options[] = {0, 3, 0, 2, 'i', 'd', 0, 15, 0, 5, 0, 6, 'b', 'a', 'd'};
    (void)state;
    ask(A, 1232);
    begin(2, 0, 0, 1);
    add_opt(0, options, sizeof options);
    ldns_pkt *packet = pass_on(1232);
    assert_int_equal(ldns_pkt_get_rcode(packet), LDNS_RCODE_SERVFAIL);
    const ldns_rdf *passed = ldns_pkt_edns_data(packet);
    assert_non_null(passed);
    assert_int_equal(ldns_rdf_size(passed), 9);
    assert_memory_equal(ldns_rdf_data(passed), options + 6, 9);
    ldns_pkt_free(packet);
}

static void broken_options_are_not_passed_on(void **state)
{
    static const uint8_t options[] = {0, 15, 0, 9, 0, 6, 'b', 'a', 'd'};
    (void)state;
    ask(A, 1232);
    begin(0, 0, 0, 1);
    add_opt(0, options, sizeof options);
    ldns_pkt *packet = pass_on(1232);
    assert_null(ldns_pkt_edns_data(packet));
    ldns_pkt_free(packet);
}

static void a_response_too_long_loses_its_additional_section_first(void **state)
{
    (void)state;
    ask(TXT, 0);
    begin(0, 2, 0, 1);
    add_text(200);
    add_text(200);
    add_text(100);
    ldns_pkt *packet = pass_on(512);
    assert_false(ldns_pkt_tc(packet));
    assert_int_equal(ldns_pkt_ancount(packet), 2);
    assert_int_equal(ldns_pkt_arcount(packet), 0);
    ldns_pkt_free(packet);
    packet = pass_on(UINT16_MAX);
    assert_int_equal(ldns_pkt_arcount(packet), 1);
    ldns_pkt_free(packet);
}

/* 12 + 21 bytes of header and question, 213 and 212 + n of records: n = 54 fills 512 bytes. */
static void a_response_that_is_one_byte_too_long_is_cut(void **state)
{
    (void)state;
    ask(TXT, 0);
    for (uint8_t more = 0; more < 2; more++) {
        begin(0, 2, 0, 0);
        add_text(220);
        add_text((uint8_t)(512 - 33 - 233 - 13 + more));
        assert_int_equal(writer.position, 512 + more);
        ldns_pkt *packet = pass_on(512);
        assert_int_equal(ldns_pkt_tc(packet), more);
        assert_int_equal(ldns_pkt_ancount(packet), more ? 0 : 2);
        ldns_pkt_free(packet);
    }
    ask(TXT, 600);
    for (uint8_t more = 0; more < 2; more++) {
        begin(0, 2, 0, 0);
        add_text(220);
        add_text((uint8_t)(512 - 33 - 233 - 13 - 11 + more));
        ldns_pkt *packet = pass_on(512);
        assert_int_equal(ldns_pkt_tc(packet), more);
        assert_true(ldns_pkt_edns(packet));
        ldns_pkt_free(packet);
    }
}

static void extended_rcodes_are_read(void **state)
{
    struct forward_response read;
    (void)state;
    ask(A, 1232);
    begin(7, 0, 0, 1);
    add_opt(1, NULL, 0);
    assert_true(forward_response_read(&read, response, writer.position, 0x4321, &question));
    assert_int_equal(read.rcode, 23);
}

static void what_is_not_well_formed_is_not_accepted(void **state)
{
    struct forward_response read;
    (void)state;
    ask(A, 1232);
    begin(0, 1, 0, 1);
    add_address(1);
    add_opt(0, NULL, 0);
    assert_true(is_accepted());
    for (size_t length = 0; length < writer.position; length++)
        assert_false(forward_response_read(&read, response, length, 0x4321, &question));

    begin(0, 0, 0, 2); /* two OPT records */
    add_opt(0, NULL, 0);
    add_opt(0, NULL, 0);
    assert_false(is_accepted());
    begin(0, 1, 0, 0); /* one in the answer section */
    add_opt(0, NULL, 0);
    assert_false(is_accepted());
    begin(0, 0, 0, 1); /* one with a name */
    writer_u16(&writer, 0xc00c);
    writer_u16(&writer, 41);
    memset(writer_reserve(&writer, 8), 0, 8);
    assert_false(is_accepted());
    begin(0, 0, 0, 0); /* another kind of message */
    response[2] = 0xa9;
    assert_false(is_accepted());
    begin(0, 0, 0, 0); /* two questions */
    response[5] = 2;
    assert_false(is_accepted());
    begin(0, 0, 0, 0); /* another type, another class */
    response[writer.position - 3] = 2;
    assert_false(is_accepted());
    begin(0, 0, 0, 0);
    response[writer.position - 1] = 3;
    assert_false(is_accepted());
}

static void of_a_truncated_response_only_the_question_matters(void **state)
{
    struct forward_response read;
    (void)state;
    ask(A, 1232);
    begin(0, 7, 0, 1);
    response[2] |= 2;
    assert_true(forward_response_read(&read, response, writer.position, 0x4321, &question));
    assert_true(read.truncated);
    assert_false(forward_response_read(&read, response, writer.position, 0x4322, &question));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_upstreams_opt_record_is_replaced_by_ours),
        cmocka_unit_test(what_follows_the_opt_record_is_left_out),
        cmocka_unit_test(extended_errors_are_passed_on),
        cmocka_unit_test(broken_options_are_not_passed_on),
        cmocka_unit_test(a_response_too_long_loses_its_additional_section_first),
        cmocka_unit_test(a_response_that_is_one_byte_too_long_is_cut),
        cmocka_unit_test(extended_rcodes_are_read),
        cmocka_unit_test(what_is_not_well_formed_is_not_accepted),
        cmocka_unit_test(of_a_truncated_response_only_the_question_matters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
