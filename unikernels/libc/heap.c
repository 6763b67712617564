/* malloc() in constant time: free blocks are kept in lists by size, eight lists to a power of two,
 * found through two levels of bitmaps, and merged with their free neighbours at once, so that the
 * heap neither slows down nor wears out however long the machine runs. */
#include "libc/heap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "platform/platform.h"

#define GRAIN          16u /* sizes and addresses are multiples of it */
#define SPLIT_BITS     3u
#define SPLITS         (1u << SPLIT_BITS)
#define SMALL          (GRAIN << SPLIT_BITS) /* below it, a list holds just one size */
#define SMALL_LOG      7u
#define LEVELS         33u
#define LARGEST_BLOCK  ((size_t)1 << 38)
#define SPLIT_LEFTOVER (2 * sizeof(struct block))

struct block {
    struct block *before; /* the block that ends where this one starts; NULL for the first */
    size_t size_and_free; /* of what follows this header; lowest bit: free */
};

/* What a free block holds in its memory. */
struct links {
    struct block *next;
    struct block *previous;
};

_Static_assert(sizeof(struct block) == GRAIN, "what follows a header is aligned like it");
_Static_assert(sizeof(struct links) <= GRAIN, "the smallest block has room for its links");

static struct block *lists[LEVELS][SPLITS];
static uint64_t levels_with_blocks;
static uint8_t splits_with_blocks[LEVELS];
static size_t free_bytes;

static size_t block_size(const struct block *block)
{
    return block->size_and_free & ~(size_t)1;
}

static bool block_is_free(const struct block *block)
{
    return block->size_and_free & 1;
}

static void *block_memory(struct block *block)
{
    return block + 1;
}

static struct links *block_links(struct block *block)
{
    return block_memory(block);
}

static struct block *block_after(struct block *block)
{
    return (struct block *)((uint8_t *)block_memory(block) + block_size(block));
}

static void list_of_size(size_t size, unsigned *level, unsigned *split)
{
    if (size < SMALL) {
        *level = 0;
        *split = (unsigned)(size / GRAIN);
        return;
    }
    unsigned log = 63 - (unsigned)__builtin_clzll(size);
    *level = log - SMALL_LOG + 1;
    *split = (unsigned)(size >> (log - SPLIT_BITS)) & (SPLITS - 1);
}

static void list_add(struct block *block)
{
    unsigned level, split;

    list_of_size(block_size(block), &level, &split);
    struct block *first = lists[level][split];
    *block_links(block) = (struct links){.next = first, .previous = NULL};
    if (first)
        block_links(first)->previous = block;
    lists[level][split] = block;
    levels_with_blocks |= (uint64_t)1 << level;
    splits_with_blocks[level] |= (uint8_t)(1u << split);
    block->size_and_free |= 1;
    free_bytes += block_size(block);
}

static void list_remove(struct block *block)
{
    unsigned level, split;
    struct links links = *block_links(block);

    if (links.next)
        block_links(links.next)->previous = links.previous;
    if (links.previous) {
        block_links(links.previous)->next = links.next;
    } else {
        list_of_size(block_size(block), &level, &split);
        lists[level][split] = links.next;
        if (!links.next) {
            splits_with_blocks[level] &= (uint8_t) ~(1u << split);
            if (splits_with_blocks[level] == 0)
                levels_with_blocks &= ~((uint64_t)1 << level);
        }
    }
    block->size_and_free &= ~(size_t)1;
    free_bytes -= block_size(block);
}

/* A free block of at least `size` bytes, taken off its list, or NULL. */
static struct block *find(size_t size)
{
    unsigned level, split;
    size_t wanted = size;

    /* Any block of the list that is looked at must be large enough. */
    if (size >= SMALL)
        wanted += ((size_t)1 << (63 - (unsigned)__builtin_clzll(size) - SPLIT_BITS)) - 1;
    list_of_size(wanted, &level, &split);
    unsigned splits = splits_with_blocks[level] & (~0u << split);
    if (splits == 0) {
        uint64_t levels = levels_with_blocks & (~(uint64_t)0 << level << 1);
        if (levels == 0)
            return NULL;
        level = (unsigned)__builtin_ctzll(levels);
        splits = splits_with_blocks[level];
    }
    struct block *block = lists[level][__builtin_ctz(splits)];
    list_remove(block);
    return block;
}

/* Gives what `block` has beyond `size` bytes back to the heap. */
static void trim(struct block *block, size_t size)
{
    if (block_size(block) - size < SPLIT_LEFTOVER)
        return;
    struct block *after = block_after(block);
    struct block *rest = (struct block *)((uint8_t *)block_memory(block) + size);
    *rest = (struct block){.before = block,
                           .size_and_free = block_size(block) - size - sizeof(struct block)};
    block->size_and_free = size;
    after->before = rest;
    list_add(rest);
}

void heap_add(void *start, size_t size)
{
    uintptr_t first = ((uintptr_t)start + GRAIN - 1) & ~(uintptr_t)(GRAIN - 1);
    uintptr_t end = ((uintptr_t)start + size) & ~(uintptr_t)(GRAIN - 1);

    if (end <= first || end - first < 4 * sizeof(struct block) || end - first > LARGEST_BLOCK)
        return;
    struct block *block = (struct block *)first;
    *block = (struct block){.before = NULL, .size_and_free = end - first - 2 * sizeof *block};
    /* A last block that is never free, so that every other has one after it. */
    *block_after(block) = (struct block){.before = block, .size_and_free = 0};
    list_add(block);
}

size_t heap_free_bytes(void)
{
    return free_bytes;
}

void *malloc(size_t size)
{
    if (size > LARGEST_BLOCK / 2)
        return NULL;
    size = size == 0 ? GRAIN : (size + GRAIN - 1) & ~(size_t)(GRAIN - 1);
    struct block *block = find(size);
    if (!block)
        return NULL;
    trim(block, size);
    return block_memory(block);
}

void free(void *memory)
{
    if (!memory)
        return;
    struct block *block = (struct block *)memory - 1;
    struct block *after = block_after(block);
    struct block *before = block->before;

    if (block_is_free(block) || after->before != block)
        platform_fatal("memory was freed twice, or written to beyond its end");
    if (block_is_free(after)) {
        list_remove(after);
        block->size_and_free += sizeof(struct block) + block_size(after);
    }
    if (before && block_is_free(before)) {
        list_remove(before);
        before->size_and_free += sizeof(struct block) + block_size(block);
        block = before;
    }
    block_after(block)->before = block;
    list_add(block);
}

void *calloc(size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    void *memory = malloc(total);
    if (memory)
        memset(memory, 0, total);
    return memory;
}

void *realloc(void *memory, size_t size)
{
    if (!memory)
        return malloc(size);
    size_t had = block_size((struct block *)memory - 1);
    if (size <= had)
        return memory;
    void *larger = malloc(size);
    if (larger) {
        memcpy(larger, memory, had);
        free(memory);
    }
    return larger;
}
