#include "check.h"

#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns/dns.h"
#include "keeper/bridges.h"
#include "keeper/image.h"
#ifdef HAVE_XEN
#include "keeper/xen/check.h"
#endif

static void print_problem(void *argument, const char *text)
{
    fprintf(argument, "%s\n", text);
}

static bool check_zones(const struct config *config, FILE *problems)
{
    struct dns_host *hosts = calloc(config->service_count + 1, sizeof *hosts);
    struct dns_host **pointers = calloc(config->service_count + 1, sizeof *pointers);
    struct dns_table *table = NULL;
    if (hosts && pointers) {
        for (size_t i = 0; i < config->service_count; i++)
            pointers[i] = &hosts[i];
        table = dns_table_build(config, pointers, print_problem, problems);
    } else {
        fprintf(problems, "memory is exhausted\n");
    }
    bool good = table != NULL;
    dns_table_free(table);
    free(pointers);
    free(hosts);
    return good;
}

/* Which file it is shows only with an instance of the wildcard. */
static bool is_for_instances(const struct config_service *service, const char *path)
{
    return config_is_wildcard(service) && (strstr(path, "%{label}") || strstr(path, "%{name}"));
}

/* Its files are there, then: qemu+ssh://host/system, but not qemu:///system. */
static bool is_of_another_host(const struct config_service *service)
{
    const char *host = service->connect ? strstr(service->connect, "://") : NULL;
    return host && host[3] != '/' && host[3] != '\0';
}

static size_t check_images(const struct config *config, FILE *problems)
{
    size_t warnings = 0;
    const char *last = NULL; /* neighbours mostly share their image, as one string */
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        struct image image;
        struct error error;
        bool xen = service->backend == CONFIG_BACKEND_XEN;
        if (is_of_another_host(service))
            continue;
        if (service->domain_xml && access(service->domain_xml, R_OK) != 0) {
            fprintf(problems, "%s:%u: warning: %s: cannot read %s\n", config->file, service->line,
                    service->name, service->domain_xml);
            warnings++;
        }
        if (service->image && service->image != last &&
            !is_for_instances(service, service->image) &&
            (xen ? image_examine_for_xen : image_examine)(service->image, &image, &error) != 0) {
            fprintf(problems, "%s:%u: warning: %s: %s\n", config->file, service->line,
                    service->name, error.text);
            warnings++;
        }
        last = service->image;
        if (service->ramdisk && !is_for_instances(service, service->ramdisk) &&
            access(service->ramdisk, R_OK) != 0) {
            fprintf(problems, "%s:%u: warning: %s: cannot read ramdisk %s\n", config->file,
                    service->line, service->name, service->ramdisk);
            warnings++;
        }
    }
    return warnings;
}

static size_t check_networks(const struct config *config, FILE *problems)
{
    size_t warnings = 0;
    for (size_t i = 0; i < config->network_count; i++) {
        const struct config_network *network = &config->networks[i];
        struct error error;
        if (network->type != CONFIG_NETWORK_BRIDGE || bridges_check(network, &error) == 0)
            continue;
        fprintf(problems, "%s: warning: network %s: %s\n", config->file, network->name, error.text);
        warnings++;
    }
    return warnings;
}

/* Counts warnings. -1: there are errors. */
static int check_xen(const struct config *config, FILE *problems, size_t *warnings)
{
    int failed = 0;
#ifdef HAVE_XEN
    struct error error;
    size_t count = 0;
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        count += service->backend == CONFIG_BACKEND_XEN;
        if (service->xl && xen_check_file(service, print_problem, problems) != 0)
            failed = -1;
    }
    if (count > 0 && xen_check_host(&error) != 0) {
        fprintf(problems, "%s: warning: backend xen, of %zu services: %s\n", config->file, count,
                error.text);
        ++*warnings;
    }
#else
    (void)config, (void)problems, (void)warnings;
#endif
    return failed;
}

bool check_configuration(const struct config *config, FILE *verdict, FILE *problems)
{
    size_t warnings = 0;
    bool zones = check_zones(config, problems);
    if (check_xen(config, problems, &warnings) != 0 || !zones)
        return false;
    warnings += check_networks(config, problems) + check_images(config, problems);
    fprintf(verdict, "%s: good: %zu zones, %zu services", config->file, config->zone_count,
            config->service_count);
    if (warnings)
        fprintf(verdict, ", %zu warnings", warnings);
    fputc('\n', verdict);
    return true;
}
