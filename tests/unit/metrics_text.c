/* The metrics: a strict reader of the text format finds every name, type and label in its place,
 * and histograms that add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "../admin/summon_double.h"
#include "admin/metrics_text.h"

/* What a strict reader must know while it goes through the lines. */
struct reading {
    char name[128], type[16];  /* of the metric that is being read */
    char series[4096];         /* of the histogram's bucket before: without "le" */
    unsigned long long bucket; /* its count */
    double bound;              /* its bound */
    char seen[64][128];        /* metrics so far */
    size_t seen_count;
};

static void read_name(const char **cursor, char name[128])
{
    size_t length = 0;
    assert_true(isalpha((unsigned char)**cursor) || **cursor == '_');
    while (isalnum((unsigned char)**cursor) || **cursor == '_') {
        assert_true(length < 127);
        name[length++] = *(*cursor)++;
    }
    name[length] = '\0';
}

/* HELP introduces a metric once; TYPE follows at once. */
static void read_comment(struct reading *reading, const char *line)
{
    char name[128];
    const char *cursor = line + strlen("# HELP ");

    read_name(&cursor, name);
    assert_int_equal(*cursor++, ' ');
    if (strncmp(line, "# HELP ", 7) == 0) {
        for (size_t i = 0; i < reading->seen_count; i++)
            assert_string_not_equal(reading->seen[i], name);
        assert_true(reading->seen_count < 64);
        strcpy(reading->seen[reading->seen_count++], name);
        strcpy(reading->name, name);
        reading->type[0] = '\0';
        assert_true(*cursor);
    } else {
        assert_memory_equal(line, "# TYPE ", 7);
        assert_string_equal(name, reading->name);
        assert_string_equal(reading->type, "");
        assert_true(strcmp(cursor, "gauge") == 0 || strcmp(cursor, "counter") == 0 ||
                    strcmp(cursor, "histogram") == 0);
        strcpy(reading->type, cursor);
    }
}

/* {key="value",...}: the value of "le" goes into `bound`, everything else into `series`. */
static void read_labels(const char **cursor, char series[4096], double *bound)
{
    char key[128];
    size_t used = 0;

    assert_int_equal(*(*cursor)++, '{');
    do {
        read_name(cursor, key);
        assert_memory_equal(*cursor, "=\"", 2);
        const char *start = *cursor += 2;
        for (; **cursor != '"'; (*cursor)++) {
            assert_true((unsigned char)**cursor >= 0x20);
            if (**cursor == '\\') {
                (*cursor)++;
                assert_true(strchr("\\\"n", **cursor) && **cursor);
            }
        }
        if (strcmp(key, "le") == 0)
            *bound = strtod(start, NULL);
        else
            used += (size_t)snprintf(series + used, 4096 - used, "%s=%.*s,", key,
                                     (int)(*cursor - start), start);
        (*cursor)++;
    } while (*(*cursor)++ == ',');
    assert_int_equal((*cursor)[-1], '}');
}

static void check_histogram(struct reading *reading, const char *suffix, const char *series,
                            double bound, unsigned long long value)
{
    if (strcmp(suffix, "_bucket") == 0) {
        if (strcmp(series, reading->series) == 0) {
            assert_true(bound > reading->bound);
            assert_true(value >= reading->bucket);
        }
        snprintf(reading->series, sizeof reading->series, "%s", series);
        reading->bound = bound;
        reading->bucket = value;
    } else {
        assert_string_equal(series, reading->series);
        assert_true(reading->bound > 1e300); /* +Inf came last */
        if (strcmp(suffix, "_count") == 0)
            assert_int_equal(value, reading->bucket);
        else
            assert_string_equal(suffix, "_sum");
    }
}

static void read_sample(struct reading *reading, const char *line)
{
    char name[128], series[4096] = "";
    const char *cursor = line;
    double bound = 0;
    char *end;

    read_name(&cursor, name);
    assert_memory_equal(name, reading->name, strlen(reading->name));
    const char *suffix = name + strlen(reading->name);
    if (*cursor == '{')
        read_labels(&cursor, series, &bound);
    assert_int_equal(*cursor++, ' ');
    double value = strtod(cursor, &end);
    assert_ptr_not_equal(end, cursor);
    assert_int_equal(*end, '\0');
    if (strcmp(reading->type, "histogram") == 0) {
        check_histogram(reading, suffix, series, bound, (unsigned long long)value);
    } else {
        assert_string_equal(suffix, "");
        if (strcmp(reading->type, "counter") == 0)
            assert_true(strlen(name) > 6 && strcmp(name + strlen(name) - 6, "_total") == 0);
    }
}

