/* SPDX-License-Identifier: GPL-3.0-or-later */
/* queue.h - accepted messages, sealed at rest, until they are delivered.
 *
 * A 250 may be sent once queue_commit answered ERR_OK: the message is then on disk, synced. Entries
 * are sealed with AES-256-GCM under a data key that only the token opens (AAD: id and direction).
 * Small bodies lie in SQLite, larger ones in files synced with their folder before the row commits.
 * Commits of all sessions that wait share one sync. What became of a message is kept for a while
 * after it has left, in the transaction that finishes it. Thread-safe. Every call may answer
 * ERR_BUSY, ERR_IO, ERR_NOSPACE, ERR_HSM_AWAY, ERR_NOMEM. */
#ifndef SEALRELAY_QUEUE_H
#define SEALRELAY_QUEUE_H

#include "hsm/hsm.h"

#include <stdint.h>

#define QUEUE_SCHEMA           2
#define QUEUE_INLINE_MAX_BYTES (256u * 1024) /* sealed bodies above are files */
#define QUEUE_LIFETIME_S       (5u * 86400)  /* RFC 5321 4.5.4.1: 4 to 5 days */
#define QUEUE_DATA_KEY_AGE_S   (24u * 3600)
#define QUEUE_HISTORY_S        (14u * 86400) /* as long as a return path is good */
#define QUEUE_HISTORY_MAX      1000000u      /* rows of some 200 bytes */
#define QUEUE_HOP_ID_MAX       64            /* characters of a next hop's queue id */
#define QUEUE_STATUS_MAX       11            /* "5.123.123" and room, RFC 3463 2 */
#define QUEUE_ORIGIN_MAX_BYTES 2048
/* An entry due later than this counts as due: the clock was wrong when it was put off. No caller
 * may put one off for longer. */
#define QUEUE_BACKOFF_MAX_S (4 * 3600)
/* 1.5 times the largest message: 25 MiB in clear, 1.38 times that sealed */
#define QUEUE_FREE_MIN_BYTES (52ull * 1024 * 1024)

struct queue;

enum queue_direction { QUEUE_FORWARD, QUEUE_REPLY, QUEUE_NOTICE };

struct queue_options {
    const char *dir;         /* holds queue.db, lock and body/; must exist */
    unsigned lifetime_s;     /* after which an entry is failed; 0: QUEUE_LIFETIME_S */
    uint64_t free_min_bytes; /* below this much free space: ERR_NOSPACE; 0: QUEUE_FREE_MIN_BYTES */
    unsigned data_key_age_s; /* 0: QUEUE_DATA_KEY_AGE_S */
    unsigned history_s;      /* 0: QUEUE_HISTORY_S */
    unsigned history_max;    /* rows; the oldest go first; 0: QUEUE_HISTORY_MAX */
};

/* queue_open - open or make the queue. A second process on the same folder is refused (flock).
 * Stale unfinished body files are removed. Errors: ERR_CONFIG (newer schema, in use, not ours). */
enum err queue_open(const struct queue_options *options, struct hsm *hsm, struct queue **out);
void queue_close(struct queue *q);

/* ---- accepting ---- */

struct queue_envelope {
    id_text id; /* the message's id in the log, made by the caller */
    enum queue_direction direction;
    const char *profile;   /* id; in clear in the row, for suspending */
    const char *hop;       /* key of the next hop: the recipient's domain, or "" for the default */
    const char *mail_from; /* our return path; sealed */
    const char *rcpt_to;   /* sealed */
    struct bytes origin;   /* whom a failure may be told, sealed by the caller; opaque; borrowed */
    const char *closes;    /* NULL, or the id of the failure this notice tells of: closed in the
                            * transaction that makes the notice durable */
};

struct queue_writer;

/* queue_begin - start one entry. Copies the envelope.
 * Errors: ERR_FORMAT (id, over-long or unprintable envelope), ERR_NOSPACE, ERR_HSM_AWAY. */
enum err queue_begin(struct queue *q, const struct queue_envelope *envelope, int64_t now_s,
                     struct queue_writer **out);
/* queue_write - more of the message (CRLF lines, 7-bit), sealed as it comes; no second copy kept.
 */
