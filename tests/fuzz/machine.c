/* What a machine and its QEMU may say or be: the first byte chooses who reads the rest. None may
 * read beyond it. */
#include <stdlib.h>
#include <string.h>

#include "keeper/console.h"
#include "keeper/image.h"
#include "keeper/qemu/qmp.h"
#include "keeper/qemu/usernet.h"
#include "keeper/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void ignore(void *argument, enum console_event event, const char *line)
{
    (void)argument, (void)event;
    if (strlen(line) > CONSOLE_LINE_MAX)
        abort();
}

static void read_ports(const uint8_t *bytes, size_t length)
{
    char *text = strndup((const char *)bytes, length);
    usernet_forward(text, 80);
    usernet_is_established(text, 80);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct qmp_line line;
    struct console console;
    struct image image;
    struct record record;
    if (length-- == 0)
        return 0;
    const uint8_t *rest = bytes + 1;
    switch (bytes[0]) {
    case 'c':
        console_begin(&console, "login:");
        console_feed(&console, rest, length, ignore, NULL);
        console_last_words(&console);
        break;
    case 'i':
        image_examine_bytes(rest, length, "image", &image, NULL);
        break;
    case 'q':
        qmp_parse((const char *)rest, length, &line);
        break;
    case 'r':
        record_parse((const char *)rest, length, &record, NULL);
        break;
    case 'u':
        read_ports(rest, length);
        break;
    default:
        break;
    }
    return 0;
}
