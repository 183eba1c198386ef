/* SPDX-License-Identifier: GPL-3.0-or-later */
/* write.c - accepting: a message is sealed while it comes and made durable by queue_commit.
 *
 * Plaintext exists here only as one chunk in locked memory (invariant 2). Sealed chunks gather in
 * memory; past 256 KiB they move to a file, which is synced, and its folder, before the row that
 * names it commits (invariant 3). */
#include "daemon/base/failpoint.h"
#include "daemon/base/fdio.h"
#include "daemon/queue/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define SPILL_BYTES ((size_t)256 * 1024) /* written to the file at once */

struct queue_writer {
    struct queue *q;
    struct data_key *key;
    id_text id;
    enum queue_direction direction;
    char profile[ID_LEN + 1];
    char hop[256];
    int64_t now_s;
    struct buf origin;
    id_text closes; /* empty: nothing */
    uint8_t salt[ENTRY_SALT_LEN];
    struct buf envelope; /* sealed */
    EVP_CIPHER_CTX *ctx;
    struct secret plain; /* the chunk being filled */
    size_t plain_len;
    uint32_t chunks;
    uint64_t size_bytes;
    struct buf body; /* sealed, not yet in the file */
    uint64_t sealed_bytes;
    int fd;
    bool has_file;
    enum err failed; /* the first failure; nothing is accepted behind it */
};

static bool is_printable(const char *s, size_t max)
{
    size_t len = s ? strlen(s) : SIZE_MAX;

    if (len > max)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return false;
    return true;
}

static enum err envelope_check(const struct queue_envelope *v)
{
    if (!id_is_valid(v->id) || !v->profile || (*v->profile && !id_is_valid(v->profile)) ||
        !is_printable(v->hop, sizeof((struct queue_writer){0}.hop) - 1) ||
        !is_printable(v->mail_from, HSM_ADDRESS_MAX) ||
        !is_printable(v->rcpt_to, HSM_ADDRESS_MAX) || !*v->rcpt_to ||
        v->origin.len > QUEUE_ORIGIN_MAX_BYTES || (v->closes && !id_is_valid(v->closes)))
        return err_note(ERR_FORMAT, "queue_begin", "envelope");
    return ERR_OK;
}

static enum err space_check(const struct queue *q)
{
    struct statvfs st;

    if (fstatvfs(q->body_fd, &st) != 0)
        return err_note(ERR_IO, "statvfs", "%s", strerror(errno));
    if ((uint64_t)st.f_bavail * st.f_frsize < q->free_min_bytes || (st.f_files && st.f_favail == 0))
        return err_note(ERR_NOSPACE, "queue", "%llu blocks of %lu bytes, %llu files left",
                        (unsigned long long)st.f_bavail, st.f_frsize,
                        (unsigned long long)st.f_favail);
    return ERR_OK;
}

static enum err writer_start(struct queue_writer *w, const struct queue_envelope *v)
{
    struct entry_name name = {w->id, w->direction};
    enum err e;

    if (RAND_bytes(w->salt, sizeof w->salt) != 1)
        return err_note_openssl(ERR_IO, "RAND_bytes");
    e = keys_current(w->q, w->now_s, &w->key);
    e = e ? e : entry_cipher(w->key, w->salt, true, &w->ctx);
    e = e ? e : envelope_seal(w->ctx, &name, v->mail_from, v->rcpt_to, &w->envelope);
    return e ? e : secret_new(SEAL_CHUNK_BYTES, &w->plain);
}

enum err queue_begin(struct queue *q, const struct queue_envelope *envelope, int64_t now_s,
                     struct queue_writer **out)
{
    struct queue_writer *w;
    enum err e = envelope_check(envelope);

    e = e ? e : space_check(q);
    if (!e && failpoint("queue.begin"))
        e = err_note(ERR_IO, "queue.begin", "fail point");
    if (e)
        return e;
    w = calloc(1, sizeof *w);
    if (!w)
        return err_note(ERR_NOMEM, "queue_begin", "out of memory");
    w->q = q;
    w->fd = -1;
    w->now_s = now_s;
    w->direction = envelope->direction;
    memcpy(w->id, envelope->id, sizeof w->id);
    memcpy(w->profile, envelope->profile, strlen(envelope->profile) + 1);
    memcpy(w->hop, envelope->hop, strlen(envelope->hop) + 1);
    if (envelope->closes)
        memcpy(w->closes, envelope->closes, sizeof w->closes);
    buf_append_bytes(&w->origin, envelope->origin);
    e = buf_error(&w->origin);
    e = e ? e : writer_start(w, envelope);
    if (e) {
        queue_abort(w);
        return e;
    }
    *out = w;
    return ERR_OK;
}

static enum err file_make(struct queue_writer *w)
{
    w->fd =
        openat(w->q->body_fd, w->id, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->fd >= 0) {
        w->has_file = true;
        return ERR_OK;
    }
    return err_note(errno == ENOSPC || errno == EDQUOT ? ERR_NOSPACE
                    : errno == EEXIST                  ? ERR_BUG
                                                       : ERR_IO,
                    "open body file", "%s", strerror(errno));
}

/* Move what is sealed into the file. */
static enum err body_spill(struct queue_writer *w)
{
    enum err e = w->has_file ? ERR_OK : file_make(w);

