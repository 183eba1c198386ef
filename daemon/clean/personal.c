/* SPDX-License-Identifier: GPL-3.0-or-later */
/* personal.c - calendar entries and vCards: lines with a name, parameters and a value.
 *
 * The user in them becomes the alias; what names a program or a machine goes. A vCard with a
 * mailbox address of the user is the user's own and is reduced to the alias: its name, telephone
 * and photograph were meant for others. Keys are left out of any, as they are of messages. RFC
 * 5545 3.1, RFC 5546, RFC 6350 3.2. */
#include "daemon/base/codec.h"
#include "daemon/clean/internal.h"
#include "daemon/clean/lines.h"

#include <openssl/sha.h>
#include <string.h>
#include <strings.h>

/* In an answer a UID is the correspondent's. */
enum lines_kind { LINES_CARD, LINES_ENTRY, LINES_ANSWER };

static const char *const kept_parameters[] = {"ROLE", "PARTSTAT", "RSVP", "CUTYPE", "CN", "VALUE"};

static bool is_named(const struct content_line *l, const char *name)
{
    return bytes_equal_nocase(l->name, name);
}

static bool is_party(const struct content_line *l)
{
    return is_named(l, "ORGANIZER") || is_named(l, "ATTENDEE");
}

/* The alias as a whole address, whatever is around it. */
static bool names_alias(const struct clean *c, struct bytes text)
{
    CLEANUP(buf_wipe) struct buf plain = {0};
    const struct scan s = {.text = text, .layers = SCAN_PERCENT};
    size_t len = strlen(c->in->alias);

    scan_text_append(&s, 0, text.len, &plain);
    for (size_t i = 0; !plain.failed && i + len <= plain.len; i++) {
        char before = i ? (char)plain.data[i - 1] : ' ';
        char behind = i + len < plain.len ? (char)plain.data[i + len] : ' ';

        if (strncasecmp((const char *)plain.data + i, c->in->alias, len) == 0 &&
            !g_ascii_isalnum(before) && !memchr(".-_+", before, 4) && !g_ascii_isalnum(behind) &&
            behind != '-')
            return true;
    }
    return plain.failed;
}

static bool is_own(const struct clean *c, struct bytes address)
{
    return clean_holds(&c->words, address) || names_alias(c, address);
}

/* Where a calendar service writes a number of the account, the address stands beside it. */
static bool party_is_own(const struct clean *c, const struct content_line *l)
{
    CLEANUP(buf_wipe) struct buf plain = {0};
    struct bytes rest = l->parameters;
    struct parameter p;

    while (parameter_next(&rest, &p))
        if ((bytes_equal_nocase(p.name, "EMAIL") || bytes_equal_nocase(p.name, "CN")) &&
            is_own(c, p.value))
            return true;
    if (line_is_quoted(l))
        quoted_decode(l->value, &plain);
    return plain.failed || is_own(c, line_is_quoted(l) ? buf_bytes(&plain) : l->value);
}

/* Of a party what says something of it, not of its program; a name only of others. */
static bool party_parameter_kept(struct bytes name, bool own)
{
    for (size_t i = 0; i < sizeof kept_parameters / sizeof kept_parameters[0]; i++)
        if (bytes_equal_nocase(name, kept_parameters[i]))
            return !(own && strcmp(kept_parameters[i], "CN") == 0);
    return false;
}

/* "X-...": a program's own (RFC 5545 3.8.8.2), but for what a reader sees. */
static bool is_private(struct bytes name)
{
    return name.len > 2 && strncasecmp((const char *)name.data, "X-", 2) == 0 &&
           !bytes_equal_nocase(name, "X-ABLABEL");
}

/*   own  of a party: it is the user */
static void parameters_append(struct buf *out, const struct content_line *l, bool own)
{
    struct bytes rest = l->parameters;
    struct parameter p;

    while (parameter_next(&rest, &p))
        if (is_party(l) ? party_parameter_kept(p.name, own) : !is_private(p.name)) {
            buf_append_str(out, ";");
            buf_append_bytes(out, p.whole);
        }
}

/* An id made of the user's address or domain: another one, the same for the same. */
static void uid_append(struct clean *c, struct bytes value, struct buf *out)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    if (!clean_holds(&c->words, value) && !clean_names_domain(c->in->domains, value)) {
        buf_append_bytes(out, value);
        return;
    }
    (void)SHA256(value.data, value.len, digest);
    hex_append(out, (struct bytes){digest, 16});
    buf_printf(out, "@%s", c->in->domain);
}

/* What a program wrote for itself; SOURCE, and a card's UID that is a path: places in an account.
 */
static bool is_foreign(const struct content_line *l, enum lines_kind kind)
{
    return is_private(l->name) || is_named(l, "CREATED") || is_named(l, "SOURCE") ||
           (kind == LINES_CARD && is_named(l, "UID") && l->value.len &&
            memchr(l->value.data, '/', l->value.len));
}

/* What goes back to whoever organises is about their entry: its id is theirs, and without it the
 * answer is about nothing (RFC 5546 2.1.5). */
static bool is_answer(struct bytes text)
{
    static const char *const methods[] = {"REPLY", "COUNTER", "REFRESH"};
    struct content_line l;
    struct bytes line;

    while (line_next(&text, &line))
        for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
            if (line_split(line, &l) && is_named(&l, "METHOD") &&
                bytes_equal_nocase(l.value, methods[i]))
                return true;
    return false;
}

/* What is quoted-printable is looked through, and written anew only where something changes: a
 * separator looks different from the same character in the text. */
