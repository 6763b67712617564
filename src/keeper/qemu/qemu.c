/* The qemu backend: machines as QEMU processes of their own. */
#include "keeper/qemu/qemu.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/bridges.h"

#define PROGRAM      "qemu-system-x86_64"
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

/* An adopted QEMU that does not answer its monitor within this is of no use. */
#define ADOPTION_LIMIT (5 * NANOSECONDS_PER_SECOND)

/* --- starting --- */

static void attach(struct qemu_process *process, struct machine *machine)
{
    process->machine = machine;
    machine->data = process;
    machine->pid = process->pid;
    machine->ready_rule = (uint8_t)process->rule;
    machine->ready_port = process->ready_port;
    memcpy(machine->token, process->token, sizeof machine->token);
    memcpy(machine->device, process->device, sizeof machine->device);
}

/* While QEMU is still being loaded, or waits to be told to continue. */
static int attach_network(struct qemu_process *process, const struct config_service *service,
                          struct error *error)
{
    if (!process->device[0])
        return 0;
    return bridges_attach(process->qemu->keeper->bridges, service->network, process->device, error);
}

/* The spare's console has said nothing yet, and mostly its ports are known: it only has to go on.
 */
static int start_spare(struct qemu_process *spare, const struct config_service *service,
                       struct machine *machine, struct error *error)
{
    if (attach_network(spare, service, error) != 0)
        return -1;
    if (qemu_process_execute(spare, "cont", NULL) != 0)
        return error_set(error, "its monitor does not take commands");
    attach(spare, machine);
    machine->prewarmed = true;
    keeper_machine_spawned(machine, clock_now());
    readiness_begin(spare);
    qemu_process_remember(spare);
    return 0;
}

static int qemu_start(struct machine *machine, const struct config_service *service,
                      struct error *error)
{
    struct qemu *qemu = machine->keeper->qemu;
    struct qemu_process *process = spare_take(qemu, service);
    if (process) {
        spare_refill_soon(qemu);
        if (start_spare(process, service, machine, error) == 0)
            return 0;
        spare_ended(process, error->text);
    }
    process = qemu_process_launch(qemu, service, service->name, false, error);
    if (!process)
        return -1;
    if (attach_network(process, service, error) != 0)
        qemu_process_condemn(process, error);
    attach(process, machine);
    keeper_machine_spawned(machine, clock_now());
    readiness_begin(process);
    qemu_process_remember(process);
    return 0;
}

static void qemu_seen_ready(struct machine *machine)
{
    qemu_process_listen(machine->data);
    readiness_seen(machine->data);
}

void qemu_process_ready(struct qemu_process *process)
{
    struct machine *machine = process->machine;
    machine->forward_count = process->service_forwards;
    memcpy(machine->forwards, process->forwards,
           process->service_forwards * sizeof *process->forwards);
    keeper_machine_ready(machine, process->ready_moment);
}

/* --- stopping --- */

static void pause_network(struct qemu_process *process)
{
    struct error error;
    if (process->device[0] &&
        bridges_pause(process->qemu->keeper->bridges, process->device, &error) != 0)
        log_warning("%s: %s; frames for it pile up while it is suspended", process->service,
                    error.text);
}

/* Lets the machine run on. -1: its monitor does not answer. */
static int let_run(struct qemu_process *process, qmp_answer_function *answered)
{
    struct error error;
    if (process->device[0] &&
        bridges_resume(process->qemu->keeper->bridges, process->device, &error) != 0)
        log_error("%s: %s; it cannot be reached", process->service, error.text);
    return qemu_process_execute(process, "cont", answered);
}

static void shutdown_overdue(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct qemu_process *process = argument;
    log_info("%s: it has not shut down in time: destroying it", process->service);
    qemu_process_kill(process);
}

static void stopped(void *argument, bool failed, const char *text)
{
    struct qemu_process *process = argument;
    struct machine *machine = process->machine;
    if (!machine || !machine->suspending)
        return;
    if (failed) {
        log_warning("%s: cannot be suspended: %s; destroying it", process->service, text);
        machine->stopping = true;
        qemu_process_kill(process);
        return;
    }
    pause_network(process);
    keeper_machine_suspended(machine);
}

