/* The unikernels' malloc(): blocks do not overlap, and memory that was given back can be used
 * again, whatever the order. Its functions are renamed for this test (Makefile.am). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "libc/heap.h"
#include "platform/platform.h"

void *image_malloc(size_t size);
void *image_calloc(size_t count, size_t size);
void *image_realloc(void *block, size_t size);
void image_free(void *block);

#define BLOCKS 400
#define STEPS  200000

static uint8_t memory[1024 * 1024] __attribute__((aligned(16)));

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

static int add_memory(void **state)
{
    (void)state;
    heap_add(memory + 3, sizeof memory - 5); /* it need not be aligned */
    return heap_free_bytes() > sizeof memory - 100 ? 0 : -1;
}

static void gives_all_back(void **state)
{
    size_t before = heap_free_bytes();
    struct {
        uint8_t *bytes;
        size_t size;
        uint8_t fill;
    } blocks[BLOCKS] = {0};

    (void)state;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = random_below(BLOCKS);
        if (blocks[i].bytes) {
            for (size_t k = 0; k < blocks[i].size; k++)
                assert_int_equal(blocks[i].bytes[k], blocks[i].fill);
            image_free(blocks[i].bytes);
            blocks[i].bytes = NULL;
            continue;
        }
        blocks[i].size = random_below(10) ? random_below(300) : random_below(20000);
        blocks[i].fill = (uint8_t)step;
        blocks[i].bytes = image_malloc(blocks[i].size);
        if (!blocks[i].bytes)
            continue;
        assert_int_equal((uintptr_t)blocks[i].bytes % 16, 0);
        assert_true(blocks[i].bytes >= memory &&
                    blocks[i].bytes + blocks[i].size <= memory + sizeof memory);
        memset(blocks[i].bytes, blocks[i].fill, blocks[i].size);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        image_free(blocks[i].bytes);
    assert_int_equal(heap_free_bytes(), before);
    /* In one piece: all neighbours were merged. */
    void *all = image_malloc(before * 7 / 8);
    assert_non_null(all);
    image_free(all);
}

static void refuses_what_it_does_not_have(void **state)
{
    size_t before = heap_free_bytes();

    (void)state;
    assert_null(image_malloc(sizeof memory));
    assert_null(image_malloc(SIZE_MAX));
    assert_null(image_malloc(SIZE_MAX - 15));
    assert_null(image_calloc(SIZE_MAX / 2, 3));
    assert_int_equal(heap_free_bytes(), before);
}

static void moves_contents_of_a_block_that_grows(void **state)
{
    (void)state;
    uint8_t *block = image_calloc(10, 3);
    assert_non_null(block);
    for (int i = 0; i < 30; i++)
        assert_int_equal(block[i], 0);
    memset(block, 7, 30);
    void *wall = image_malloc(1);
    block = image_realloc(block, 5000);
    assert_non_null(block);
    for (int i = 0; i < 30; i++)
        assert_int_equal(block[i], 7);
    image_free(wall);
    image_free(block);
}

static jmp_buf fatal;

_Noreturn void platform_fatal(const char *reason)
{
    assert_non_null(strstr(reason, "freed twice"));
    longjmp(fatal, 1);
}

/* Does giving it back end the machine? */
static bool is_fatal_to_free(void *block)
{
    if (setjmp(fatal))
        return true;
    image_free(block);
    return false;
}

static void notices_when_it_is_misused(void **state)
{
    uint8_t *block = image_malloc(100), *next = image_malloc(100);

    (void)state;
    assert_non_null(block);
    assert_non_null(next);
    uint8_t kept[32];
    memcpy(kept, next - 16, sizeof kept);
    memset(block, 'x', 120);
    assert_true(is_fatal_to_free(block));
    memcpy(next - 16, kept, sizeof kept);
    assert_false(is_fatal_to_free(block));
    assert_true(is_fatal_to_free(block));
    assert_false(is_fatal_to_free(next));
    assert_true(is_fatal_to_free(next));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_all_back),
        cmocka_unit_test(refuses_what_it_does_not_have),
        cmocka_unit_test(moves_contents_of_a_block_that_grows),
        cmocka_unit_test(notices_when_it_is_misused),
    };
    return cmocka_run_group_tests(tests, add_memory, NULL);
}
