#include "config/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

/* The format itself needs four. */
#define DEPTH_MAX 32

#define NO_NODE ((enum config_node)UINT8_MAX)

struct config_source {
    yaml_parser_t parser;
    yaml_event_t event;
    struct config_faults *faults;
    struct config_scalar scalar;
    struct config_mark mark;
    int descriptor;
    size_t taken;       /* bytes read from the descriptor */
    int read_error;     /* errno of a read that failed */
    bool too_large;     /* more than CONFIG_FILE_MAX */
    bool document_seen; /* its beginning */
    bool ended, stopped;
    unsigned depth;
};

static int read_more(void *argument, unsigned char *buffer, size_t size, size_t *size_read)
{
    struct config_source *source = argument;
    ssize_t count;
    do
        count = read(source->descriptor, buffer, size);
    while (count < 0 && errno == EINTR);
    if (count < 0) {
        source->read_error = errno;
        return 0;
    }
    source->taken += (size_t)count;
    source->too_large = source->taken > CONFIG_FILE_MAX;
    *size_read = (size_t)count;
    return !source->too_large;
}

struct config_source *config_source_new(int descriptor, const char *text, size_t length,
                                        struct config_faults *faults)
{
    struct config_source *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    if (!yaml_parser_initialize(&source->parser)) {
        free(source);
        return NULL;
    }
    source->faults = faults;
    source->descriptor = descriptor;
    if (text && length > CONFIG_FILE_MAX) {
        source->too_large = true;
        length = 0;
    }
    if (text)
        yaml_parser_set_input_string(&source->parser, (const unsigned char *)text, length);
    else
        yaml_parser_set_input(&source->parser, read_more, source);
    return source;
}

void config_source_free(struct config_source *source)
{
    if (!source)
        return;
    yaml_event_delete(&source->event);
    yaml_parser_delete(&source->parser);
    free(source);
}

