/* A client of QEMU's machine protocol (QMP): commands go out at once, answers and events come
 * through callbacks on the event loop. A QEMU that a guest has taken over may answer anything: all
 * of it is bounded and checked. */
#ifndef JITSU_KEEPER_QEMU_QMP_H
#define JITSU_KEEPER_QEMU_QMP_H

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct qmp;

#define QMP_LINE_MAX    65536 /* of one answer */
#define QMP_PENDING_MAX 32    /* commands that wait for an answer */
#define QMP_TEXT_MAX    32768 /* of an answer in text */

/* The answer to a command: `text` is its value where that is a string (human-monitor-command), the
 * member "status" where it has one (query-status), or the error's words if `failed`; else "". */
typedef void qmp_answer_function(void *argument, bool failed, const char *text);

struct qmp_callbacks {
    /* The answer to the greeting has come: QEMU runs its main loop. */
    void (*greeted)(void *argument);
    /* "SHUTDOWN", "RESUME", ... */
    void (*event)(void *argument, const char *name);
    /* The connection has ended; nothing is called after this. */
    void (*closed)(void *argument, const char *why);
};

/* Takes over the connected, non-blocking `socket`, and says nothing yet: a machine that boots has
 * better to do than to answer. `callbacks` must outlive it. NULL if memory is exhausted. */
struct qmp *qmp_new(struct event_base *base, int socket, const struct qmp_callbacks *callbacks,
                    void *argument);

/* Asks for the command mode, whose coming is `greeted`; only the first time. Returns 0, or -1 if
 * QEMU does not take it. */
int qmp_greet(struct qmp *qmp);

/* Sends the command, a complete JSON object, in order, greeting first. Its answer calls `answered`
 * (may be NULL). Returns 0, or -1 if QEMU does not take it: then the connection is of no use any
 * more. May be called from callbacks. */
int qmp_execute(struct qmp *qmp, const char *command, qmp_answer_function *answered,
                void *argument);

/* Closes and frees it, also from inside a callback; answers that are missing are not reported. */
void qmp_free(struct qmp *qmp);

/* --- the line's meaning, for its tests --- */

enum qmp_kind { QMP_GREETING, QMP_ANSWER, QMP_ERROR, QMP_EVENT };

struct qmp_line {
    enum qmp_kind kind;
    char text[QMP_TEXT_MAX]; /* see qmp_answer_function; the name of an event; cut if longer */
};

/* Returns 0, or -1 if it is nothing that QEMU says. */
int qmp_parse(const char *line, size_t length, struct qmp_line *parsed);

#endif
