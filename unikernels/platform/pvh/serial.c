/* A PC's console: a 16550 at 0x3f8, polled. */
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"

#define DATA             0x3f8
#define INTERRUPT_ENABLE 0x3f9
#define FIFO_CONTROL     0x3fa
#define LINE_CONTROL     0x3fb
#define MODEM_CONTROL    0x3fc
#define LINE_STATUS      0x3fd
#define LINE_8N1         0x03
#define LINE_DIVISOR     0x80
#define FIFO_ON          0x07 /* on, and both cleared */
#define FIFO_SIZE        16
#define MODEM_READY      0x03
#define STATUS_EMPTY     0x20
#define STATUS_NOBODY    0xff /* no such device */

/* How often the port is asked for room before a byte is given up: a reader that stalls must not
 * stall the machine. */
#define PATIENCE 20000u

static bool given_up;

void serial_start(void)
{
    port_write8(INTERRUPT_ENABLE, 0);
    port_write8(LINE_CONTROL, LINE_DIVISOR | LINE_8N1);
    port_write8(DATA, 1); /* 115200 bits a second, where that means anything */
    port_write8(INTERRUPT_ENABLE, 0);
    port_write8(LINE_CONTROL, LINE_8N1);
    port_write8(FIFO_CONTROL, FIFO_ON);
    port_write8(MODEM_CONTROL, MODEM_READY);
}

/* Waits until the port's buffer is empty. Returns how many bytes it takes then: 0 if the port is
 * full for too long, after which it is asked only once at a time, until it is empty again. */
static unsigned serial_room(void)
{
    for (unsigned i = 0; i < (given_up ? 1 : PATIENCE); i++) {
        uint8_t status = port_read8(LINE_STATUS);
        if (status == STATUS_NOBODY)
            return 0;
        if (status & STATUS_EMPTY) {
            given_up = false;
            return FIFO_SIZE;
        }
    }
    given_up = true;
    return 0;
}

void serial_write(const char *text, size_t length)
{
    unsigned room = 0;

    for (size_t i = 0; i < length; i++) {
        if (room == 0)
            room = serial_room();
        if (room == 0)
            return;
        port_write8(DATA, (uint8_t)text[i]);
        room--;
    }
}
