/* SPDX-License-Identifier: GPL-3.0-or-later */
/* auth_results.c - a reader for RFC 8601 2.2, by hand: one pass, no copies but of what is kept.
 *
 *   authserv-id [version] *( ";" ( "none" / method ["/" version] "=" result *( property ) ) )
 *
 * Comments may stand between any two words. They are not for programs, but the policy that a domain
 * published is told nowhere else by the filters in use: "dmarc=fail (p=reject dis=none)". It
 * decides only whether a message that failed already is refused or marked. */
#include "daemon/verdict/auth_results.h"

#include <string.h>
#include <strings.h>

#define COMMENT_DEPTH_MAX 16u

struct reader {
    const uint8_t *at, *end;
    struct bytes comment; /* the last one passed */
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind the comment that begins here. */
static enum err comment_skip(struct reader *r)
{
    const uint8_t *start = r->at;
    unsigned depth = 0;

    while (r->at < r->end) {
        uint8_t c = *r->at++;

        if (c == '\\' && r->at < r->end)
            r->at++;
        else if (c == '(' && ++depth > COMMENT_DEPTH_MAX)
            return ERR_FORMAT;
        else if (c == ')' && --depth == 0) {
            r->comment = (struct bytes){start + 1, (size_t)(r->at - start) - 2};
            return ERR_OK;
        }
    }
    return ERR_FORMAT;
}

static enum err blanks_skip(struct reader *r)
{
    enum err e = ERR_OK;

    while (!e && r->at < r->end && (is_blank(*r->at) || *r->at == '('))
        if (*r->at == '(')
            e = comment_skip(r);
        else
            r->at++;
    return e;
}

/* Blanks and comments, then: is the next byte c? It is taken if so. */
static enum err byte_take(struct reader *r, uint8_t c, bool *taken)
{
    enum err e = blanks_skip(r);

    *taken = !e && r->at < r->end && *r->at == c;
    r->at += *taken ? 1 : 0;
    return e;
}

static enum err quoted_take(struct reader *r, struct bytes *out)
{
    const uint8_t *start = ++r->at;

    while (r->at < r->end && *r->at != '"')
        r->at += *r->at == '\\' && r->at + 1 < r->end ? 2 : 1;
    if (r->at >= r->end)
        return ERR_FORMAT;
    *out = (struct bytes){start, (size_t)(r->at - start)};
    r->at++;
    return ERR_OK;
}

/* A quoted string, or a run of bytes without blanks, quotes, parentheses and those of stop. */
static enum err word_take(struct reader *r, const char *stop, struct bytes *out)
{
    enum err e = blanks_skip(r);
    const uint8_t *start = r->at;

    if (e)
        return e;
    if (r->at < r->end && *r->at == '"')
        return quoted_take(r, out);
    while (r->at<r->end && * r->at> 0x20 && *r->at < 0x7f && !strchr("()\";", *r->at) &&
           !strchr(stop, *r->at))
        r->at++;
    *out = (struct bytes){start, (size_t)(r->at - start)};
    return out->len ? ERR_OK : ERR_FORMAT;
}

/* authserv-id, and a version if there is one. */
static enum err head_take(struct reader *r, struct bytes *id)
{
    enum err e = word_take(r, "", id);
    struct bytes version = {0};

    if (!e)
        e = blanks_skip(r);
    if (e || r->at == r->end || *r->at == ';')
        return e;
    e = word_take(r, "=/", &version);
    for (size_t i = 0; !e && i < version.len; i++)
        if (version.data[i] < '0' || version.data[i] > '9')
            e = ERR_FORMAT;
    return e;
}

bool auth_results_is_by(struct bytes value, const char *authserv_id)
{
    struct reader r = {.at = value.data, .end = value.data + value.len};
    struct bytes id = {0};

    return !head_take(&r, &id) && bytes_equal_nocase(id, authserv_id);
}

static enum auth_result result_of(struct bytes word)
{
    if (bytes_equal_nocase(word, "hardfail")) /* of RFC 5451, still seen */
        return AUTH_FAIL;
    for (enum auth_result r = AUTH_PASS; r <= AUTH_PERMERROR; r++)
        if (bytes_equal_nocase(word, auth_result_name(r)))
            return r;
    return AUTH_NONE;
}

static enum dmarc_policy policy_of(struct bytes word)
{
    for (enum dmarc_policy p = DMARC_POLICY_NONE; p <= DMARC_POLICY_REJECT; p++)
        if (bytes_equal_nocase(word, dmarc_policy_name(p)))
            return p;
    return DMARC_POLICY_UNKNOWN;
}

static bool word_begins(struct bytes word, const char *with, struct bytes *rest)
{
    size_t len = strlen(with);

    if (word.len < len || strncasecmp((const char *)word.data, with, len) != 0)
        return false;
    *rest = (struct bytes){word.data + len, word.len - len};
    return true;
}

/* "p=reject dis=none", "p=REJECT sp=NONE", "policy=reject". Which of two policies is meant for a
 * sub-domain is not said: where they differ, none of them is. */
static enum dmarc_policy comment_policy(struct bytes comment)
{
    enum dmarc_policy found = DMARC_POLICY_UNKNOWN;
    const uint8_t *end = comment.data + comment.len;

