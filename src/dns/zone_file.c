#include "dns/zone_file.h"

#include <ctype.h>
#include <errno.h>
#include <ldns/ldns.h>
#include <stdlib.h>
#include <strings.h>

#include "dns/question.h"

#define TTL_MAX INT32_MAX /* RFC 2181, 8 */

struct zone_file {
    struct draft *draft;
    const char *path;
    struct name apex;
    uint32_t zone;
    uint32_t ttl; /* $TTL */
    ldns_rdf *origin, *previous;
    ldns_buffer *data; /* of the record at hand */

    FILE *stream;
    char *raw; /* a line as read */
    size_t raw_capacity;
    char *entry; /* without comments, parentheses and line breaks */
    size_t length, capacity;
    uint32_t lines; /* read so far */
    uint32_t line;  /* where the entry began */
};

#define complain(file, ...) draft_error((file)->draft, (file)->path, (file)->line, __VA_ARGS__)

/* --- entries --- */

/* Where in an entry the reading of lines is. */
struct nesting {
    unsigned parentheses;
    bool quoted;
};

static int entry_reserve(struct zone_file *file, size_t more)
{
    if (file->length + more <= file->capacity)
        return 0;
    size_t capacity = 2 * (file->length + more);
    char *entry = realloc(file->entry, capacity);
    if (!entry)
        return draft_out_of_memory(file->draft);
    file->entry = entry;
    file->capacity = capacity;
    return 0;
}

/* Appends a line to the entry. Returns -1 if it is not well formed (reported). */
static int entry_append(struct zone_file *file, const char *line, size_t length,
                        struct nesting *nesting)
{
    if (entry_reserve(file, length + 1) != 0)
        return -1;
    for (size_t i = 0; i < length; i++) {
        char c = line[i];
        if (c == '\0')
            return complain(file, "a NUL byte in the text");
        if (c == '\\' && i + 1 < length) {
            file->entry[file->length++] = c;
            c = line[++i];
        } else if (c == '"') {
            nesting->quoted = !nesting->quoted;
        } else if (!nesting->quoted) {
            if (c == ';' || c == '\n')
                break;
            if (c == ')' && nesting->parentheses-- == 0)
                return complain(file, "')' without '('");
            if (c == '(')
                nesting->parentheses++;
            if (c == '(' || c == ')' || isspace((unsigned char)c))
                c = ' ';
        } else if (c == '\n') {
            return complain(file, "the quoted text is not closed on its line");
        }
        file->entry[file->length++] = c;
    }
    file->entry[file->length] = '\0';
    return 0;
}

enum entry_result { ENTRY_END, ENTRY_READ, ENTRY_BROKEN };

/* Reads the next entry: a line, or several where parentheses say so. */
static enum entry_result entry_read(struct zone_file *file)
{
    struct nesting nesting = {0};
    file->length = 0;
    file->line = file->lines + 1;
    do {
        ssize_t length = getline(&file->raw, &file->raw_capacity, file->stream);
        if (length < 0 && ferror(file->stream)) {
            complain(file, "cannot be read: %s", strerror(errno));
            return ENTRY_END;
        }
        if (length < 0 && nesting.parentheses > 0)
            complain(file, "'(' is not closed before the end of the file");
        if (length < 0)
            return ENTRY_END;
        file->lines++;
        if (entry_append(file, file->raw, (size_t)length, &nesting) != 0)
            return ENTRY_BROKEN;
        if (nesting.quoted) {
            complain(file, "the quoted text is not closed on its line");
            return ENTRY_BROKEN;
        }
        /* After the first line a space stands for the line break. */
        if (nesting.parentheses > 0)
            file->entry[file->length++] = ' ';
    } while (nesting.parentheses > 0);
    return ENTRY_READ;
}

/* --- directives --- */

static void set_ttl(struct zone_file *file, const char *value)
{
    const char *end = value;
    uint32_t ttl = isdigit((unsigned char)*value) ? ldns_str2period(value, &end) : 0;
    if (end == value || *end != '\0' || ttl > TTL_MAX)
        complain(file, "'%s' is not a TTL, expected seconds up to %d", value, TTL_MAX);
    else
        file->ttl = ttl;
}

