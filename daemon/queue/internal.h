/* SPDX-License-Identifier: GPL-3.0-or-later */
/* internal.h - what the files of the queue share.
 *
 * All changes go through the committer: a thread that puts every waiting job into one transaction
 * and syncs once for all of them. It alone uses the writing connection, never calls the key service
 * and takes no other lock, so nothing slow stands between a session and its sync. */
#ifndef SEALRELAY_QUEUE_INTERNAL_H
#define SEALRELAY_QUEUE_INTERNAL_H

#include "daemon/queue/queue.h"
#include "daemon/store/aead.h"
#include "daemon/store/sql.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* ---- data keys (keys.c) ---- */

struct data_key {
    struct data_key *next;
    int64_t id;
    int64_t created_s;
    unsigned refs;
    struct secret key;
};

struct key_ring {
    pthread_mutex_t mutex;
    struct data_key *first;   /* those opened so far */
    struct data_key *current; /* for new entries; one of the list */
    size_t n;
    enum err last_error; /* of the key service, remembered for a moment */
    int64_t last_error_ms;
    atomic_int_fast64_t current_id;
    atomic_bool sweep_wanted;     /* the last entry of an older key may be gone */
    atomic_uint_fast32_t retired; /* told to the key service */
};

/* keys_current - the key for new entries, made if there is none or it is too old. keys_put it. */
enum err keys_current(struct queue *q, int64_t now_s, struct data_key **out);
/* keys_get - the key of an entry, opened if need be. keys_put it.
 * Errors: ERR_NOT_FOUND (row or spool key is gone), ERR_TAMPERED: for good. Others pass. */
enum err keys_get(struct queue *q, int64_t id, struct data_key **out);
/* keys_find - keys_get without the key service: NULL unless opened already. */
struct data_key *keys_find(struct queue *q, int64_t id);
void keys_put(struct queue *q, struct data_key *key);
/* keys_sweep - delete keys without entries, have spool keys without data keys destroyed. */
void keys_sweep(struct queue *q);
void keys_clear(struct queue *q);

/* ---- sealing (seal.c) ---- */

#define ENTRY_VERSION    1
#define ENTRY_SALT_LEN   32
#define SEAL_CHUNK_BYTES (64u * 1024)
#define SEALED_CHUNK_MAX (SEAL_CHUNK_BYTES + AEAD_TAG_LEN)

struct entry_name {
    const char *id;
    enum queue_direction direction;
};

/* entry_cipher - a cipher under the key of one entry, derived from data key and salt. */
enum err entry_cipher(const struct data_key *key, const uint8_t salt[ENTRY_SALT_LEN], bool sealing,
                      EVP_CIPHER_CTX **out);
/* chunk_seal, chunk_open - one chunk of a body; out has room for plain or sealed bytes. */
enum err chunk_seal(EVP_CIPHER_CTX *ctx, const struct entry_name *name, uint32_t counter, bool last,
                    struct bytes plain, uint8_t *out);
enum err chunk_open(EVP_CIPHER_CTX *ctx, const struct entry_name *name, uint32_t counter, bool last,
                    struct bytes sealed, uint8_t *out);
/* envelope and last result */
enum err envelope_seal(EVP_CIPHER_CTX *ctx, const struct entry_name *name, const char *mail_from,
                       const char *rcpt_to, struct buf *out);
enum err envelope_open(EVP_CIPHER_CTX *ctx, const struct entry_name *name, struct bytes sealed,
                       struct queue_item *item);
enum err details_seal(EVP_CIPHER_CTX *ctx, const struct entry_name *name, const char *text,
                      struct buf *out);
enum err details_open(EVP_CIPHER_CTX *ctx, const struct entry_name *name, struct bytes sealed,
                      char *out, size_t cap);

/* ---- rows (row.c) ---- */

/* Why an entry is held or failed, where no next hop said so. Stored: numbers stay. */
enum reason {
    REASON_NONE = 0,
    REASON_OPERATOR = 1,
    REASON_VERSION = 2,
    REASON_DAMAGED = 3,
    REASON_NO_FILE = 4,
    REASON_NO_KEY = 5,
    REASON_LIFETIME = 6
};
const char *reason_text(enum reason r);

#define ROW_COLUMNS                                                                                \
    "n, id, version, direction, state, profile, hop, created_s, next_attempt_s, attempts,"         \
    " size_bytes, key, salt, envelope, details, reason, since_s, sealed_bytes, in_file"

