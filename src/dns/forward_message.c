#include "dns/forward_message.h"

/* The third byte of a header, and the fourth. */
#define FLAG_QR        0x80
#define FLAG_OPCODE    0x78
#define FLAG_TC        0x02
#define FLAG_RD        0x01
#define FLAG_RA        0x80
#define FLAG_CD        0x10
#define RCODE          0x0f
#define EDNS_DNSSEC_OK 0x8000

#define OPT_SIZE              11 /* without options */
#define OPTION_EXTENDED_ERROR 15
#define OPTION_HEAD           4

/* Extended errors are for people: more than this is not passed on. */
#define EXTENDED_ERRORS_MAX 512

/* --- the query --- */

static void write_opt(struct writer *writer, bool dnssec_ok, size_t options_length)
{
    writer_u8(writer, 0);
    writer_u16(writer, DNS_TYPE_OPT);
    writer_u16(writer, DNS_UDP_SIZE_MAX);
    writer_u16(writer, 0); /* extended RCODE, version */
    writer_u16(writer, dnssec_ok ? EDNS_DNSSEC_OK : 0);
    writer_u16(writer, (uint16_t)options_length);
}

size_t forward_query_write(const struct question *question, bool checking_disabled, uint16_t id,
                           uint8_t packet[FORWARD_QUERY_MAX])
{
    struct writer writer = writer_over(packet, FORWARD_QUERY_MAX);
    writer_u16(&writer, id);
    writer_u8(&writer, FLAG_RD);
    writer_u8(&writer, checking_disabled ? FLAG_CD : 0);
    writer_u16(&writer, 1);
    writer_u32(&writer, 0);
    writer_u16(&writer, 1);
    writer_bytes(&writer, question->name.wire, question->name.length);
    writer_u16(&writer, question->type);
    writer_u16(&writer, question->class);
    write_opt(&writer, question->dnssec_ok, 0);
    return writer.position;
}

/* --- the response --- */

static bool is_question(struct reader *reader, const struct question *question)
{
    struct name name;
    uint8_t folded[NAME_FOLDED_SIZE];
    if (!name_read(reader, &name))
        return false;
    name_fold(folded, name.wire, name.length);
    name.wire = folded;
    return reader_u16(reader) == question->type && reader_u16(reader) == question->class &&
           name_equal(name, question->name);
}

/* Passes over one record. Returns its type, and of an OPT record what it says in `response`. */
static uint16_t read_record(struct reader *reader, struct forward_response *response)
{
    size_t start = reader->position;
    name_skip(reader);
    bool root = reader->position == start + 1;
    uint16_t type = reader_u16(reader);
    reader_skip(reader, 2); /* class */
    uint8_t rcode = reader_u8(reader);
    reader_skip(reader, 3);
    uint16_t length = reader_u16(reader);
    const uint8_t *data = reader_take(reader, length);
    if (type != DNS_TYPE_OPT || !data)
        return type;
    reader->failed |= !root || response->options.bytes;
    response->options = reader_over(data, length);
    response->rcode |= (uint16_t)(rcode << 4);
    return type;
}

static void read_records(struct reader *reader, unsigned count, struct forward_response *response)
{
    while (count-- > 0 && !reader->failed)
        reader->failed |= read_record(reader, response) == DNS_TYPE_OPT;
}

/* Names point only back (RFC 1035, 4.1.4), so what comes before the OPT record stands without it.
 */
static void read_additional(struct reader *reader, unsigned count,
                            struct forward_response *response)
{
    response->length = reader->position;
    response->additionals = 0;
    while (count-- > 0 && !reader->failed) {
        read_record(reader, response);
        if (response->options.bytes)
            continue;
        response->additionals++;
        response->length = reader->position;
    }
}

bool forward_response_read(struct forward_response *response, const uint8_t *packet, size_t length,
                           uint16_t id, const struct question *question)
{
    struct reader reader = reader_over(packet, length);
    bool same_id = reader_u16(&reader) == id;
    uint8_t flags = reader_u8(&reader);
    *response = (struct forward_response){
        .packet = packet, .rcode = reader_u8(&reader) & RCODE, .truncated = flags & FLAG_TC};
    uint16_t questions = reader_u16(&reader);
    response->answers = reader_u16(&reader);
    response->authorities = reader_u16(&reader);
    uint16_t additionals = reader_u16(&reader);
    if (reader.failed || !same_id || (flags & (FLAG_QR | FLAG_OPCODE)) != FLAG_QR ||
        questions != 1 || !is_question(&reader, question) || reader.failed)
        return false;
    if (response->truncated)
        return true;
    read_records(&reader, response->answers, response);
    read_records(&reader, response->authorities, response);
    response->authority_length = reader.position;
    read_additional(&reader, additionals, response);
    return !reader.failed;
}

/* --- the client's response --- */

/* Copies the extended errors among the options, as far as they are whole. Returns their length. */
static size_t copy_extended_errors(struct reader options, uint8_t *to, size_t room)
{
    struct writer writer = writer_over(to, room);
    while (reader_left(&options) >= OPTION_HEAD) {
        uint16_t code = reader_u16(&options), length = reader_u16(&options);
        const uint8_t *data = reader_take(&options, length);
        if (!data)
            break;
        if (code != OPTION_EXTENDED_ERROR || length < 2)
            continue;
        if ((size_t)length + OPTION_HEAD > room - writer.position)
            break;
        writer_u16(&writer, code);
        writer_u16(&writer, length);
        writer_bytes(&writer, data, length);
    }
    return writer.position;
}

size_t forward_response_write(const struct forward_response *response,
                              const struct question *question, const uint8_t *query,
                              uint8_t *packet, size_t limit)
{
    uint8_t errors[EXTENDED_ERRORS_MAX];
    uint16_t answers = response->answers, authorities = response->authorities,
             additionals = response->additionals;
    size_t opt = question->has_edns ? OPT_SIZE : 0, length = response->length;
    bool truncated = false;

    if (length + opt > limit) {
        length = response->authority_length;
        additionals = 0;
    }
    if (length + opt > limit) {
        length = question->end;
        answers = authorities = 0;
        truncated = true;
    }
    size_t errors_length = 0;
    if (question->has_edns) {
        size_t room = limit - length - opt;
        errors_length = copy_extended_errors(response->options, errors,
                                             room < sizeof errors ? room : sizeof errors);
    }

    struct writer writer = writer_over(packet, limit);
    writer_bytes(&writer, query, 2);
    writer_u8(&writer, (uint8_t)(FLAG_QR | (query[2] & FLAG_RD) | (truncated ? FLAG_TC : 0)));
    writer_u8(&writer, (uint8_t)(FLAG_RA | (query[3] & FLAG_CD) | (response->rcode & RCODE)));
    writer_u16(&writer, 1);
    writer_u16(&writer, answers);
    writer_u16(&writer, authorities);
    writer_u16(&writer, (uint16_t)(additionals + question->has_edns));
    writer_bytes(&writer, query + DNS_HEADER_SIZE, question->end - DNS_HEADER_SIZE);
    writer_bytes(&writer, response->packet + question->end, length - question->end);
    if (question->has_edns) {
        write_opt(&writer, question->dnssec_ok, errors_length);
        writer_bytes(&writer, errors, errors_length);
    }
    return writer.position;
}