static void set_origin(struct zone_file *file, const char *value)
{
    ldns_rdf *origin = ldns_dname_new_frm_str(value);
    if (origin && !ldns_dname_str_absolute(value) &&
        ldns_dname_cat(origin, file->origin) != LDNS_STATUS_OK) {
        ldns_rdf_deep_free(origin);
        origin = NULL;
    }
    if (!origin) {
        complain(file, "'%s' is not a domain name", value);
        return;
    }
    ldns_rdf_deep_free(file->origin);
    file->origin = origin;
}

static void directive(struct zone_file *file)
{
    char *rest;
    const char *word = strtok_r(file->entry, " ", &rest);
    const char *value = strtok_r(NULL, " ", &rest);
    if (strcasecmp(word, "$TTL") != 0 && strcasecmp(word, "$ORIGIN") != 0)
        complain(file, "%s is not supported, expected $ORIGIN, $TTL or a record", word);
    else if (!value || strtok_r(NULL, " ", &rest))
        complain(file, "expected one value after %s", word);
    else if (strcasecmp(word, "$TTL") == 0)
        set_ttl(file, value);
    else
        set_origin(file, value);
}

/* --- records --- */

/* A record as it came from ldns, with its data in file->data. */
struct parsed_record {
    struct name owner; /* folded */
    uint16_t type;
    uint32_t ttl;
};

static const char *type_text(uint16_t type, char text[16])
{
    char *name = ldns_rr_type2str((ldns_rr_type)type);
    snprintf(text, 16, "%s", name ? name : "?");
    free(name);
    return text;
}

/* May the record stand at its owner, by itself? */
static int check_record(struct zone_file *file, const struct parsed_record *record)
{
    char name[NAME_TEXT_SIZE], type[16];
    bool apex = name_equal(record->owner, file->apex);

    name_to_text(record->owner, name, sizeof name);
    type_text(record->type, type);
    if (!name_is_below(record->owner, file->apex))
        return complain(file, "%s is outside the zone %s", name,
                        file->draft->config->zones[file->zone].name);
    if (record->type == 0 || record->type == DNS_TYPE_OPT ||
        (record->type >= 128 && record->type <= 255))
        return complain(file, "%s is not a type that a zone may hold", type);
    if (record->type == DNS_TYPE_DNAME)
        return complain(file, "DNAME records are not supported (at %s)", name);
    if (record->type == DNS_TYPE_SOA && !apex)
        return complain(file, "SOA record at %s, expected at the top of the zone only", name);
    if (record->type == DNS_TYPE_DS && apex)
        return complain(file, "DS record at the top of the zone, where it would belong to the zone "
                              "above");
    if (record->type == DNS_TYPE_NS && name_is_wildcard(record->owner))
        return complain(file, "NS record at the wildcard %s, which delegates nothing", name);
    if (record->ttl > TTL_MAX)
        return complain(file, "TTL %u is too large, expected at most %d", record->ttl, TTL_MAX);
    return 0;
}

/* May it stand at a service's name? The service has the addresses, and answers itself. */
static int check_service(struct zone_file *file, const struct parsed_record *record,
                         const struct draft_name *at)
{
    char name[NAME_TEXT_SIZE], type[16];
    bool delegates = record->type == DNS_TYPE_NS && !(at->flags & DRAFT_APEX);
    if (!at->service || !(record->type == DNS_TYPE_A || record->type == DNS_TYPE_AAAA ||
                          record->type == DNS_TYPE_CNAME || delegates))
        return 0;
    return complain(file, "%s record at %s, which is a name of the service %s (%s:%u)",
                    type_text(record->type, type), name_to_text(at->name, name, sizeof name),
                    at->service->name, file->draft->config->file, at->service->line);
}

