/* What a later keeper needs to find and adopt a machine: a directory for each QEMU process, with
 *
 *   pid           its pid. The process holds a lock on this file as long as it lives, so that there
 *                 is no doubt whether it does, whatever the pid has become; the pid is written by
 * the process itself before it is QEMU, so that there is no moment in which a machine exists that
 * no file knows; record.json   what it is; qmp.sock, console.sock where it listens.
 *
 * Directories are given as open descriptors, as the paths of sockets may be 107 bytes long only. */
#ifndef JITSU_KEEPER_RECORD_H
#define JITSU_KEEPER_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "config/config.h"
#include "keeper/message.h"

#define RECORD_DOMAIN_SIZE 40

/* What is more of a libvirt domain. */
struct record_libvirt {
    char connect[512]; /* its connection's URI */
    char name[256];
    uint8_t uuid[16];
    bool existing; /* it was not made by jitsud */
    bool saves;    /* it is suspended to disk */
    bool saved;    /* it is there, and nowhere else */
    uint32_t user; /* that its QEMU runs as */
    int32_t pid;   /* of that; 0: not known */
};

struct record {
    char service[CONFIG_NAME_TEXT_MAX];
    uint32_t serial;
    double started;            /* seconds since the epoch */
    uint64_t shutdown_timeout; /* nanoseconds */
    bool ready;                /* it takes traffic, or did until it was suspended */
    bool suspended;
    uint8_t forward_count;
    struct message_forward forwards[CONFIG_PORTS_MAX];
    uint8_t token[MESSAGE_TOKEN_SIZE]; /* all 0: not known */
    char domain[RECORD_DOMAIN_SIZE];   /* UUID of its Xen domain; "": it has none */
    struct message_place place;
    struct record_libvirt libvirt; /* connect "": it is not one of libvirt's */
};

/* Makes directory `name`, for its owner only, in directory `parent`; what an ended process left
 * there is removed first. Returns it open, or -1 with the reason; a process that lives there is
 * one.
 */
int record_create(int parent, const char *name, struct error *error);

/* Opens an existing one; -1 with errno. */
int record_open(int parent, const char *name);

/* Makes and locks the pid file: the lock goes to the process that inherits the descriptor. */
int record_lock(int directory, struct error *error);

/* Does the process live? Then `*pid` is its pid, or 0 if it has not written that yet. */
bool record_is_alive(int directory, pid_t *pid);

/* A later write replaces an earlier one as a whole. */
int record_write(int directory, const struct record *record, struct error *error);

/* Reads and checks it; -1 with the reason. */
int record_read(int directory, struct record *record, struct error *error);

/* The same from memory, for its tests. */
int record_parse(const char *text, size_t length, struct record *record, struct error *error);

/* Removes directory `name` with what is in it. */
void record_remove(int parent, const char *name);

/* A listening UNIX socket of that name in the directory, with `*client` connected to it already:
 * the process that gets the listening one finds the connection waiting. Returns 0, or -1. */
int record_listen(int directory, const char *name, int *listening, int *client,
                  struct error *error);

/* Connects to the one of that name. Returns the non-blocking socket, or -1 with errno. */
int record_connect(int directory, const char *name);

#endif
