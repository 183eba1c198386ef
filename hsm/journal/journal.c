/* SPDX-License-Identifier: GPL-3.0-or-later */
/* journal.c - the journal's file: open, repair, append, checkpoint.
 *
 * Order of an append: HMACs of the line and of the new head (the only step that needs the token),
 * line, fsync, head. Whoever gets ERR_OK finds the line there after any crash. A power cut can
 * leave the head behind; what lies beyond it counts only by its own HMAC or signature, or whoever
 * can write the file could add what the service never said. */
#include "hsm/journal/journal.h"

#include "daemon/base/codec.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/fdio.h"
#include "hsm/journal/head.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DAY_S 86400

struct journal {
    struct journal_options options;
    pthread_mutex_t lock;
    int fd;      /* journal, O_APPEND, locked */
    int head_fd; /* journal.head */
    bool dead;   /* a write or sync failed: nothing more is taken */
    EVP_PKEY *key;
    struct journal_head head;
    int64_t checkpoint_time_s; /* of the last checkpoint */
    uint64_t checkpoint_at;    /* its sequence */
    struct buf checkpoint;     /* its line */
};

/* The HMAC of a line covers it up to the blank before this field, which is its last. */
#define MAC_FIELD " mac="
#define MAC_LABEL "journal-line"
#define MAC_LEN   32
#define MAC_TEXT  (sizeof MAC_FIELD - 1 + (size_t)2 * MAC_LEN) /* bytes */

/* While reading: remember whether the acknowledged head was passed, keep the last checkpoint. */
struct opening {
    struct journal *j;
    struct journal_head told;
    bool passed;
};

static enum err checkpoint_keep(struct journal *j, const struct journal_line *line,
                                struct bytes text)
{
    if (strcmp(line->kind, JOURNAL_CHECKPOINT) != 0)
        return ERR_OK;
    buf_reset(&j->checkpoint);
    buf_append_bytes(&j->checkpoint, text);
    j->checkpoint_at = line->sequence;
    j->checkpoint_time_s = line->time_s;
    return buf_error(&j->checkpoint);
}

static enum err line_seal(const struct journal *j, struct buf *text)
{
    uint8_t mac[MAC_LEN];
    enum err e = token_hmac(j->options.token, MAC_LABEL, buf_bytes(text), mac);

    if (e)
        return e;
    buf_append_str(text, MAC_FIELD);
    hex_append(text, (struct bytes){mac, sizeof mac});
    return buf_error(text);
}

/* A line beyond the acknowledged head. A checkpoint's signature was checked with the chain. */
static enum err beyond_check(const struct journal *j, const struct journal_line *line,
                             struct bytes text)
{
    CLEANUP(buf_clear) struct buf again = {0};
    enum err e;

    if (strcmp(line->kind, JOURNAL_CHECKPOINT) == 0)
        return ERR_OK;
    if (text.len > MAC_TEXT + 1)
        buf_append(&again, text.data, text.len - 1 - MAC_TEXT);
    e = buf_error(&again) ? ERR_NOMEM : line_seal(j, &again);
    if (!e && !bytes_equal(buf_bytes(&again), (struct bytes){text.data, text.len - 1}))
        e = err_note(ERR_TAMPERED, "journal", "line %llu: was never written by this service",
                     (unsigned long long)line->sequence);
    return e;
}

static enum err opening_visit(void *context, const struct journal_line *line, struct bytes text)
{
    struct opening *o = context;
    enum err e = checkpoint_keep(o->j, line, text);

    if (!e && line->sequence > o->told.sequence)
        e = beyond_check(o->j, line, text);

    if (!e && line->sequence == o->told.sequence) {
        journal_hash hash;

        journal_hash_of(text, hash);
        o->passed = strcmp(hash, o->told.hash) == 0;
    }
    if (!e && o->j->options.visit)
        e = o->j->options.visit(o->j->options.context, line, text);
    return e;
}

static enum err file_open(const char *dir, const char *name, int flags, int *out)
{
    CLEANUP(buf_clear) struct buf path = {0};
    int fd;

    buf_printf(&path, "%s/%s", dir, name);
    if (buf_error(&path))
        return ERR_NOMEM;
    fd = open(buf_str(&path), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0600);
    if (fd < 0)
        return err_note(errno == ENOENT || errno == EACCES ? ERR_CONFIG : ERR_IO, buf_str(&path),
                        "%s", strerror(errno));
    *out = fd;
    return dir_sync(buf_str(&path));
}