/* May it stand beside the records that are there already? */
static int check_beside(struct zone_file *file, const struct parsed_record *record,
                        const struct draft_name *at)
{
    const struct draft_record *soa = draft_record(at, DNS_TYPE_SOA);
    const struct draft_record *alias = draft_record(at, DNS_TYPE_CNAME);
    const struct draft_record *other = at->records;
    char name[NAME_TEXT_SIZE], text[16];

    if (record->type == DNS_TYPE_SOA && soa)
        return complain(file, "a second SOA record; the first is on line %u", soa->line);
    if (record->type == DNS_TYPE_RRSIG || record->type == DNS_TYPE_NSEC)
        return 0;
    while (other && (other->type == DNS_TYPE_RRSIG || other->type == DNS_TYPE_NSEC))
        other = other->next;
    if (alias && record->type == DNS_TYPE_CNAME &&
        (alias->length != ldns_buffer_position(file->data) ||
         memcmp(alias->data, ldns_buffer_begin(file->data), alias->length) != 0))
        return complain(file, "a second CNAME record at %s; the first is on line %u",
                        name_to_text(at->name, name, sizeof name), alias->line);
    if ((alias && record->type != DNS_TYPE_CNAME) ||
        (!alias && other && record->type == DNS_TYPE_CNAME))
        return complain(
            file, "CNAME beside other data at %s: a %s record is on line %u (RFC 1034, 3.6.2)",
            name_to_text(at->name, name, sizeof name), type_text(other->type, text), other->line);
    return 0;
}

/* A record at or below another of our zones: its delegation and glue are that zone's own business,
 * apart from DS; nothing else can be meant. */
static int add_at_zone_below(struct zone_file *file, const struct parsed_record *record,
                             uint32_t below)
{
    const char *zone = file->draft->config->zones[below].name;
    struct draft_name *at = draft_find(file->draft, record->owner);
    bool apex = at && at->flags & DRAFT_APEX;

    if (record->type == DNS_TYPE_A || record->type == DNS_TYPE_AAAA ||
        (apex && record->type == DNS_TYPE_NS))
        return 0;
    if (apex && record->type == DNS_TYPE_DS)
        return draft_add_record(file->draft, at, record->type, record->ttl, file->line,
                                ldns_buffer_begin(file->data), ldns_buffer_position(file->data));
    char type[16];
    return complain(file, "%s record belongs into the zone %s, which is configured too",
                    type_text(record->type, type), zone);
}

static int add_record(struct zone_file *file, const struct parsed_record *record)
{
    if (check_record(file, record) != 0)
        return -1;
    uint32_t zone = draft_zone_of(file->draft, record->owner);
    if (zone != file->zone)
        return add_at_zone_below(file, record, zone);
    struct draft_name *at = draft_add(file->draft, record->owner, zone);
    if (!at || check_service(file, record, at) != 0 || check_beside(file, record, at) != 0)
        return -1;
    if (record->type == DNS_TYPE_NS && !(at->flags & DRAFT_APEX))
        at->flags |= DRAFT_DELEGATION;
    return draft_add_record(file->draft, at, record->type, record->ttl, file->line,
                            ldns_buffer_begin(file->data), ldns_buffer_position(file->data));
}

/* Is this all of a name? ldns makes longer ones than there may be where it adds an origin. */
static bool is_name(const ldns_rdf *rdf)
{
    struct reader reader = reader_over(ldns_rdf_data(rdf), ldns_rdf_size(rdf));
    struct name name;
    return name_read(&reader, &name) && reader_left(&reader) == 0;
}

static bool has_good_names(const ldns_rr *rr)
{
    bool good = is_name(ldns_rr_owner(rr));
    for (size_t i = 0; good && i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *rdf = ldns_rr_rdf(rr, i);
        good = ldns_rdf_get_type(rdf) != LDNS_RDF_TYPE_DNAME || is_name(rdf);
    }
    return good;
}

/* Are the data of the types that we look into what they have to be, in whichever form they were
 * written (RFC 3597, 5)? */
static bool has_good_data(uint16_t type, const ldns_buffer *data)
{
    struct reader reader = reader_over(ldns_buffer_begin(data), ldns_buffer_position(data));
    struct name name;
    switch (type) {
    case DNS_TYPE_A:
        return reader_left(&reader) == 4;
    case DNS_TYPE_AAAA:
        return reader_left(&reader) == 16;
    case DNS_TYPE_NS:
    case DNS_TYPE_CNAME:
        return name_read(&reader, &name) && reader_left(&reader) == 0;
    case DNS_TYPE_SOA:
        return name_read(&reader, &name) && name_read(&reader, &name) && reader_left(&reader) == 20;
    default:
        return true;
    }
}

