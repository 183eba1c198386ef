/* SPDX-License-Identifier: GPL-3.0-or-later */
/* memory.c - message bodies as growing mappings, and the budget they are charged to.
 *
 * Invariant: the sum of all bodies' mappings equals budget->used and never exceeds budget->max. */
#include "daemon/receive/memory.h"

#include <string.h>
#include <sys/mman.h>

/* Mappings grow in steps of this many bytes, a multiple of any page size in use. */
#define BODY_STEP_BYTES 65536u

bool memory_has_room(const struct memory_budget *budget, uint64_t bytes)
{
    uint64_t used = atomic_load(&budget->used);

    return used <= budget->max && bytes <= budget->max - used;
}

uint64_t memory_used(const struct memory_budget *budget)
{
    return atomic_load(&budget->used);
}

static bool memory_take(struct memory_budget *budget, uint64_t bytes)
{
    uint64_t used = atomic_load(&budget->used);

    do {
        if (used > budget->max || bytes > budget->max - used)
            return false;
    } while (!atomic_compare_exchange_weak(&budget->used, &used, used + bytes));
    return true;
}

static void memory_give(struct memory_budget *budget, uint64_t bytes)
{
    atomic_fetch_sub(&budget->used, bytes);
}

void body_init(struct body *b, struct memory_budget *budget, uint64_t declared, uint64_t max)
{
    *b = (struct body){.budget = budget};
    b->max = max < SIZE_MAX / 4 ? (size_t)max : SIZE_MAX / 4;
    b->expected = declared && declared < b->max ? (size_t)declared : b->max;
}

/* The mapping to have for need bytes: half as much again, but not beyond what is expected. */
static size_t next_mapping(const struct body *b, size_t need)
{
    size_t size = b->mapped + b->mapped / 2;

    if (size > b->expected)
        size = b->expected;
    if (size < need)
        size = need;
    return (size + BODY_STEP_BYTES - 1) / BODY_STEP_BYTES * BODY_STEP_BYTES;
}

static enum err grow(struct body *b, size_t need)
{
    size_t size = next_mapping(b, need);
    void *at;

    if (!memory_take(b->budget, size - b->mapped))
        return ERR_NOSPACE;
    if (b->data)
        at = mremap(b->data, b->mapped, size, MREMAP_MAYMOVE);
    else
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        memory_give(b->budget, size - b->mapped);
        return ERR_NOSPACE;
    }
    b->data = at;
    b->mapped = size;
    return ERR_OK;
}

static void release(struct body *b)
{
    if (b->data) {
        (void)munmap(b->data, b->mapped);
        memory_give(b->budget, b->mapped);
    }
    b->data = NULL;
    b->len = 0;
    b->mapped = 0;
}

enum err body_append(struct body *b, const uint8_t *data, size_t len)
{
    if (b->failure || len == 0)
        return b->failure;
    if (len > b->max - b->len)
        b->failure = ERR_TOO_BIG;
    else if (len > b->mapped - b->len)
        b->failure = grow(b, b->len + len);
    if (b->failure) {
        release(b);
        return b->failure;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return ERR_OK;
}

enum err body_failure(const struct body *b)
{
    return b->failure;
}

struct bytes body_bytes(const struct body *b)
{
    static const uint8_t nothing[1];

    return b->data ? (struct bytes){b->data, b->len} : (struct bytes){nothing, 0};
}

void body_clear(struct body *b)
{
    release(b);
    *b = (struct body){0};
}
