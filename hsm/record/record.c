/* SPDX-License-Identifier: GPL-3.0-or-later */
/* record.c - life of a record, and the table that its text form is written and read by. */
#include "hsm/record/record.h"

#include "daemon/base/codec.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_HEAD "sealhsmd-record 1\n"

enum field_kind {
    FIELD_ID,     /* id_text */
    FIELD_STATE,  /* enum profile_state */
    FIELD_KEY,    /* enum key_type */
    FIELD_NUMBER, /* int64_t */
    FIELD_TEXT,   /* char *, line left out when NULL */
    FIELD_BYTES,  /* struct buf as base64, line left out when empty */
    FIELD_LIST,   /* struct record_list, a line an item */
    FIELD_KEYS,
    FIELD_NONCES
};

#define AT(member) offsetof(struct record, member)
static const struct record_field {
    const char *name;
    enum field_kind kind;
    size_t offset;
} fields[] = {
    {"profile", FIELD_ID, AT(profile)},
    {"user", FIELD_ID, AT(user)},
    {"state", FIELD_STATE, AT(state)},
    {"version", FIELD_NUMBER, AT(version)},
    {"created", FIELD_NUMBER, AT(created_s)},
    {"ca-key-type", FIELD_KEY, AT(ca_key_type)},
    {"user-key-type", FIELD_KEY, AT(user_key_type)},
    {"sender-key-type", FIELD_KEY, AT(sender_key_type)},
    {"root-days", FIELD_NUMBER, AT(root_days)},
    {"intermediate-days", FIELD_NUMBER, AT(intermediate_days)},
    {"user-days", FIELD_NUMBER, AT(user_days)},
    {"country", FIELD_TEXT, AT(country)},
    {"organisation", FIELD_TEXT, AT(organisation)},
    {"root-name", FIELD_TEXT, AT(root_name)},
    {"intermediate-name", FIELD_TEXT, AT(intermediate_name)},
    {"policy-oid", FIELD_TEXT, AT(policy_oid)},
    {"root-crl-url", FIELD_TEXT, AT(root_crl_url)},
    {"root-aia-url", FIELD_TEXT, AT(root_aia_url)},
    {"leaf-crl-url", FIELD_TEXT, AT(leaf_crl_url)},
    {"leaf-aia-url", FIELD_TEXT, AT(leaf_aia_url)},
    {"address", FIELD_LIST, AT(addresses)},
    {"domain", FIELD_LIST, AT(domains)},
    {"ca-spki", FIELD_BYTES, AT(ca_spki)},
    {"root", FIELD_BYTES, AT(root)},
    {"intermediate", FIELD_BYTES, AT(intermediate)},
    {"root-crl", FIELD_BYTES, AT(root_crl)},
    {"first-csr", FIELD_BYTES, AT(first_csr)},
    {"key", FIELD_KEYS, AT(keys)},
    {"kek-generation", FIELD_NUMBER, AT(kek_generation)},
    {"code-mac", FIELD_BYTES, AT(code_mac)},
    {"code-expires", FIELD_NUMBER, AT(code_expires_s)},
    {"code-attempts", FIELD_NUMBER, AT(code_attempts)},
    {"codes-day", FIELD_NUMBER, AT(codes_day)},
    {"codes-made", FIELD_NUMBER, AT(codes_made)},
    {"nonce", FIELD_NONCES, AT(nonces)},
    {"deleting", FIELD_NUMBER, AT(deleting)},
    {"last-crl", FIELD_BYTES, AT(last_crl)},
};
#define N_FIELDS (sizeof fields / sizeof *fields)

enum err record_new(struct record **out)
{
    struct record *r = calloc(1, sizeof *r);

    if (!r)
        return ERR_NOMEM;
    atomic_init(&r->refs, 1);
    *out = r;
    return ERR_OK;
}

struct record *record_ref(struct record *r)
{
    (void)atomic_fetch_add(&r->refs, 1);
    return r;
}

static void field_clear(struct record *r, const struct record_field *f)
{
    void *at = (char *)r + f->offset;

    switch (f->kind) {
    case FIELD_TEXT:
        str_free(at);
        break;
    case FIELD_BYTES:
        buf_clear(at);
        break;
    case FIELD_LIST:
        for (size_t i = 0; i < ((struct record_list *)at)->n; i++)
            free(((struct record_list *)at)->items[i]);
        break;
    case FIELD_KEYS:
        for (size_t i = 0; i < r->n_keys; i++)
            buf_clear(&r->keys[i].cert);
        break;
    case FIELD_ID:
    case FIELD_STATE:
    case FIELD_KEY:
    case FIELD_NUMBER:
    case FIELD_NONCES:
        break;
    }
}

