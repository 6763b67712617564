/* How long starts take: a histogram for each service and phase, filled from transitions. */
#ifndef JITSU_ADMIN_START_DURATIONS_H
#define JITSU_ADMIN_START_DURATIONS_H

#include <stddef.h>
#include <stdint.h>

#include "summon/summon.h"

/* Services with histograms of their own: the first that start. What others take is counted
 * together, so that a host of very many services does not drown its monitoring. */
#define START_DURATIONS_SERVICES 1000
#define START_DURATIONS_OTHERS   "(others)"

enum start_phase { PHASE_SPAWNED, PHASE_ENTERED, PHASE_READY, PHASE_FIRST_BYTE, START_PHASES };

/* Upper bounds of the buckets in nanoseconds; one more bucket takes the rest. */
#define START_BUCKETS 14
extern const uint64_t start_bucket_bounds[START_BUCKETS];

struct start_histogram {
    uint64_t buckets[START_BUCKETS + 1]; /* each alone, not cumulative */
    uint64_t sum;                        /* nanoseconds */
};

struct start_durations;

/* NULL if memory is exhausted. */
struct start_durations *start_durations_new(void);
void start_durations_free(struct start_durations *durations);

/* Counts what the transition says: its phases up to ready when a start has ended well, the
 * first byte when that is told. */
void start_durations_record(struct start_durations *durations, const struct transition *transition);

/* "spawned", "entered", "ready", "first_byte". */
const char *start_phase_name(enum start_phase phase);

typedef void start_histogram_function(void *argument, const char *service, enum start_phase phase,
                                      const struct start_histogram *histogram);

/* Calls `function` for each histogram that counts anything. */
void start_durations_visit(const struct start_durations *durations,
                           start_histogram_function *function, void *argument);

#endif
