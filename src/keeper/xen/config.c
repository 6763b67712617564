/* What a Xen machine is made from, as libxenlight wants to know it. */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "keeper/device_name.h"
#include "keeper/qemu/command.h"
#include "keeper/xen/xen.h"
#include "keeper/xen/xl_file.h"

#define KIB 1024u

/* The toolstack runs a program when it has made a network device, and one when it removes it; but
 * the keeper itself attaches it, sooner than any program could. */
#define NO_SCRIPT "/bin/true"

/* Any service's xl.cfg with what jitsud.yaml says of it, or that alone. */
struct plan {
    const struct config_service *service; /* as far as files and arguments go, of the xl.cfg */
    struct config_service of_file;
    struct xl_file *file; /* NULL: none */
    struct image image;
};

static int copy(char **place, const char *text, struct error *error)
{
    *place = text ? strdup(text) : NULL;
    return text && !*place ? error_set(error, "memory is exhausted") : 0;
}

static libxl_domain_type choose_type(const struct plan *plan)
{
    if (plan->file && plan->file->type != XL_TYPE_DEFAULT)
        return plan->file->type == XL_TYPE_PV ? LIBXL_DOMAIN_TYPE_PV : LIBXL_DOMAIN_TYPE_PVH;
    return plan->image.kind == IMAGE_PVH ? LIBXL_DOMAIN_TYPE_PVH : LIBXL_DOMAIN_TYPE_PV;
}

static int set_vcpus(libxl_domain_build_info *build, unsigned count, struct error *error)
{
    uint32_t size = (count + 7) / 8;
    build->max_vcpus = (int)count;
    build->avail_vcpus.map = calloc(1, size);
    if (!build->avail_vcpus.map)
        return error_set(error, "memory is exhausted");
    build->avail_vcpus.size = size;
    for (unsigned i = 0; i < count; i++)
        build->avail_vcpus.map[i / 8] |= (uint8_t)(1u << i % 8);
    return 0;
}

/* A unikernel that announces itself is told its addresses and so on; the rest is as configured. */
static int set_kernel_line(struct xen_domain *domain, const struct plan *plan, struct error *error)
{
    if (plan->image.announces &&
        getrandom(domain->token, sizeof domain->token, 0) != (ssize_t)sizeof domain->token)
        return error_set_errno(error, "no randomness");
    const struct qemu_command command = {.service = plan->service,
                                         .image = &plan->image,
                                         .token = domain->token,
                                         .time = (int64_t)time(NULL)};
    domain->config.b_info.cmdline = qemu_command_kernel_line(&command);
    return domain->config.b_info.cmdline ? 0 : error_set(error, "memory is exhausted");
}

static int set_build(struct xen_domain *domain, const struct plan *plan, struct error *error)
{
    const struct config_service *service = plan->service;
    libxl_domain_build_info *build = &domain->config.b_info;
    libxl_domain_build_info_init_type(build, domain->config.c_info.type);
    build->max_memkb = build->target_memkb = service->memory / KIB;
    if (copy(&build->kernel, service->image, error) != 0 ||
        copy(&build->ramdisk, service->ramdisk, error) != 0 ||
        set_vcpus(build, service->vcpus, error) != 0)
        return -1;
    return set_kernel_line(domain, plan, error);
}

/* By its own name, which operators' domains do not begin with; or that of its xl.cfg. */
static int set_identity(struct xen_domain *domain, const struct plan *plan, struct error *error)
{
    libxl_domain_create_info *create = &domain->config.c_info;
    create->type = choose_type(plan);
    if (plan->file && plan->file->has_uuid)
        libxl_uuid_copy(NULL, &domain->uuid, &plan->file->uuid);
    else
        libxl_uuid_generate(&domain->uuid);
    libxl_uuid_copy(NULL, &create->uuid, &domain->uuid);
    if (plan->file && plan->file->name)
        return copy(&create->name, plan->file->name, error);
    if (asprintf(&create->name, "jitsu-%s", domain->directory_name) >= 0)
        return 0;
    create->name = NULL;
    return error_set(error, "memory is exhausted");
}

