/* The generator of jitsu/random.h: what it is fed with, and what comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jitsu/application.h"
#include "jitsu/module.h"
#include "jitsu/options.h"
#include "jitsu/random.h"
#include "platform/platform.h"

#define TOKEN      "000102030405060708090a0b0c0d0e0f"
#define LONGEST    300u
#define FAILED     3 /* a child's exit status */
#define ANSWER_MAX 256u

/* What the machine of a test has. */
struct machine {
    const char *token, *time;
    const char *seed; /* the contents of the boot module's file */
    bool has_hardware;
    uint64_t number; /* of platform_random() */
};

static struct machine machine;
static char archive[1024];

size_t platform_entropy(void *buffer, size_t size)
{
    memset(buffer, 'h', size);
    return machine.has_hardware ? size : 0;
}

uint64_t platform_random(void)
{
    return machine.number;
}

struct option option_get(const char *name)
{
    const char *value = strcmp(name, "token") == 0  ? machine.token
                        : strcmp(name, "time") == 0 ? machine.time
                                                    : NULL;
    return (struct option){value, value ? strlen(value) : 0};
}

static size_t add_file(size_t at, const char *name, const char *contents)
{
    size_t header = (size_t)snprintf(
        archive + at, sizeof archive - at,
        "07070100000000%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0100644u, 0u, 0u, 1u, 0u,
        (unsigned)strlen(contents), 0u, 0u, 0u, 0u, (unsigned)strlen(name) + 1, 0u);
    at += header;
    memcpy(archive + at, name, strlen(name) + 1);
    at += (strlen(name) + 1 + header + 3) / 4 * 4 - header;
    memcpy(archive + at, contents, strlen(contents));
    return at + (strlen(contents) + 3) / 4 * 4;
}

struct boot_module boot_module(void)
{
    if (!machine.seed)
        return (struct boot_module){0};
    memset(archive, 0, sizeof archive);
    size_t length = add_file(add_file(0, "seed", machine.seed), "TRAILER!!!", "");
    return (struct boot_module){(const uint8_t *)archive, length};
}

_Noreturn void application_fail(const char *format, ...)
{
    (void)format;
    _exit(FAILED);
}

/* The first numbers of a machine, which a child process is. Returns false if it ends instead. */
static bool first_numbers(struct machine of, uint8_t *numbers, size_t length)
{
    int ends[2], status;
    size_t got = 0;
    ssize_t count;

    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        uint8_t made[ANSWER_MAX];
        machine = of;
        random_bytes(made, length);
        _exit(write(ends[1], made, length) == (ssize_t)length ? 0 : 1);
    }
    close(ends[1]);
    while ((count = read(ends[0], numbers + got, length - got)) > 0)
        got += (size_t)count;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == FAILED);
    return WEXITSTATUS(status) == 0;
}

static void a_machine_without_a_source_ends(void **state)
{
    static const char enough[] = "0123456789abcdef0123456789abcdef";
    uint8_t numbers[16];

    (void)state;
    assert_false(first_numbers((struct machine){.time = "1"}, numbers, 16));
    assert_false(first_numbers((struct machine){.token = &TOKEN[1]}, numbers, 16));
    assert_false(first_numbers(
        (struct machine){.token = "words are no digits, however long they may be"}, numbers, 16));
    assert_false(first_numbers((struct machine){.seed = &enough[1]}, numbers, 16));
    assert_true(first_numbers((struct machine){.token = TOKEN}, numbers, 16));
    assert_true(first_numbers((struct machine){.seed = enough}, numbers, 16));
    assert_true(first_numbers((struct machine){.has_hardware = true}, numbers, 16));
}

static void every_source_counts(void **state)
{
    static const struct machine machines[] = {
        {.token = TOKEN},
        {.token = "100102030405060708090a0b0c0d0e0f"},
        {.token = "000102030405060708090a0b0c0d0e0f0"},
        {.token = TOKEN, .time = "1"},
        {.token = TOKEN, .time = "2"},
        {.token = TOKEN, .number = 1},
        {.token = TOKEN, .seed = "s"},
        {.token = TOKEN, .seed = "0123456789abcdef0123456789abcdef0123456789abcdef"},
        {.token = TOKEN, .seed = "0123456789abcdef0123456789abcdef0123456789abcdeg"},
        {.token = TOKEN, .has_hardware = true},
    };
    enum { COUNT = sizeof machines / sizeof machines[0] };
    uint8_t numbers[COUNT][32];

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(first_numbers(machines[i], numbers[i], sizeof numbers[i]));
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(numbers[i], numbers[j], sizeof numbers[i]);
    }
}

/* Computed by another program from what the comment at the head of platform/random.c says. */
static void the_numbers_are_chacha20s(void **state)
{
    static const uint8_t wanted[80] = {
        0xfe, 0xd5, 0x30, 0x82, 0x35, 0xf5, 0xa8, 0x2d, 0x7a, 0x7e, 0xd7, 0x17, 0xd1, 0xad,
        0x24, 0xb8, 0x6a, 0x3e, 0x29, 0xd6, 0xd0, 0x0c, 0xcd, 0xe0, 0xb4, 0x5d, 0xaa, 0xe9,
        0x37, 0x5a, 0x1e, 0x22, 0xc9, 0x10, 0x1c, 0xf0, 0x2f, 0x03, 0x2b, 0x57, 0xd5, 0x3e,
        0x7a, 0x42, 0xde, 0x10, 0x29, 0x32, 0xec, 0xae, 0xd4, 0x17, 0x0a, 0xe8, 0x37, 0x51,
        0x4c, 0x89, 0x0b, 0x12, 0xd8, 0xce, 0x00, 0x7b, 0xfc, 0xc9, 0x93, 0xb3, 0xf0, 0xe3,
        0xb7, 0x2f, 0x4e, 0xc6, 0xc3, 0x3e, 0xa8, 0x60, 0x34, 0x19};
    uint8_t numbers[sizeof wanted];

    (void)state;
    assert_true(first_numbers((struct machine){.token = TOKEN, .time = "1700000000", .number = 7},
                              numbers, sizeof numbers));
    assert_memory_equal(numbers, wanted, sizeof wanted);
}

static void no_length_is_overrun_and_nothing_repeats(void **state)
{
    uint8_t numbers[LONGEST + 1], before[16] = {0};

    (void)state;
    machine = (struct machine){.token = TOKEN};
    for (size_t length = 0; length <= LONGEST; length++) {
        memset(numbers, 0xa5, sizeof numbers);
        random_bytes(numbers, length);
        assert_int_equal(numbers[length], 0xa5);
        if (length < sizeof before)
            continue;
        assert_memory_not_equal(numbers, before, sizeof before);
        memcpy(before, numbers, sizeof before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_without_a_source_ends),
        cmocka_unit_test(every_source_counts),
        cmocka_unit_test(the_numbers_are_chacha20s),
        cmocka_unit_test(no_length_is_overrun_and_nothing_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
