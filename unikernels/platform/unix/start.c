/* The start of the process, in the steps of a machine's. Its arguments are the words of a machine's
 * command line; besides, module=FILE is the boot module, or site=DIRECTORY is made into one. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "jitsu/application.h"
#include "jitsu/boot.h"
#include "jitsu/console.h"
#include "platform/options.h"
#include "platform/unix/process.h"

#define ENTERED "jitsu: entered\n"

/* No file may get a number that is meant for standard input, output or errors. */
static void open_standard_descriptors(void)
{
    int descriptor;

    do {
        descriptor = open("/dev/null", O_RDWR);
    } while (descriptor != -1 && descriptor <= STDERR_FILENO);
    if (descriptor != -1)
        close(descriptor);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* The part behind NAME= of a path, which may have spaces in it; NULL if it is another argument. */
static const char *path_of(const char *argument, const char *name)
{
    size_t length = strlen(name);

    return strncmp(argument, name, length) == 0 && argument[length] == '=' ? argument + length + 1
                                                                           : NULL;
}

/* The arguments with spaces between them, without those that are paths for the platform. */
static const char *join(char **arguments, const char **module, const char **site)
{
    size_t size = 1;

    for (char **argument = arguments; *argument; argument++)
        size += strlen(*argument) + 1;
    char *line = malloc(size);
    if (!line)
        application_fail("no memory for the command line");
    char *end = line;
    *end = '\0';
    for (char **argument = arguments; *argument; argument++) {
        const char *path;
        if (**argument == '-')
            application_fail(
                "%s: options are words NAME=VALUE, as on a machine's command line; here "
                "also module=FILE and site=DIRECTORY",
                *argument);
        if ((path = path_of(*argument, "module"))) {
            *module = path;
        } else if ((path = path_of(*argument, "site"))) {
            *site = path;
        } else {
            if (end > line)
                *end++ = ' ';
            end = stpcpy(end, *argument);
        }
    }
    return line;
}

int main(int count, char **arguments)
{
    const char *module = NULL, *site = NULL;

    clock_start();
    open_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    console_write(ENTERED, strlen(ENTERED));
    raise_descriptor_limit();
    options_start(join(arguments + (count > 0), &module, &site));
    memory_start();
    boot_phase("process");
    module_start(module, site);
    boot_phase("module");

    application_main();
    application_power_off();
}