void record_unref(struct record *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    for (size_t i = 0; i < N_FIELDS; i++)
        field_clear(r, &fields[i]);
    free(r);
}

void record_drop(struct record **r)
{
    record_unref(*r);
}

enum err record_copy(const struct record *r, struct record **out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = record_write(r, &text);

    return e ? e : record_read(buf_bytes(&text), out);
}

enum err record_set_text(char **field, const char *value)
{
    char *copy = value ? strdup(value) : NULL;

    if (value && !copy)
        return ERR_NOMEM;
    free(*field);
    *field = copy;
    return ERR_OK;
}

enum err record_list_add(struct record_list *list, const char *value)
{
    char *copy;

    if (list->n == RECORD_LIST_MAX)
        return err_note(ERR_USAGE, "record", "more than %d in a list", RECORD_LIST_MAX);
    copy = strdup(value);
    if (!copy)
        return ERR_NOMEM;
    list->items[list->n++] = copy;
    return ERR_OK;
}

bool record_list_has(const struct record_list *list, const char *value)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i], value) == 0)
            return true;
    return false;
}

/* ---- writing ---- */

static void key_write(const struct record_key *k, struct buf *out)
{
    buf_append_str(out, "key=");
    hex_append(out, (struct bytes){k->spki_sha256, sizeof k->spki_sha256});
    buf_printf(out, " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " ", k->not_before_s,
               k->not_after_s, k->enrolled_s, k->withdrawn_s);
    base64_append(out, buf_bytes(&k->cert));
    buf_append_str(out, "\n");
}

static void nonce_write(const struct record_nonce *n, struct buf *out)
{
    buf_append_str(out, "nonce=");
    hex_append(out, (struct bytes){n->sha256, sizeof n->sha256});
    buf_printf(out, " %" PRId64 "\n", n->expires_s);
}

static void line_write(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, "%s=%s\n", name, value);
}

static void bytes_write(struct buf *out, const char *name, const struct buf *value)
{
    if (!value->len)
        return;
    buf_printf(out, "%s=", name);
    base64_append(out, buf_bytes(value));
    buf_append_str(out, "\n");
}

static void field_write(const struct record *r, const struct record_field *f, struct buf *out)
{
    const void *at = (const char *)r + f->offset;

    switch (f->kind) {
    case FIELD_ID:
        line_write(out, f->name, at);
        break;
    case FIELD_STATE:
        line_write(out, f->name, profile_state_name(*(const enum profile_state *)at));
        break;
    case FIELD_KEY:
        line_write(out, f->name, key_type_name(*(const enum key_type *)at));
        break;
    case FIELD_NUMBER:
        buf_printf(out, "%s=%" PRId64 "\n", f->name, *(const int64_t *)at);
        break;
    case FIELD_TEXT:
        if (*(char *const *)at)
            line_write(out, f->name, *(char *const *)at);
        break;
    case FIELD_BYTES:
        bytes_write(out, f->name, at);
        break;
    case FIELD_LIST:
        for (size_t i = 0; i < ((const struct record_list *)at)->n; i++)
            line_write(out, f->name, ((const struct record_list *)at)->items[i]);
        break;
    case FIELD_KEYS:
        for (size_t i = 0; i < r->n_keys; i++)
            key_write(&r->keys[i], out);
        break;
    case FIELD_NONCES:
        for (size_t i = 0; i < r->n_nonces; i++)
            nonce_write(&r->nonces[i], out);
        break;
    }
}

enum err record_write(const struct record *r, struct buf *out)
{
    buf_append_str(out, RECORD_HEAD);
    for (size_t i = 0; i < N_FIELDS; i++)
        field_write(r, &fields[i], out);
    return buf_error(out);
}

/* ---- reading: every line in the table's order; the result must write the same text again ---- */

