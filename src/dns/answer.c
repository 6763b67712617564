#include "dns/answer.h"

#include "dns/instances.h"

#define FLAG_QR 0x80
#define FLAG_AA 0x04
#define FLAG_TC 0x02
#define FLAG_RD 0x01

#define HEADER_OPCODE_RD 0x79 /* what a response repeats of the query's third byte */

#define POINTER(position) ((uint16_t)(0xc000 | (position)))

/* Of a record whose owner name is a pointer: type, class, TTL and length of data come before it. */
#define RECORD_HEAD 12

#define OPT_SIZE              11 /* without options */
#define OPTION_EXTENDED_ERROR 15

/* --- finding --- */

static void find_tail(struct answer *answer, const struct dns_table *table, uint32_t place,
                      uint8_t name_length)
{
    answer->tail = table_at(table, place);
    answer->tail_name = name_length;
}

/* Adds an RRset to the answer. Returns the bytes it will take. */
static size_t add_rrset(struct answer *answer, const struct rrset *rrset, const uint8_t *records)
{
    size_t i = answer->count++;
    answer->rrsets[i].rrset = rrset;
    answer->rrsets[i].records = records;
    answer->rrsets[i].owner = answer->tail_base;
    return rrset->length;
}

/* The same for one of the node. */
static size_t find_rrset(struct answer *answer, const struct node *node, const struct rrset *rrset)
{
    return add_rrset(answer, rrset, rrset_records(node, rrset));
}

/* --- instances of a wildcard --- */

/* Does the wildcard put a machine there: at a label, just one, that a machine can be called by? */
static bool is_instance_name(const struct node *wildcard, struct name name)
{
    size_t label = name.wire[0];
    return name.length - (label + 1) == wildcard->name_length - 2u &&
           config_label_is_good((const char *)name.wire + 1, label);
}

static void note_unknown(struct answer *answer, struct dns_host *host, const struct node *wildcard,
                         struct name name)
{
    answer->host = host;
    answer->is_unknown = true;
    answer->has_records = wildcard->rrset_count > 0;
    memcpy(answer->label, name.wire + 1, name.wire[0]);
    answer->label[name.wire[0]] = '\0';
}

/* A name below the wildcard's parent that does not exist otherwise. What a zone file says of the
 * wildcard holds for all those names (RFC 4592); machines are there for some only. */
static void find_instance(const struct dns_table *table, const struct node *wildcard,
                          struct name name, uint16_t type, struct answer *answer)
{
    struct dns_host *host = *(struct dns_host *const *)table_at(table, wildcard->instances);
    bool is_address = type == DNS_TYPE_A || type == DNS_TYPE_AAAA;
    const struct instance *instance = NULL;
    const struct rrset *rrset = NULL;

    if (host->instances && is_instance_name(wildcard, name)) {
        instance = instance_of_label(host->instances, name.wire + 1, name.wire[0]);
        if (instance && is_address)
            answer->host = (struct dns_host *)&instance->host;
        else if (!instance && (is_address || host->is_sparse))
            note_unknown(answer, host, wildcard, name);
    } else if (wildcard->rrset_count == 0) {
        answer->rcode = DNS_NXDOMAIN;
    }
    if (instance)
        rrset = type == DNS_TYPE_ANY ? instance->rrsets : instance_rrset(instance, type);
    if (rrset) {
        add_rrset(answer, rrset, (const uint8_t *)instance + rrset->offset);
        return;
    }
    if (type != DNS_TYPE_ANY)
        rrset = node_rrset(wildcard, type);
    else if (wildcard->rrset_count > 0)
        rrset = wildcard->rrsets;
    if (rrset)
        find_rrset(answer, wildcard, rrset);
    else
        find_tail(answer, table, wildcard->negative, name.length);
}

/* --- any name --- */

/* One step for one name: the question's, or the target of a CNAME record. Returns the RRset of a
 * CNAME record to be followed, or NULL if the answer is complete. */
