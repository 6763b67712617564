#include "keeper/xen/tools.h"

#include <libxl_event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xentoollog.h>

#include "common/log.h"

struct xen_tools {
    xentoollog_logger logger; /* the first member: the toolstack knows that alone */
    libxl_ctx *context;
    char complaint[ERROR_TEXT_SIZE]; /* the first since it was last asked for, which is mostly the
                                        cause */
};

/* --- what it says --- */

/* What it says below that is for its authors: dozens of lines for each call. */
#define LEAST_LEVEL XTL_INFO

static void take_message(xentoollog_logger *logger, xentoollog_level level, int number,
                         const char *from, const char *format, va_list values)
    __attribute__((format(printf, 5, 0)));

static void take_message(xentoollog_logger *logger, xentoollog_level level, int number,
                         const char *from, const char *format, va_list values)
{
    struct xen_tools *tools = (struct xen_tools *)logger;
    char text[sizeof tools->complaint];
    if (level < LEAST_LEVEL)
        return;
    int length = vsnprintf(text, sizeof text, format, values);
    if (number > 0 && length >= 0 && (size_t)length < sizeof text)
        snprintf(text + length, sizeof text - (size_t)length, ": %s", strerror(number));
    if (level < XTL_WARN) {
        log_debug("%s: %s", from ? from : "xen", text);
        return;
    }
    log_warning("%s: %s", from ? from : "xen", text);
    if (level >= XTL_ERROR && !tools->complaint[0])
        snprintf(tools->complaint, sizeof tools->complaint, "%s", text);
}

/* "libxl_device.c:1285:device_hotplug: Domain 7:unable to ..." begins with what is of use to its
 * authors alone. */
static const char *without_origin(const char *complaint)
{
    const char *text = strstr(complaint, ".c:");
    for (unsigned colons = 0; text && colons < 3; colons++) {
        text = strchr(text, ':');
        text = text ? text + 1 : NULL;
    }
    return text ? text + strspn(text, " ") : complaint;
}

int xen_tools_explain(struct xen_tools *tools, struct error *error, const char *what)
{
    bool known = tools->complaint[0];
    error_set(error, "%s%s%s", what, known ? ": " : "", without_origin(tools->complaint));
    tools->complaint[0] = '\0';
    return -1;
}

/* --- life --- */

/* The keeper waits for its own children by descriptors, and never for those of others. */
static const libxl_childproc_hooks children = {
    .chldowner = libxl_sigchld_owner_libxl_always_selective_reap,
};

struct xen_tools *xen_tools_open(struct error *error)
{
    if (access("/proc/xen/privcmd", F_OK) != 0 && access("/dev/xen/privcmd", F_OK) != 0) {
        error_set(error, "this is not dom0 of a running Xen (there is no /dev/xen/privcmd): boot "
                         "the host under Xen, or choose another backend");
        return NULL;
    }
    struct xen_tools *tools = calloc(1, sizeof *tools);
    if (!tools) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    tools->logger.vmessage = take_message;
    if (libxl_ctx_alloc(&tools->context, LIBXL_VERSION, 0, &tools->logger) != 0) {
        xen_tools_explain(tools, error,
                          "cannot talk to Xen (is xenstored running, and jitsud root?)");
        free(tools);
        return NULL;
    }
    libxl_childproc_setmode(tools->context, &children, NULL);
    return tools;
}

void xen_tools_close(struct xen_tools *tools)
{
    if (!tools)
        return;
    libxl_ctx_free(tools->context);
    free(tools);
}

libxl_ctx *xen_tools_context(const struct xen_tools *tools)
{
    return tools->context;
}
