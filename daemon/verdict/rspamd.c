/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rspamd.c - HTTP through libcurl, to one address only: no proxy, no redirect, nothing written.
 *
 * Each handle keeps its connection. A session that finds all of them busy waits for one, and the
 * waiting counts: a hanging rspamd costs every session the same, short time. */
#include "daemon/verdict/rspamd.h"
#include "daemon/base/clock.h"
#include "daemon/base/secret.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTION_AGE_S   30 /* older ones are made anew: rspamd drops idle ones */
#define PASSWORD_MAX_BYTES 512
#define PING_ANSWER        "pong"

struct rspamd {
    struct buf check_url, ping_url;
    struct secret password; /* empty: none is sent */
    int64_t timeout_ms;
    pthread_mutex_t mutex;
    pthread_cond_t returned;
    CURL *idle[RSPAMD_CONNECTIONS_MAX];
    size_t n_idle;
    size_t n_made;
};

/* One question under way. */
struct question {
    const char *url;
    struct bytes body; /* none: GET */
    struct curl_slist *headers;
    struct buf *answer;
    bool too_big;
    bool failed; /* out of memory while headers were made */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void curl_begin(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static enum err password_read(struct rspamd *r, const char *file)
{
    enum err e = file ? secret_read_file(file, PASSWORD_MAX_BYTES, &r->password) : ERR_OK;

    for (size_t i = 0; !e && i < r->password.len; i++)
        if (r->password.data[i] < 0x20 || r->password.data[i] == 0x7f)
            e = err_note(ERR_CONFIG, file, "the password must be one line of text");
    return e;
}

enum err rspamd_open(const struct verdict_options *options, struct rspamd **out)
{
    struct rspamd *r = calloc(1, sizeof *r);
    pthread_condattr_t attributes;
    enum err e;

    if (!r)
        return err_note(ERR_NOMEM, "rspamd_open", "out of memory");
    (void)pthread_once(&curl_once, curl_begin);
    (void)pthread_mutex_init(&r->mutex, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->returned, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    r->timeout_ms = (int64_t)options->timeout_s * 1000;
    buf_printf(&r->check_url, "%s/checkv2", options->rspamd);
    buf_printf(&r->ping_url, "%s/ping", options->rspamd);
    e = buf_error(&r->check_url) || buf_error(&r->ping_url) ? ERR_NOMEM : ERR_OK;
    if (!e)
        e = password_read(r, options->password_file);
    if (e)
        rspamd_close(r);
    else
        *out = r;
    return e;
}

void rspamd_close(struct rspamd *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_idle; i++)
        curl_easy_cleanup(r->idle[i]);
    buf_clear(&r->check_url);
    buf_clear(&r->ping_url);
    secret_free(&r->password);
    (void)pthread_cond_destroy(&r->returned);
    (void)pthread_mutex_destroy(&r->mutex);
    free(r);
}

/* ---- the pool ---- */

static enum err handle_take(struct rspamd *r, int64_t until_ms, CURL **out)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    CURL *taken = NULL;
    bool late = false;

    (void)pthread_mutex_lock(&r->mutex);
    while (!r->n_idle && r->n_made == RSPAMD_CONNECTIONS_MAX && !late)
        late = pthread_cond_timedwait(&r->returned, &r->mutex, &until) != 0;
    if (r->n_idle)
        taken = r->idle[--r->n_idle];
    else if (r->n_made < RSPAMD_CONNECTIONS_MAX) {
        taken = curl_easy_init();
        r->n_made += taken ? 1 : 0;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    if (!taken)
        return late ? err_note(ERR_TIMEOUT, "rspamd", "every connection is busy")
                    : err_note(ERR_NOMEM, "rspamd", "no handle");
    *out = taken;
    return ERR_OK;
}

/* reset forgets options and headers, and keeps the connection. */
static void handle_return(struct rspamd *r, CURL *handle)
{
    curl_easy_reset(handle);
    (void)pthread_mutex_lock(&r->mutex);
    r->idle[r->n_idle++] = handle;
    (void)pthread_cond_signal(&r->returned);
    (void)pthread_mutex_unlock(&r->mutex);
}

/* ---- one question ---- */

static size_t take_answer(char *data, size_t size, size_t n, void *user)
{
    struct question *q = user;
    size_t len = size * n;

    if (len > RSPAMD_ANSWER_MAX - q->answer->len) {
        q->too_big = true;
        return 0;
    }
    buf_append(q->answer, data, len);
    return q->answer->failed ? 0 : len;
}

/* Values come from strangers: a byte that could end a header line does not get into one. */
static void header_add(struct question *q, const char *name, const char *open, struct bytes value,
                       const char *close)
{
    CLEANUP(buf_wipe) struct buf line = {0};
    struct curl_slist *grown;
    size_t start;

    buf_printf(&line, "%s: %s", name, open);
    start = line.len;
    buf_append_bytes(&line, value);
    for (size_t i = start; !line.failed && i < line.len; i++)
        if (line.data[i] < 0x20 || line.data[i] == 0x7f)
            line.data[i] = '?';
    buf_append_str(&line, close);
    grown = line.failed ? NULL : curl_slist_append(q->headers, buf_str(&line));
    if (grown)
        q->headers = grown;
    else
        q->failed = true;
}

static void header_text(struct question *q, const char *name, const char *value)
{
    if (value[0])
        header_add(q, name, "", bytes_of(value), "");
}

static void question_clear(struct question *q)
{
    for (struct curl_slist *at = q->headers; at; at = at->next)
        explicit_bzero(at->data, strlen(at->data)); /* one of them is the password */
    curl_slist_free_all(q->headers);
}

static CURLcode handle_set(CURL *h, struct question *q, int64_t left_ms)
{
    CURLcode rc = curl_easy_setopt(h, CURLOPT_URL, q->url);

#define SET(option, value) rc = rc ? rc : curl_easy_setopt(h, option, value)
    SET(CURLOPT_PROTOCOLS_STR, "http");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)left_ms);
    SET(CURLOPT_MAXAGE_CONN, (long)CONNECTION_AGE_S);
    SET(CURLOPT_HTTPHEADER, q->headers);
    SET(CURLOPT_WRITEFUNCTION, take_answer);
    SET(CURLOPT_WRITEDATA, q);
    if (q->body.data) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, q->body.data);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
    }
