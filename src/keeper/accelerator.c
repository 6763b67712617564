#include "keeper/accelerator.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/spawn.h"

#define DEVICE       "/dev/kvm"
#define VERDICT_FILE "kvm-verdict"
#define PROOF_LIMIT  (2 * NANOSECONDS_PER_SECOND)
#define BOOT_ID_FILE "/proc/sys/kernel/random/boot_id"
#define BOOT_ID_SIZE 36

struct accelerator {
    bool proven;
    int directory;
    int pidfd, output;
    char printed[2048];
    size_t printed_length;
    struct event *readable, *deadline;
};

gid_t accelerator_group(void)
{
    struct stat status;
    return stat(DEVICE, &status) == 0 ? status.st_gid : (gid_t)-1;
}

bool accelerator_is_proven(const struct accelerator *accelerator)
{
    return accelerator->proven;
}

/* --- the verdict, kept for this boot of the host --- */

static int read_boot_id(char id[BOOT_ID_SIZE + 1])
{
    int file = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC);
    ssize_t got = file == -1 ? -1 : read(file, id, BOOT_ID_SIZE);
    descriptor_close(&file);
    id[BOOT_ID_SIZE] = '\0';
    return got == BOOT_ID_SIZE ? 0 : -1;
}

static bool recall(struct accelerator *accelerator)
{
    char id[BOOT_ID_SIZE + 1], kept[BOOT_ID_SIZE + 8] = "";
    int file = openat(accelerator->directory, VERDICT_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t got = file == -1 ? -1 : read(file, kept, sizeof kept - 1);
    descriptor_close(&file);
    if (got < BOOT_ID_SIZE + 2 || read_boot_id(id) != 0 || memcmp(id, kept, BOOT_ID_SIZE) != 0)
        return false;
    accelerator->proven = kept[BOOT_ID_SIZE + 1] == 'y';
    return true;
}

static void remember(const struct accelerator *accelerator)
{
    char id[BOOT_ID_SIZE + 1];
    int file = openat(accelerator->directory, VERDICT_FILE,
                      O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file == -1 || read_boot_id(id) != 0 ||
        dprintf(file, "%s %c\n", id, accelerator->proven ? 'y' : 'n') < 0)
        log_debug("the verdict on KVM cannot be kept");
    descriptor_close(&file);
}

/* --- the proof --- */

static void end_process(struct accelerator *accelerator)
{
    if (accelerator->pidfd == -1)
        return;
    pidfd_send_signal(accelerator->pidfd, SIGKILL, NULL, 0);
    waitid(P_PIDFD, (id_t)accelerator->pidfd, &(siginfo_t){0}, WEXITED);
    descriptor_close(&accelerator->pidfd);
    event_del(accelerator->readable);
    event_del(accelerator->deadline);
    descriptor_close(&accelerator->output);
}

static void conclude(struct accelerator *accelerator, bool proven, const char *why)
{
    accelerator->proven = proven;
    end_process(accelerator);
    remember(accelerator);
    if (proven)
        log_info("KVM works here: machines with `accel: auto` use it");
    else
        log_info("KVM does not work here (%s): machines with `accel: auto` are emulated", why);
}

static void overdue(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    conclude(argument, false, "a tiny machine did not get through its boot in two seconds");
}

static void on_output(evutil_socket_t output, short events, void *argument)
{
    (void)events;
    struct accelerator *accelerator = argument;
    size_t room = sizeof accelerator->printed - 1 - accelerator->printed_length;
    ssize_t got = read(output, accelerator->printed + accelerator->printed_length, room);
    if (got <= 0) {
        conclude(accelerator, false, "a tiny machine did not boot");
        return;
    }
    accelerator->printed_length += (size_t)got;
    accelerator->printed[accelerator->printed_length] = '\0';
    if (strstr(accelerator->printed, "jitsu: ready"))
        conclude(accelerator, true, NULL);
}

static int launch(struct accelerator *accelerator, const struct keeper_options *options,
                  const char *program, const char *image, struct error *error)
{
    const char *const arguments[] = {
        program,
        "-M",
        "microvm,x-option-roms=off,isa-serial=on,acpi=off,pic=off,pit=off,rtc=off",
        "-accel",
        "kvm",
        "-cpu",
        "host",
        "-m",
        "16",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-serial",
        "stdio",
        "-kernel",
        image,
        NULL};
    static char language[] = "LC_ALL=C";
    static char *const environment[] = {language, NULL};
    gid_t group = accelerator_group();
    int both[2];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null == -1 || pipe2(both, O_CLOEXEC) != 0) {
        descriptor_close(&null);
        return error_set_errno(error, "cannot open what QEMU needs");
    }
    gid_t *more = group == (gid_t)-1 ? NULL : &group;
    struct spawn spawned = {.program = program,
                            .arguments = (char *const *)(uintptr_t)arguments,
                            .environment = environment,
                            .descriptors = {null, both[1], null},
                            .descriptor_count = 3,
                            .pid_file = null,
                            .change_user = options->change_user,
                            .user = options->user,
                            .group = options->group,
                            .more_group = more};
    pid_t pid = spawn(&spawned, &accelerator->pidfd, error);
    close(null);
    close(both[1]);
    if (pid == -1) {
        close(both[0]);
        return -1;
    }
    accelerator->output = both[0];
    return 0;
}

static void prove(struct accelerator *accelerator, struct event_base *base,
                  const struct keeper_options *options, const char *program)
{
    const char *image =
        options->probe_image ? options->probe_image : DATA_DIRECTORY "/unikernels/probe.elf";
    struct timeval limit = clock_timeval(PROOF_LIMIT);
    struct error error;

    if (access(DEVICE, R_OK | W_OK) != 0 || !program[0])
        return;
    if (access(image, R_OK) != 0) {
        log_warning("KVM cannot be proven, as %s is missing: machines with `accel: auto` are "
                    "emulated",
                    image);
        return;
    }
    if (launch(accelerator, options, program, image, &error) != 0) {
        log_warning("KVM cannot be proven: %s", error.text);
        return;
    }
    accelerator->readable =
        event_new(base, accelerator->output, EV_READ | EV_PERSIST, on_output, accelerator);
    accelerator->deadline = evtimer_new(base, overdue, accelerator);
    if (!accelerator->readable || !accelerator->deadline)
        abort(); /* the process has just begun: there is no service to spare */
    event_add(accelerator->readable, NULL);
    evtimer_add(accelerator->deadline, &limit);
}

struct accelerator *accelerator_new(struct event_base *base, const struct keeper_options *options,
                                    int directory, const char *program)
{
    struct accelerator *accelerator = calloc(1, sizeof *accelerator);
    if (!accelerator)
        return NULL;
    accelerator->directory = directory;
    accelerator->pidfd = accelerator->output = -1;
    bool wanted = false;
    for (size_t i = 0; i < options->config->service_count && !wanted; i++)
        wanted = options->config->services[i].accel == CONFIG_ACCEL_AUTO;
    if (wanted && !recall(accelerator))
        prove(accelerator, base, options, program);
    return accelerator;
}

void accelerator_free(struct accelerator *accelerator)
{
    if (!accelerator)
        return;
    end_process(accelerator);
    if (accelerator->readable)
        event_free(accelerator->readable);
    if (accelerator->deadline)
        event_free(accelerator->deadline);
    free(accelerator);
}
