/* What is done with domains on threads, as it blocks. Each works on the domain that its job is
 * embedded in, of which the loop leaves the members below alone as long. */
#include <errno.h>
#include <libxl_utils.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper/xen/xen.h"

#define KIB 1024u

static struct xen_domain *domain_of(struct xen_job *job)
{
    return (struct xen_domain *)((char *)job - offsetof(struct xen_domain, job));
}

static void fail(struct xen_job *job, struct xen_tools *tools, const char *what)
{
    job->failed = xen_tools_explain(tools, &job->error, what);
}

/* Without it there is nothing to be done; the reason has been set. */
static bool has_tools(struct xen_job *job, const struct xen_tools *tools)
{
    if (!tools)
        job->failed = -1;
    return tools;
}

static void find_terminal(struct xen_domain *domain, libxl_ctx *context)
{
    char *path = NULL;
    domain->terminal[0] = '\0';
    if (libxl_console_get_tty(context, domain->domid, 0, LIBXL_CONSOLE_TYPE_PV, &path) == 0)
        snprintf(domain->terminal, sizeof domain->terminal, "%s", path);
    free(path);
}

/* Too little memory is the one failure that the toolstack words for its authors alone. */
static void explain_creation(struct xen_job *job, struct xen_tools *tools)
{
    const struct xen_domain *domain = domain_of(job);
    uint64_t free_memory = 0, needed = domain->config.b_info.max_memkb;
    fail(job, tools, "Xen cannot make its domain");
    if (libxl_get_free_memory(xen_tools_context(tools), &free_memory) == 0 && free_memory < needed)
        error_set(&job->error,
                  "Xen has %llu MB of free memory, and it needs %llu MB and some more: stop other "
                  "domains, or give dom0 less (dom0_mem= on Xen's command line)",
                  (unsigned long long)(free_memory / KIB), (unsigned long long)(needed / KIB));
}

void xen_work_create(struct xen_job *job, struct xen_tools *tools)
{
    struct xen_domain *domain = domain_of(job);
    if (!has_tools(job, tools))
        return;
    libxl_ctx *context = xen_tools_context(tools);
    if (libxl_domain_create_new(context, &domain->config, &domain->domid, NULL, NULL) != 0)
        explain_creation(job, tools);
    else
        find_terminal(domain, context);
}

void xen_work_unpause(struct xen_job *job, struct xen_tools *tools)
{
    const struct xen_domain *domain = domain_of(job);
    if (has_tools(job, tools) &&
        libxl_domain_unpause(xen_tools_context(tools), domain->domid, NULL) != 0)
        fail(job, tools, "Xen cannot let it run");
}

/* One that is not there any more needs no end. */
static void destroy(struct xen_job *job, struct xen_tools *tools)
{
    const struct xen_domain *domain = domain_of(job);
    libxl_ctx *context = xen_tools_context(tools);
    if (libxl_domain_info(context, NULL, domain->domid) != ERROR_DOMAIN_NOTFOUND &&
        libxl_domain_destroy(context, domain->domid, NULL) != 0 &&
        libxl_domain_info(context, NULL, domain->domid) != ERROR_DOMAIN_NOTFOUND)
        fail(job, tools, "its domain cannot be destroyed");
}

void xen_work_destroy(struct xen_job *job, struct xen_tools *tools)
{
    if (has_tools(job, tools))
        destroy(job, tools);
}

/* --- suspending --- */

/* A file begins so; the configuration, as JSON, and the toolstack's stream follow. */
struct saved_header {
    char magic[8];
    libxl_uuid uuid;
    uint32_t length; /* of the configuration */
};
static const char magic[8] = "jitsu-1\n";
#define CONFIGURATION_MAX (1u << 20)