static void read_strictly(char *text)
{
    struct reading reading = {.seen_count = 0};
    char *line, *rest = text;

    assert_int_equal(text[strlen(text) - 1], '\n');
    text[strlen(text) - 1] = '\0';
    while ((line = strsep(&rest, "\n"))) {
        if (line[0] == '#')
            read_comment(&reading, line);
        else
            read_sample(&reading, line);
    }
}

/* --- what there is to read --- */

struct world {
    struct summoner *summoner;
    struct start_durations *durations;
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    world->summoner = double_new(NULL);
    world->durations = start_durations_new();
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    double_free(world->summoner);
    start_durations_free(world->durations);
    free(world);
    return 0;
}

/* The text, ended by NUL; the caller frees it. */
static char *written(const struct world *world)
{
    struct evbuffer *out = evbuffer_new();
    metrics_text(out, world->summoner, (struct dns_server *)world, world->durations);
    size_t length = evbuffer_get_length(out);
    char *text = malloc(length + 1);
    evbuffer_remove(out, text, length);
    text[length] = '\0';
    evbuffer_free(out);
    return text;
}

static void assert_written(const struct world *world, const char *expected)
{
    char *text = written(world);
    if (!strstr(text, expected))
        fail_msg("%s is not in\n%s", expected, text);
    free(text);
}

static void record_start(const struct world *world, const char *service, uint64_t milliseconds)
{
    uint64_t unit = milliseconds * 1000000;
    struct transition transition = {
        .from = MACHINE_STARTING,
        .to = MACHINE_RUNNING,
        .phases = {.spawned = unit, .entered = 0, .ready = 3 * unit},
    };
    strcpy(transition.service, service);
    start_durations_record(world->durations, &transition);
    transition.from = MACHINE_RUNNING;
    transition.phases.first_byte = 4 * unit;
    start_durations_record(world->durations, &transition);
}

static void every_metric_is_there_and_well_formed(void **state)
{
    static const char *const names[] = {
        "jitsu_machines",         "jitsu_starts_total",           "jitsu_start_failures_total",
        "jitsu_stops_total",      "jitsu_start_duration_seconds", "jitsu_held_frames",
        "jitsu_held_bytes",       "jitsu_handed_over_total",      "jitsu_dns_queries_total",
        "jitsu_dns_answers_total"};
    struct world *world = *state;
    char line[128];

    for (unsigned i = 0; i < 3; i++) {
        struct service *service = double_add(world->summoner, (const char *[]){"a", "b", "c"}[i]);
        double_status(service)->starts = i;
        double_status(service)->failures = i;
        double_status(service)->state = i;
        record_start(world, "a", 10 + 40 * i);
        record_start(world, "b", 10000);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(line, sizeof line, "# TYPE %s ", names[i]);
        assert_written(world, line);
    }
    char *text = written(world);
    read_strictly(text);
    free(text);
}

static void a_wildcard_is_no_machine_but_has_instances(void **state)
{
    static struct config_places places = {.count = 8};
    struct world *world = *state;
    struct service *wildcard = double_add(world->summoner, "*.apps.example.org");

    double_config(wildcard)->places = &places;
    double_status(wildcard)->instances = 3;
    assert_written(world, "\njitsu_machines{state=\"off\"} 0\n");
    assert_written(world, "\njitsu_instances{service=\"*.apps.example.org\"} 3\n");
    assert_written(world, "\njitsu_instance_limit{service=\"*.apps.example.org\"} 8\n");
    char *text = written(world);
    read_strictly(text);
    free(text);
}