/* A record as ldns read it. */
static void take_record(struct zone_file *file, const ldns_rr *rr)
{
    if (!has_good_names(rr)) {
        complain(file, "a name is too long: '%.80s'", file->entry);
        return;
    }
    uint8_t folded[NAME_FOLDED_SIZE];
    const ldns_rdf *owner = ldns_rr_owner(rr);
    name_fold(folded, ldns_rdf_data(owner), ldns_rdf_size(owner));
    struct parsed_record parsed = {name_at(folded), (uint16_t)ldns_rr_get_type(rr),
                                   ldns_rr_ttl(rr)};
    ldns_buffer_clear(file->data);
    if (ldns_rr_get_class(rr) != LDNS_RR_CLASS_IN)
        complain(file, "expected class IN: '%.80s'", file->entry);
    else if (ldns_rr_rdata2buffer_wire(file->data, rr) != LDNS_STATUS_OK)
        complain(file, "the record's data is too long: '%.80s'", file->entry);
    else if (!has_good_data(parsed.type, file->data))
        complain(file, "the record's data is not of its type: '%.80s'", file->entry);
    else
        add_record(file, &parsed);
}

/* ldns takes the TTL before the class only, RFC 1035 (5.1) either order: where the TTL follows it,
 * blanks out the class, which can be left out. */
static void drop_class_before_ttl(char *entry)
{
    char *class = entry + strcspn(entry, " ");
    class += strspn(class, " ");
    const char *next = class + strcspn(class, " ");
    if (next - class == 2 && strncasecmp(class, "IN", 2) == 0 &&
        isdigit((unsigned char)next[strspn(next, " ")]))
        memset(class, ' ', 2);
}

static void record(struct zone_file *file)
{
    drop_class_before_ttl(file->entry);
    ldns_rr *rr = NULL;
    ldns_status status =
        ldns_rr_new_frm_str(&rr, file->entry, file->ttl, file->origin, &file->previous);
    if (status != LDNS_STATUS_OK) {
        const char *why = ldns_get_errorstr_by_id(status);
        complain(file, "%c%s: '%.80s'", tolower((unsigned char)why[0]), why + 1, file->entry);
        return;
    }
    take_record(file, rr);
    ldns_rr_free(rr);
}

static bool is_blank(const char *text)
{
    return text[strspn(text, " ")] == '\0';
}

static void read_entries(struct zone_file *file)
{
    enum entry_result result;
    while ((result = entry_read(file)) != ENTRY_END) {
        if (result == ENTRY_BROKEN || is_blank(file->entry))
            continue;
        if (file->entry[0] == '$')
            directive(file);
        else
            record(file);
    }
}

static void check_apex(struct zone_file *file)
{
    const struct draft_name *apex = draft_find(file->draft, file->apex);
    file->line = 0;
    if (!draft_record(apex, DNS_TYPE_SOA))
        complain(file, "no SOA record for %s", file->draft->config->zones[file->zone].name);
    if (!draft_record(apex, DNS_TYPE_NS))
        complain(file, "no NS record for %s", file->draft->config->zones[file->zone].name);
}

static FILE *open_zone(const struct draft *draft, uint32_t zone)
{
    if (!draft->texts)
        return fopen(draft->config->zones[zone].file, "re");
    return fmemopen((void *)draft->texts[zone].text, draft->texts[zone].length, "r");
}

void zone_file_load(struct draft *draft, uint32_t zone)
{
    const struct config_zone *config = &draft->config->zones[zone];
    uint8_t wire[NAME_WIRE_MAX];
    struct zone_file file = {
        .draft = draft, .path = config->file, .zone = zone, .ttl = config->ttl};

    name_from_text(config->name, wire, &file.apex);
    file.stream = open_zone(draft, zone);
    if (!file.stream) {
        complain(&file, "cannot be opened (zone %s): %s", config->name, strerror(errno));
        return;
    }
    file.origin = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, file.apex.length, wire);
    file.data = ldns_buffer_new(LDNS_MAX_PACKETLEN);
    if (file.origin && file.data) {
        size_t errors = draft->errors;
        read_entries(&file);
        if (draft->errors == errors)
            check_apex(&file);
    } else {
        draft_out_of_memory(draft);
    }
    ldns_rdf_deep_free(file.origin);
    ldns_rdf_deep_free(file.previous);
    ldns_buffer_free(file.data);
    free(file.entry);
    free(file.raw);
    fclose(file.stream);
}