/* A canonical, not negative decimal. */
static bool number_read(const char *s, const char **end, int64_t *out)
{
    int64_t value = 0;
    size_t n = strspn(s, "0123456789");

    if (n == 0 || n > 18)
        return false;
    for (size_t i = 0; i < n; i++)
        value = value * 10 + (s[i] - '0');
    *out = value;
    *end = s + n;
    return true;
}

/* 64 hex digits. */
static bool hash_read(const char *s, const char **end, uint8_t out[32])
{
    CLEANUP(buf_clear) struct buf raw = {0};

    if (strnlen(s, 64) < 64 || hex_decode((struct bytes){(const uint8_t *)s, 64}, &raw))
        return false;
    memcpy(out, raw.data, 32);
    *end = s + 64;
    return true;
}

static bool key_read(struct record *r, const char *s)
{
    struct record_key *k = &r->keys[r->n_keys];
    int64_t *const numbers[] = {&k->not_before_s, &k->not_after_s, &k->enrolled_s, &k->withdrawn_s};

    if (r->n_keys == RECORD_KEYS_MAX || !hash_read(s, &s, k->spki_sha256))
        return false;
    r->n_keys++;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (*s++ != ' ' || !number_read(s, &s, numbers[i]))
            return false;
    return *s == ' ' && !base64_decode(bytes_of(s + 1), &k->cert);
}

static bool nonce_read(struct record *r, const char *s)
{
    struct record_nonce *n = &r->nonces[r->n_nonces];

    if (r->n_nonces == RECORD_NONCES_MAX || !hash_read(s, &s, n->sha256) || *s++ != ' ' ||
        !number_read(s, &s, &n->expires_s))
        return false;
    r->n_nonces++;
    return *s == '\0';
}

static bool state_read(const char *s, enum profile_state *out)
{
    for (unsigned i = PROFILE_PENDING; i <= PROFILE_DELETED; i++) {
        if (strcmp(s, profile_state_name((enum profile_state)i)) == 0) {
            *out = (enum profile_state)i;
            return true;
        }
    }
    return false;
}

static bool field_read(struct record *r, const struct record_field *f, const char *value)
{
    void *at = (char *)r + f->offset;
    const char *end = value;

    switch (f->kind) {
    case FIELD_ID:
        if (id_is_valid(value))
            memcpy(at, value, sizeof(id_text));
        return id_is_valid(value);
    case FIELD_STATE:
        return state_read(value, at);
    case FIELD_KEY:
        return !key_type_parse(value, at);
    case FIELD_NUMBER:
        return number_read(value, &end, at) && *end == '\0';
    case FIELD_TEXT:
        return !record_set_text(at, value);
    case FIELD_BYTES:
        return ((struct buf *)at)->len == 0 && !base64_decode(bytes_of(value), at);
    case FIELD_LIST:
        return !record_list_add(at, value);
    case FIELD_KEYS:
        return key_read(r, value);
    case FIELD_NONCES:
        return nonce_read(r, value);
    }
    return false;
}

static bool lines_read(struct record *r, char *text)
{
    char *rest = text;
    const char *line;

    while ((line = strsep(&rest, "\n")) && rest) {
        char *value = strchr(line, '=');
        size_t i = 0;

        if (!value)
            return false;
        *value++ = '\0';
        while (i < N_FIELDS && strcmp(fields[i].name, line) != 0)
            i++;
        if (i == N_FIELDS || !field_read(r, &fields[i], value))
            return false;
    }
    return line && *line == '\0';
}

enum err record_read(struct bytes text, struct record **out)
{
    struct record *r = NULL;
    CLEANUP(buf_clear) struct buf copy = {0};
    CLEANUP(buf_clear) struct buf again = {0};
    size_t head = strlen(RECORD_HEAD);
    enum err e = record_new(&r);

    if (e)
        return e;
    buf_append_bytes(&copy, text);
    e = buf_error(&copy);
    if (!e && (copy.len < head || memcmp(copy.data, RECORD_HEAD, head) != 0 ||
               memchr(copy.data, 0, copy.len) || !lines_read(r, (char *)copy.data + head)))
        e = ERR_FORMAT;
    if (!e)
        e = record_write(r, &again);
    if (!e && !bytes_equal(buf_bytes(&again), text))
        e = ERR_FORMAT;
    if (e) {
        record_unref(r);
        return e == ERR_FORMAT ? err_note(e, "record", "not canonical") : e;
    }
    *out = r;
    return ERR_OK;
}
