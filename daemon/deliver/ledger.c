/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ledger.c - verdicts into the queue. A crash of the relay repeats what was answered and not yet
 * recorded, so that is kept short; an entry is recorded once, whatever the worker says again. */
#include "daemon/deliver/ledger.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORD_TRIES   50 /* when the queue cannot write */
#define RECORD_WAIT_MS 200
#define UNTRIED_WAIT_S 1 /* entries behind one that ended the session */

enum err ledger_open(struct ledger *l, const struct session_context *context, const struct hop *hop,
                     const struct queue_item *items, size_t n)
{
    *l = (struct ledger){.context = context,
                         .hop = hop,
                         .n = n,
                         .begun_ms = clock_mono_ms(),
                         .health = HOP_UNTRIED,
                         .wait_s = context->retry_first_s};
    l->entries = calloc(n, sizeof *l->entries);
    if (!l->entries)
        return err_note(ERR_NOMEM, "ledger_open", "out of memory");
    for (size_t i = 0; i < n; i++)
        l->entries[i].item = &items[i];
    return ERR_OK;
}

/* The stages of log lines; what follows the dot is the outcome's name. */
static const char *stage_of(enum queue_outcome outcome)
{
    switch (outcome) {
    case OUTCOME_DONE:
        return "deliver.done";
    case OUTCOME_RETRY:
        return "deliver.retry";
    case OUTCOME_FAILED:
        return "deliver.failed";
    }
    return "deliver.unknown";
}

static const char *or_dash(const char *text)
{
    return text[0] ? text : "-";
}

static void log_entry(const struct ledger *l, const struct ledger_entry *entry)
{
    static const enum err results[] = {
        [OUTCOME_DONE] = ERR_OK, [OUTCOME_RETRY] = ERR_NET, [OUTCOME_FAILED] = ERR_REFUSED};
    const struct verdict *v = &entry->verdict;

    err_note_clear();
    log_event(v->outcome == OUTCOME_DONE ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, stage_of(v->outcome),
              entry->item->id, results[v->outcome], clock_mono_ms() - l->begun_ms,
              "hop=%s:%u outcome=%s code=%u status=%s hop_id=%s attempt=%u tried=%d fault=%s",
              l->hop->host, l->hop->port, stage_of(v->outcome) + strlen("deliver."), v->code,
              or_dash(v->status), or_dash(v->hop_id), entry->item->attempts, v->tried,
              job_fault_name(l->fault));
}

static unsigned message_wait_s(const struct ledger *l, const struct ledger_entry *entry)
{
    return backoff_s(entry->item->attempts ? entry->item->attempts : 1, l->context->retry_first_s,
                     l->context->retry_max_s, arc4random());
}

/* An entry that was tried waits by its own count, so that one which kills its worker soon travels
 * alone; those behind it wait only for the next hop. */
static int64_t next_attempt_s(const struct ledger *l, const struct ledger_entry *entry)
{
    unsigned own = entry->verdict.tried ? message_wait_s(l, entry) : UNTRIED_WAIT_S;
    unsigned wait = l->health != HOP_GOOD && l->wait_s > own ? l->wait_s : own;

    return clock_now_s() + wait;
}

static void queue_record(struct queue *queue, const struct queue_result *results, size_t n)
{
    const struct timespec pause = {0, RECORD_WAIT_MS * 1000000L};
    enum err e = queue_finish(queue, results, n);

    for (unsigned i = 0; e && i < RECORD_TRIES; i++) {
        (void)nanosleep(&pause, NULL);
        e = queue_finish(queue, results, n);
    }
    /* They stay active; the next start makes them ready. */
    for (size_t i = 0; e && i < n; i++)
        log_event(LOG_LEVEL_ERROR, "deliver.record", results[i].id, e, -1, "%s", "");
}

void ledger_record(struct ledger *l)
{
    struct queue_result results[LEDGER_BATCH];
    size_t n = 0;

    for (size_t i = 0; i < l->n && n < LEDGER_BATCH; i++) {
        struct ledger_entry *entry = &l->entries[i];

        if (!entry->judged || entry->recorded)
            continue;
        entry->recorded = true;
        memcpy(results[n].id, entry->item->id, sizeof results[n].id);
        results[n].outcome = entry->verdict.outcome;
        results[n].now_s = clock_now_s();
        results[n].next_attempt_s = next_attempt_s(l, entry);
        results[n].text = entry->verdict.text;
        results[n++].hop_id = entry->verdict.hop_id;
        log_entry(l, entry);
    }
    l->n_pending -= n;
    if (n)
        queue_record(l->context->queue, results, n);
    (void)failpoint("deliver.recorded");
}

void ledger_judge(struct ledger *l, size_t index, const struct verdict *verdict)
{
    struct ledger_entry *entry = &l->entries[index];

    if (entry->judged)
        return;
    entry->verdict = *verdict;
    entry->judged = true;
    if (verdict->tried || !l->last_tried)
        memcpy(l->last_result, verdict->text, sizeof l->last_result);
    l->last_tried |= verdict->tried;
    if (++l->n_pending == LEDGER_BATCH)
        ledger_record(l);
}

void ledger_held(struct ledger *l, size_t index)
{
    l->entries[index].judged = true;
    l->entries[index].recorded = true;
}

void ledger_close(struct ledger *l, const char *why)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct ledger_entry *entry = &l->entries[i];
        struct verdict unknown;

        outcome_unknown(entry->wanted, why, &unknown);
        ledger_judge(l, i, entry->verdict.tried ? &entry->verdict : &unknown);
    }
    do
        ledger_record(l);
    while (l->n_pending);
    free(l->entries);
    l->entries = NULL;
}
