/* The interrupt controllers. Only the processor's own timer and devices' pins that are routed here
 * interrupt; the old controllers (8259) are silenced where they exist. */
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"
#include "platform/pvh/vectors.h"

#define LOCAL              0xfee00000u
#define LOCAL_PRIORITY     (LOCAL + 0x080)
#define LOCAL_SPURIOUS     (LOCAL + 0x0f0)
#define LOCAL_TIMER        (LOCAL + 0x320)
#define LOCAL_LINT0        (LOCAL + 0x350)
#define LOCAL_LINT1        (LOCAL + 0x360)
#define LOCAL_TIMER_SET    (LOCAL + 0x380)
#define LOCAL_TIMER_LEFT   (LOCAL + 0x390)
#define LOCAL_TIMER_DIVIDE (LOCAL + 0x3e0)
#define LOCAL_ON           0x100
#define LOCAL_MASKED       0x10000
#define TIMER_DIVIDE_BY_16 3

#define OLD_CONTROLLER_MASK  0x21
#define OLD_CONTROLLER2_MASK 0xa1

/* QEMU's microvm has a second one where there are many devices. */
#define IO_FIRST      0xfec00000u
#define IO_SECOND     0xfec10000u
#define IO_PINS       24u
#define IO_WINDOW     0x10
#define IO_ROUTE(pin) (0x10 + 2 * (pin))

void apic_start(void)
{
    port_write8(OLD_CONTROLLER_MASK, 0xff);
    port_write8(OLD_CONTROLLER2_MASK, 0xff);
    device_write32(LOCAL_SPURIOUS, LOCAL_ON | VECTOR_SPURIOUS);
    device_write32(LOCAL_LINT0, LOCAL_MASKED);
    device_write32(LOCAL_LINT1, LOCAL_MASKED);
    device_write32(LOCAL_PRIORITY, 0);
    device_write32(LOCAL_TIMER_DIVIDE, TIMER_DIVIDE_BY_16);
    device_write32(LOCAL_TIMER, VECTOR_TIMER);
}

void apic_route(unsigned pin)
{
    uintptr_t controller = pin < IO_PINS ? IO_FIRST : IO_SECOND;
    unsigned route = IO_ROUTE(pin % IO_PINS);

    device_write32(controller, route + 1);
    device_write32(controller + IO_WINDOW, 0); /* to the first processor */
    device_write32(controller, route);
    device_write32(controller + IO_WINDOW, VECTOR_DEVICE);
}

uint32_t apic_timer_left(void)
{
    return device_read32(LOCAL_TIMER_LEFT);
}

void apic_timer_set(uint32_t ticks)
{
    device_write32(LOCAL_TIMER_SET, ticks);
}
