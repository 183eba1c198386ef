/* SPDX-License-Identifier: GPL-3.0-or-later */
/* job.c - the payloads between runner and worker: integers big-endian, strings with a 16-bit
 * length.
 *
 * Both sides check every field when they decode it; an address or host that libesmtp would carry
 * onto the line as more than one command never gets past this file. */
#include "daemon/deliver/job.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define JOB_TEXT_OF(name, text) [name] = (text),

const char *job_stage_name(enum job_stage s)
{
    static const char *const names[] = {JOB_STAGE_TABLE(JOB_TEXT_OF)};

    return (unsigned)s < STAGE_COUNT ? names[s] : "?";
}

const char *job_fault_name(enum job_fault f)
{
    static const char *const names[] = {JOB_FAULT_TABLE(JOB_TEXT_OF)};

    return (unsigned)f < FAULT_COUNT ? names[f] : "?";
}

/* ---- checks at the door ---- */

/* The quoted part ends at its second bare quote; NULL if it does not. */
static const char *quoted_end(const char *s)
{
    for (s++; *s && *s != '"'; s++)
        if (*s == '\\' && !*++s)
            return NULL;
    return *s ? s + 1 : NULL;
}

bool job_address_is_sane(const char *address, bool empty_ok)
{
    size_t len = strnlen(address, JOB_ADDRESS_MAX + 1);
    const char *p = address;

    if (len == 0)
        return empty_ok;
    if (len > JOB_ADDRESS_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)address[i] < 0x20 || (unsigned char)address[i] > 0x7e)
            return false;
    if (*p == '"')
        p = quoted_end(p);
    if (!p || strpbrk(p, " <>\"\\(),;"))
        return false;
    p = strchr(p, '@');
    return p && p != address && p[1] && !strchr(p + 1, '@');
}

bool job_host_is_sane(const char *host)
{
    size_t len = strnlen(host, JOB_HOST_MAX + 1);

    if (len == 0 || len > JOB_HOST_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)host[i]) && !strchr(".-_:", host[i]))
            return false;
    return true;
}

static size_t text_add(char out[JOB_TEXT_MAX + 1], size_t at, struct bytes word)
{
    for (size_t i = 0; i < word.len && at < JOB_TEXT_MAX; i++)
        out[at++] = word.data[i] >= 0x20 && word.data[i] <= 0x7e ? (char)word.data[i] : '?';
    return at;
}

void job_text_set(char out[JOB_TEXT_MAX + 1], struct bytes text)
{
    size_t put = 0;

    while (text.len) {
        const uint8_t *blank = memchr(text.data, ' ', text.len);
        struct bytes word = {text.data, blank ? (size_t)(blank - text.data) : text.len};
        size_t used = word.len + (blank != NULL);

        if (word.len && memchr(word.data, '@', word.len))
            put = text_add(out, put, bytes_of("<address>"));
        else
            put = text_add(out, put, word);
        if (blank)
            put = text_add(out, put, bytes_of(" "));
        text.data += used;
        text.len -= used;
    }
    out[put] = '\0';
}

/* ---- writing ---- */

static void put_uint(struct buf *b, uint64_t v, unsigned bytes)
{
    while (bytes--) {
        uint8_t octet = (uint8_t)(v >> (8 * bytes));

        buf_append(b, &octet, 1);
    }
}

static void put_str(struct buf *b, const char *s)
{
    size_t len = strlen(s);

    put_uint(b, len, 2);
    buf_append(b, s, len);
}

enum err job_encode_head(const struct job *job, struct buf *out)
{
    put_uint(out, job->port, 2);
    put_uint(out, (uint64_t)job->tls, 1);
    put_uint(out, job->deadline_s, 4);
    put_uint(out, job->n_messages, 2);
    put_str(out, job->host);
    put_str(out, job->ca_file ? job->ca_file : "");
    return buf_error(out);
}

enum err job_encode_message(const struct job_message *m, struct buf *out)
{
    put_uint(out, m->size_bytes, 8);
    put_str(out, m->id);
    put_str(out, m->mail_from);
    put_str(out, m->rcpt_to);
    return buf_error(out);
}

enum err job_encode_result(const struct job_result *r, struct buf *out)
{
    put_uint(out, r->mail_code, 2);
    put_uint(out, r->rcpt_code, 2);
    put_uint(out, r->data_code, 2);
    put_uint(out, r->end_code, 2);
    put_uint(out, r->message_code, 2);
    put_uint(out, r->recipient_code, 2);
    put_uint(out, r->complete, 1);
    put_uint(out, (uint64_t)r->stage, 1);
    put_uint(out, (uint64_t)r->fault, 1);
    put_str(out, r->text);
    return buf_error(out);
}

enum err job_encode_summary(const struct job_summary *s, struct buf *out)
{
    put_uint(out, (uint64_t)s->reached, 1);
    put_uint(out, (uint64_t)s->fault, 1);
    put_uint(out, s->code, 2);
    put_uint(out, s->tls, 1);
    put_str(out, s->text);
    return buf_error(out);
}

/* ---- reading ---- */

struct cursor {
    struct bytes left;
    bool bad; /* sticky: some field was cut short or out of bounds */
};

