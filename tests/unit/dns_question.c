/* Parsing queries: what is taken, and every form that is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dns/question.h"

#define HEADER(flags, qd, an, ns, ar) "\x12\x34" flags "\0" qd "\0" an "\0" ns "\0" ar
#define QUERY(ar)                     HEADER("\0\0", "\1", "\0", "\0", ar)
#define NAME                          "\3wWw\7eXample\0"
#define QUESTION                      NAME "\0\1\0\1"
#define OPT                           "\0\0\x29\x04\xd0\0\0\0\0\0\0"

/* Parses the bytes of a string constant. */
#define PARSE(question, bytes)                                                                     \
    question_parse(question, (const uint8_t *)(bytes), sizeof(bytes) - 1, 7)

#define assert_rcode(bytes, expected)                                                              \
    do {                                                                                           \
        struct question question_;                                                                 \
        assert_true(PARSE(&question_, bytes));                                                     \
        assert_int_equal(question_.rcode, expected);                                               \
    } while (0)

static void test_plain_query(void **state)
{
    struct question question;
    (void)state;
    assert_true(PARSE(&question, QUERY("\0") QUESTION));
    assert_int_equal(question.rcode, DNS_NOERROR);
    assert_int_equal(question.type, DNS_TYPE_A);
    assert_int_equal(question.class, DNS_CLASS_IN);
    assert_int_equal(question.name.length, 13);
    assert_int_equal(question.name.labels, 2);
    assert_memory_equal(question.name.wire, "\3www\7example\0", 13);
    assert_int_equal(question.end, 12 + 13 + 4);
    assert_int_equal(question.hash, name_hash(question.name.wire, 13, 7));
    assert_false(question.has_edns);
    assert_int_equal(question.udp_size, 512);
}

static void test_not_to_be_answered(void **state)
{
    struct question question;
    (void)state;
    assert_false(PARSE(&question, ""));
    assert_false(PARSE(&question, "\x12\x34\0\0\0\1\0\0\0\0\0"));
    assert_false(PARSE(&question, HEADER("\x80\0", "\1", "\0", "\0", "\0") QUESTION));
}

static void test_other_opcodes_are_not_implemented(void **state)
{
    (void)state;
    assert_rcode(HEADER("\x08\0", "\1", "\0", "\0", "\0") QUESTION, DNS_NOTIMP);
    assert_rcode(HEADER("\x28\0", "\1", "\0", "\0", "\0") QUESTION, DNS_NOTIMP);
    assert_rcode(HEADER("\x78\0", "\0", "\0", "\0", "\0"), DNS_NOTIMP);
}

static void test_malformed_questions(void **state)
{
    (void)state;
    assert_rcode(HEADER("\0\0", "\0", "\0", "\0", "\0"), DNS_FORMERR);
    assert_rcode(HEADER("\0\0", "\2", "\0", "\0", "\0") QUESTION QUESTION, DNS_FORMERR);
    assert_rcode(HEADER("\0\0", "\1", "\1", "\0", "\0") QUESTION, DNS_FORMERR);
    assert_rcode(QUERY("\0"), DNS_FORMERR);
    assert_rcode(QUERY("\0") NAME, DNS_FORMERR);
    assert_rcode(QUERY("\0") NAME "\0\1\0", DNS_FORMERR);
    assert_rcode(QUERY("\0") "\3www", DNS_FORMERR);
    assert_rcode(QUERY("\0") "\300\14\0\1\0\1", DNS_FORMERR);
    assert_rcode(QUERY("\0") "\177www\0\0\1\0\1", DNS_FORMERR);
}

static void test_malformed_questions_are_not_repeated(void **state)
{
    struct question question;
    (void)state;
    assert_true(PARSE(&question, QUERY("\0") NAME "\0\1\0"));
    assert_int_equal(question.end, DNS_HEADER_SIZE);
}

static void test_what_follows_must_be_what_the_header_says(void **state)
{
    (void)state;
    assert_rcode(QUERY("\0") QUESTION "x", DNS_FORMERR);
    assert_rcode(QUERY("\1") QUESTION, DNS_FORMERR);
    assert_rcode(QUERY("\1") QUESTION OPT "x", DNS_FORMERR);
    assert_rcode(QUERY("\2") QUESTION OPT, DNS_FORMERR);
    assert_rcode(QUERY("\1") QUESTION "\300", DNS_FORMERR);
    assert_rcode(QUERY("\1") QUESTION "\0\0\1\0\1\0\0\0\0\0\5abcd", DNS_FORMERR);
}