/* What was acknowledged must be there; what lies torn behind it never was, and goes. */
static enum err end_settle(struct journal *j, const struct opening *o,
                           const struct journal_verdict *v)
{
    if (!v->good)
        return err_note(ERR_TAMPERED, "journal", "line %llu: %s", (unsigned long long)v->bad_line,
                        v->reason);
    if (o->told.sequence > v->entries)
        return err_note(ERR_TAMPERED, "journal", "shortened: %llu entries, %llu acknowledged",
                        (unsigned long long)v->entries, (unsigned long long)o->told.sequence);
    if (o->told.sequence && !o->passed)
        return err_note(ERR_TAMPERED, "journal", "entry %llu is not the one acknowledged",
                        (unsigned long long)o->told.sequence);
    if (v->torn && (ftruncate(j->fd, v->end) != 0 || fsync(j->fd) != 0))
        return err_note(ERR_IO, "journal", "%s", strerror(errno));
    j->head.sequence = v->entries;
    memcpy(j->head.hash, v->head, sizeof j->head.hash);
    return ERR_OK;
}

static enum err head_renew(struct journal *j, bool synced)
{
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = journal_head_text(j->options.token, &j->head, &text);

    if (!e)
        e = journal_head_write(j->head_fd, &text);
    if (!e && synced && fsync(j->head_fd) != 0)
        e = err_note(ERR_IO, "journal.head", "%s", strerror(errno));
    return e;
}

static enum err journal_load(struct journal *j)
{
    struct opening o = {.j = j};
    struct journal_verdict v = {0};
    FILE *file;
    int copy;
    enum err e = journal_head_read(j->options.token, j->head_fd, &o.told);
    bool fresh = e == ERR_NOT_FOUND;

    if (e && !fresh)
        return e;
    copy = fcntl(j->fd, F_DUPFD_CLOEXEC, 0);
    file = copy >= 0 ? fdopen(copy, "r") : NULL;
    if (!file) {
        fd_close(&copy);
        return err_note(ERR_IO, "journal", "%s", strerror(errno));
    }
    e = fseek(file, 0, SEEK_SET) == 0 ? journal_verify(file, j->key, opening_visit, &o, &v)
                                      : err_note(ERR_IO, "journal", "%s", strerror(errno));
    (void)fclose(file);
    if (!e && fresh && v.entries)
        e = err_note(ERR_TAMPERED, "journal.head", "missing beside a journal with entries");
    if (!e)
        e = end_settle(j, &o, &v);
    return e ? e : head_renew(j, true);
}

enum err journal_open(const struct journal_options *options, struct journal **out)
{
    struct journal *j = calloc(1, sizeof *j);
    enum err e;

    if (!j)
        return ERR_NOMEM;
    *j = (struct journal){.options = *options, .fd = -1, .head_fd = -1};
    (void)pthread_mutex_init(&j->lock, NULL);
    e = token_journal_public(options->token, &j->key);
    if (!e)
        e = file_open(options->dir, "journal", O_APPEND, &j->fd);
    if (!e && flock(j->fd, LOCK_EX | LOCK_NB) != 0)
        e = err_note(ERR_BUSY, "journal", "another process has it open");
    if (!e)
        e = file_open(options->dir, "journal.head", 0, &j->head_fd);
    if (!e)
        e = journal_load(j);
    if (e)
        journal_close(j);
    else
        *out = j;
    return e;
}

void journal_close(struct journal *j)
{
    if (!j)
        return;
    fd_close(&j->fd);
    fd_close(&j->head_fd);
    EVP_PKEY_free(j->key);
    buf_clear(&j->checkpoint);
    (void)pthread_mutex_destroy(&j->lock);
    free(j);
}

static void line_start(const struct journal *j, int64_t now_s, const char *kind,
                       const char *profile, struct journal_line *line)
{
    *line = (struct journal_line){.sequence = j->head.sequence + 1, .time_s = now_s};
    memcpy(line->previous, j->head.hash, sizeof line->previous);
    (void)snprintf(line->kind, sizeof line->kind, "%s", kind);
    (void)snprintf(line->profile, sizeof line->profile, "%s", profile ? profile : "");
}

/* text is a whole line with its LF. From the first byte on, any failure is final. */
static enum err line_commit(struct journal *j, const struct buf *text)
{
    CLEANUP(buf_clear) struct buf head_text = {0};
    struct journal_head next = {.sequence = j->head.sequence + 1};
    struct journal_line line;
    enum err e = journal_line_parse(buf_bytes(text), &line);

    if (e)
        return err_note(ERR_BUG, "journal", "composed a line it cannot read");
    journal_hash_of(buf_bytes(text), next.hash);
    e = journal_head_text(j->options.token, &next, &head_text);
    if (e)
        return e;
    j->dead = true;
    e = failpoint("journal.write") ? ERR_IO : write_all(j->fd, text->data, text->len);
    if (!e && (failpoint("journal.sync") || fsync(j->fd) != 0))
        e = err_note(ERR_IO, "journal", "fsync failed");
    if (!e && failpoint("journal.head"))
        e = ERR_IO;
    if (!e)
        e = journal_head_write(j->head_fd, &head_text);
    if (e)
        return e;
    j->dead = false;
    j->head = next;
    e = checkpoint_keep(j, &line, buf_bytes(text));
    if (!e && j->options.visit)
        e = j->options.visit(j->options.context, &line, buf_bytes(text));
    return e;
}

