#include "unit/keeper_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/keeper.h"
#include "keeper/tap.h"

#define NOBODY 65534

static const char qemu_path[] = "/usr/bin/qemu-system-x86_64";

static const char configuration[] =
    "server: {run-directory: %s}\n"
    "networks:\n"
    "  - {name: lan, type: bridge, bridge: br0, create: yes, prefix: [10.9.0.0/24, "
    "\"fd09::/64\"],\n"
    "     gateway: [10.9.0.1, \"fd09::1\"], port-address: 10.9.0.2, hold: handoff}\n"
    "  - {name: nowhere, type: bridge, bridge: br9, prefix: 10.8.0.0/24}\n"
    "zones: [{name: example.org}]\n"
    "services:\n"
    "  - {name: lost.example.org, network: nowhere, image: %s, accel: tcg}\n"
    "  - {name: www.example.org, network: lan, address: [10.9.0.10, \"fd09::10\"], image: %s, "
    "accel: tcg,\n"
    "     memory: 32M}\n"
    "  - {name: seen.example.org, network: lan, address: 10.9.0.11, image: %s, accel: tcg, memory: "
    "32M,\n"
    "     ready: arp}\n"
    "  - {name: spare.example.org, network: lan, address: 10.9.0.12, image: %s, accel: tcg, "
    "memory: 32M,\n"
    "     prewarm: 1}\n"
    "  - {name: \"*.apps.example.org\", aliases: [\"*.also.example.org\"], network: lan, "
    "prefix: 10.9.0.64/28,\n"
    "     instances: 3, image: %s, accel: tcg, memory: 32M}\n";

static void report(void *argument, const char *text)
{
    (void)argument;
    print_error("%s\n", text);
}

int world_make(void **state)
{
    char image[CONFIG_PATH_MAX], text[8 * CONFIG_PATH_MAX];
    struct world *world = calloc(1, sizeof *world);
    *state = world;
    strcpy(world->directory, "/tmp/jitsu-keeper-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    chmod(world->directory, 0755);
    assert_non_null(realpath(getenv("UNIKERNELS"), image));
    strcat(image, "/www.elf");
    int length = snprintf(text, sizeof text, configuration, world->directory, image, image, image,
                          image, image);
    world->config = config_parse(text, (size_t)length, "/jitsud.yaml", report, NULL);
    assert_non_null(world->config);
    return 0;
}

void world_start_keeper(struct world *world)
{
    int link[2], supervisor[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, supervisor), 0);
    world->keeper = fork();
    assert_int_not_equal(world->keeper, -1);
    if (world->keeper == 0) {
        close(link[0]);
        close(supervisor[0]);
        /* Machines run as somebody else, who gets everything open. */
        struct keeper_options options = {.config = world->config,
                                         .link = link[1],
                                         .supervisor = supervisor[1],
                                         .change_user = true,
                                         .user = NOBODY,
                                         .group = NOBODY};
        _exit(keeper_run(&options));
    }
    close(link[1]);
    close(supervisor[1]);
    world->link = link[0];
    world->supervisor = supervisor[0];
}

void world_end_keeper(struct world *world, int signal)
{
    int status;
    kill(world->keeper, signal);
    assert_int_equal(waitpid(world->keeper, &status, 0), world->keeper);
    if (signal == SIGTERM)
        assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, KEEPER_ENDED);
    close(world->link);
    close(world->supervisor);
}

int world_remove(void **state)
{
    struct world *world = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", world->directory);
    int failed = system(command);
    config_free(world->config);
    free(world);
    return failed;
}

static void bring_loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(any, SIOCSIFFLAGS, &request), 0);
    close(any);
}

static const char *missing(void)
{
    char image[CONFIG_PATH_MAX];
    struct error error;
    const char *unikernels = getenv("UNIKERNELS");
    snprintf(image, sizeof image, "%s/www.elf", unikernels ? unikernels : "unikernels");
    if (!unikernels)
        setenv("UNIKERNELS", "unikernels", 1);
    if (access(image, R_OK) != 0)
        return "no www.elf here";
    if (access(qemu_path, X_OK) != 0)
        return "no QEMU here";
    if (geteuid() != 0 || unshare(CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS) != 0)
        return "no namespaces here";
    int tap = tap_open("test", false, &error);
    if (tap == -1)
        return "no TAP devices here";
    close(tap);
    return NULL;
}

static int run_first(int (*tests)(void))
{
    bring_loopback_up();
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0) {
        puts("skipped: no /proc of the namespace's own here");
        return 77;
    }
    return tests();
}

int world_run(int (*tests)(void))
{
    int status;
    const char *why = missing();
    if (why) {
        printf("skipped: %s\n", why);
        return 77;
    }
    /* The first process of the new process namespace: all others end with it. */
    pid_t first = fork();
    if (first == 0)
        return run_first(tests);
    assert_int_equal(waitpid(first, &status, 0), first);
    fflush(stdout);
    /* A sanitizer would look for leaks with a thread, which cannot be made any more. */
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}