static void qemu_stop(struct machine *machine, enum config_stop mode)
{
    struct qemu_process *process = machine->data;
    switch (mode) {
    case CONFIG_STOP_SUSPEND:
        if (qemu_process_execute(process, "stop", stopped) != 0)
            stopped(process, true, "its monitor does not answer");
        break;
    case CONFIG_STOP_SHUTDOWN:
        /* A suspended machine must run to hear of it. */
        if ((machine->suspended && let_run(process, NULL) != 0) ||
            qemu_process_execute(process, "system_powerdown", NULL) != 0)
            qemu_process_kill(process);
        else
            qemu_process_after(process, machine->shutdown_timeout, shutdown_overdue);
        break;
    case CONFIG_STOP_DESTROY:
        qemu_process_kill(process);
        break;
    }
}

static void resumed(void *argument, bool failed, const char *text)
{
    struct qemu_process *process = argument;
    if (!process->machine)
        return;
    if (failed) {
        log_error("%s: cannot be resumed: %s; destroying it", process->service, text);
        qemu_process_kill(process);
        return;
    }
    keeper_machine_ready(process->machine, clock_now());
}

static void qemu_resume(struct machine *machine)
{
    if (let_run(machine->data, resumed) != 0)
        resumed(machine->data, true, "its monitor does not answer");
}

void qemu_process_ended(struct qemu_process *process, const char *why)
{
    struct machine *machine = process->machine;
    if (!machine) {
        spare_ended(process, why);
        return;
    }
    record_remove(process->qemu->directory, process->directory_name);
    keeper_machine_gone(machine, why); /* frees it by qemu_forget() */
}

static void qemu_remember(struct machine *machine)
{
    qemu_process_remember(machine->data);
}

static void qemu_forget(struct machine *machine)
{
    qemu_process_free(machine->data);
    machine->data = NULL;
}

/* --- adopting --- */

static void adoption_overdue(evutil_socket_t unused, short events, void *argument)
{
    (void)unused, (void)events;
    struct qemu_process *process = argument;
    log_error("%s: process %d of an earlier jitsud does not answer: destroying it",
              process->service, (int)process->pid);
    qemu_process_kill(process);
}

static void adoption_answered(void *argument, bool failed, const char *text)
{
    struct qemu_process *process = argument;
    struct machine *machine = process->machine;
    bool paused = strcmp(text, "paused") == 0;
    if (failed || (!paused && strcmp(text, "running") != 0)) {
        log_error("%s: process %d of an earlier jitsud says '%s': destroying it", process->service,
                  (int)process->pid, text);
        qemu_process_kill(process);
        return;
    }
    readiness_end(process); /* the deadline */
    machine->suspended = paused;
    log_info("%s: adopted the machine that runs already (process %d)", process->service,
             (int)process->pid);
    keeper_machine_adopted(machine);
}

void qemu_process_greeted(struct qemu_process *process)
{
    if (!process->machine)
        spare_greeted(process);
}

static int adopt_process(struct qemu *qemu, const char *name, int directory, pid_t pid,
                         const struct record *record, struct error *error)
{
    struct qemu_process *process = qemu_process_adopt(qemu, name, directory, pid, record, error);
    if (!process)
        return -1;
    struct machine *machine =
        keeper_machine_adopt(qemu->keeper, &qemu_backend, record->service, record->serial);
    if (!machine) {
        qemu_process_kill(process);
        qemu_process_free(process);
        return error_set(error, "there is another one of its name");
    }
    attach(process, machine);
    machine->started = record->started;
    machine->shutdown_timeout = record->shutdown_timeout;
    machine->place = record->place;
    machine->forward_count = record->forward_count;
    memcpy(machine->forwards, record->forwards, sizeof machine->forwards);
    qemu_process_after(process, ADOPTION_LIMIT, adoption_overdue);
    if (qemu_process_execute(process, "query-status", adoption_answered) != 0)
        adoption_overdue(-1, 0, process);
    return 0;
}

/* A process that was begun a moment ago is about to write its pid. */
static bool await_pid(int directory, pid_t *pid)
{
    for (unsigned i = 0; i < 1000 && *pid == 0; i++) {
        poll(NULL, 0, 1);
        if (!record_is_alive(directory, pid))
            return false;
    }
    return true;
}

static void end_unknown(pid_t pid)
{
    int pidfd = pid > 0 ? pidfd_open(pid, 0) : -1;
    if (pidfd == -1)
        return;
    pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
    close(pidfd);
}