static enum err quoted_value_append(struct clean *c, struct bytes value, struct buf *out)
{
    CLEANUP(buf_wipe) struct buf plain = {0};
    CLEANUP(buf_wipe) struct buf replaced = {0};
    struct scan s;
    bool changed = false;
    enum err e;

    quoted_decode(value, &plain);
    if (plain.failed)
        return ERR_NOMEM;
    s = clean_scan(c, buf_bytes(&plain), SCAN_ENTITIES | SCAN_PERCENT, SCAN_AS_IS);
    e = scan_replace(&s, &replaced, &changed);
    if (changed)
        quoted_append(out, buf_bytes(&replaced));
    else
        buf_append_bytes(out, value);
    return e ? e : buf_error(out);
}

static enum err value_append(struct clean *c, const struct content_line *l, bool own,
                             enum lines_kind kind, struct buf *out)
{
    if (own)
        buf_printf(out, "mailto:%s", c->in->alias);
    else if (is_named(l, "UID") && kind != LINES_ANSWER)
        uid_append(c, l->value, out);
    else if (line_is_quoted(l))
        return quoted_value_append(c, l->value, out);
    else
        buf_append_bytes(out, l->value);
    return buf_error(out);
}

static bool hides_user(const struct clean *c, const struct content_line *l)
{
    CLEANUP(buf_wipe) struct buf plain = {0};

    if (line_is_base64(l))
        line_decode(l, &plain);
    return plain.failed || (plain.len && clean_holds(&c->words, buf_bytes(&plain)));
}

static enum err line_clean(struct clean *c, const struct content_line *l, enum lines_kind kind,
                           struct buf *out)
{
    CLEANUP(buf_wipe) struct buf kept = {0};
    CLEANUP(buf_wipe) struct buf replaced = {0};
    struct scan s;
    bool changed = false;
    bool own = is_party(l) && party_is_own(c, l);
    enum err e;

    if (hides_user(c, l))
        return clean_refuse(c, CLEAN_ADDRESS, "");
    buf_append_bytes(&kept, l->group);
    buf_append_bytes(&kept, l->name);
    parameters_append(&kept, l, own);
    buf_append_str(&kept, ":");
    e = value_append(c, l, own, kind, &kept);
    if (e)
        return e;
    s = clean_scan(c, buf_bytes(&kept), SCAN_ENTITIES | SCAN_PERCENT, SCAN_AS_IS);
    e = scan_replace(&s, &replaced, &changed);
    if (!e)
        line_folded_append(out, buf_bytes(&replaced));
    return e ? e : buf_error(out);
}

static enum err lines_clean(struct clean *c, struct bytes rest, enum lines_kind kind,
                            struct buf *out)
{
    struct content_line l;
    struct bytes line;
    enum err e = ERR_OK;

    while (!e && line_next(&rest, &line)) {
        if (!line_split(line, &l))
            continue;
        if (is_named(&l, "PRODID"))
            buf_append_str(out, "PRODID:-//mail//EN\r\n");
        else if (is_named(&l, "KEY"))
            clean_warn(c, CLEAN_WARN_DROPPED, "");
        else if (!is_foreign(&l, kind))
            e = line_clean(c, &l, kind, out);
    }
    return e;
}

enum err calendar_clean(struct clean *c, struct bytes text, struct buf *out, bool *changed)
{
    CLEANUP(buf_wipe) struct buf lines = {0};

    lines_unfold(text, &lines);
    if (lines.failed)
        return ERR_NOMEM;
    *changed = true;
    return lines_clean(c, buf_bytes(&lines),
                       is_answer(buf_bytes(&lines)) ? LINES_ANSWER : LINES_ENTRY, out);
}

/* vCard 2.1 writes values as quoted-printable, and any in base64. */
static bool card_is_own(const struct clean *c, struct bytes card)
{
    CLEANUP(buf_wipe) struct buf plain = {0};
    struct content_line l;
    struct bytes line;

    quoted_decode(card, &plain);
    if (plain.failed || clean_holds(&c->words, card) || clean_holds(&c->words, buf_bytes(&plain)))
        return true;
    while (line_next(&card, &line))
        if (line_split(line, &l) && hides_user(c, &l))
            return true;
    return false;
}

static void own_card_append(const struct clean *c, struct buf *out)
{
    const char *name = c->in->alias_name ? c->in->alias_name : c->in->alias;

    buf_printf(out, "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:%s\r\nN:%s;;;;\r\nEMAIL:%s\r\nEND:VCARD\r\n",
               name, name, c->in->alias);
}

enum err vcard_clean(struct clean *c, struct bytes text, const char *path, struct buf *out,
                     bool *changed)
{
    CLEANUP(buf_wipe) struct buf lines = {0};
    struct bytes rest;
    struct bytes line;
    const uint8_t *start;
    enum err e = ERR_OK;

    lines_unfold(text, &lines);
    if (lines.failed)
        return ERR_NOMEM;
    *changed = true;
    rest = buf_bytes(&lines);
    start = rest.data;
    while (!e && line_next(&rest, &line)) {
        struct bytes card = {start, (size_t)(line.data + line.len - start)};

        if (!bytes_equal_nocase(line, "END:VCARD") && rest.len)
            continue;
        if (card_is_own(c, card)) {
            own_card_append(c, out);
            clean_warn(c, CLEAN_WARN_CARD, path);
        } else {
            e = lines_clean(c, card, LINES_CARD, out);
        }
        start = rest.data;
    }
    return e ? e : buf_error(out);
}
