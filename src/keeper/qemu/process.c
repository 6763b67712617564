#include "keeper/qemu/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "keeper/bridges.h"
#include "keeper/qemu/command.h"
#include "keeper/qemu/qemu.h"
#include "keeper/spawn.h"

#define READ_SIZE 4096

/* --- life --- */

static struct qemu_process *process_new(struct qemu *qemu, const char *service,
                                        const char *directory_name)
{
    struct qemu_process *process = calloc(1, sizeof *process);
    if (!process)
        return NULL;
    process->qemu = qemu;
    process->directory = process->pidfd = -1;
    process->console_socket = process->complaints_pipe = -1;
    for (unsigned i = 0; i < QEMU_PROBES; i++)
        process->probes[i] = -1;
    snprintf(process->service, sizeof process->service, "%s", service);
    snprintf(process->directory_name, sizeof process->directory_name, "%s", directory_name);
    return process;
}

static void free_event(struct event **event)
{
    if (*event)
        event_free(*event);
    *event = NULL;
}

void qemu_process_free(struct qemu_process *process)
{
    if (!process)
        return;
    readiness_end(process);
    free_event(&process->ended);
    free_event(&process->console_readable);
    free_event(&process->complaints_readable);
    free_event(&process->timer);
    qmp_free(process->qmp);
    descriptor_close(&process->directory);
    descriptor_close(&process->pidfd);
    descriptor_close(&process->console_socket);
    descriptor_close(&process->complaints_pipe);
    free(process->ready_text);
    free(process);
}

void qemu_process_kill(struct qemu_process *process)
{
    if (process->pidfd != -1 && pidfd_send_signal(process->pidfd, SIGKILL, NULL, 0) != 0 &&
        errno != ESRCH)
        log_error("%s: cannot end process %d: %s", process->service, (int)process->pid,
                  strerror(errno));
}

void qemu_process_condemn(struct qemu_process *process, const struct error *why)
{
    snprintf(process->verdict, sizeof process->verdict, "%s", why->text);
    qemu_process_kill(process);
}

void qemu_process_after(struct qemu_process *process, uint64_t delay, event_callback_fn function)
{
    struct timeval wait = clock_timeval(delay);
    free_event(&process->timer);
    process->timer = evtimer_new(process->qemu->keeper->base, function, process);
    if (!process->timer || evtimer_add(process->timer, &wait) != 0)
        log_error("%s: memory is exhausted: a deadline is not watched", process->service);
}

/* --- what it says --- */

static void console_event(void *argument, enum console_event event, const char *line)
{
    struct qemu_process *process = argument;
    if (event != CONSOLE_WANTED && process->machine)
        log_debug("%s: console: %s", process->service, line);
    if (event == CONSOLE_ENTERED && process->machine && !process->entered) {
        process->entered = true;
        keeper_machine_entered(process->machine, clock_now());
    }
    readiness_console(process, event);
}

/* Returns whether there may be more. */
static bool read_console(struct qemu_process *process)
{
    char bytes[READ_SIZE];
    ssize_t got = recv(process->console_socket, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) {
        console_feed(&process->console, bytes, (size_t)got, console_event, process);
        if (process->machine)
            keeper_machine_console(process->machine, bytes, (size_t)got);
        return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        event_del(process->console_readable);
    return false;
}

static void on_console(evutil_socket_t socket, short events, void *argument)
{
    (void)socket, (void)events;
    read_console(argument);
}

void qemu_process_listen(struct qemu_process *process)
{
    if (process->console_socket != -1)
        read_console(process);
}

/* Keeps the last line that is no mere information: it says why QEMU ends. */
static void end_complaint(struct qemu_process *process)
{
    process->saying[process->saying_length] = '\0';
    process->saying_length = 0;
    if (!process->saying[0])
        return;
    log_debug("%s: QEMU: %s", process->service, process->saying);
    if (!strstr(process->saying, ": info: "))
        memcpy(process->complaint, process->saying, sizeof process->complaint);
}

/* QEMU writes a line in pieces. */
static void add_complaint(struct qemu_process *process, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] == '\n')
            end_complaint(process);
        else if (process->saying_length < sizeof process->saying - 1)
            process->saying[process->saying_length++] = bytes[i];
}