enum err queue_write(struct queue_writer *w, const uint8_t *data, size_t len);
/* queue_commit - make accepted messages durable and visible to the runner.
 *   batch  taken; all become READY, or none (and all are aborted)
 * Effects: one transaction, shared with other sessions, synced; after ERR_OK a 250 is safe. A sync
 * that fails is final: it is not tried again, for the kernel may have dropped what it could not
 * write. Errors: ERR_BUG (the id is in use), ERR_WRONG_STATE (the failure it closes is closed), and
 * the first failure of any queue_write. */
enum err queue_commit(struct queue *q, struct queue_writer **batch, size_t n);
/* queue_abort - forget an entry that was not committed. Accepts NULL. */
void queue_abort(struct queue_writer *w);

/* ---- delivering ---- */

/* DELIVERED: gone, known from the history. */
enum queue_state { QUEUE_READY, QUEUE_ACTIVE, QUEUE_HELD, QUEUE_FAILED, QUEUE_DELIVERED };
const char *queue_state_name(enum queue_state s);
const char *queue_direction_name(enum queue_direction d);

struct queue_item {
    int64_t created_s;
    int64_t next_attempt_s;
    uint64_t size_bytes; /* of the message in clear of the seal */
    unsigned attempts;
    enum queue_direction direction;
    enum queue_state state;
    id_text id;
    id_text profile;
    char hop[256];
    address_text mail_from;
    address_text rcpt_to;
    char last_result[160]; /* printable ASCII, sanitised, no addresses */
    /* from the history: */
    int64_t finished_s;                /* 0: never was */
    int64_t reported_s;                /* when a report said it failed behind the next hop; 0 */
    char hop_id[QUEUE_HOP_ID_MAX + 1]; /* at the next hop, of a delivered one; "" */
};

/* queue_take - up to max due entries of one next hop, the one waiting longest first; they become
 * ACTIVE and their attempt counter is written before anybody touches the body (a message that
 * kills its worker must not be tried for ever at once).
 *   busy, n_busy  next hops to leave out
 * Errors: ERR_NOT_FOUND (none due; due_in_s_out says in how many seconds one will be, at most 60).
 */
enum err queue_take(struct queue *q, int64_t now_s, const char *const *busy, size_t n_busy,
                    size_t max, struct queue_item *items_out, size_t *n_out, int64_t *due_in_s_out);
/* queue_wake - block until entries came, queue_kick was called, or timeout_ms passed. What came
 * since the last return counts. */
void queue_wake(struct queue *q, unsigned timeout_ms);
/* queue_kick - let a thread in queue_wake go; for an orderly end. */
void queue_kick(struct queue *q);

struct queue_body;
/* queue_body_open, queue_body_read, queue_body_close - stream a taken entry, opened. Every chunk is
 * authentic before it is handed out; read: 0 bytes at the end. Errors: ERR_TAMPERED (the entry
 * becomes held and is shown), ERR_HSM_AWAY. */
enum err queue_body_open(struct queue *q, const struct queue_item *item, struct queue_body **out);
enum err queue_body_read(struct queue_body *b, uint8_t *data, size_t max, size_t *len_out);
void queue_body_close(struct queue_body *b);

enum queue_outcome { OUTCOME_DONE, OUTCOME_RETRY, OUTCOME_FAILED };
struct queue_result {
    id_text id;
    enum queue_outcome outcome;
    int64_t now_s;          /* when it ended */
    int64_t next_attempt_s; /* for OUTCOME_RETRY; past the lifetime it becomes failed */
    const char *text;       /* sanitised and sealed by the queue; NULL: none */
    const char *hop_id;     /* of OUTCOME_DONE: the queue id at the next hop, [A-Za-z0-9.-] up to 64
                               characters; "" or NULL: not told */
};
/* queue_finish - record results in one transaction. DONE removes entry and body file. Results for
 * entries that are not ACTIVE (held meanwhile, gone) change nothing. A lifetime of over twice the
 * allowed is a clock that was wrong, and not held against the entry. */
enum err queue_finish(struct queue *q, const struct queue_result *results, size_t n);
/* queue_release_active - at start: entries left ACTIVE by a dead process become READY; the first
 * time due at once, then after a minute that doubles with each attempt. */
