/* The daemon's main: options, configuration, what must exist before the processes start, and then
 * the supervisor. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "common/descriptor.h"
#include "common/log.h"
#include "config/config.h"
#include "original.h"
#include "privileges.h"
#include "supervisor.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

/* Where the original's command line says nothing of resolvers. */
#define RESOLVERS_FILE "/etc/resolv.conf"

/* How long a daemon that is just ending is waited for. */
#define LOCK_PATIENCE (10 * NANOSECONDS_PER_SECOND)

struct options {
    const char *file;
    bool foreground, check, verbose, stop_machines;
};

enum long_option { OPTION_STOP_MACHINES = 256, OPTION_HELP };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"foreground", no_argument, NULL, 'f'},
    {"check", no_argument, NULL, 't'},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {"stop-machines", no_argument, NULL, OPTION_STOP_MACHINES},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static void print_usage(FILE *stream)
{
    fprintf(
        stream,
        "Usage: jitsud [-f] [-v] [--stop-machines] [-c FILE]   serve\n"
        "       jitsud -t [-c FILE]                            check the configuration\n"
        "       jitsud [-x BACKEND] [OPTION...] KEY=VALUE,...  the original's command line, see\n"
        "                                                      jitsud(8)\n"
        "\n"
        "  -c, --config FILE    the configuration; default %s\n"
        "  -f, --foreground     do not become a daemon\n"
        "  -t, --check          check the configuration and what it names, then exit\n"
        "  -v, --verbose        log everything, whatever the configuration says\n"
        "      --stop-machines  at SIGTERM stop the machines too\n"
        "  -V, --version        print the version\n"
        "      --help           print this\n"
        "\n"
        "Manuals: jitsud(8), jitsud.yaml(5), jitsuctl(1).\n",
        CONFIG_DEFAULT_FILE);
}

static void print_version(void)
{
    printf("jitsud %s\n", PACKAGE_VERSION);
}

/* Fills in `options`; exits where that is all there is to do. */
static void parse_options(int argc, char **argv, struct options *options)
{
    *options = (struct options){.file = CONFIG_DEFAULT_FILE};
    int option;
    while ((option = getopt_long(argc, argv, "c:ftvV", long_options, NULL)) != -1)
        switch (option) {
        case 'c':
            options->file = optarg;
            break;
        case 'f':
            options->foreground = true;
            break;
        case 't':
            options->check = true;
            break;
        case 'v':
            options->verbose = true;
            break;
        case 'V':
            print_version();
            exit(EXIT_SUCCESS);
        case OPTION_STOP_MACHINES:
            options->stop_machines = true;
            break;
        case OPTION_HELP:
            print_usage(stdout);
            exit(EXIT_SUCCESS);
        default:
            print_usage(stderr);
            exit(EXIT_USAGE);
        }
    if (optind != argc) {
        fprintf(stderr, "jitsud: unexpected argument '%s'\n", argv[optind]);
        print_usage(stderr);
        exit(EXIT_USAGE);
    }
}

static void print_problem(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
}

static void print_argument_problem(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "jitsud: %s\n", text);
}

/* The original's command line: fills in `options`; exits where that is all there is to do. Returns
 * the configuration, or NULL if something is wrong with it. */
static struct config *read_original(int argc, char **argv, struct options *options)
{
    struct original_options found;
    struct config *config = NULL;
    bool is_usage;
    struct original *original = original_translate(argc, argv, RESOLVERS_FILE, &found, &is_usage,
                                                   print_argument_problem, NULL);
    if (is_usage || found.help)
        print_usage(is_usage ? stderr : stdout);
    if (is_usage)
        exit(EXIT_USAGE);
    if (found.version)
        print_version();
    if (original && !found.help && !found.version)
        config = original_config(original);
    if (config && found.print)
        fputs(original_text(original), stdout);
    original_free(original);
    if (found.help || found.version || (config && found.print)) {
        config_free(config);
        exit(EXIT_SUCCESS);
    }
    *options = (struct options){.file = "command line",
                                .foreground = true,
                                .check = found.check,
                                .verbose = found.verbose,
                                .stop_machines = found.stop_machines};
    return config;
}

static struct config *read_configuration(int argc, char **argv, struct options *options)
{
    if (original_is_meant(argc, argv))
        return read_original(argc, argv, options);
    parse_options(argc, argv, options);
    return config_load(options->file, print_problem, NULL);
}

