#include "dns/question.h"

#define HEADER_QR      0x80
#define HEADER_OPCODE  0x78
#define EDNS_DNSSEC_OK 0x8000

/* The variable part of an OPT record: options, each a code, a length and that many bytes. */
static bool options_are_whole(struct reader options)
{
    while (reader_left(&options) > 0 && !options.failed) {
        reader_skip(&options, 2);
        reader_skip(&options, reader_u16(&options));
    }
    return !options.failed;
}

/* The OPT record (RFC 6891, 6.1.2) whose name and type have been read. */
static void parse_opt(struct question *question, struct reader *reader, bool root)
{
    uint16_t size = reader_u16(reader);
    reader_skip(reader, 1); /* extended RCODE */
    uint8_t version = reader_u8(reader);
    uint16_t flags = reader_u16(reader);
    uint16_t length = reader_u16(reader);
    const uint8_t *options = reader_take(reader, length);

    if (!options || !root || question->has_edns ||
        !options_are_whole(reader_over(options, length))) {
        question->has_edns = true;
        question->rcode = DNS_FORMERR;
        return;
    }
    question->has_edns = true;
    question->dnssec_ok = flags & EDNS_DNSSEC_OK;
    if (size > DNS_UDP_SIZE_MAX)
        size = DNS_UDP_SIZE_MAX;
    if (size > DNS_UDP_SIZE_MIN)
        question->udp_size = size;
    if (version != 0)
        question->rcode = DNS_BADVERS;
}

static void parse_record(struct question *question, struct reader *reader)
{
    size_t start = reader->position;
    name_skip(reader);
    bool root = reader->position == start + 1;
    if (reader_u16(reader) == DNS_TYPE_OPT) {
        parse_opt(question, reader, root);
        return;
    }
    reader_skip(reader, 6); /* class, TTL */
    reader_skip(reader, reader_u16(reader));
}

/* What may follow the question: for IXFR a SOA record (RFC 1995, 3), then OPT, TSIG and the like.
 */
static void parse_records(struct question *question, struct reader *reader, unsigned count)
{
    while (count-- > 0 && question->rcode != DNS_FORMERR) {
        parse_record(question, reader);
        if (reader->failed)
            question->rcode = DNS_FORMERR;
    }
    if (reader_left(reader) > 0)
        question->rcode = DNS_FORMERR;
}

bool question_parse(struct question *question, const uint8_t *packet, size_t length, uint64_t seed)
{
    struct reader reader = reader_over(packet, length);
    reader_skip(&reader, 2); /* id */
    uint8_t flags = reader_u8(&reader);
    reader_skip(&reader, 1);
    uint16_t questions = reader_u16(&reader);
    uint16_t answers = reader_u16(&reader);
    uint16_t authorities = reader_u16(&reader);
    uint16_t additionals = reader_u16(&reader);
    if (reader.failed || flags & HEADER_QR)
        return false;

    question->end = DNS_HEADER_SIZE;
    question->udp_size = DNS_UDP_SIZE_MIN;
    question->has_edns = question->dnssec_ok = false;
    question->type = question->class = 0;
    if (flags & HEADER_OPCODE) {
        question->rcode = DNS_NOTIMP;
        return true;
    }
    question->rcode = DNS_FORMERR;
    struct name name;
    if (questions != 1 || answers != 0 || !name_read(&reader, &name))
        return true;
    question->type = reader_u16(&reader);
    question->class = reader_u16(&reader);
    if (reader.failed)
        return true;

    question->rcode = DNS_NOERROR;
    question->end = (uint16_t)reader.position;
    if (authorities + additionals > 0 || reader_left(&reader) > 0)
        parse_records(question, &reader, authorities + (unsigned)additionals);
    name_fold(question->folded, name.wire, name.length);
    question->name = (struct name){question->folded, name.length, name.labels};
    question->hash = name_hash(question->folded, name.length, seed);
    return true;
}
