#include "keeper/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE 65536

/* Shared with the child, which runs in our memory until it enters the program. */
struct child {
    const struct spawn *spawn;
    const char *failed; /* what the child could not do; NULL: it has entered the program */
    int error;
};

/* Moves the descriptors to 0, 1, 2, ...: in two steps, as they may stand in each other's way. */
static int place_descriptors(const struct spawn *spawn)
{
    int above[SPAWN_DESCRIPTORS_MAX];
    for (unsigned i = 0; i < spawn->descriptor_count; i++) {
        above[i] = fcntl(spawn->descriptors[i], F_DUPFD, SPAWN_DESCRIPTORS_MAX);
        if (above[i] == -1)
            return -1;
    }
    for (unsigned i = 0; i < spawn->descriptor_count; i++)
        if (dup2(above[i], (int)i) == -1)
            return -1;
    return (int)syscall(SYS_close_range, spawn->descriptor_count, ~0u, 0);
}

static int write_pid(int file)
{
    char text[16];
    size_t at = sizeof text;
    text[--at] = '\n';
    for (long pid = syscall(SYS_getpid); pid > 0; pid /= 10)
        text[--at] = (char)('0' + pid % 10);
    return write(file, text + at, sizeof text - at) == (ssize_t)(sizeof text - at) ? 0 : -1;
}

/* The C library's own functions would tell all threads of the parent to change too. */
static int become_user(const struct spawn *spawn)
{
    if (syscall(SYS_setgroups, spawn->more_group ? 1 : 0, spawn->more_group) != 0 ||
        syscall(SYS_setresgid, spawn->group, spawn->group, spawn->group) != 0)
        return -1;
    return (int)syscall(SYS_setresuid, spawn->user, spawn->user, spawn->user);
}

/* Handlers are the parent's functions: none may run here. All signals are blocked until then. */
static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static const char *prepare(const struct spawn *spawn)
{
    if (write_pid(spawn->pid_file) != 0)
        return "write its pid";
    if (place_descriptors(spawn) != 0)
        return "place its descriptors";
    if (setsid() == -1 || chdir("/") != 0)
        return "leave our session";
    umask(077);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return "renounce privileges";
    if (spawn->change_user && become_user(spawn) != 0)
        return "change its user";
    return NULL;
}

static int run_child(void *argument)
{
    struct child *child = argument;
    child->failed = prepare(child->spawn);
    if (!child->failed) {
        reset_signals();
        execve(child->spawn->program, child->spawn->arguments, child->spawn->environment);
        child->failed = "run";
    }
    child->error = errno;
    _exit(127);
}

pid_t spawn(const struct spawn *spawn, int *pidfd, struct error *error)
{
    static alignas(16) char stack[STACK_SIZE];
    struct child child = {.spawn = spawn};
    sigset_t all, before;
    int descriptor = -1;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = clone(run_child, stack + sizeof stack,
                      CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &child, &descriptor);
    int saved = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid == -1) {
        errno = saved;
        return error_set_errno(error, "cannot make a process");
    }
    if (child.failed) {
        waitpid(pid, NULL, 0);
        close(descriptor);
        errno = child.error;
        if (strcmp(child.failed, "run") == 0)
            return error_set_errno(error, "cannot run %s", spawn->program);
        return error_set_errno(error, "the process for %s could not %s", spawn->program,
                               child.failed);
    }
    *pidfd = descriptor;
    return pid;
}
