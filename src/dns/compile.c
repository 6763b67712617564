#include "dns/compile.h"

#include <stdlib.h>

#include "dns/question.h"

#define OWNER_POINTER 0xc00c /* the question's name */
#define RECORD_HEAD   12     /* of a record whose owner is a pointer: all before its data */

/* Bytes of records that fit into a message beside any question and our OPT record. */
#define RECORDS_MAX (65535 - DNS_HEADER_SIZE - NAME_WIRE_MAX - 4 - 100)

/* Bytes of all records of one name. */
#define SCRATCH_SIZE (1u << 20)

struct compiler {
    struct draft *draft;
    uint8_t *bytes; /* the block */
    size_t length, capacity;
    uint8_t *scratch; /* SCRATCH_SIZE: where records are written first */
    uint8_t labels_max;
    uint32_t node_count;
};

/* --- the block --- */

/* `size` zeroed bytes at the block's end, starting at a multiple of `alignment`. Returns their
 * place, or 0 if memory is exhausted (reported). */
static uint32_t block_add(struct compiler *compiler, size_t size, size_t alignment)
{
    size_t start = (compiler->length + alignment - 1) / alignment * alignment;
    if (start + size > compiler->capacity) {
        size_t capacity = 2 * compiler->capacity + size + alignment;
        uint8_t *bytes = realloc(compiler->bytes, capacity);
        if (!bytes) {
            draft_out_of_memory(compiler->draft);
            return 0;
        }
        compiler->bytes = bytes;
        compiler->capacity = capacity;
    }
    memset(compiler->bytes + compiler->length, 0, start + size - compiler->length);
    compiler->length = start + size;
    return (uint32_t)(start / TABLE_UNIT);
}

static void *block_at(const struct compiler *compiler, uint32_t place)
{
    return compiler->bytes + (size_t)place * TABLE_UNIT;
}

/* --- records --- */

static const char *zone_file(const struct draft *draft, const struct draft_name *at)
{
    const char *file = draft->config->zones[at->zone].file;
    return file ? file : draft->config->file;
}

static int too_large(struct draft *draft, const struct draft_name *at, uint32_t line)
{
    char name[NAME_TEXT_SIZE];
    return draft_error(draft, zone_file(draft, at), line,
                       "the records of %s do not fit into a DNS message",
                       name_to_text(at->name, name, sizeof name));
}

/* Type to length of data: what follows the owner's name. */
static void write_head(struct writer *writer, uint16_t type, uint32_t ttl, size_t length)
{
    writer_u16(writer, type);
    writer_u16(writer, DNS_CLASS_IN);
    writer_u32(writer, ttl);
    writer_u16(writer, (uint16_t)length);
}

static void write_record(struct writer *writer, uint16_t type, uint32_t ttl, const void *data,
                         size_t length)
{
    writer_u16(writer, OWNER_POINTER);
    write_head(writer, type, ttl, length);
    writer_bytes(writer, data, length);
}

/* --- tails --- */

/* The records of a tail while they are written. */
struct tail_writer {
    struct name name; /* of the question that its pointers are written for */
    struct writer records;
    size_t pointer_count;
    uint16_t pointers[RECORDS_MAX / RECORD_HEAD * 2];
};

/* Writes a name, whose end is left to the question's name as far as they agree. */
static void write_name(struct tail_writer *tail, struct name name)
{
    uint8_t common = name_common_suffix(name, tail->name);
    if (common <= 1 || tail->records.failed) {
        writer_bytes(&tail->records, name.wire, name.length);
        return;
    }
    writer_bytes(&tail->records, name.wire, (size_t)name.length - common);
    tail->pointers[tail->pointer_count++] = (uint16_t)tail->records.position;
    writer_u16(&tail->records, (uint16_t)(OWNER_POINTER + (unsigned)tail->name.length - common));
}

/* Writes the length of a record's data, which began at `start`, where it belongs. */
static void write_data_length(struct tail_writer *tail, size_t start)
{
    struct writer length = writer_over(tail->records.bytes + start - 2, 2);
    if (!tail->records.failed)
        writer_u16(&length, (uint16_t)(tail->records.position - start));
}

/* Writes the addresses that we have for the name server of an NS record; not those of a service,
 * which is to be asked for. Returns how many records. */
static uint16_t write_glue(const struct draft *draft, struct tail_writer *tail, struct name server)
{
    uint8_t folded[NAME_FOLDED_SIZE];
    uint16_t count = 0;
    name_fold(folded, server.wire, server.length);
    const struct draft_name *at =
        draft_find(draft, (struct name){folded, server.length, server.labels});

    for (struct draft_record *record = at ? at->records : NULL; record; record = record->next) {
        if (record->type != DNS_TYPE_A && record->type != DNS_TYPE_AAAA)
            continue;
        write_name(tail, server);
        write_head(&tail->records, record->type, record->ttl, record->length);
        writer_bytes(&tail->records, record->data, record->length);
        count++;
    }
    return count;
}