static struct config_mark mark_of(yaml_mark_t mark)
{
    return (struct config_mark){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* Where decoding stopped: the decoder writes good characters behind those that the scanner, at
 * parser.mark, has yet to look at, and stops before the first bad one. */
static struct config_mark decoder_mark(const yaml_parser_t *parser)
{
    struct config_mark mark = mark_of(parser->mark);
    for (const unsigned char *c = parser->buffer.pointer; c < parser->buffer.last; c++) {
        if (*c == '\n') {
            mark.line++;
            mark.column = 1;
        } else if ((*c & 0xc0) != 0x80) {
            mark.column++;
        }
    }
    return mark;
}

static void report_reader_error(struct config_source *source)
{
    const yaml_parser_t *parser = &source->parser;
    struct config_mark mark = decoder_mark(parser);
    if (source->read_error)
        config_fault(source->faults, mark, "the file cannot be read any further: %s",
                     strerror(source->read_error));
    else if (source->too_large)
        config_fault(source->faults, mark, "the file is too large; expected at most %zu MiB",
                     CONFIG_FILE_MAX / 1024 / 1024);
    else if (parser->problem_value >= 0)
        config_fault(source->faults, mark, "%s (0x%02x); expected text in UTF-8", parser->problem,
                     (unsigned)parser->problem_value);
    else
        config_fault(source->faults, mark, "%s; expected text in UTF-8", parser->problem);
}

static void report_problem(struct config_source *source)
{
    const yaml_parser_t *parser = &source->parser;
    switch (parser->error) {
    case YAML_MEMORY_ERROR:
        config_fault(source->faults, mark_of(parser->mark),
                     "memory is exhausted; expected enough to read the file");
        break;
    case YAML_READER_ERROR:
        report_reader_error(source);
        break;
    default:
        if (parser->context)
            config_fault(source->faults, mark_of(parser->problem_mark),
                         "%s (%s, from line %zu); expected valid YAML", parser->problem,
                         parser->context, parser->context_mark.line + 1);
        else
            config_fault(source->faults, mark_of(parser->problem_mark), "%s; expected valid YAML",
                         parser->problem);
    }
}

void config_source_stop(struct config_source *source)
{
    source->stopped = source->ended = true;
}

bool config_source_stopped(const struct config_source *source)
{
    return source->stopped;
}

static void refuse_anchor(struct config_source *source, const unsigned char *anchor)
{
    if (anchor)
        config_fault(source->faults, source->mark,
                     "anchor '&%s': anchors and aliases of YAML are not supported; expected the "
                     "value alone",
                     config_quote((const char *)anchor).text);
}

static void refuse_tag(struct config_source *source, const unsigned char *tag)
{
    if (tag)
        config_fault(source->faults, source->mark,
                     "tag '%s': tags of YAML are not supported; expected the value alone",
                     config_quote((const char *)tag).text);
}

static enum config_node take_scalar(struct config_source *source)
{
    const yaml_event_t *event = &source->event;
    bool quoted = event->data.scalar.style == YAML_SINGLE_QUOTED_SCALAR_STYLE ||
                  event->data.scalar.style == YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    refuse_anchor(source, event->data.scalar.anchor);
    refuse_tag(source, event->data.scalar.tag);
    source->scalar = (struct config_scalar){
        .text = (const char *)event->data.scalar.value,
        .length = event->data.scalar.length,
        .mark = source->mark,
        .empty = plain && event->data.scalar.length == 0,
        .literal = (plain || quoted) &&
                   event->end_mark.index - event->start_mark.index ==
                       event->data.scalar.length + (quoted ? 2 : 0) &&
                   event->end_mark.line == event->start_mark.line,
        .skip = quoted ? 1 : 0,
    };
    return CONFIG_NODE_SCALAR;
}

static enum config_node enter(struct config_source *source, enum config_node node)
{
    if (++source->depth > DEPTH_MAX) {
        config_fault(source->faults, source->mark,
                     "lists and mappings are nested more than %d deep; expected a configuration",
                     DEPTH_MAX);
        config_source_stop(source);
        return CONFIG_NODE_END;
    }
    return node;
}

static enum config_node leave(struct config_source *source, enum config_node node)
{
    source->depth--;
    return node;
}

/* The node that the current event means; NO_NODE: look at the next event. */
static enum config_node node_of_event(struct config_source *source)
{
    const yaml_event_t *event = &source->event;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(source);
    case YAML_ALIAS_EVENT:
        config_fault(source->faults, source->mark,
                     "alias '*%s': anchors and aliases of YAML are not supported; expected the "
                     "value itself",
                     config_quote((const char *)event->data.alias.anchor).text);
        return CONFIG_NODE_ALIAS;
    case YAML_SEQUENCE_START_EVENT:
        refuse_anchor(source, event->data.sequence_start.anchor);
        refuse_tag(source, event->data.sequence_start.tag);
        return enter(source, CONFIG_NODE_LIST);
    case YAML_MAPPING_START_EVENT:
        refuse_anchor(source, event->data.mapping_start.anchor);
        refuse_tag(source, event->data.mapping_start.tag);
        return enter(source, CONFIG_NODE_MAPPING);
    case YAML_SEQUENCE_END_EVENT:
        return leave(source, CONFIG_NODE_LIST_END);
    case YAML_MAPPING_END_EVENT:
        return leave(source, CONFIG_NODE_MAPPING_END);
    case YAML_DOCUMENT_START_EVENT:
        if (source->document_seen) {
            config_fault(source->faults, source->mark,
                         "a second YAML document begins; expected one document in the file");
            config_source_stop(source);
            return CONFIG_NODE_END;
        }
        source->document_seen = true;
        return NO_NODE;
    case YAML_STREAM_END_EVENT:
        source->ended = true;
        return CONFIG_NODE_END;
    default:
        return NO_NODE;
    }
}

enum config_node config_source_next(struct config_source *source)
{
    enum config_node node = NO_NODE;
    if (source->too_large && !source->ended) {
        report_reader_error(source);
        config_source_stop(source);
    }
    while (node == NO_NODE && !source->ended) {
        yaml_event_delete(&source->event);
        if (!yaml_parser_parse(&source->parser, &source->event)) {
            report_problem(source);
            config_source_stop(source);
            break;
        }
        source->mark = mark_of(source->event.start_mark);
        node = node_of_event(source);
    }
    return node == NO_NODE ? CONFIG_NODE_END : node;
}

struct config_mark config_source_mark(const struct config_source *source)
{
    return source->mark;
}

const struct config_scalar *config_source_scalar(const struct config_source *source)
{
    return &source->scalar;
}

void config_source_skip(struct config_source *source, enum config_node node)
{
    if (node != CONFIG_NODE_LIST && node != CONFIG_NODE_MAPPING)
        return;
    for (unsigned outside = source->depth - 1; source->depth > outside;)
        if (config_source_next(source) == CONFIG_NODE_END)
            return;
}