/* What an earlier keeper left in directory `name`: a machine to adopt, one that was still starting
 * or a spare, which are ended, or nothing that lives. */
static void take_over(struct qemu *qemu, const char *name)
{
    struct record record;
    struct error error;
    pid_t pid;
    int directory = record_open(qemu->directory, name);
    if (directory == -1)
        return;
    bool alive = record_is_alive(directory, &pid) && await_pid(directory, &pid);
    bool known = alive && pid > 0 && record_read(directory, &record, &error) == 0 && record.ready;
    if (known && adopt_process(qemu, name, directory, pid, &record, &error) == 0)
        return;
    if (known)
        log_error("%s: cannot adopt its machine: %s; destroying it", record.service, error.text);
    else
        close(directory);
    if (alive) {
        log_info("process %d of an earlier jitsud had not begun to serve: ending it", (int)pid);
        end_unknown(pid);
    }
    record_remove(qemu->directory, name);
}

static int take_over_all(struct qemu *qemu, struct error *error)
{
    int copy = fcntl(qemu->directory, F_DUPFD_CLOEXEC, 0);
    DIR *directory = copy == -1 ? NULL : fdopendir(copy);
    if (!directory)
        return error_set_errno(error, "cannot read the directory of machines");
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && entry->d_type == DT_DIR)
            take_over(qemu, entry->d_name);
    closedir(directory);
    return 0;
}

/* --- life --- */

static void find_program(struct qemu *qemu)
{
    const char *path = getenv("PATH");
    char *copy = strdup(path && path[0] ? path : DEFAULT_PATH);
    char *rest = copy;
    for (char *directory; rest && (directory = strsep(&rest, ":"));) {
        char *program = qemu->program;
        int length = snprintf(program, sizeof qemu->program, "%s/%s", directory, PROGRAM);
        if (length > 0 && (size_t)length < sizeof qemu->program && access(program, X_OK) == 0)
            break;
        program[0] = '\0';
    }
    free(copy);
}

static int open_directory(struct qemu *qemu, struct error *error)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/machines", qemu->keeper->config->run_directory);
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set_errno(error, "cannot make %s", path);
    qemu->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return qemu->directory == -1 ? error_set_errno(error, "cannot open %s", path) : 0;
}

static int qemu_open(struct keeper *keeper, struct error *error)
{
    struct qemu *qemu = calloc(1, sizeof *qemu);
    error_set(error, "memory is exhausted");
    if (!qemu)
        return -1;
    keeper->qemu = qemu;
    qemu->keeper = keeper;
    qemu->directory = -1;
    find_program(qemu);
    qemu->refill = spare_timer(qemu);
    if (!qemu->refill || open_directory(qemu, error) != 0)
        return -1;
    qemu->accelerator =
        accelerator_new(keeper->base, keeper->options, qemu->directory, qemu->program);
    if (!qemu->accelerator)
        return error_set(error, "memory is exhausted");
    if (take_over_all(qemu, error) != 0)
        return -1;
    if (spare_configure(qemu, keeper->config) != 0)
        return error_set(error, "memory is exhausted");
    return 0;
}

static void qemu_reload(struct keeper *keeper, const struct config *config)
{
    keeper->qemu->prewarmed_count = 0; /* of the old configuration, which is about to go */
    if (spare_configure(keeper->qemu, config) != 0)
        log_error("memory is exhausted: no machines are prewarmed until a reload works");
}

static void qemu_settled(struct keeper *keeper)
{
    spare_refill_soon(keeper->qemu);
}

static void qemu_close(struct keeper *keeper)
{
    struct qemu *qemu = keeper->qemu;
    if (!qemu)
        return;
    spare_close(qemu);
    accelerator_free(qemu->accelerator);
    if (qemu->refill)
        event_free(qemu->refill);
    descriptor_close(&qemu->directory);
    free(qemu->prewarmed);
    free(qemu);
    keeper->qemu = NULL;
}

const struct backend qemu_backend = {
    .name = "qemu",
    .open = qemu_open,
    .start = qemu_start,
    .seen_ready = qemu_seen_ready,
    .resume = qemu_resume,
    .stop = qemu_stop,
    .remember = qemu_remember,
    .forget = qemu_forget,
    .reload = qemu_reload,
    .settled = qemu_settled,
    .close = qemu_close,
};
