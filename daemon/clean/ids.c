/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ids.c - what ties a reply to its thread: the user's own ids mapped, the correspondent's kept.
 *
 * An id that nobody knows may be of the user's making, from a message sent elsewhere: it stays
 * behind if it names the user's mailbox or domain, or a machine without a public name.
 * RFC 5322 3.6.4. */
#include "daemon/base/domain.h"
#include "daemon/clean/internal.h"
#include "daemon/message/references.h"

#include <string.h>
#include <strings.h>

#define IDS_MAX      32u /* in one field: the first and the last ones are kept */
#define IDS_READ_MAX 1000u

static const char *const private_domains[] = {"local",     "localdomain", "lan",       "home",
                                              "internal",  "home.arpa",   "localhost", "intranet",
                                              "workgroup", "private"};

/* A name that only the user's own network knows. */
static bool is_private(const char *host)
{
    if (!strchr(host, '.') || host[0] == '[')
        return true;
    for (size_t i = 0; i < sizeof private_domains / sizeof private_domains[0]; i++)
        if (domain_is_within(host, private_domains[i]))
            return true;
    return false;
}

/* Letters and digits around it make another domain of it, and so does ".org" behind it. */
static bool is_whole(struct bytes id, size_t at, size_t len)
{
    const uint8_t *behind = id.data + at + len;
    size_t left = id.len - at - len;

    if (at > 0 && g_ascii_isalnum((char)id.data[at - 1]))
        return false;
    if (left && (g_ascii_isalnum((char)behind[0]) || behind[0] == '-'))
        return false;
    return left < 2 || behind[0] != '.' || !g_ascii_isalnum((char)behind[1]);
}

bool clean_names_domain(const char *const *domains, struct bytes id)
{
    for (const char *const *d = domains; *d; d++) {
        size_t len = strlen(*d);

        for (size_t i = 0; i + len <= id.len; i++)
            if (strncasecmp((const char *)id.data + i, *d, len) == 0 && is_whole(id, i, len))
                return true;
    }
    return false;
}

/* The right side of an id, without the bracket. */
static void host_copy(const char *id, struct buf *host)
{
    const char *at = strrchr(id, '@');
    size_t len = at ? strlen(at + 1) : 0;

    if (len)
        buf_append(host, at + 1, len - 1);
}

/* In an id an address may have anything behind it. */
static bool holds_mailbox(const struct clean *c, const char *id)
{
    const struct scan s = {.text = bytes_of(id),
                           .layers = SCAN_PERCENT,
                           .loose = true,
                           .encoded = true,
                           .words = &c->words};

    return scan_finds(&s);
}

static enum err names_user(const struct clean *c, const char *id, bool *names)
{
    CLEANUP(buf_clear) struct buf host = {0};
    CLEANUP(buf_clear) struct buf own = {0};
    const char *own_id = c->out->original_id;

    host_copy(id, &host);
    if (own_id)
        host_copy(own_id, &own);
    if (host.failed || own.failed)
        return ERR_NOMEM;
    *names = holds_mailbox(c, id) || clean_names_domain(c->in->domains, bytes_of(id));
    if (!*names && own.len)
        *names = strcasecmp(buf_str(&own), buf_str(&host)) == 0 && is_private(buf_str(&host));
    return ERR_OK;
}

/* The id as it leaves, at the end of text; nothing when it may not. */
static enum err id_map(struct clean *c, struct bytes id, struct buf *text)
{
    CLEANUP(buf_clear) struct buf plain = {0};
    CLEANUP(str_free) char *mapped = NULL;
    enum clean_id known = CLEAN_ID_UNKNOWN;
    bool names = false;
    enum err e;

    buf_append_bytes(&plain, id);
    if (plain.failed)
        return ERR_NOMEM;
    e = c->in->lookups.id_find(c->in->lookups.context, buf_str(&plain), &known, &mapped);
    if (e)
        return e;
    if (known == CLEAN_ID_UNKNOWN)
        e = names_user(c, buf_str(&plain), &names);
    else if (known == CLEAN_ID_KNOWN)
        names = holds_mailbox(c, buf_str(&plain));
    else if (known == CLEAN_ID_HIDDEN)
        names = true;
    if (!e && !names)
        buf_append_str(text, known == CLEAN_ID_MAPPED && mapped ? mapped : buf_str(&plain));
    return e ? e : buf_error(text);
}

static size_t ids_count(struct bytes rest)
{
    struct bytes id;
    size_t n = 0;

    while (n < IDS_READ_MAX && bracketed_next(&rest, MESSAGE_ID_MAX_BYTES, &id))
        n++;
    return n;
}

enum err ids_append(struct clean *c, struct buf *out, const char *name, struct bytes value)
{
    CLEANUP(buf_clear) struct buf ids = {0};
    struct bytes rest = value;
    struct bytes id;
    size_t n = ids_count(value);
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < n && bracketed_next(&rest, MESSAGE_ID_MAX_BYTES, &id); i++) {
        size_t before = ids.len;

        if (i > 0 && i + IDS_MAX <= n)
            continue;
        if (before)
            buf_append_str(&ids, "\r\n ");
        e = id_map(c, id, &ids);
        if (before && ids.len == before + 3)
            ids.len = before;
    }
    if (!e)
        e = buf_error(&ids);
    if (e || !ids.len)
        return e;
    buf_printf(out, "%s: ", name);
    buf_append_bytes(out, buf_bytes(&ids));
    buf_append_str(out, "\r\n");
    return buf_error(out);
}

enum err ids_first(struct bytes value, char **out)
{
    struct bytes id;

    *out = NULL;
    if (!bracketed_next(&value, MESSAGE_ID_MAX_BYTES, &id))
        return ERR_OK;
    *out = strndup((const char *)id.data, id.len);
    return *out ? ERR_OK : ERR_NOMEM;
}