/* Adds the tail to the block. Returns its place, or 0 (reported). */
static uint32_t tail_add(struct compiler *compiler, const struct tail_writer *writer,
                         uint16_t authority_count, uint16_t additional_count)
{
    size_t pointers = writer->pointer_count * sizeof *writer->pointers;
    size_t length = writer->records.position;
    uint32_t place = block_add(compiler, sizeof(struct tail) + pointers + length, TABLE_UNIT);
    if (place == 0)
        return 0;
    struct tail *tail = block_at(compiler, place);
    tail->length = (uint16_t)length;
    tail->authority_count = authority_count;
    tail->additional_count = additional_count;
    tail->pointer_count = (uint16_t)writer->pointer_count;
    tail->name_length = writer->name.length;
    memcpy(tail->pointers, writer->pointers, pointers);
    memcpy(&tail->pointers[writer->pointer_count], writer->records.bytes, length);
    return place;
}

/* The SOA record of negative answers, with the TTL of RFC 2308, 3. */
static uint32_t compile_negative(struct compiler *compiler, const struct draft_name *apex)
{
    const struct draft_record *soa = draft_record(apex, DNS_TYPE_SOA);
    struct name server = name_at(soa->data);
    struct name mailbox = name_at(soa->data + server.length);
    const uint8_t *numbers = mailbox.wire + mailbox.length;
    struct reader minimum = reader_over(numbers + 16, 4);
    uint32_t ttl = reader_u32(&minimum);

    struct tail_writer tail;
    tail.name = apex->name;
    tail.pointer_count = 0;
    tail.records = writer_over(compiler->scratch, RECORDS_MAX);
    write_name(&tail, apex->name);
    write_head(&tail.records, DNS_TYPE_SOA, ttl < soa->ttl ? ttl : soa->ttl, 0);
    size_t start = tail.records.position;
    write_name(&tail, server);
    write_name(&tail, mailbox);
    writer_bytes(&tail.records, numbers, 20);
    write_data_length(&tail, start);
    return tail_add(compiler, &tail, 1, 0);
}

/* NS records of a delegation, and addresses (glue). */
static uint32_t compile_referral(struct compiler *compiler, const struct draft_name *cut)
{
    struct tail_writer tail;
    uint16_t servers = 0, addresses = 0;

    tail.name = cut->name;
    tail.pointer_count = 0;
    tail.records = writer_over(compiler->scratch, RECORDS_MAX);
    for (const struct draft_record *ns = cut->records; ns; ns = ns->next) {
        if (ns->type != DNS_TYPE_NS)
            continue;
        write_name(&tail, cut->name);
        write_head(&tail.records, DNS_TYPE_NS, ns->ttl, 0);
        size_t start = tail.records.position;
        write_name(&tail, name_at(ns->data));
        write_data_length(&tail, start);
        servers++;
    }
    for (const struct draft_record *ns = cut->records; ns; ns = ns->next)
        if (ns->type == DNS_TYPE_NS)
            addresses =
                (uint16_t)(addresses + write_glue(compiler->draft, &tail, name_at(ns->data)));
    if (tail.records.failed) {
        too_large(compiler->draft, cut, draft_record(cut, DNS_TYPE_NS)->line);
        return 0;
    }
    return tail_add(compiler, &tail, servers, addresses);
}

/* --- RRsets --- */

/* The addresses of a service, of one family. */
static void write_service(struct writer *writer, const struct config_service *service, int family,
                          struct rrset *rrset)
{
    bool ipv4 = family == AF_INET;
    rrset->type = ipv4 ? DNS_TYPE_A : DNS_TYPE_AAAA;
    for (uint8_t i = 0; i < service->address_count; i++) {
        if (service->addresses[i].family != family)
            continue;
        write_record(writer, rrset->type, service->ttl, service->addresses[i].bytes, ipv4 ? 4 : 16);
        rrset->count++;
    }
}

/* The records of one type. All have the TTL of the one that is shortest (RFC 2181, 5.2). */
static void write_rrset(struct writer *writer, const struct draft_record *first,
                        struct rrset *rrset)
{
    uint32_t ttl = first->ttl;
    for (const struct draft_record *record = first; record; record = record->next)
        if (record->type == first->type && record->ttl < ttl)
            ttl = record->ttl;
    rrset->type = first->type;
    for (const struct draft_record *record = first; record; record = record->next) {
        if (record->type != first->type)
            continue;
        write_record(writer, record->type, ttl, record->data, record->length);
        rrset->count++;
    }
}