    e = e ? e : write_all(w->fd, w->body.data, w->body.len);
    if (!e && failpoint("queue.body.written"))
        e = err_note(ERR_NOSPACE, "queue.body.written", "fail point");
    buf_reset(&w->body);
    return e;
}

static enum err chunk_finish(struct queue_writer *w, bool last)
{
    struct entry_name name = {w->id, w->direction};
    size_t sealed_len = w->plain_len + AEAD_TAG_LEN;
    enum err e;

    buf_reserve(&w->body, sealed_len);
    e = buf_error(&w->body);
    if (!e && w->chunks == UINT32_MAX)
        e = err_note(ERR_TOO_BIG, "queue_write", "too many chunks");
    e = e ? e
          : chunk_seal(w->ctx, &name, w->chunks, last, (struct bytes){w->plain.data, w->plain_len},
                       w->body.data + w->body.len);
    if (!e && failpoint("queue.seal.chunk"))
        e = err_note(ERR_NOMEM, "queue.seal.chunk", "fail point");
    if (e)
        return e;
    w->body.len += sealed_len;
    w->sealed_bytes += sealed_len;
    w->chunks++;
    w->plain_len = 0;
    return w->sealed_bytes > QUEUE_INLINE_MAX_BYTES && (last || w->body.len >= SPILL_BYTES)
               ? body_spill(w)
               : ERR_OK;
}

enum err queue_write(struct queue_writer *w, const uint8_t *data, size_t len)
{
    while (!w->failed && len) {
        size_t part = SEAL_CHUNK_BYTES - w->plain_len;

        /* a full chunk is kept back until more comes: the last one is sealed as such */
        if (part == 0) {
            w->failed = chunk_finish(w, false);
            continue;
        }
        part = part < len ? part : len;
        memcpy(w->plain.data + w->plain_len, data, part);
        w->plain_len += part;
        w->size_bytes += part;
        data += part;
        len -= part;
    }
    return w->failed;
}

static enum err body_finish(struct queue_writer *w)
{
    enum err e = w->failed ? w->failed : chunk_finish(w, true);

    if (e || !w->has_file)
        return e;
    atomic_fetch_add(&w->q->committer.syncs, 1);
    if (fsync(w->fd) != 0)
        e = err_note(ERR_IO, "fsync", "%s", strerror(errno));
    else if (failpoint("queue.body.synced"))
        e = err_note(ERR_IO, "queue.body.synced", "fail point");
    fd_close(&w->fd);
    return e;
}

static enum err row_insert(struct queue *q, const struct queue_writer *w)
{
    enum err e = sql_run(
        q->write,
        "INSERT INTO entry (id, version, direction, state, profile, hop, created_s, since_s,"
        " next_attempt_s, attempts, size_bytes, key, salt, envelope, details, reason,"
        " sealed_bytes, in_file, origin) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7, 0, ?8, ?9,"
        " ?10, ?11, x'', 0, ?12, ?13, ?14)",
        "tiiittiiibbiib", w->id, (int64_t)ENTRY_VERSION, (int64_t)w->direction,
        (int64_t)QUEUE_READY, w->profile, w->hop, w->now_s, (int64_t)w->size_bytes, w->key->id,
        (struct bytes){w->salt, sizeof w->salt}, buf_bytes(&w->envelope), (int64_t)w->sealed_bytes,
        (int64_t)w->has_file, buf_bytes(&w->origin));

    if (!e && !w->has_file)
        e = sql_run(q->write, "INSERT INTO body (n, data) VALUES (?, ?)", "ib",
                    sql_row_id(q->write), buf_bytes(&w->body));
    /* our own fault, not the sender's: no answer of class PERM */
    if (e == ERR_EXISTS)
        e = ERR_BUG;
    if (!e && w->closes[0])
        e = history_told(q, w->closes);
    if (!e && failpoint("queue.row.inserted"))
        e = err_note(ERR_IO, "queue.row.inserted", "fail point");
    return e;
}

struct batch {
    struct queue_writer **writers;
    size_t n;
};

static enum err batch_job(struct queue *q, struct job *j)
{
    const struct batch *b = j->data;
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < b->n; i++)
        e = row_insert(q, b->writers[i]);
    return e;
}

static void writer_free(struct queue_writer *w)
{
    fd_close(&w->fd);
    keys_put(w->q, w->key);
    aead_free(&w->ctx);
    secret_free(&w->plain);
    buf_clear(&w->envelope);
    buf_clear(&w->origin);
    buf_clear(&w->body);
    free(w);
}

void queue_abort(struct queue_writer *w)
{
    if (!w)
        return;
    if (w->has_file)
        body_unlink(w->q, w->id);
    writer_free(w);
}

enum err queue_commit(struct queue *q, struct queue_writer **batch, size_t n)
{
    struct batch b = {batch, n};
    struct job job = {.run = batch_job, .data = &b, .messages = (unsigned)n};
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < n; i++) {
        e = body_finish(batch[i]);
        job.has_files |= batch[i]->has_file;
    }
    if (!e && n)
        e = job_run(q, &job);
    for (size_t i = 0; i < n; i++)
        if (e)
            queue_abort(batch[i]);
        else
            writer_free(batch[i]);
    if (!e && n)
        queue_kick(q);
    return e;
}