/* Returns whether there may be more. */
static bool read_complaints(struct qemu_process *process)
{
    char bytes[READ_SIZE];
    ssize_t got = read(process->complaints_pipe, bytes, sizeof bytes);
    if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            event_del(process->complaints_readable);
        return false;
    }
    add_complaint(process, bytes, (size_t)got);
    return true;
}

static void on_complaints(evutil_socket_t pipe, short events, void *argument)
{
    (void)pipe, (void)events;
    read_complaints(argument);
}

static void monitor_greeted(void *argument)
{
    struct qemu_process *process = argument;
    process->greeted = true;
    qemu_process_greeted(process);
}

static void monitor_event(void *argument, const char *name)
{
    const struct qemu_process *process = argument;
    log_debug("%s: QEMU event %s", process->service, name);
}

static void monitor_closed(void *argument, const char *why)
{
    const struct qemu_process *process = argument;
    log_debug("%s: QEMU's monitor: %s", process->service, why);
}

int qemu_process_execute(struct qemu_process *process, const char *command,
                         qmp_answer_function *answered)
{
    char text[128];
    snprintf(text, sizeof text, "{\"execute\":\"%s\"}", command);
    return process->qmp ? qmp_execute(process->qmp, text, answered, process) : -1;
}

/* --- its end --- */

/* In words for a person. */
static void describe_end(struct qemu_process *process, const siginfo_t *status, bool known,
                         char *text, size_t size)
{
    const char *words = console_last_words(&process->console);
    int length;
    if (process->verdict[0])
        length = snprintf(text, size, "%s", process->verdict);
    else if (!known)
        length = snprintf(text, size, "its QEMU process ended");
    else if (status->si_code == CLD_EXITED && process->console.fatal[0])
        length = snprintf(text, size, "the machine gave up: %s", process->console.fatal);
    else if (status->si_code == CLD_EXITED && status->si_status == 0)
        length = snprintf(text, size, "the machine powered itself off or reset");
    else if (status->si_code == CLD_EXITED)
        length = snprintf(text, size, "QEMU ended with exit status %d%s%s", status->si_status,
                          process->complaint[0] ? ": " : "", process->complaint);
    else
        length = snprintf(text, size, "QEMU was killed by signal %d (%s)", status->si_status,
                          strsignal(status->si_status));
    if (words[0] && !process->console.fatal[0] && length > 0 && (size_t)length < size)
        snprintf(text + length, size - (size_t)length, "; its console said last: %s", words);
}

static void on_end(evutil_socket_t pidfd, short events, void *argument)
{
    (void)events;
    struct qemu_process *process = argument;
    char why[MESSAGE_TEXT_MAX];
    siginfo_t status = {0};

    bool known = !process->adopted &&
                 waitid(P_PIDFD, (id_t)pidfd, &status, WEXITED | WNOHANG) == 0 &&
                 status.si_pid != 0;
    while (process->console_socket != -1 && read_console(process))
        ;
    while (process->complaints_pipe != -1 && read_complaints(process))
        ;
    end_complaint(process);
    event_del(process->ended);
    describe_end(process, &status, known, why, sizeof why);
    qemu_process_ended(process, why);
}

/* --- connecting --- */

static int watch(struct event_base *base, int descriptor, event_callback_fn function,
                 struct qemu_process *process, struct event **event)
{
    *event = event_new(base, descriptor, EV_READ | EV_PERSIST, function, process);
    return *event && event_add(*event, NULL) == 0 ? 0 : -1;
}