/* Addresses of a zone's own name servers, for the additional section of its NS records; left out if
 * they are too many. */
static void write_apex_glue(const struct draft *draft, const struct draft_name *apex,
                            struct writer *writer, struct rrset *rrset)
{
    struct tail_writer tail;
    uint16_t count = 0;
    tail.name = apex->name;
    tail.pointer_count = 0;
    tail.records = writer_over(writer->bytes + writer->position, RECORDS_MAX);
    if (writer->failed || writer->capacity - writer->position < RECORDS_MAX)
        return;
    for (const struct draft_record *ns = apex->records; ns; ns = ns->next)
        if (ns->type == DNS_TYPE_NS)
            count = (uint16_t)(count + write_glue(draft, &tail, name_at(ns->data)));
    if (tail.records.failed)
        return;
    rrset->extra_count = count;
    rrset->extra_length = (uint16_t)tail.records.position;
    writer_reserve(writer, tail.records.position);
}

static bool has_family(const struct draft_name *at, int family)
{
    for (uint8_t i = 0; at->service && i < at->service->address_count; i++)
        if (at->service->addresses[i].family == family)
            return true;
    return false;
}

static bool is_first_of_type(const struct draft_name *at, const struct draft_record *record)
{
    return draft_record(at, record->type) == record;
}

static uint16_t count_rrsets(const struct draft_name *at)
{
    int count = has_family(at, AF_INET) + has_family(at, AF_INET6);
    for (const struct draft_record *record = at->records; record; record = record->next)
        count += is_first_of_type(at, record);
    return (uint16_t)count;
}

/* Ends an RRset that began at rrset->offset. Returns -1 if it is too large (reported). */
static int end_rrset(struct draft *draft, const struct draft_name *at, struct writer *writer,
                     struct rrset *rrset, uint32_t line)
{
    size_t length = writer->position - rrset->offset;
    if (writer->failed || length > RECORDS_MAX)
        return too_large(draft, at, line);
    rrset->length = (uint16_t)length;
    return 0;
}

/* Writes all the RRsets of a name and fills in their table, with offsets in the writer. */
static int write_rrsets(struct draft *draft, const struct draft_name *at, struct writer *writer,
                        struct rrset *rrset)
{
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < 2; i++) {
        if (!has_family(at, families[i]))
            continue;
        rrset->offset = (uint32_t)writer->position;
        write_service(writer, at->service, families[i], rrset);
        if (end_rrset(draft, at, writer, rrset++, at->service->line) != 0)
            return -1;
    }
    for (const struct draft_record *record = at->records; record; record = record->next) {
        if (!is_first_of_type(at, record))
            continue;
        rrset->offset = (uint32_t)writer->position;
        write_rrset(writer, record, rrset);
        if (end_rrset(draft, at, writer, rrset, record->line) != 0)
            return -1;
        if (record->type == DNS_TYPE_NS && at->flags & DRAFT_APEX)
            write_apex_glue(draft, at, writer, rrset);
        rrset++;
    }
    return 0;
}

/* --- nodes --- */

/* The host of a wildcard, which is not that of its own name: "*" itself has no machine. */
static uint32_t compile_host(struct compiler *compiler, struct dns_host *host)
{
    uint32_t place = block_add(compiler, sizeof host, TABLE_UNIT);
    if (place != 0)
        memcpy(block_at(compiler, place), &host, sizeof host);
    return place;
}

/* Fills in what a node knows of its surroundings. */
static int link_node(struct compiler *compiler, const struct draft_name *at, uint32_t place)
{
    struct draft *draft = compiler->draft;
    const struct draft_name *apex = draft->apexes[at->zone];
    uint32_t referral = 0, instances = 0;
    bool wildcard = at->service && config_is_wildcard(at->service);
    if (at->flags & DRAFT_DELEGATION && (referral = compile_referral(compiler, at)) == 0)
        return -1;
    if (wildcard && (instances = compile_host(compiler, at->host)) == 0)
        return -1;

    struct node *node = block_at(compiler, place);
    node->negative = apex->negative;
    node->host = wildcard ? NULL : at->host;
    if (at->flags & DRAFT_DELEGATION) {
        node->flags |= NODE_DELEGATION;
        node->referral = referral;
    } else if (at == apex && at->name.labels > 0) {
        uint32_t zone = draft_zone_of(draft, name_parent(at->name));
        if (zone != DRAFT_NO_ZONE)
            node->parent = draft->apexes[zone]->negative;
    } else if (wildcard) {
        node->flags |= NODE_INSTANCES;
        node->instances = instances;
    }
    if (draft_record(at, DNS_TYPE_CNAME))
        node->flags |= NODE_ALIAS;
    return 0;
}