#undef SET
    return rc;
}

static enum err error_of(const struct question *q, CURLcode rc)
{
    const char *text = curl_easy_strerror(rc);

    if (q->too_big)
        return err_note(ERR_FORMAT, "rspamd", "answer over %u bytes", RSPAMD_ANSWER_MAX);
    if (q->answer->failed || rc == CURLE_OUT_OF_MEMORY)
        return err_note(ERR_NOMEM, "rspamd", "%s", text);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return err_note(ERR_TIMEOUT, "rspamd", "%s", text);
    if (rc == CURLE_WEIRD_SERVER_REPLY || rc == CURLE_UNSUPPORTED_PROTOCOL)
        return err_note(ERR_FORMAT, "rspamd", "%s", text);
    return err_note(ERR_NET, "rspamd", "%s", text);
}

static enum err question_put(CURL *h, struct question *q, int64_t until_ms)
{
    int64_t left_ms = until_ms - clock_mono_ms();
    long status = 0;
    CURLcode rc;

    if (left_ms <= 0)
        return err_note(ERR_TIMEOUT, "rspamd", "no time left to ask");
    rc = handle_set(h, q, left_ms);
    if (!rc)
        rc = curl_easy_perform(h);
    if (rc)
        return error_of(q, rc);
    (void)curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 ? ERR_OK : err_note(ERR_NET, "rspamd", "answers with status %ld", status);
}

static enum err ask(struct rspamd *r, struct question *q, int64_t until_ms)
{
    CURL *h = NULL;
    enum err e =
        q->failed ? err_note(ERR_NOMEM, "rspamd", "headers") : handle_take(r, until_ms, &h);

    if (e)
        return e;
    e = question_put(h, q, until_ms);
    handle_return(r, h);
    return e;
}

static int64_t until_of(const struct rspamd *r, int64_t deadline_mono_ms)
{
    int64_t until = clock_mono_ms() + r->timeout_ms;

    return until < deadline_mono_ms ? until : deadline_mono_ms;
}

static void headers_fill(struct rspamd *r, const struct verdict_request *m, struct question *q)
{
    header_text(q, "IP", m->address);
    header_text(q, "Hostname", m->name);
    header_text(q, "Helo", m->helo);
    header_text(q, "Queue-Id", m->id);
    header_add(q, "From", "<", bytes_of(m->mail_from), ">");
    for (size_t i = 0; i < m->n_rcpts; i++)
        header_add(q, "Rcpt", "<", bytes_of(m->rcpts[i]), ">");
    if (r->password.len)
        header_add(q, "Password", "", (struct bytes){r->password.data, r->password.len}, "");
    /* a message is sent at once, and not as a form */
    header_add(q, "Content-Type", "", bytes_of("message/rfc822"), "");
    header_add(q, "Expect", "", (struct bytes){0}, "");
}

enum err rspamd_check(struct rspamd *r, const struct verdict_request *request, struct buf *out)
{
    CLEANUP(question_clear)
    struct question q = {
        .url = buf_str(&r->check_url), .body = request->message->raw, .answer = out};

    headers_fill(r, request, &q);
    return ask(r, &q, until_of(r, request->deadline_mono_ms));
}

enum err rspamd_ping(struct rspamd *r)
{
    CLEANUP(buf_clear) struct buf answer = {0};
    struct question q = {.url = buf_str(&r->ping_url), .answer = &answer};
    enum err e = ask(r, &q, until_of(r, INT64_MAX));

    if (!e && strncmp(buf_str(&answer), PING_ANSWER, strlen(PING_ANSWER)) != 0)
        e = err_note(ERR_FORMAT, "rspamd", "something else answers there");
    return e;
}