static const struct rrset *find_step(const struct dns_table *table, struct name name, uint32_t hash,
                                     uint16_t type, struct answer *answer,
                                     const struct node **found)
{
    const struct node *node = table_find(table, name, hash);
    bool exact = node;
    if (!node)
        node = table_find_above(table, name);
    if (!node) {
        if (answer->count == 0) {
            answer->rcode = DNS_REFUSED;
            answer->outside = true;
        }
        return NULL;
    }
    if (node->flags & NODE_DELEGATION && !(exact && type == DNS_TYPE_DS)) {
        /* After a CNAME record the client may as well ask for the target itself. */
        if (answer->count == 0) {
            find_tail(answer, table, node->referral, name.length);
            answer->outside = true;
        }
        return NULL;
    }
    answer->authoritative = true;
    if (!exact) {
        if (!node->wildcard) {
            answer->rcode = DNS_NXDOMAIN;
            find_tail(answer, table, node->negative, name.length);
            return NULL;
        }
        node = table_at(table, node->wildcard);
        if (node->flags & NODE_INSTANCES) {
            find_instance(table, node, name, type, answer);
            return NULL;
        }
    }
    if (type == DNS_TYPE_A || type == DNS_TYPE_AAAA)
        answer->host = node->host;

    const struct rrset *rrset = NULL;
    if (type != DNS_TYPE_ANY)
        rrset = node_rrset(node, type);
    else if (node->rrset_count > 0)
        rrset = node->rrsets; /* one is enough: RFC 8482, 4.1 */
    *found = node;
    if (rrset) {
        find_rrset(answer, node, rrset);
        return NULL;
    }
    if (node->flags & NODE_ALIAS)
        return node_rrset(node, DNS_TYPE_CNAME);
    bool above = type == DNS_TYPE_DS && node->parent && !(node->flags & NODE_DELEGATION);
    find_tail(answer, table, above ? node->parent : node->negative, name.length);
    return NULL;
}

/* Was the CNAME record followed already? */
static bool is_loop(const struct answer *answer, const struct rrset *alias)
{
    for (uint8_t i = 0; i < answer->count; i++)
        if (answer->rrsets[i].rrset == alias)
            return true;
    return false;
}

void answer_find(const struct dns_table *table, const struct question *question,
                 struct answer *answer)
{
    answer->rcode = question->rcode;
    answer->authoritative = answer->outside = false;
    answer->count = 0;
    answer->tail = NULL;
    answer->host = NULL;
    answer->is_unknown = false;
    answer->extended = NULL;
    answer->tail_base = DNS_HEADER_SIZE;
    if (answer->rcode != DNS_NOERROR)
        return;
    if (question->class != DNS_CLASS_IN || question->type == DNS_TYPE_AXFR ||
        question->type == DNS_TYPE_IXFR) {
        answer->rcode = DNS_REFUSED;
        return;
    }

    uint8_t folded[NAME_FOLDED_SIZE];
    struct name name = question->name;
    uint32_t hash = question->hash;
    size_t position = question->end;
    for (;;) {
        const struct node *node;
        const struct rrset *alias = find_step(table, name, hash, question->type, answer, &node);
        if (!alias || is_loop(answer, alias))
            return;
        size_t length = find_rrset(answer, node, alias);
        if (answer->count > ANSWER_ALIASES_MAX)
            return;
        answer->tail_base = (uint16_t)(position + RECORD_HEAD);
        position += length;
        struct name target = name_at(rrset_records(node, alias) + RECORD_HEAD);
        name_fold(folded, target.wire, target.length);
        name = (struct name){folded, target.length, target.labels};
        hash = name_hash(folded, target.length, table->seed);
    }
}

void answer_fail(struct answer *answer, const struct extended_error *extended)
{
    answer->rcode = DNS_SERVFAIL;
    answer->authoritative = false;
    answer->count = 0;
    answer->tail = NULL;
    answer->extended = extended;
}

void answer_deny(struct answer *answer)
{
    if (!answer->has_records)
        answer->rcode = DNS_NXDOMAIN;
}

/* --- writing --- */

