/* SPDX-License-Identifier: GPL-3.0-or-later */
/* body.c - streaming a sealed body out: every chunk is authentic before a byte of it is seen. */
#include "daemon/base/failpoint.h"
#include "daemon/base/fdio.h"
#include "daemon/base/log.h"
#include "daemon/queue/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct queue_body {
    struct queue *q;
    id_text id;
    enum queue_direction direction;
    int64_t n;
    EVP_CIPHER_CTX *ctx;
    struct buf sealed; /* the whole body of a row, or one chunk of a file */
    size_t sealed_at;  /* in a row's body */
    int fd;
    uint64_t left; /* sealed bytes not read yet */
    uint32_t chunks;
    struct secret plain;
    size_t plain_at;
    size_t plain_len;
    enum err failed;
};

void body_unlink(struct queue *q, const char *id)
{
    if (unlinkat(q->body_fd, id, 0) != 0 && errno != ENOENT)
        log_event(LOG_LEVEL_WARNING, "queue.unlink", id, ERR_IO, -1, "%s", strerror(errno));
    (void)failpoint("queue.file.unlinked");
}

/* For good: quarantine. */
static enum err body_damaged(struct queue_body *b, enum reason why)
{
    (void)row_hold(b->q, b->id, b->n, why);
    err_note_clear();
    return err_note(ERR_TAMPERED, "queue body", "%s", reason_text(why));
}

static enum err body_from_file(struct queue_body *b)
{
    struct stat st;

    b->fd = openat(b->q->body_fd, b->id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (b->fd < 0)
        return errno == ENOENT || errno == ELOOP
                   ? body_damaged(b, REASON_NO_FILE)
                   : err_note(ERR_IO, "open body file", "%s", strerror(errno));
    if (fstat(b->fd, &st) != 0)
        return err_note(ERR_IO, "stat body file", "%s", strerror(errno));
    if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != b->left)
        return body_damaged(b, REASON_DAMAGED);
    buf_reserve(&b->sealed, SEALED_CHUNK_MAX);
    return buf_error(&b->sealed);
}

static enum err body_read_row(struct queue_body *b)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(b->q->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    enum err e = sql_query(db, &st, "SELECT data FROM body WHERE n = ?", "i", b->n);

    e = e ? e : sql_step(db, st);
    if (!e)
        buf_append_bytes(&b->sealed, sql_blob(st, 0));
    return e ? e : buf_error(&b->sealed);
}

static enum err body_from_row(struct queue_body *b)
{
    enum err e = body_read_row(b);

    if (e == ERR_NOT_FOUND || e == ERR_TAMPERED || (!e && b->sealed.len != b->left))
        return body_damaged(b, REASON_DAMAGED);
    return e;
}

static enum err body_start(struct queue_body *b, const struct row *r)
{
    struct data_key *key = NULL;
    enum err e = keys_get(b->q, r->key, &key);

    if (e == ERR_NOT_FOUND || e == ERR_TAMPERED)
        return body_damaged(b, REASON_NO_KEY);
    if (e)
        return e;
    e = entry_cipher(key, r->salt, false, &b->ctx);
    keys_put(b->q, key);
    e = e ? e : secret_new(SEAL_CHUNK_BYTES, &b->plain);
    if (e)
        return e;
    return r->in_file ? body_from_file(b) : body_from_row(b);
}

enum err queue_body_open(struct queue *q, const struct queue_item *item, struct queue_body **out)
{
    CLEANUP(row_clear) struct row r = {0};
    struct queue_body *b;
    enum err e = row_find(q, item->id, &r);

    if (e)
        return e;
    b = calloc(1, sizeof *b);
    if (!b)
        return err_note(ERR_NOMEM, "queue_body_open", "out of memory");
    *b = (struct queue_body){
        .q = q, .direction = r.item.direction, .n = r.n, .fd = -1, .left = r.sealed_bytes};
    memcpy(b->id, r.item.id, sizeof b->id);
    e = r.damage ? body_damaged(b, r.damage) : body_start(b, &r);
    if (e) {
        queue_body_close(b);
        return e;
    }
    *out = b;
    return ERR_OK;
}

/* The next sealed chunk: of a row where it lies, of a file read in. */
static enum err chunk_fetch(struct queue_body *b, size_t len, struct bytes *out)
{
    size_t got = 0;

    if (b->fd < 0) {
        *out = (struct bytes){b->sealed.data + b->sealed_at, len};
        b->sealed_at += len;
        return ERR_OK;
    }
    while (got < len) {
        ssize_t n = read_some(b->fd, b->sealed.data + got, len - got);

        if (n < 0)
            return err_note(ERR_IO, "read body file", "%s", strerror(errno));
        if (n == 0)
            return ERR_TAMPERED; /* shortened under our eyes */
        got += (size_t)n;
    }
    *out = (struct bytes){b->sealed.data, len};
    return ERR_OK;
}

static enum err chunk_next(struct queue_body *b)
{
    struct entry_name name = {b->id, b->direction};
    bool last = b->left <= SEALED_CHUNK_MAX;
    size_t len = last ? (size_t)b->left : SEALED_CHUNK_MAX;
    struct bytes sealed = {0};
    enum err e = chunk_fetch(b, len, &sealed);

    if (!e && failpoint("queue.open.chunk"))
        e = ERR_TAMPERED;
    e = e ? e : chunk_open(b->ctx, &name, b->chunks, last, sealed, b->plain.data);
    if (e)
        return e == ERR_TAMPERED ? body_damaged(b, REASON_DAMAGED) : e;
    b->left -= len;
    b->chunks++;
    b->plain_at = 0;
    b->plain_len = len - AEAD_TAG_LEN;
    return ERR_OK;
}

enum err queue_body_read(struct queue_body *b, uint8_t *data, size_t max, size_t *len_out)
{
    size_t len;

    if (!b->failed && b->plain_at == b->plain_len && (b->left || b->chunks == 0))
        b->failed = chunk_next(b);
    if (b->failed)
        return b->failed;
    len = b->plain_len - b->plain_at;
    len = len < max ? len : max;
    memcpy(data, b->plain.data + b->plain_at, len);
    b->plain_at += len;
    *len_out = len;
    return ERR_OK;
}

void queue_body_close(struct queue_body *b)
{
    if (!b)
        return;
    fd_close(&b->fd);
    aead_free(&b->ctx);
    secret_free(&b->plain);
    buf_clear(&b->sealed);
    free(b);
}
