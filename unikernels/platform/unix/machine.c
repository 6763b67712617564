#include "jitsu/machine.h"

const char *machine_platform(void)
{
    return "unix";
}

const char *machine_hypervisor(void)
{
    return "Linux";
}
