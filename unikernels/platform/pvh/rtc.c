/* The clock chip of a PC (MC146818), as emulated where the machine has one. It is right also after
 * the machine has been paused. */
#include "platform/pvh/rtc.h"

#include <string.h>

#include "platform/pvh/processor.h"

#define INDEX_PORT 0x70
#define DATA_PORT  0x71

enum chip_register {
    SECONDS = 0,
    MINUTES = 2,
    HOURS = 4,
    DAY = 7,
    MONTH = 8,
    YEAR = 9,
    A = 10,
    B = 11
};

#define A_UPDATING   0x80
#define B_BINARY     0x04
#define B_HOURS_24   0x02
#define HOURS_PM     0x80
#define ABSENT       0xff
#define READINGS_MAX 1000

struct reading {
    uint8_t second, minute, hour, day, month, year;
};

static uint8_t chip_read(enum chip_register number)
{
    port_write8(INDEX_PORT, (uint8_t)number);
    return port_read8(DATA_PORT);
}

static struct reading read_once(void)
{
    return (struct reading){chip_read(SECONDS), chip_read(MINUTES), chip_read(HOURS),
                            chip_read(DAY),     chip_read(MONTH),   chip_read(YEAR)};
}

/* Two readings that agree, with no update in between. */
static bool read_steady(struct reading *reading)
{
    for (int i = 0; i < READINGS_MAX; i++) {
        if (chip_read(A) & A_UPDATING)
            continue;
        *reading = read_once();
        struct reading again = read_once();
        if (memcmp(reading, &again, sizeof again) == 0)
            return true;
    }
    return false;
}

static unsigned number(uint8_t value, bool binary)
{
    return binary ? value : (value >> 4) * 10u + (value & 15);
}

/* Days since 1970-01-01 of a day in this century: years count from March on, so that a leap day is
 * their last. */
static int64_t days(unsigned year, unsigned month, unsigned day)
{
    unsigned y = month > 2 ? year : year - 1;
    unsigned m = month > 2 ? month - 3 : month + 9;

    return 365 * (int64_t)y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

bool rtc_now(int64_t *seconds)
{
    struct reading reading;
    uint8_t mode = chip_read(B);
    bool binary = mode & B_BINARY;

    if (mode == ABSENT || !read_steady(&reading))
        return false;
    bool afternoon = !(mode & B_HOURS_24) && reading.hour & HOURS_PM;
    unsigned hour = number(reading.hour & (mode & B_HOURS_24 ? 0xff : (uint8_t)~HOURS_PM), binary);
    if (!(mode & B_HOURS_24))
        hour = hour % 12 + (afternoon ? 12 : 0);
    unsigned second = number(reading.second, binary), minute = number(reading.minute, binary);
    unsigned day = number(reading.day, binary), month = number(reading.month, binary);
    if (second > 60 || minute > 59 || hour > 23 || day < 1 || day > 31 || month < 1 || month > 12)
        return false;
    *seconds =
        ((days(2000 + number(reading.year, binary), month, day) * 24 + hour) * 60 + minute) * 60 +
        second;
    return true;
}