static void test_other_records_are_passed_over(void **state)
{
    struct question question;
    (void)state;
    /* IXFR's SOA in the authority section, then OPT, then something else */
    assert_true(PARSE(&question, HEADER("\0\0", "\1", "\0", "\1", "\2") NAME
                      "\0\373\0\1\300\14\0\6\0\1\0\0\0\0\0\2ab" OPT
                      "\1k\0\0\372\0\377\0\0\0\0\0\0"));
    assert_int_equal(question.rcode, DNS_NOERROR);
    assert_true(question.has_edns);
    assert_int_equal(question.type, DNS_TYPE_IXFR);
}

static void test_edns(void **state)
{
    struct question question;
    (void)state;
    assert_true(PARSE(&question, QUERY("\1") QUESTION OPT));
    assert_int_equal(question.rcode, DNS_NOERROR);
    assert_true(question.has_edns);
    assert_false(question.dnssec_ok);
    assert_int_equal(question.udp_size, 1232);
}

static void test_edns_size_is_kept_between_512_and_1232(void **state)
{
    static const uint16_t sizes[][2] = {{0, 512},     {511, 512},   {512, 512},   {513, 513},
                                        {1231, 1231}, {1233, 1232}, {65535, 1232}};
    uint8_t packet[] = QUERY("\1") QUESTION OPT;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct question question;
        uint8_t *size = packet + sizeof packet - 1 - 11 + 3;
        size[0] = (uint8_t)(sizes[i][0] >> 8);
        size[1] = (uint8_t)sizes[i][0];
        assert_true(question_parse(&question, packet, sizeof packet - 1, 7));
        assert_int_equal(question.udp_size, sizes[i][1]);
    }
}

static void test_edns_flags_options_and_version(void **state)
{
    struct question question;
    (void)state;
    assert_true(PARSE(&question, QUERY("\1") QUESTION "\0\0\x29\x04\xd0\0\0\x80\0\0\0"));
    assert_true(question.dnssec_ok);
    assert_true(PARSE(&question, QUERY("\1") QUESTION "\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08"
                                                      "12345678"));
    assert_int_equal(question.rcode, DNS_NOERROR);
    assert_rcode(QUERY("\1") QUESTION "\0\0\x29\x04\xd0\0\1\0\0\0\0", DNS_BADVERS);
}

static void test_malformed_edns(void **state)
{
    struct question question;
    (void)state;
    assert_rcode(QUERY("\2") QUESTION OPT OPT, DNS_FORMERR);
    /* an owner other than the root */
    assert_rcode(QUERY("\1") QUESTION "\1x\0\0\x29\x04\xd0\0\0\0\0\0\0", DNS_FORMERR);
    /* an option longer than the record, a cut option, a record longer than the packet */
    assert_rcode(QUERY("\1") QUESTION "\0\0\x29\x04\xd0\0\0\0\0\0\5\0\x0a\0\x08x", DNS_FORMERR);
    assert_rcode(QUERY("\1") QUESTION "\0\0\x29\x04\xd0\0\0\0\0\0\3\0\x0a\0", DNS_FORMERR);
    assert_rcode(QUERY("\1") QUESTION "\0\0\x29\x04\xd0\0\0\0\0\0\1", DNS_FORMERR);
    /* the answer must show that EDNS is known all the same */
    assert_true(PARSE(&question, QUERY("\2") QUESTION OPT OPT));
    assert_true(question.has_edns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_query),
        cmocka_unit_test(test_not_to_be_answered),
        cmocka_unit_test(test_other_opcodes_are_not_implemented),
        cmocka_unit_test(test_malformed_questions),
        cmocka_unit_test(test_malformed_questions_are_not_repeated),
        cmocka_unit_test(test_what_follows_must_be_what_the_header_says),
        cmocka_unit_test(test_other_records_are_passed_over),
        cmocka_unit_test(test_edns),
        cmocka_unit_test(test_edns_size_is_kept_between_512_and_1232),
        cmocka_unit_test(test_edns_flags_options_and_version),
        cmocka_unit_test(test_malformed_edns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