struct row {
    int64_t n;
    struct queue_item item; /* addresses and last_result empty until row_open */
    enum reason damage;     /* found when reading it */
    int64_t key;
    uint8_t salt[ENTRY_SALT_LEN];
    struct buf envelope;
    struct buf details;
    enum reason reason;
    int64_t since_s; /* from which its lifetime counts */
    uint64_t sealed_bytes;
    bool in_file;
};
void row_clear(struct row *r);
/* row_read - a row of ROW_COLUMNS; what makes no sense is told by damage. Errors: ERR_NOMEM. */
enum err row_read(sqlite3_stmt *st, struct row *out);
/* row_find - by id, over the reading connection. Errors: ERR_NOT_FOUND. */
enum err row_find(struct queue *q, const char *id, struct row *out);
/* row_open - addresses and last result into the item. wait: ask the key service for the key.
 * Errors: ERR_TAMPERED (damage says what), ERR_HSM_AWAY and the like. */
enum err row_open(struct queue *q, struct row *r, bool wait);
/* row_hold - quarantine a damaged entry and say so in the log. Errors: those of the commit. */
enum err row_hold(struct queue *q, const char *id, int64_t n, enum reason why);

/* ---- the history (history.c) ---- */

#define HISTORY_RESULT_MAX 63

struct history_row {
    int64_t n;              /* of the entry, which is ACTIVE */
    enum queue_state state; /* FAILED or DELIVERED */
    int64_t finished_s;
    char result[HISTORY_RESULT_MAX + 1];
    char status[QUEUE_STATUS_MAX + 1];
    char hop_id[QUEUE_HOP_ID_MAX + 1];
};
/* history_brief - of a sanitised result: code and status of a next hop's, our own whole. */
void history_brief(const char *text, char out[HISTORY_RESULT_MAX + 1],
                   char status_out[QUEUE_STATUS_MAX + 1]);
/* In a job: history_write - before the entry changes. history_purge - some of what is too old or
 * too much. history_dismiss - off the list. history_retried - of entries that are ready again.
 * history_told - Errors: ERR_WRONG_STATE. */
enum err history_write(struct queue *q, const struct history_row *h);
enum err history_purge(struct queue *q, int64_t now_s, size_t n_finished);
enum err history_dismiss(struct queue *q, const char *id, bool *known_out);
enum err history_retried(struct queue *q);
enum err history_told(struct queue *q, const char *id);
/* For the operator. history_find - Errors: ERR_NOT_FOUND. */
enum err history_find(struct queue *q, const char *id, struct queue_item *out);
enum err history_each_reported(struct queue *q, queue_item_fn fn, void *ctx);
/* db: held */
enum err history_count(struct sql *db, uint64_t *failures_out);

/* ---- the committer (commit.c) ---- */

struct job {
    /* in the transaction; an error undoes this job alone */
    enum err (*run)(struct queue *q, struct job *j);
    void *data;
    unsigned messages; /* for the statistics */
    bool has_files;    /* the body folder is synced before the commit */
    enum err result;
    struct err_note note;
    sem_t done;
    struct job *next;
};

struct committer {
    pthread_t thread;
    bool started;
    bool stop;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct job *first;
    struct job *last;
    atomic_uint_fast64_t commits;
    atomic_uint_fast64_t messages;
    atomic_uint_fast64_t syncs;
};

enum err committer_start(struct queue *q);
/* committer_stop - after the jobs that wait. */
void committer_stop(struct queue *q);
/* job_run - hand a job to the committer and wait until it is durable or undone. */
enum err job_run(struct queue *q, struct job *j);

/* ---- the queue itself ---- */

struct queue {
    struct hsm *hsm; /* borrowed */
    unsigned lifetime_s;
    uint64_t free_min_bytes;
    unsigned data_key_age_s;
    unsigned history_s;
    unsigned history_max;
    int lock_fd;
    int body_fd;       /* the folder of body files */
    struct sql *write; /* the committer's */
    struct sql *read;
    struct key_ring keys;
    struct committer committer;
    pthread_mutex_t take_mutex;
    pthread_mutex_t wake_mutex;
    pthread_cond_t wake;
    bool arrived;
};

/* body_unlink - remove a body file whose row is gone. */
void body_unlink(struct queue *q, const char *id);

#endif