static int compile_node(struct compiler *compiler, struct draft_name *at)
{
    uint16_t count = count_rrsets(at);
    size_t head = sizeof(struct node) + count * sizeof(struct rrset);
    struct writer records = writer_over(compiler->scratch, SCRATCH_SIZE);
    struct rrset *rrsets = calloc(count + 1u, sizeof *rrsets);
    if (!rrsets)
        return draft_out_of_memory(compiler->draft);

    uint32_t place = 0;
    if (write_rrsets(compiler->draft, at, &records, rrsets) == 0)
        place = block_add(compiler, head + at->name.length + records.position, CACHE_LINE);
    if (place != 0) {
        struct node *node = block_at(compiler, place);
        for (uint16_t i = 0; i < count; i++) {
            node->rrsets[i] = rrsets[i];
            node->rrsets[i].offset += (uint32_t)(head + at->name.length);
        }
        node->rrset_count = count;
        node->name_length = at->name.length;
        memcpy((uint8_t *)node + head, at->name.wire, at->name.length);
        memcpy((uint8_t *)node + head + at->name.length, compiler->scratch, records.position);
        at->place = place;
        compiler->node_count++;
        if (at->name.labels > compiler->labels_max)
            compiler->labels_max = at->name.labels;
    }
    free(rrsets);
    return place != 0 ? link_node(compiler, at, place) : -1;
}

static int compile_all(struct compiler *compiler)
{
    struct draft *draft = compiler->draft;
    /* Place 0 means none, so nothing may be there. */
    block_add(compiler, CACHE_LINE, CACHE_LINE);
    for (size_t i = 0; i < draft->config->zone_count; i++) {
        draft->apexes[i]->negative = compile_negative(compiler, draft->apexes[i]);
        if (draft->apexes[i]->negative == 0)
            return -1;
    }
    for (uint32_t i = 0; i < draft->count; i++)
        if (!(draft->names[i]->flags & DRAFT_OCCLUDED) &&
            compile_node(compiler, draft->names[i]) != 0)
            return -1;
    for (uint32_t i = 0; i < draft->count; i++) {
        const struct draft_name *at = draft->names[i];
        if (!name_is_wildcard(at->name) || at->place == 0)
            continue;
        struct node *above = block_at(compiler, draft_find(draft, name_parent(at->name))->place);
        above->wildcard = at->place;
    }
    return 0;
}

/* --- the table --- */

/* At most half of the slots are used. */
static uint32_t slots_for(uint32_t nodes)
{
    uint32_t slots = 16;
    while (slots < 2 * nodes)
        slots *= 2;
    return slots;
}

static void fill_slots(struct slot *slots, uint32_t mask, const struct draft *draft)
{
    for (uint32_t i = 0; i < draft->count; i++) {
        const struct draft_name *at = draft->names[i];
        if (at->place == 0)
            continue;
        uint32_t slot = at->hash & mask;
        while (slots[slot].place)
            slot = (slot + 1) & mask;
        slots[slot] = (struct slot){at->hash, at->place};
    }
}

/* Copies what was compiled into memory of just the right size. */
static struct dns_table *make_table(const struct compiler *compiler)
{
    uint32_t slot_count = slots_for(compiler->node_count);
    size_t slots_size = slot_count * sizeof(struct slot);
    size_t size = slots_size + compiler->length;
    size = (size + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;

    struct dns_table *table = calloc(1, sizeof *table);
    uint8_t *memory = aligned_alloc(CACHE_LINE, size);
    if (!table || !memory) {
        draft_out_of_memory(compiler->draft);
        free(table);
        free(memory);
        return NULL;
    }
    struct slot *slots = (struct slot *)memory;
    memset(slots, 0, slots_size);
    fill_slots(slots, slot_count - 1, compiler->draft);
    memcpy(memory + slots_size, compiler->bytes, compiler->length);
    *table = (struct dns_table){
        .block = memory + slots_size,
        .slots = slots,
        .mask = slot_count - 1,
        .labels_max = compiler->labels_max,
        .seed = compiler->draft->seed,
        .memory = memory,
    };
    return table;
}

struct dns_table *table_compile(struct draft *draft)
{
    struct dns_table *table = NULL;
    struct compiler compiler = {.draft = draft, .scratch = malloc(SCRATCH_SIZE)};
    if (!compiler.scratch)
        draft_out_of_memory(draft);
    else if (compile_all(&compiler) == 0)
        table = make_table(&compiler);
    free(compiler.scratch);
    free(compiler.bytes);
    return table;
}
