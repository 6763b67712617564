#include "keeper/xen/check.h"

#include "keeper/xen/tools.h"
#include "keeper/xen/xl_file.h"

int xen_check_host(struct error *error)
{
    struct xen_tools *tools = xen_tools_open(error);
    xen_tools_close(tools);
    return tools ? 0 : -1;
}

int xen_check_file(const struct config_service *service, config_error_function *report,
                   void *argument)
{
    struct xl_file file;
    if (xl_file_read(service->xl, &file, report, argument) != 0)
        return -1;
    int failed = xl_file_suits(&file, service, report, argument);
    xl_file_free(&file);
    return failed;
}