static void put_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static unsigned get_u16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Makes each record of an RRset belong to the name at `owner`. */
static void move_owners(uint8_t *records, size_t length, uint16_t owner)
{
    for (size_t at = 0; at < length; at += RECORD_HEAD + get_u16(records + at + RECORD_HEAD - 2))
        put_u16(records + at, POINTER(owner));
}

static uint8_t *write_tail(const struct answer *answer, uint8_t *at)
{
    const struct tail *tail = answer->tail;
    memcpy(at, tail_records(tail), tail->length);
    unsigned moved =
        (unsigned)answer->tail_base + answer->tail_name - DNS_HEADER_SIZE - tail->name_length;
    for (uint16_t i = 0; i < tail->pointer_count; i++) {
        uint8_t *pointer = at + tail->pointers[i];
        put_u16(pointer, get_u16(pointer) + moved);
    }
    return at + tail->length;
}

static size_t opt_size(const struct answer *answer, const struct question *question)
{
    if (!question->has_edns)
        return 0;
    return OPT_SIZE + (answer->extended ? 6 + strlen(answer->extended->text) : 0);
}

/* The OPT record of the response; a server that has none shows that it knows no EDNS (RFC 6891). */
static uint8_t *write_opt(const struct answer *answer, const struct question *question, uint8_t *at)
{
    uint8_t opt[OPT_SIZE] = {0,
                             0,
                             DNS_TYPE_OPT,
                             DNS_UDP_SIZE_MAX >> 8,
                             DNS_UDP_SIZE_MAX & 0xff,
                             (uint8_t)(answer->rcode >> 4)};
    opt[7] = question->dnssec_ok ? 0x80 : 0;
    memcpy(at, opt, sizeof opt);
    at += sizeof opt;
    if (!answer->extended)
        return at;
    size_t text = strlen(answer->extended->text);
    put_u16(at - 2, (unsigned)(6 + text));
    put_u16(at, OPTION_EXTENDED_ERROR);
    put_u16(at + 2, (unsigned)(2 + text));
    put_u16(at + 4, answer->extended->code);
    memcpy(at + 6, answer->extended->text, text);
    return at + 6 + text;
}

/* Length of the answer and authority sections. */
static size_t body_size(const struct answer *answer)
{
    size_t size = answer->tail ? answer->tail->length : 0;
    for (uint8_t i = 0; i < answer->count; i++)
        size += answer->rrsets[i].rrset->length;
    return size;
}

size_t answer_write(const struct answer *answer, const struct question *question, uint8_t *packet,
                    size_t limit)
{
    size_t used = question->end + body_size(answer) + opt_size(answer, question);
    bool fits = used <= limit;
    unsigned answers = 0, authorities = 0, additionals = question->has_edns;
    uint8_t *at = packet + question->end;

    for (uint8_t i = 0; fits && i < answer->count; i++) {
        const struct rrset *rrset = answer->rrsets[i].rrset;
        memcpy(at, answer->rrsets[i].records, rrset->length);
        if (i > 0)
            move_owners(at, rrset->length, answer->rrsets[i].owner);
        at += rrset->length;
        answers += rrset->count;
    }
    if (fits && answer->tail) {
        at = write_tail(answer, at);
        authorities = answer->tail->authority_count;
        additionals += answer->tail->additional_count;
    }
    if (fits && answer->count == 1) {
        const struct rrset *rrset = answer->rrsets[0].rrset;
        if (rrset->extra_count > 0 && used + rrset->extra_length <= limit) {
            memcpy(at, answer->rrsets[0].records + rrset->length, rrset->extra_length);
            at += rrset->extra_length;
            additionals += rrset->extra_count;
        }
    }
    if (question->has_edns)
        at = write_opt(answer, question, at);

    packet[2] = (uint8_t)(FLAG_QR | (packet[2] & HEADER_OPCODE_RD) |
                          (answer->authoritative ? FLAG_AA : 0) | (fits ? 0 : FLAG_TC));
    packet[3] = answer->rcode & 0x0f;
    put_u16(packet + 4, question->end > DNS_HEADER_SIZE);
    put_u16(packet + 6, answers);
    put_u16(packet + 8, authorities);
    put_u16(packet + 10, additionals);
    return (size_t)(at - packet);
}