static int set_network(struct xen_domain *domain, const struct plan *plan, struct error *error)
{
    libxl_domain_config *config = &domain->config;
    const struct config_network *network = plan->service->network;
    libxl_device_nic *nic = calloc(1, sizeof *nic);
    if (!nic)
        return error_set(error, "memory is exhausted");
    config->nics = nic;
    config->num_nics = 1;
    libxl_device_nic_init(nic);
    nic->devid = 0;
    nic->nictype = LIBXL_NIC_TYPE_VIF;
    device_service_mac(plan->service, nic->mac);
    snprintf(domain->bridge, sizeof domain->bridge, "%s", network->bridge);
    if (copy(&nic->bridge, network->bridge, error) != 0)
        return -1;
    return copy(&nic->script, NO_SCRIPT, error);
}

/* The toolstack's script sees to it that no disk is written to by two domains, and makes a block
 * device of an image of kind raw; for other kinds QEMU is the backend. */
static int set_disk(libxl_device_disk *disk, const struct config_disk *from, size_t number,
                    struct error *error)
{
    char device[] = "xvda";
    device[3] = (char)('a' + number);
    libxl_device_disk_init(disk);
    disk->format =
        from->format == CONFIG_DISK_QCOW2 ? LIBXL_DISK_FORMAT_QCOW2 : LIBXL_DISK_FORMAT_RAW;
    disk->readwrite = !from->read_only;
    if (from->format == CONFIG_DISK_RAW) {
        disk->backend = LIBXL_DISK_BACKEND_PHY;
        if (copy(&disk->script, "block", error) != 0)
            return -1;
    }
    if (copy(&disk->pdev_path, from->path, error) != 0)
        return -1;
    return copy(&disk->vdev, device, error);
}

static int set_disks(struct xen_domain *domain, const struct plan *plan, struct error *error)
{
    libxl_domain_config *config = &domain->config;
    const struct config_service *service = plan->service;
    config->disks = calloc(service->disk_count + 1u, sizeof *config->disks);
    if (!config->disks)
        return error_set(error, "memory is exhausted");
    for (size_t i = 0; i < service->disk_count; i++) {
        config->num_disks++;
        if (set_disk(&config->disks[i], &service->disks[i], i, error) != 0)
            return -1;
    }
    return 0;
}

/* They become the domain's own. */
static void move_disks(libxl_domain_config *config, struct xl_file *file)
{
    config->disks = file->disks;
    config->num_disks = (int)file->disk_count;
    file->disks = NULL;
    file->disk_count = 0;
}

static int make(struct xen_domain *domain, struct plan *plan, struct error *error)
{
    const struct config_service *service = plan->service;
    if (image_examine_for_xen(service->image, &plan->image, error) != 0 ||
        (service->ramdisk && file_version_read(service->ramdisk, &domain->ramdisk, error) != 0))
        return -1;
    domain->image = plan->image.version;
    domain->has_ramdisk = service->ramdisk != NULL;
    if (set_identity(domain, plan, error) != 0 || set_build(domain, plan, error) != 0 ||
        set_network(domain, plan, error) != 0)
        return -1;
    if (plan->file)
        move_disks(&domain->config, plan->file);
    else if (set_disks(domain, plan, error) != 0)
        return -1;
    return xen_ready_choose(domain, service, plan->image.announces, error);
}

static void keep_first_problem(void *argument, const char *text)
{
    struct error *error = argument;
    if (!error->text[0])
        error_set(error, "%s", text);
}

int xen_config_make(struct xen_domain *domain, const struct config_service *service,
                    struct error *error)
{
    struct plan plan = {.service = service};
    if (!service->xl)
        return make(domain, &plan, error);
    struct xl_file file;
    error->text[0] = '\0';
    if (xl_file_read(service->xl, &file, keep_first_problem, error) != 0)
        return -1;
    int failed = xl_file_suits(&file, service, keep_first_problem, error);
    if (!failed) {
        plan.of_file = *service;
        plan.of_file.image = file.kernel;
        plan.of_file.ramdisk = file.ramdisk;
        plan.of_file.cmdline = file.cmdline;
        plan.of_file.vcpus = (uint16_t)(file.vcpus ? file.vcpus : 1);
        plan.service = &plan.of_file;
        plan.file = &file;
        failed = make(domain, &plan, error);
    }
    xl_file_free(&file);
    return failed;
}
