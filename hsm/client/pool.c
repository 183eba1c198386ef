/* SPDX-License-Identifier: GPL-3.0-or-later */
/* pool.c - the connections behind a struct hsm.
 *
 * A connection serves one call at a time; several calls run on several connections. An idle
 * connection that the service has closed, by time-out or restart, is thrown away unseen. */
#include "hsm/client/pool.h"

#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "hsm/proto/frame.h"
#include "hsm/proto/message.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_DEFAULT_MS     5000u
#define CONNECTIONS_DEFAULT    16u
#define CONNECTIONS_UPPERBOUND 1024u

struct hsm {
    char *path;
    unsigned timeout_ms;
    unsigned max;
    struct silence silence;
    pthread_mutex_t lock;
    pthread_cond_t given_back;
    /* under lock: */
    unsigned in_use;
    unsigned n_idle;
    int *idle; /* max entries, a stack: the youngest is used first */
};

static enum err pool_init(struct hsm *h)
{
    pthread_condattr_t monotonic;
    bool good = pthread_mutex_init(&h->lock, NULL) == 0 &&
                pthread_mutex_init(&h->silence.lock, NULL) == 0 &&
                pthread_condattr_init(&monotonic) == 0;

    good = good && pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
           pthread_cond_init(&h->given_back, &monotonic) == 0;
    return good ? ERR_OK : ERR_NOMEM;
}

enum err hsm_open(const struct hsm_options *options, struct hsm **out)
{
    struct hsm *h = calloc(1, sizeof *h);

    if (!h)
        return ERR_NOMEM;
    h->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_DEFAULT_MS;
    h->max = options->connections_max ? options->connections_max : CONNECTIONS_DEFAULT;
    if (h->max > CONNECTIONS_UPPERBOUND)
        h->max = CONNECTIONS_UPPERBOUND;
    h->path = strdup(options->socket_path);
    h->idle = calloc(h->max, sizeof *h->idle);
    if (!h->path || !h->idle || pool_init(h)) {
        free(h->path);
        free(h->idle);
        free(h);
        return ERR_NOMEM;
    }
    *out = h;
    return ERR_OK;
}

void hsm_free(struct hsm *h)
{
    if (!h)
        return;
    for (unsigned i = 0; i < h->n_idle; i++)
        fd_close(&h->idle[i]);
    (void)pthread_cond_destroy(&h->given_back);
    (void)pthread_mutex_destroy(&h->silence.lock);
    (void)pthread_mutex_destroy(&h->lock);
    free(h->idle);
    free(h->path);
    free(h);
}

int64_t client_pool_timeout_ms(const struct hsm *h)
{
    return h->timeout_ms;
}

/* Under lock: wait for one of the connections in use, and count ourselves in. */
static enum err slot_take(struct hsm *h, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    int waited = 0;

    while (h->in_use >= h->max && waited == 0 && !silence_is(&h->silence))
        waited = pthread_cond_timedwait(&h->given_back, &h->lock, &until);
    if (h->in_use >= h->max && silence_is(&h->silence))
        return err_note(ERR_HSM_AWAY, "hsm connection", "the service has fallen silent");
    if (h->in_use >= h->max)
        return err_note(ERR_BUSY, "hsm connection", "all %u in use", h->max);
    h->in_use++;
    return ERR_OK;
}

/* Under lock: the youngest idle connection the service has not closed; -1 for none. */
static int idle_take(struct hsm *h)
{
    while (h->n_idle > 0) {
        int fd = h->idle[--h->n_idle];

        if (!frame_peer_gone(fd))
            return fd;
        fd_close(&fd);
    }
    return -1;
}

enum err client_pool_take(struct hsm *h, int64_t deadline_ms, bool fresh, int *fd_out,
                          bool *idle_out)
{
    int fd = -1;
    enum err e;

    (void)pthread_mutex_lock(&h->lock);
    e = slot_take(h, deadline_ms);
    if (!e && !fresh)
        fd = idle_take(h);
    (void)pthread_mutex_unlock(&h->lock);
    if (e)
        return e;
    *idle_out = fd >= 0;
    if (fd < 0 && frame_connect(h->path, deadline_ms - clock_mono_ms(), &fd)) {
        client_pool_give(h, -1, false);
        return ERR_HSM_AWAY;
    }
    *fd_out = fd;
    return ERR_OK;
}

void client_pool_give(struct hsm *h, int fd, bool healthy)
{
    (void)pthread_mutex_lock(&h->lock);
    h->in_use--;
    if (healthy && h->n_idle < h->max) {
        h->idle[h->n_idle++] = fd;
        fd = -1;
    }
    (void)pthread_cond_signal(&h->given_back);
    (void)pthread_mutex_unlock(&h->lock);
    fd_close(&fd);
}

/* ---- silence ---- */

struct silence *client_pool_silence(struct hsm *h)
{
    return &h->silence;
}

void client_pool_missed(struct hsm *h, int64_t began_ms)
{
    if (!silence_missed(&h->silence, began_ms))
        return;
    (void)pthread_mutex_lock(&h->lock);
    (void)pthread_cond_broadcast(&h->given_back);
    (void)pthread_mutex_unlock(&h->lock);
}

/* Whatever the answer says: it is one. */
static enum err ping(struct hsm *h, int64_t deadline_ms)
{
    CLEANUP(buf_wipe) struct buf packet = {0};
    CLEANUP(fd_close) int fd = -1;
    Seal__Nothing nothing = SEAL__NOTHING__INIT;
    Seal__Request r = SEAL__REQUEST__INIT;
    enum err e;

    r.verb_case = SEAL__REQUEST__VERB_PING;
    r.ping = &nothing;
    e = message_pack(&r.base, &packet);
    e = e ? e : frame_connect(h->path, deadline_ms - clock_mono_ms(), &fd);
    e = e ? e : packet_send(fd, buf_bytes(&packet), deadline_ms - clock_mono_ms());
    return e ? e : frame_receive(fd, deadline_ms - clock_mono_ms(), &packet);
}

enum err client_pool_ask(struct hsm *h)
{
    enum err e = ping(h, clock_mono_ms() + SILENCE_ASK_MS);

    if (e)
        silence_unanswered(&h->silence, clock_mono_ms());
    else
        silence_answered(&h->silence, clock_mono_ms());
    return e && e != ERR_NOMEM ? ERR_HSM_AWAY : e;
}