    for (const uint8_t *at = comment.data; at < end;) {
        const uint8_t *start = at;
        struct bytes value;

        while (at < end && !is_blank(*at) && *at != ',' && *at != ';')
            at++;
        if (word_begins((struct bytes){start, (size_t)(at - start)}, "p=", &value) ||
            word_begins((struct bytes){start, (size_t)(at - start)}, "sp=", &value) ||
            word_begins((struct bytes){start, (size_t)(at - start)}, "policy=", &value)) {
            enum dmarc_policy p = policy_of(value);

            if (found != DMARC_POLICY_UNKNOWN && p != found)
                return DMARC_POLICY_UNKNOWN;
            found = p;
        }
        at += at < end ? 1 : 0;
    }
    return found;
}

/* The domain of header.from, which may be told as an address. */
static void header_from_keep(struct auth_results *out, struct bytes value)
{
    const uint8_t *at = memrchr(value.data, '@', value.len);
    const uint8_t *start = at ? at + 1 : value.data;
    size_t len = value.len - (size_t)(start - value.data);

    if (len > VERDICT_DOMAIN_MAX)
        return;
    memcpy(out->header_from, start, len);
    out->header_from[len] = '\0';
}

struct method {
    struct bytes name, result;
    bool is_dmarc;
};

/* ptype "." property "=" value, or "reason" "=" value */
static enum err property_take(struct reader *r, const struct method *m, struct auth_results *out)
{
    struct bytes type = {0}, name = {0}, value = {0};
    bool taken = false;
    enum err e = word_take(r, "=.", &type);

    if (!e)
        e = byte_take(r, '.', &taken);
    if (!e && taken)
        e = word_take(r, "=", &name);
    if (!e)
        e = byte_take(r, '=', &taken);
    if (!e)
        e = taken ? word_take(r, "", &value) : ERR_FORMAT;
    if (e || !m->is_dmarc)
        return e;
    if (bytes_equal_nocase(type, "header") && bytes_equal_nocase(name, "from"))
        header_from_keep(out, value);
    if (bytes_equal_nocase(type, "policy") && bytes_equal_nocase(name, "dmarc"))
        out->policy = policy_of(value);
    return ERR_OK;
}

static enum err method_keep(const struct method *m, bool *dmarc_seen, struct auth_results *out)
{
    enum auth_result result = result_of(m->result);

    if (bytes_equal_nocase(m->name, "spf") && out->spf == AUTH_NONE)
        out->spf = result;
    if (bytes_equal_nocase(m->name, "dkim") && (out->dkim == AUTH_NONE || result == AUTH_PASS))
        out->dkim = result;
    if (!m->is_dmarc)
        return ERR_OK;
    if (*dmarc_seen)
        return ERR_FORMAT;
    *dmarc_seen = true;
    out->dmarc = result;
    return ERR_OK;
}

/* method [ "/" version ] "=" result */
static enum err method_take(struct reader *r, struct method *out)
{
    struct bytes version;
    bool taken = false;
    enum err e = word_take(r, "=/", &out->name);

    if (!e)
        e = byte_take(r, '/', &taken);
    if (!e && taken)
        e = word_take(r, "=", &version);
    if (!e)
        e = byte_take(r, '=', &taken);
    if (!e)
        e = taken ? word_take(r, "", &out->result) : ERR_FORMAT;
    out->is_dmarc = !e && bytes_equal_nocase(out->name, "dmarc");
    return e;
}

/* Some filters write the policy behind the result, others behind the properties. */
static void comment_keep(struct reader *r, const struct method *m, struct auth_results *out)
{
    if (m->is_dmarc && r->comment.data && out->policy == DMARC_POLICY_UNKNOWN)
        out->policy = comment_policy(r->comment);
    r->comment = (struct bytes){0};
}

/* One part between semicolons that is not empty. */
static enum err part_take(struct reader *r, bool *dmarc_seen, struct auth_results *out)
{
    struct method m = {0};
    const uint8_t *start = r->at;
    struct bytes none = {0};
    enum err e = word_take(r, "=/", &none);

    if (!e && bytes_equal_nocase(none, "none")) {
        e = blanks_skip(r);
        if (e || r->at == r->end || *r->at == ';')
            return e;
        return ERR_FORMAT;
    }
    r->at = start;
    if (!e)
        e = method_take(r, &m);
    if (!e)
        e = method_keep(&m, dmarc_seen, out);
    r->comment = (struct bytes){0};
    if (!e)
        e = blanks_skip(r);
    if (!e)
        comment_keep(r, &m, out);
    while (!e && r->at < r->end && *r->at != ';') {
        e = property_take(r, &m, out);
        if (!e)
            e = blanks_skip(r);
        if (!e)
            comment_keep(r, &m, out);
    }
    return e;
}

enum err auth_results_parse(struct bytes value, struct auth_results *out)
{
    struct reader r = {.at = value.data, .end = value.data + value.len};
    struct auth_results found = {0};
    bool dmarc_seen = false;
    struct bytes id;
    enum err e = head_take(&r, &id);

    while (!e && r.at < r.end) {
        bool semicolon = false;

        e = byte_take(&r, ';', &semicolon);
        if (!e && !semicolon)
            e = r.at < r.end ? ERR_FORMAT : ERR_OK;
        if (!e && semicolon)
            e = blanks_skip(&r);
        if (!e && r.at < r.end && *r.at != ';')
            e = part_take(&r, &dmarc_seen, &found);
    }
    if (e)
        return err_note(e, "Authentication-Results", "not as RFC 8601 2.2 wants it");
    *out = found;
    return ERR_OK;
}

const struct message_field *auth_results_find(const struct message *m, const char *authserv_id)
{
    size_t received = 0;
    size_t received_at = 0;

    for (size_t i = 0; i < m->n_fields && received < 2; i++) {
        const struct message_field *f = &m->fields[i];

        if (bytes_equal_nocase(f->name, "Received")) {
            received++;
            received_at = i;
        } else if (bytes_equal_nocase(f->name, "Authentication-Results") &&
                   auth_results_is_by(f->value, authserv_id))
            return received == 0 || received_at + 1 == i ? f : NULL;
    }
    return NULL;
}
