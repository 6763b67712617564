/* Any text as a zone file: it is compiled or refused, and what it makes of a table can be looked
 * through. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dns/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static size_t reported;

static void report(void *argument, const char *text)
{
    (void)argument;
    (void)text;
    reported++;
}

/* Asks for every type up to 255 at some names. */
static void ask_all(const struct dns_table *table)
{
    static const char *const names[] = {"example.org", "www.example.org", "a.example.org",
                                        "a.a.example.org", "b.c.example.org"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t wire[NAME_WIRE_MAX], packet[UINT16_MAX];
        struct name name;
        if (!name_from_text(names[i], wire, &name))
            abort();
        for (uint16_t type = 1; type <= 255; type++) {
            struct writer writer = writer_over(packet, sizeof packet);
            struct question question;
            struct answer answer;
            writer_bytes(&writer, "\0\1\0\0\0\1\0\0\0\0\0\0", DNS_HEADER_SIZE);
            writer_bytes(&writer, name.wire, name.length);
            writer_u16(&writer, type);
            writer_u16(&writer, DNS_CLASS_IN);
            if (!question_parse(&question, packet, writer.position, table->seed))
                abort();
            answer_find(table, &question, &answer);
            answer_write(&answer, &question, packet, sizeof packet);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct dns_host host;
    char path[64];
    int descriptor = memfd_create("zone", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, bytes, length) != (ssize_t)length)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);

    struct address address = {.family = AF_INET};
    struct config_zone zones[] = {{.name = (char *)"example.org", .file = path, .ttl = 60},
                                  {.name = (char *)"c.example.org", .ttl = 60}};
    struct config_service service = {
        .name = (char *)"www.example.org", .addresses = &address, .address_count = 1, .ttl = 60};
    struct config config = {.file = (char *)"fuzz",
                            .zones = zones,
                            .zone_count = 2,
                            .services = &service,
                            .service_count = 1};
    reported = 0;
    struct dns_table *table = dns_table_build(&config, &(struct dns_host *){&host}, report, NULL);
    if (!table == !reported)
        abort();
    if (table)
        ask_all(table);
    dns_table_free(table);
    close(descriptor);
    return 0;
}
