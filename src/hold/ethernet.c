#include "hold/ethernet.h"

/* Smaller values are the length of an IEEE 802.2 frame. */
#define TYPE_LEAST 0x0600

bool ethernet_read(struct ethernet_header *header, struct reader *reader)
{
    header->destination = reader_mac(reader);
    header->source = reader_mac(reader);
    header->type = reader_u16(reader);
    return !reader->failed && !mac_is_group(header->source) && header->type >= TYPE_LEAST;
}

void ethernet_write(struct writer *writer, const struct ethernet_header *header)
{
    writer_mac(writer, header->destination);
    writer_mac(writer, header->source);
    writer_u16(writer, header->type);
}