static void samples_carry_their_labels(void **state)
{
    struct world *world = *state;
    struct service *service = double_add(world->summoner, "www.example.org");

    double_status(service)->starts = 7;
    double_status(service)->failures = 2;
    double_status(service)->state = MACHINE_RUNNING;
    memset(&double_dns_statistics, 0, sizeof double_dns_statistics);
    double_dns_statistics.queries[DNS_COUNT_A][DNS_UDP] = 41;
    double_dns_statistics.answers[3] = 5;
    double_proxy_statistics = (struct proxy_statistics){.waiting = 6};
    double_port_statistics = (struct port_statistics){.frames = 9, .bytes = 900, .dropped = 3};
    assert_written(world, "\njitsu_machines{state=\"running\"} 1\n");
    assert_written(world, "\njitsu_machines{state=\"off\"} 0\n");
    assert_written(world, "\njitsu_starts_total{service=\"www.example.org\",cause=\"dns\"} 7\n");
    assert_written(world, "\njitsu_start_failures_total{service=\"www.example.org\","
                          "reason=\"boot-timeout\"} 2\n");
    assert_written(world, "\njitsu_stops_total{service=\"www.example.org\",reason=\"idle\"} 7\n");
    assert_written(world, "\njitsu_dns_queries_total{type=\"A\",transport=\"udp\"} 41\n");
    assert_written(world, "\njitsu_dns_answers_total{rcode=\"NXDOMAIN\"} 5\n");
    assert_written(world, "\njitsu_held_connections 6\n");
    assert_written(world, "\njitsu_held_frames 9\n");
    assert_written(world, "\njitsu_held_bytes 900\n");
    assert_written(world, "\njitsu_handed_over_total{service=\"www.example.org\"} 7\n");
    assert_written(world, "\njitsu_port_dropped_frames_total 3\n");
}

static void phases_fall_into_cumulative_buckets(void **state)
{
    struct world *world = *state;

    record_start(world, "a", 5); /* exactly a bound: counted in it */
    record_start(world, "a", 6);
    record_start(world, "a", 60000); /* beyond all bounds */
#define SERIES "{service=\"a\",phase=\"spawned\""
    assert_written(world, "_bucket" SERIES ",le=\"0.005\"} 1\n");
    assert_written(world, "_bucket" SERIES ",le=\"0.01\"} 2\n");
    assert_written(world, "_bucket" SERIES ",le=\"10\"} 2\n");
    assert_written(world, "_bucket" SERIES ",le=\"+Inf\"} 3\n");
    assert_written(world, "_sum" SERIES "} 60.011000000\n");
    assert_written(world, "_count" SERIES "} 3\n");
    assert_written(world, "_count{service=\"a\",phase=\"first_byte\"} 3\n");
    char *text = written(world);
    assert_null(strstr(text, "phase=\"entered\"")); /* never reached */
    free(text);
}

static void a_failed_start_is_not_a_duration(void **state)
{
    struct world *world = *state;
    struct transition transition = {.service = "a",
                                    .from = MACHINE_STARTING,
                                    .to = MACHINE_FAILED,
                                    .phases = {.spawned = 1000000}};
    start_durations_record(world->durations, &transition);
    char *text = written(world);
    assert_null(strstr(text, "jitsu_start_duration_seconds_count"));
    free(text);
}

static void very_many_services_are_counted_together(void **state)
{
    struct world *world = *state;
    char name[32];

    for (unsigned i = 0; i < START_DURATIONS_SERVICES + 5; i++) {
        snprintf(name, sizeof name, "service-%u", i);
        record_start(world, name, 10);
    }
    assert_written(world, "_count{service=\"service-999\",phase=\"ready\"} 1\n");
    assert_written(world, "_count{service=\"(others)\",phase=\"ready\"} 5\n");
}

static void labels_are_escaped(void **state)
{
    struct world *world = *state;
    char label[METRICS_LABEL_ROOM], longest[METRICS_LABEL_MAX + 2];

    assert_string_equal(metrics_label("a\\b\"c\nd\xff", label), "a\\\\b\\\"c\\nd\xef\xbf\xbd");
    memset(longest, '\xff', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(strlen(metrics_label(longest, label)), 3 * METRICS_LABEL_MAX);
    memset(longest, '"', sizeof longest - 1);
    assert_int_equal(strlen(metrics_label(longest, label)), 2 * METRICS_LABEL_MAX);
    double_status(double_add(world->summoner, "x\"} 1\njitsu_machines{state=\"y"))->starts = 1;
    char *text = written(world);
    read_strictly(text);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_metric_is_there_and_well_formed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_wildcard_is_no_machine_but_has_instances, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(samples_carry_their_labels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(phases_fall_into_cumulative_buckets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_start_is_not_a_duration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(very_many_services_are_counted_together, set_up, tear_down),
        cmocka_unit_test_setup_teardown(labels_are_escaped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
