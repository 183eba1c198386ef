/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs_relay.c - a relay without mail for sealctl's tests: the real verbs over a real store and
 * queue, with the key service behind them. Notices go to a file instead of a mailbox.
 *
 *   verbs_relay HSM-RELAY-SOCKET FOLDER     serves FOLDER/control.sock until its input ends */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"
#include "daemon/control/verbs.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Nothing is delivered here. */
void runner_forget_backoff(struct runner *r)
{
    (void)r;
}

size_t runner_hops(struct runner *r, struct runner_hop *out, size_t max)
{
    (void)r;
    (void)out;
    (void)max;
    return 0;
}

struct place {
    struct hsm *hsm;
    char code_file[256];
};

static enum err notify(void *flow, const char *profile)
{
    const struct place *p = flow;
    char code[HSM_CODE_LEN + 1];
    enum err e = hsm_activation_code(p->hsm, profile, code);

    return e ? e : file_write_durable(p->code_file, bytes_of(code), 0600);
}

/* A message to itself, so that the queue's verbs have something to show. */
static enum err enqueue(struct queue *q, const char *rcpt)
{
    struct queue_envelope envelope = {.direction = QUEUE_FORWARD,
                                      .profile = "abcdefgh234567ab",
                                      .hop = "",
                                      .mail_from = "b-1@relay.example.com",
                                      .rcpt_to = rcpt};
    struct queue_writer *writer = NULL;
    enum err e = id_new(envelope.id);

    if (!e)
        e = queue_begin(q, &envelope, clock_now_s(), &writer);
    if (!e)
        e = queue_write(writer, (const uint8_t *)"a: b\r\n\r\nc\r\n", 11);
    return e ? e : queue_commit(q, &writer, 1);
}

/* "queue ADDRESS" on standard input adds a message; the end of input ends the program. */
static void serve_input(struct queue *q)
{
    char line[300];

    while (fgets(line, sizeof line, stdin)) {
        enum err e = ERR_USAGE;

        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "queue ", 6) == 0)
            e = enqueue(q, line + 6);
        (void)printf("%s %s\n", err_name(e), err_note_get()->detail);
        (void)fflush(stdout);
    }
}

static enum err notify_keys(void *flow, const char *profile)
{
    (void)flow;
    return id_is_valid(profile) ? ERR_OK : ERR_USAGE;
}

int main(int argc, char **argv)
{
    static const char *const domains[] = {"relay.example.com", "mail.example.org"};
    static atomic_bool draining;
    struct place place = {0};
    struct hsm_options hsm = {.socket_path = argc == 3 ? argv[1] : ""};
    char path[2][256];
    struct queue_options queue = {.dir = argc == 3 ? argv[2] : "", .free_min_bytes = 1};
    struct relay_verbs v = {.domains = domains,
                            .n_domains = 2,
                            .operator_user = "postmaster",
                            .started_s = clock_now_s(),
                            .draining = &draining,
                            .flow = &place,
                            .profile_notify = notify,
                            .keys_notify = notify_keys};
    struct control *control = NULL;
    enum err e = argc == 3 ? hsm_open(&hsm, &place.hsm) : ERR_USAGE;

    if (!e) {
        (void)snprintf(path[0], sizeof path[0], "%s/store.db", argv[2]);
        (void)snprintf(path[1], sizeof path[1], "%s/control.sock", argv[2]);
        (void)snprintf(place.code_file, sizeof place.code_file, "%s/code", argv[2]);
        v.hsm = place.hsm;
        e = store_open(path[0], place.hsm, &v.store);
    }
    if (!e)
        e = queue_open(&queue, place.hsm, &v.queue);
    if (!e)
        e = control_start(path[1], (uid_t)-1, relay_verbs, n_relay_verbs, &v, &control);
    if (!e)
        serve_input(v.queue);
    else
        (void)fprintf(stderr, "%s: %s\n", err_name(e), err_note_get()->detail);
    control_stop(control);
    queue_close(v.queue);
    store_close(v.store);
    hsm_free(place.hsm);
    return e != ERR_OK;
}