static int watch_all(struct qemu_process *process, int qmp_socket)
{
    static const struct qmp_callbacks callbacks = {monitor_greeted, monitor_event, monitor_closed};
    struct event_base *base = process->qemu->keeper->base;
    process->qmp = qmp_new(base, qmp_socket, &callbacks, process);
    if (!process->qmp || watch(base, process->pidfd, on_end, process, &process->ended) != 0 ||
        watch(base, process->console_socket, on_console, process, &process->console_readable) != 0)
        return -1;
    if (process->complaints_pipe == -1)
        return 0;
    return watch(base, process->complaints_pipe, on_complaints, process,
                 &process->complaints_readable);
}

/* --- launching --- */

/* What the new process gets, and ours of the other ends. */
struct ends {
    int null, complaints, qmp, console, pid, own_qmp;
    int more[3]; /* its TAP device, image and ramdisk, as far as it gets them open */
    unsigned more_count;
};

/* Passes that descriptor, too. Returns its number in the new process. */
static int add_end(struct ends *ends, int descriptor)
{
    _Static_assert(QEMU_FD_COUNT + sizeof ends->more / sizeof ends->more[0] <=
                       SPAWN_DESCRIPTORS_MAX,
                   "all can be passed");
    ends->more[ends->more_count] = descriptor;
    return QEMU_FD_COUNT + (int)ends->more_count++;
}

static int make_ends(struct qemu_process *process, struct ends *ends, struct error *error)
{
    int both[2];
    ends->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (ends->null == -1 || pipe2(both, O_CLOEXEC | O_NONBLOCK) != 0)
        return error_set_errno(error, "cannot open what QEMU needs");
    process->complaints_pipe = both[0];
    ends->complaints = both[1];
    fcntl(ends->complaints, F_SETFL, 0);
    ends->pid = record_lock(process->directory, error);
    if (ends->pid == -1 ||
        record_listen(process->directory, "qmp.sock", &ends->qmp, &ends->own_qmp, error) != 0 ||
        record_listen(process->directory, "console.sock", &ends->console, &process->console_socket,
                      error) != 0)
        return -1;
    return 0;
}

static void close_ends(struct ends *ends)
{
    int *all[] = {&ends->null,    &ends->complaints, &ends->qmp,
                  &ends->console, &ends->pid,        &ends->own_qmp};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        descriptor_close(all[i]);
    for (unsigned i = 0; i < ends->more_count; i++)
        descriptor_close(&ends->more[i]);
}

static bool has_forward(const struct qemu_process *process, uint16_t port)
{
    for (unsigned i = 0; i < process->forward_count; i++)
        if (process->forwards[i].machine == port)
            return true;
    return false;
}

static bool is_on_bridge(const struct config_service *service)
{
    return service->network && service->network->type == CONFIG_NETWORK_BRIDGE;
}

static void choose_forwards(struct qemu_process *process, const struct config_service *service)
{
    if (is_on_bridge(service))
        return;
    for (unsigned i = 0; i < service->port_count; i++)
        if (!has_forward(process, service->ports[i].machine))
            process->forwards[process->forward_count++].machine = service->ports[i].machine;
    process->service_forwards = process->forward_count;
    if (process->rule == CONFIG_READY_TCP && !has_forward(process, process->ready_port))
        process->forwards[process->forward_count++].machine = process->ready_port;
}

static char **make_command(struct qemu_process *process, const struct config_service *service,
                           int tap, bool paused, struct error *error)
{
    char title[CONFIG_NAME_TEXT_MAX + 8];
    if (process->image.announces &&
        getrandom(process->token, sizeof process->token, 0) != (ssize_t)sizeof process->token) {
        error_set_errno(error, "no randomness");
        return NULL;
    }
    snprintf(title, sizeof title, "%s", service->name);
    const struct qemu *qemu = process->qemu;
    struct qemu_command command = {
        .program = qemu->program,
        .title = title,
        .service = service,
        .image = &process->image,
        .kvm = service->accel == CONFIG_ACCEL_KVM ||
               (service->accel == CONFIG_ACCEL_AUTO && accelerator_is_proven(qemu->accelerator)),
        .paused = paused,
        .token = process->token,
        .time = (int64_t)time(NULL),
        .tap = tap,
        .forwards = process->forwards,
        .forward_count = process->forward_count,
    };
    return qemu_command_make(&command, error);
}