enum err queue_release_active(struct queue *q);

/* ---- what became of it ---- */

/* A report that came to a message's return path: it failed behind the next hop. */
struct queue_report {
    id_text id;
    int64_t now_s;
    char status[QUEUE_STATUS_MAX + 1]; /* as the report says it, "5.1.1" */
    struct bytes sealed;               /* what else it says; opaque; borrowed */
};
/* queue_report - a message is failed now.
 *   changed_out  false: it was already, or nobody knows it any more; a report that comes again
 *                changes nothing. Errors: ERR_FORMAT. */
enum err queue_report(struct queue *q, const struct queue_report *report, bool *changed_out);

/* A message that failed, and nobody was told of it. Never one of direction NOTICE. */
struct queue_failure {
    int64_t n; /* for queue_failure_next */
    id_text id;
    id_text profile;
    enum queue_direction direction;
    int64_t created_s;
    int64_t failed_s;
    bool reported;                     /* by a report; else we gave up ourselves */
    char status[QUEUE_STATUS_MAX + 1]; /* "5.1.1", "4.4.7" when its lifetime was over; "" */
    char result[160];                  /* codes and our own words */
    struct buf origin;                 /* as given with the envelope */
    struct buf report;                 /* as given with the report */
};
void queue_failure_clear(struct queue_failure *f);
/* queue_failure_next - the first behind n == after (0 at first). Errors: ERR_NOT_FOUND. */
enum err queue_failure_next(struct queue *q, int64_t after, struct queue_failure *out);
/* queue_failure_close - it is dealt with; durable. Errors: ERR_WRONG_STATE (it was already). */
enum err queue_failure_close(struct queue *q, const char *id);

/* queue_origin - what was given with the envelope of a message, waiting or gone.
 *   origin_out  given; empty where there was none. Errors: ERR_NOT_FOUND. */
enum err queue_origin(struct queue *q, const char *id, enum queue_direction *direction_out,
                      struct buf *origin_out);

/* ---- the operator ---- */

typedef enum err (*queue_item_fn)(void *ctx, const struct queue_item *item);
/* queue_each - oldest first; no lock is held while fn runs. Addresses are opened only
 * with_addresses; listing works without the key service otherwise, and then last_result may be
 * empty. Of damaged entries addresses are empty and last_result says why. Behind the entries come
 * messages that a report says failed, until they are dropped. */
enum err queue_each(struct queue *q, bool with_addresses, queue_item_fn fn, void *ctx);
/* queue_show - one entry, with addresses when they can be opened; or what the history knows of a
 * message that is gone, without. Errors: ERR_NOT_FOUND. */
enum err queue_show(struct queue *q, const char *id, struct queue_item *out);
enum queue_order { ORDER_HOLD, ORDER_RELEASE, ORDER_RETRY, ORDER_DROP };
/* queue_order - id NULL: all that are not ACTIVE (never for ORDER_DROP: ERR_USAGE). HOLD takes
 * ready ones, RELEASE held ones, RETRY ready and failed ones, whose lifetime begins anew; RETRY of
 * all is a flush. DROP of a message that a report says failed takes it off the list. Errors:
 * ERR_NOT_FOUND, ERR_WRONG_STATE (being delivered now). */
enum err queue_order(struct queue *q, const char *id, enum queue_order order, int64_t now_s,
                     size_t *changed_out);
struct queue_counts {
    uint64_t ready, active, held, failed;
    uint64_t bytes;
    int64_t oldest_s;  /* 0: none */
    uint64_t failures; /* entries failed and messages reported failed, not dropped or retried yet */
};
enum err queue_count(struct queue *q, struct queue_counts *out);

/* queue_failures - the latest of counts.failures, the newest first. */
enum err queue_failures(struct queue *q, struct queue_item *items_out, size_t max, size_t *n_out);

/* What durability cost since the queue was opened. */
struct queue_stats {
    uint64_t commits;  /* transactions, each shared by all who waited */
    uint64_t messages; /* made durable by queue_commit */
    uint64_t syncs;    /* fsync calls: SQLite's own and those of body files and their folder */
};
void queue_stats_get(struct queue *q, struct queue_stats *out);

#endif
