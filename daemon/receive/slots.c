/* SPDX-License-Identifier: GPL-3.0-or-later */
/* slots.c - the threads behind a server's connections.
 *
 * A finished thread is joined when its slot is wanted again, or at the end. */
#include "daemon/receive/slots.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_DONE };

struct slot {
    _Atomic int state; /* enum slot_state; the thread moves RUNNING to DONE as its last act */
    pthread_t thread;
    struct slots *slots;
    int fd;
    struct peer peer;
    slots_serve_fn *serve;
    void *ctx;
};

struct slots {
    unsigned per_host;
    _Atomic uint64_t running;
    size_t n;
    struct slot items[];
};

enum err slots_new(size_t n, unsigned per_host, struct slots **out)
{
    struct slots *s = calloc(1, sizeof *s + n * sizeof s->items[0]);

    if (!s)
        return err_note(ERR_NOMEM, "slots_new", "out of memory");
    s->n = n;
    s->per_host = per_host;
    *out = s;
    return ERR_OK;
}

void slots_free(struct slots *s)
{
    free(s);
}

static void *run_slot(void *argument)
{
    struct slot *slot = argument;

    slot->serve(slot->ctx, slot->fd, &slot->peer);
    atomic_fetch_sub(&slot->slots->running, 1);
    atomic_store(&slot->state, SLOT_DONE);
    return NULL;
}

/* Join finished threads; a free slot, or NULL. same_host_out: running connections of this host. */
static struct slot *find_slot(struct slots *s, const struct peer *peer, unsigned *same_host_out)
{
    struct slot *found = NULL;

    *same_host_out = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct slot *slot = &s->items[i];
        int state = atomic_load(&slot->state);

        if (state == SLOT_DONE) {
            (void)pthread_join(slot->thread, NULL);
            atomic_store(&slot->state, SLOT_FREE);
            state = SLOT_FREE;
        }
        if (state == SLOT_FREE && !found)
            found = slot;
        if (state == SLOT_RUNNING && peer_is_same_host(&slot->peer, peer))
            ++*same_host_out;
    }
    return found;
}

/* Start the thread with every signal blocked: they belong to the program's main thread. */
static bool start_thread(struct slot *slot)
{
    sigset_t all;
    sigset_t before;
    int failed;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&slot->state, SLOT_RUNNING);
    failed = pthread_create(&slot->thread, NULL, run_slot, slot);
    if (failed)
        atomic_store(&slot->state, SLOT_FREE);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed;
}

enum slots_result slots_start(struct slots *s, int *fd_io, const struct peer *peer,
                              slots_serve_fn *serve, void *ctx)
{
    unsigned same_host;
    struct slot *slot = find_slot(s, peer, &same_host);

    if (!slot)
        return SLOTS_FULL;
    if (s->per_host && same_host >= s->per_host)
        return SLOTS_HOST_FULL;
    slot->slots = s;
    slot->fd = *fd_io;
    slot->peer = *peer;
    slot->serve = serve;
    slot->ctx = ctx;
    atomic_fetch_add(&s->running, 1);
    if (!start_thread(slot)) {
        atomic_fetch_sub(&s->running, 1);
        return SLOTS_NO_THREAD;
    }
    *fd_io = -1;
    return SLOTS_OK;
}

uint64_t slots_running(const struct slots *s)
{
    return atomic_load(&s->running);
}

void slots_join(struct slots *s)
{
    for (size_t i = 0; i < s->n; i++)
        if (atomic_load(&s->items[i].state) != SLOT_FREE) {
            (void)pthread_join(s->items[i].thread, NULL);
            atomic_store(&s->items[i].state, SLOT_FREE);
        }
}