static int run(struct qemu_process *process, const struct ends *ends, char **command,
               struct error *error)
{
    static char language[] = "LC_ALL=C";
    static char *const environment[] = {language, NULL};
    const struct keeper_options *options = process->qemu->keeper->options;
    gid_t kvm = accelerator_group();
    struct spawn program = {
        .program = command[0],
        .arguments = command,
        .environment = environment,
        .descriptors = {ends->null, ends->complaints, ends->complaints, [QEMU_FD_QMP] = ends->qmp,
                        [QEMU_FD_CONSOLE] = ends->console, [QEMU_FD_PID] = ends->pid},
        .descriptor_count = QEMU_FD_COUNT,
        .pid_file = ends->pid,
        .change_user = options->change_user,
        .user = options->user,
        .group = options->group,
        .more_group = kvm == (gid_t)-1 ? NULL : &kvm};
    for (unsigned i = 0; i < ends->more_count; i++)
        program.descriptors[program.descriptor_count++] = ends->more[i];
    process->pid = spawn(&program, &process->pidfd, error);
    return process->pid == -1 ? -1 : 0;
}

/* Its end of the wire to the bridge, where it is on one. */
static int open_tap(struct qemu_process *process, const struct config_service *service,
                    struct ends *ends, int *number, struct error *error)
{
    *number = -1;
    if (!is_on_bridge(service))
        return 0;
    int tap = bridges_open_machine(process->qemu->keeper->bridges, service, process->directory_name,
                                   process->device, error);
    if (tap == -1)
        return -1;
    *number = add_end(ends, tap);
    return 0;
}

/* A file's path in a process that gets it open. */
struct file_path {
    char text[sizeof "/dev/fd/" + 3 * sizeof(int)];
};

static int open_file(const char *path, struct ends *ends, struct file_path *seen,
                     struct error *error)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file == -1)
        return error_set_errno(error, "cannot open %s", path);
    snprintf(seen->text, sizeof seen->text, "/dev/fd/%d", add_end(ends, file));
    return 0;
}

/* Where the machine's user is not the keeper's, it gets the files open: the directories that they
 * lie in need not be open to it. `*service` then names them as that process sees them, by `paths`.
 */
static int open_files(const struct qemu_process *process, struct config_service *service,
                      struct file_path paths[2], struct ends *ends, struct error *error)
{
    if (!process->qemu->keeper->options->change_user)
        return 0;
    if (open_file(service->image, ends, &paths[0], error) != 0)
        return -1;
    service->image = paths[0].text;
    if (!service->ramdisk)
        return 0;
    if (open_file(service->ramdisk, ends, &paths[1], error) != 0)
        return -1;
    service->ramdisk = paths[1].text;
    return 0;
}

/* Everything up to the running process. */
static int launch(struct qemu_process *process, const struct config_service *service, bool paused,
                  struct error *error)
{
    struct ends ends = {-1, -1, -1, -1, -1, -1, {-1, -1, -1}, 0};
    struct file_path paths[2];
    char **command = NULL;
    int tap, failed = -1;