static enum err checkpoint_locked(struct journal *j, int64_t now_s)
{
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf signature = {0};
    struct journal_line line;
    enum err e;

    if (j->head.sequence && j->head.sequence == j->checkpoint_at)
        return ERR_OK;
    line_start(j, now_s, JOURNAL_CHECKPOINT, NULL, &line);
    e = journal_line_append(&text, &line, "");
    if (!e)
        e = token_journal_sign(j->options.token, buf_bytes(&text), &signature);
    if (e)
        return e;
    buf_append_str(&text, " sig=");
    base64_append(&text, buf_bytes(&signature));
    buf_append_str(&text, "\n");
    e = buf_error(&text);
    return e ? e : line_commit(j, &text);
}

static enum err dead_error(void)
{
    return err_note(ERR_IO, "journal", "an earlier write failed; start the service again");
}

enum err journal_append(struct journal *j, int64_t now_s, const char *kind, const char *profile,
                        const char *fmt, ...)
{
    CLEANUP(buf_clear) struct buf text = {0};
    char fields[JOURNAL_LINE_MAX];
    struct journal_line line;
    va_list args;
    enum err e;
    int n;

    va_start(args, fmt);
    n = vsnprintf(fields, sizeof fields, fmt, args);
    va_end(args);
    if (n < 0 || n >= (int)sizeof fields)
        return err_note(ERR_BUG, "journal", "entry too long");
    (void)pthread_mutex_lock(&j->lock);
    line_start(j, now_s, kind, profile, &line);
    e = j->dead ? dead_error() : journal_line_append(&text, &line, fields);
    if (!e)
        e = line_seal(j, &text);
    if (!e) {
        buf_append_str(&text, "\n");
        e = buf_error(&text);
    }
    if (!e)
        e = line_commit(j, &text);
    /* The entry itself is safe; a checkpoint that fails is made with a later one. */
    if (!e && j->head.sequence - j->checkpoint_at >= j->options.checkpoint_every &&
        checkpoint_locked(j, now_s))
        err_note_clear();
    (void)pthread_mutex_unlock(&j->lock);
    return e;
}

enum err journal_checkpoint(struct journal *j, int64_t now_s, struct buf *line_out)
{
    enum err e;

    (void)pthread_mutex_lock(&j->lock);
    e = j->dead ? dead_error() : checkpoint_locked(j, now_s);
    if (!e && line_out) {
        buf_append_bytes(line_out, buf_bytes(&j->checkpoint));
        e = buf_error(line_out);
    }
    (void)pthread_mutex_unlock(&j->lock);
    return e;
}

enum err journal_checkpoint_due(struct journal *j, int64_t now_s)
{
    enum err e = ERR_OK;

    (void)pthread_mutex_lock(&j->lock);
    if (!j->dead && j->head.sequence != j->checkpoint_at && now_s - j->checkpoint_time_s >= DAY_S)
        e = checkpoint_locked(j, now_s);
    (void)pthread_mutex_unlock(&j->lock);
    return e;
}

uint64_t journal_sequence(struct journal *j)
{
    uint64_t sequence;

    (void)pthread_mutex_lock(&j->lock);
    sequence = j->head.sequence;
    (void)pthread_mutex_unlock(&j->lock);
    return sequence;
}

/* The lock is held while the whole file is read: nobody appends meanwhile. */
enum err journal_recheck(struct journal *j, struct journal_verdict *out)
{
    struct opening o = {.j = j};
    CLEANUP(buf_clear) struct buf path = {0};
    FILE *file;
    enum err e;

    buf_printf(&path, "%s/journal", j->options.dir);
    if (buf_error(&path))
        return ERR_NOMEM;
    file = fopen(buf_str(&path), "re");
    if (!file)
        return err_note(ERR_TAMPERED, "journal", "%s", strerror(errno));
    (void)pthread_mutex_lock(&j->lock);
    o.told = j->head;
    e = journal_verify(file, j->key, NULL, NULL, out);
    if (!e && out->good &&
        (out->entries != o.told.sequence || strcmp(out->head, o.told.hash) != 0)) {
        out->good = false;
        out->bad_line = out->entries;
        (void)snprintf(out->reason, sizeof out->reason, "does not end in the entry acknowledged");
    }
    (void)pthread_mutex_unlock(&j->lock);
    (void)fclose(file);
    return e;
}