/* At most one daemon uses a run directory: it holds a lock on jitsud.pid, which lives as long as
 * any of its processes. */
static int lock_run_directory(const struct config *config, struct error *error)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/jitsud.pid", config->run_directory);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file == -1)
        return error_set_errno(error, "cannot open %s", path);

    uint64_t deadline = clock_now() + LOCK_PATIENCE;
    while (flock(file, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK || clock_now() > deadline) {
            close(file);
            return error_set(error,
                             "%s is locked: another jitsud uses %s; stop it first, or give "
                             "this one another run-directory",
                             path, config->run_directory);
        }
        usleep(20000);
    }
    if (ftruncate(file, 0) != 0 || dprintf(file, "%d\n", (int)getpid()) < 0)
        return error_set_errno(error, "cannot write %s", path);
    return 0;
}

static int open_control(const struct config *config, const struct identity *identity,
                        struct error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/control.sock",
                          config->run_directory);
    if (length < 0 || (size_t)length >= sizeof address.sun_path)
        return error_set(error,
                         "run-directory: %s is too long for a socket's path (at most %zu "
                         "bytes)",
                         config->run_directory, sizeof address.sun_path - sizeof "/control.sock");
    int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ == -1)
        return error_set_errno(error, "cannot make the control socket");
    unlink(address.sun_path);
    mode_t mask = umask(0117);
    int bound = bind(socket_, (struct sockaddr *)&address, sizeof address);
    umask(mask);
    if (bound != 0 || listen(socket_, 64) != 0 ||
        (identity->change && chown(address.sun_path, 0, identity->group) != 0)) {
        error_set_errno(error, "cannot listen on %s", address.sun_path);
        close(socket_);
        return -1;
    }
    return socket_;
}

/* Goes into the background; returns there with `*ready` to report on. The original process waits
 * for that report and exits. */
static int become_daemon(int *ready, struct error *error)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0)
        return error_set_errno(error, "cannot make a pipe");
    pid_t pid = fork();
    if (pid < 0)
        return error_set_errno(error, "cannot go into the background");
    if (pid > 0) {
        char byte;
        close(pipe_ends[1]);
        ssize_t got;
        do
            got = read(pipe_ends[0], &byte, 1);
        while (got < 0 && errno == EINTR);
        _exit(got == 1 ? EXIT_SUCCESS : EXIT_FAILED);
    }
    close(pipe_ends[0]);
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null == -1 || dup2(null, STDIN_FILENO) == -1 || dup2(null, STDOUT_FILENO) == -1)
        return error_set_errno(error, "cannot open /dev/null");
    close(null);
    *ready = pipe_ends[1];
    return 0;
}

static int prepare(struct supervisor_options *supervisor, const struct options *options,
                   struct error *error)
{
    const struct config *config = supervisor->config;
    if (identity_find(config->user, &supervisor->identity, error) != 0 ||
        directory_prepare(config->run_directory, 0755, NULL, error) != 0 ||
        directory_prepare(config->state_directory, 0750, &supervisor->identity, error) != 0)
        return -1;
    if (!options->foreground && become_daemon(&supervisor->ready, error) != 0)
        return -1;
    if (lock_run_directory(config, error) != 0)
        return -1;
    supervisor->control = open_control(config, &supervisor->identity, error);
    return supervisor->control == -1 ? -1 : 0;
}

int main(int argc, char **argv)
{
    struct options options;
    struct error error;

    struct config *config = read_configuration(argc, argv, &options);
    if (!config)
        return EXIT_FAILED;
    if (options.check) {
        bool good = check_configuration(config, stdout, stderr);
        config_free(config);
        return good ? EXIT_SUCCESS : EXIT_FAILED;
    }
    log_set_level(options.verbose ? LOG_LEVEL_DEBUG : config->log);
    signal(SIGPIPE, SIG_IGN);
    descriptor_raise_limit();

    struct supervisor_options supervisor = {.config = config,
                                            .stop_machines = options.stop_machines,
                                            .ready = -1,
                                            .argument_count = argc,
                                            .arguments = argv};
    if (prepare(&supervisor, &options, &error) != 0) {
        log_error("%s", error.text);
        config_free(config);
        return EXIT_FAILED;
    }
    log_info("jitsud %s, configuration %s", PACKAGE_VERSION, options.file);
    return supervise(&supervisor);
}
