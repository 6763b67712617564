/* A keeper in a network namespace of the test's own, with a configuration that has a bridge. The
 * test is the front, and the supervisor. */
#ifndef JITSU_UNIT_KEEPER_WORLD_H
#define JITSU_UNIT_KEEPER_WORLD_H

#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"

/* Milliseconds: machines are emulated, and the host may be busy. */
#define PATIENCE 60000

struct world {
    char directory[64];
    struct config *config;
    pid_t keeper;
    int link, supervisor; /* our ends */
    uint32_t serial;      /* of the last START */
};

/* Runs `tests` where it is root of a network and of processes of its own, so that all of them end
 * with it; returns the exit status, which is 77 where that, QEMU or the images are missing. */
int world_run(int (*tests)(void));

/* cmocka setup and teardown: a directory, and a configuration with two networks: lan, bridge br0,
 * which is made, with the addresses 10.9.0.1 and fd09::1; and nowhere, whose bridge does not exist.
 * Services, all of them www.elf: www.example.org at 10.9.0.10 and fd09::10; seen.example.org,
 * ready: arp, at 10.9.0.11; spare.example.org, prewarmed, at 10.9.0.12; lost.example.org on
 * nowhere; and *.apps.example.org, alias *.also.example.org, with 3 instances in 10.9.0.64/28. */
int world_make(void **state);
int world_remove(void **state);

void world_start_keeper(struct world *world);

/* By SIGTERM, then it must end in order, or SIGKILL. */
void world_end_keeper(struct world *world, int signal);

#endif