static uint64_t get_uint(struct cursor *c, unsigned bytes, uint64_t max)
{
    uint64_t v = 0;

    if (c->left.len < bytes) {
        c->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | c->left.data[i];
    c->left.data += bytes;
    c->left.len -= bytes;
    if (v > max) {
        c->bad = true;
        return 0;
    }
    return v;
}

/* A string of at most max bytes without NUL; points into the payload. */
static struct bytes get_bytes(struct cursor *c, size_t max)
{
    struct bytes s = {NULL, (size_t)get_uint(c, 2, max)};

    if (c->bad || s.len > c->left.len || (s.len && memchr(c->left.data, 0, s.len))) {
        c->bad = true;
        return (struct bytes){(const uint8_t *)"", 0};
    }
    s.data = c->left.data;
    c->left.data += s.len;
    c->left.len -= s.len;
    return s;
}

static char *get_str(struct cursor *c, size_t max)
{
    struct bytes s = get_bytes(c, max);
    char *copy = strndup(s.len ? (const char *)s.data : "", s.len);

    c->bad |= !copy;
    return copy;
}

static void get_text(struct cursor *c, char out[JOB_TEXT_MAX + 1])
{
    job_text_set(out, get_bytes(c, JOB_TEXT_MAX));
}

static enum err cursor_end(const struct cursor *c, const char *what)
{
    return c->bad || c->left.len ? err_note(ERR_FORMAT, what, "malformed") : ERR_OK;
}

enum err job_decode_head(struct bytes payload, struct job *out)
{
    struct cursor c = {.left = payload};

    *out = (struct job){0};
    out->port = (uint16_t)get_uint(&c, 2, UINT16_MAX);
    out->tls = (enum hop_tls)get_uint(&c, 1, HOP_TLS_REQUIRED);
    out->deadline_s = (uint32_t)get_uint(&c, 4, JOB_DEADLINE_MAX_S);
    out->n_messages = (uint16_t)get_uint(&c, 2, JOB_MESSAGES_MAX);
    out->host = get_str(&c, JOB_HOST_MAX);
    out->ca_file = get_str(&c, JOB_PATH_MAX);
    if (cursor_end(&c, "job_decode_head") || !out->host || !out->ca_file || out->port == 0 ||
        out->deadline_s == 0 || out->n_messages == 0 || !job_host_is_sane(out->host) ||
        (out->ca_file[0] && out->ca_file[0] != '/')) {
        out->n_messages = 0;
        return err_note(ERR_FORMAT, "job_decode_head", "out of bounds");
    }
    out->messages = calloc(out->n_messages, sizeof *out->messages);
    if (!out->messages) {
        out->n_messages = 0;
        return err_note(ERR_NOMEM, "job_decode_head", "out of memory");
    }
    return ERR_OK;
}

enum err job_decode_message(struct bytes payload, struct job_message *out)
{
    struct cursor c = {.left = payload};
    struct bytes id;

    out->size_bytes = get_uint(&c, 8, INT64_MAX);
    id = get_bytes(&c, ID_LEN);
    if (id.len)
        memcpy(out->id, id.data, id.len);
    out->id[id.len] = '\0';
    out->mail_from = get_str(&c, JOB_ADDRESS_MAX);
    out->rcpt_to = get_str(&c, JOB_ADDRESS_MAX);
    if (cursor_end(&c, "job_decode_message") || !out->mail_from || !out->rcpt_to ||
        !id_is_valid(out->id) || !job_address_is_sane(out->mail_from, true) ||
        !job_address_is_sane(out->rcpt_to, false))
        return err_note(ERR_FORMAT, "job_decode_message", "out of bounds");
    return ERR_OK;
}

enum err job_decode_result(struct bytes payload, struct job_result *out)
{
    struct cursor c = {.left = payload};

    *out = (struct job_result){0};
    out->mail_code = (uint16_t)get_uint(&c, 2, 599);
    out->rcpt_code = (uint16_t)get_uint(&c, 2, 599);
    out->data_code = (uint16_t)get_uint(&c, 2, 599);
    out->end_code = (uint16_t)get_uint(&c, 2, 599);
    out->message_code = (uint16_t)get_uint(&c, 2, 999);
    out->recipient_code = (uint16_t)get_uint(&c, 2, 999);
    out->complete = get_uint(&c, 1, 1) == 1;
    out->stage = (enum job_stage)get_uint(&c, 1, STAGE_COUNT - 1);
    out->fault = (enum job_fault)get_uint(&c, 1, FAULT_COUNT - 1);
    get_text(&c, out->text);
    return cursor_end(&c, "job_decode_result");
}

enum err job_decode_summary(struct bytes payload, struct job_summary *out)
{
    struct cursor c = {.left = payload};

    *out = (struct job_summary){0};
    out->reached = (enum job_stage)get_uint(&c, 1, STAGE_COUNT - 1);
    out->fault = (enum job_fault)get_uint(&c, 1, FAULT_COUNT - 1);
    out->code = (uint16_t)get_uint(&c, 2, 599);
    out->tls = get_uint(&c, 1, 1) == 1;
    get_text(&c, out->text);
    return cursor_end(&c, "job_decode_summary");
}

void job_clear(struct job *job)
{
    if (!job)
        return;
    for (size_t i = 0; i < job->n_messages; i++) {
        free(job->messages[i].mail_from);
        free(job->messages[i].rcpt_to);
    }
    free(job->messages);
    free(job->host);
    free(job->ca_file);
    *job = (struct job){0};
}