    if (image_examine(service->image, &process->image, error) != 0 ||
        (service->ramdisk && file_version_read(service->ramdisk, &process->ramdisk, error) != 0) ||
        readiness_choose(process, service, error) != 0)
        return -1;
    process->has_ramdisk = service->ramdisk != NULL;
    console_begin(&process->console, process->ready_text);
    choose_forwards(process, service);
    process->directory = record_create(process->qemu->directory, process->directory_name, error);
    if (process->directory == -1)
        return -1;
    struct config_service seen = *service;
    if (make_ends(process, &ends, error) != 0 ||
        open_tap(process, service, &ends, &tap, error) != 0 ||
        open_files(process, &seen, paths, &ends, error) != 0)
        goto out;
    command = make_command(process, &seen, tap, paused, error);
    if (!command || run(process, &ends, command, error) != 0)
        goto out;
    int qmp_socket = ends.own_qmp;
    ends.own_qmp = -1;
    failed = watch_all(process, qmp_socket);
    /* A spare has come as far as it should when its monitor answers. If it does not even take the
     * question, the end of the connection is what is read. */
    if (!failed && paused)
        (void)qmp_greet(process->qmp);
    if (failed) {
        error_set(error, "memory is exhausted");
        qemu_process_kill(process);
    }
out:
    if (failed)
        record_remove(process->qemu->directory, process->directory_name);
    free(command);
    close_ends(&ends);
    return failed;
}

struct qemu_process *qemu_process_launch(struct qemu *qemu, const struct config_service *service,
                                         const char *directory_name, bool paused,
                                         struct error *error)
{
    if (!qemu->program[0]) {
        error_set(error, "QEMU (qemu-system-x86_64) is not installed: apt-get install "
                         "qemu-system-x86");
        return NULL;
    }
    struct qemu_process *process = process_new(qemu, service->name, directory_name);
    if (!process) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    if (launch(process, service, paused, error) != 0) {
        qemu_process_free(process);
        return NULL;
    }
    return process;
}

/* --- adopting --- */

struct qemu_process *qemu_process_adopt(struct qemu *qemu, const char *directory_name,
                                        int directory, pid_t pid, const struct record *record,
                                        struct error *error)
{
    struct qemu_process *process = process_new(qemu, record->service, directory_name);
    if (!process) {
        close(directory);
        error_set(error, "memory is exhausted");
        return NULL;
    }
    process->directory = directory;
    process->adopted = process->entered = true;
    process->pid = pid;
    process->rule = CONFIG_READY_ANNOUNCE;
    process->forward_count = process->service_forwards = record->forward_count;
    memcpy(process->forwards, record->forwards, sizeof record->forwards);
    memcpy(process->token, record->token, sizeof record->token);
    bridges_find_machine(qemu->keeper->bridges, directory_name, process->device);
    console_begin(&process->console, NULL);

    int qmp_socket = -1;
    process->pidfd = pidfd_open(pid, 0);
    if (process->pidfd != -1)
        qmp_socket = record_connect(directory, "qmp.sock");
    if (qmp_socket != -1)
        process->console_socket = record_connect(directory, "console.sock");
    if (process->console_socket == -1) {
        error_set_errno(error, "cannot connect to process %d", (int)pid);
        descriptor_close(&qmp_socket);
        goto failed;
    }
    if (watch_all(process, qmp_socket) != 0) {
        error_set(error, "memory is exhausted");
        goto failed;
    }
    return process;

failed:
    qemu_process_kill(process);
    qemu_process_free(process);
    return NULL;
}

void qemu_process_remember(struct qemu_process *process)
{
    const struct machine *machine = process->machine;
    struct error error;
    struct record record = {.serial = machine->serial,
                            .started = machine->started,
                            .shutdown_timeout = machine->shutdown_timeout,
                            .ready = machine->ready,
                            .suspended = machine->suspended,
                            .place = machine->place,
                            .forward_count = machine->forward_count};
    snprintf(record.service, sizeof record.service, "%s", machine->name);
    memcpy(record.forwards, machine->forwards, sizeof record.forwards);
    memcpy(record.token, process->token, sizeof record.token);
    if (record_write(process->directory, &record, &error) != 0)
        log_error("%s: %s; a restarted jitsud will not know this machine", machine->name,
                  error.text);
}
