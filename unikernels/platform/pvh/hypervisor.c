#include "platform/pvh/hypervisor.h"

#include <stdbool.h>
#include <string.h>

#include "jitsu/machine.h"
#include "platform/pvh/processor.h"

#define FEATURE_HYPERVISOR (1u << 31)
#define LEAF_FEATURES      1
#define LEAF_HYPERVISOR    0x40000000u

const struct hypervisor *hypervisor(void)
{
    static const struct {
        char signature[12];
        enum hypervisor_kind kind;
    } known[] = {
        {"TCGTCGTCGTCG", HYPERVISOR_TCG},
        {"KVMKVMKVM", HYPERVISOR_KVM},
        {"XenVMMXenVMM", HYPERVISOR_XEN},
    };
    static struct hypervisor found;
    static bool asked;

    if (asked)
        return &found;
    asked = true;
    if (!(cpuid(LEAF_FEATURES).c & FEATURE_HYPERVISOR))
        return &found;
    struct cpuid leaf = cpuid(LEAF_HYPERVISOR);
    const uint32_t signature[3] = {leaf.b, leaf.c, leaf.d};
    found.last_leaf = leaf.a;
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++)
        if (memcmp(signature, known[i].signature, sizeof signature) == 0)
            found.kind = known[i].kind;
    return &found;
}

const char *machine_platform(void)
{
    return "pvh";
}

const char *machine_hypervisor(void)
{
    switch (hypervisor()->kind) {
    case HYPERVISOR_TCG:
        return "QEMU (TCG)";
    case HYPERVISOR_KVM:
        return "KVM";
    case HYPERVISOR_XEN:
        return "Xen";
    case HYPERVISOR_OTHER:
        break;
    }
    return "unknown";
}
