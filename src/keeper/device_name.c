#include "keeper/device_name.h"

#include <stdio.h>
#include <string.h>

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* FNV-1a over both texts with their NULs, its bits mixed at the end, as only some are used. */
static uint64_t digest_of(const char *first, const char *second)
{
    const char *const texts[] = {first, second};
    uint64_t digest = FNV_BASIS;
    for (size_t i = 0; i < 2; i++)
        for (size_t at = 0; at <= strlen(texts[i]); at++)
            digest = (digest ^ (uint8_t)texts[i][at]) * FNV_PRIME;
    digest = (digest ^ digest >> 33) * UINT64_C(0xff51afd7ed558ccd);
    digest = (digest ^ digest >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return digest ^ digest >> 33;
}

static void make_mac(uint8_t first, const char *network, const char *service, uint8_t mac[MAC_SIZE])
{
    uint64_t digest = digest_of(network, service);
    mac[0] = first;
    for (unsigned i = 1; i < MAC_SIZE; i++)
        mac[i] = (uint8_t)(digest >> 8 * (MAC_SIZE - 1 - i));
}

void device_machine_mac(const char *network, const char *service, uint8_t mac[MAC_SIZE])
{
    make_mac(0x02, network, service, mac);
}

void device_machine_host_mac(const char *network, const char *service, uint8_t mac[MAC_SIZE])
{
    make_mac(0xfe, network, service, mac);
}

/* What tells a service's machine from others of its network. */
static const char *identity_of(const struct config_service *service, char text[ADDRESS_TEXT_SIZE])
{
    return config_is_instance(service) ? address_format(&service->addresses[0], text)
                                       : service->name;
}

void device_service_mac(const struct config_service *service, uint8_t mac[MAC_SIZE])
{
    char text[ADDRESS_TEXT_SIZE];
    if (config_has_mac(service))
        memcpy(mac, service->mac, MAC_SIZE);
    else
        device_machine_mac(service->network ? service->network->name : "",
                           identity_of(service, text), mac);
}

void device_service_host_mac(const struct config_service *service, uint8_t mac[MAC_SIZE])
{
    char text[ADDRESS_TEXT_SIZE];
    device_machine_host_mac(service->network ? service->network->name : "",
                            identity_of(service, text), mac);
}

/* No service has the empty name. */
void device_port_mac(const char *network, uint8_t mac[MAC_SIZE])
{
    make_mac(0x02, network, "", mac);
}

void device_port_host_mac(const char *network, uint8_t mac[MAC_SIZE])
{
    make_mac(0xfa, network, "", mac);
}

void device_bridge_mac(const char *network, uint8_t mac[MAC_SIZE])
{
    make_mac(0xf6, network, "", mac);
}

const char *mac_format(const uint8_t mac[MAC_SIZE], char text[MAC_TEXT_SIZE])
{
    snprintf(text, MAC_TEXT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    return text;
}

static void make_name(const char *kind, const char *run_directory, const char *of,
                      char name[IF_NAMESIZE])
{
    uint64_t digest = digest_of(run_directory, of) & UINT64_C(0xffffffffffff);
    snprintf(name, IF_NAMESIZE, "%s-%012llx", kind, (unsigned long long)digest);
}

void device_machine_name(const char *run_directory, const char *record, char name[IF_NAMESIZE])
{
    make_name("jm", run_directory, record, name);
}

void device_port_name(const char *run_directory, const char *network, char name[IF_NAMESIZE])
{
    make_name("jp", run_directory, network, name);
}