static int write_all(int file, const void *bytes, size_t length)
{
    const char *at = bytes;
    while (length > 0) {
        ssize_t written = write(file, at, length);
        if (written < 0 && errno != EINTR)
            return -1;
        at += written > 0 ? written : 0;
        length -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int read_all(int file, void *bytes, size_t length)
{
    char *at = bytes;
    while (length > 0) {
        ssize_t got = read(file, at, length);
        if (got == 0 || (got < 0 && errno != EINTR))
            return -1;
        at += got > 0 ? got : 0;
        length -= got > 0 ? (size_t)got : 0;
    }
    return 0;
}

static int write_configuration(const struct xen_domain *domain, libxl_ctx *context, int file)
{
    libxl_domain_config config;
    libxl_domain_config_init(&config);
    char *text = NULL;
    int failed = libxl_retrieve_domain_configuration(context, domain->domid, &config, NULL);
    if (!failed)
        text = libxl_domain_config_to_json(context, &config);
    libxl_domain_config_dispose(&config);
    if (!text)
        return -1;
    struct saved_header header = {.length = (uint32_t)strlen(text)};
    memcpy(header.magic, magic, sizeof magic);
    libxl_uuid_copy(context, &header.uuid, &domain->uuid);
    failed =
        write_all(file, &header, sizeof header) != 0 || write_all(file, text, header.length) != 0;
    free(text);
    return failed ? -1 : 0;
}

/* Its domain goes when its file is complete. */
static void save(struct xen_job *job, struct xen_tools *tools)
{
    const struct xen_domain *domain = domain_of(job);
    libxl_ctx *context = xen_tools_context(tools);
    int file = xen_saved_create(domain);
    if (file == -1) {
        job->failed = error_set_errno(&job->error, "cannot make the file for its memory");
        return;
    }
    errno = 0;
    if (write_configuration(domain, context, file) != 0 ||
        libxl_domain_suspend(context, domain->domid, file, 0, NULL) != 0)
        fail(job, tools, "its memory cannot be written to a file");
    else if (xen_saved_keep(domain, file) != 0)
        job->failed = error_set_errno(&job->error, "its memory cannot be written to a file");
    close(file);
    if (job->failed)
        xen_saved_remove(domain);
    else
        destroy(job, tools);
}

void xen_work_save(struct xen_job *job, struct xen_tools *tools)
{
    if (has_tools(job, tools))
        save(job, tools);
}

void xen_work_pause(struct xen_job *job, struct xen_tools *tools)
{
    const struct xen_domain *domain = domain_of(job);
    if (has_tools(job, tools) &&
        libxl_domain_pause(xen_tools_context(tools), domain->domid, NULL) != 0)
        fail(job, tools, "Xen cannot pause it");
}

/* --- resuming --- */

/* What every Xen since 4.6 writes. */
#define STREAM_VERSION 2

static int read_configuration(struct xen_domain *domain, libxl_ctx *context, int file)
{
    struct saved_header header;
    if (read_all(file, &header, sizeof header) != 0 ||
        memcmp(header.magic, magic, sizeof magic) != 0 ||
        libxl_uuid_compare(&header.uuid, &domain->uuid) != 0 || header.length > CONFIGURATION_MAX)
        return -1;
    char *text = malloc(header.length + 1u);
    if (!text)
        return -1;
    text[header.length] = '\0';
    libxl_domain_config_dispose(&domain->config);
    libxl_domain_config_init(&domain->config);
    int failed = read_all(file, text, header.length) != 0 ||
                 libxl_domain_config_from_json(context, &domain->config, text) != 0;
    free(text);
    return failed ? -1 : 0;
}

void xen_work_restore(struct xen_job *job, struct xen_tools *tools)
{
    struct xen_domain *domain = domain_of(job);
    if (!has_tools(job, tools))
        return;
    libxl_ctx *context = xen_tools_context(tools);
    libxl_domain_restore_params params;
    int file = xen_saved_read(domain);
    libxl_domain_restore_params_init(&params);
    params.stream_version = STREAM_VERSION;
    if (file == -1 || read_configuration(domain, context, file) != 0)
        job->failed = error_set(&job->error, "the file with its memory cannot be read");
    else if (libxl_domain_create_restore(context, &domain->config, &domain->domid, file, -1,
                                         &params, NULL, NULL) != 0)
        fail(job, tools, "its memory cannot be read back");
    else
        find_terminal(domain, context);
    libxl_domain_restore_params_dispose(&params);
    if (file != -1)
        close(file);
}
