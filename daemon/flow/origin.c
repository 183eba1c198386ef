/* SPDX-License-Identifier: GPL-3.0-or-later */
/* origin.c - who may be told, decided once; and the form it is kept in: three strings, each with
 * its NUL. */
#include "daemon/flow/origin.h"
#include "daemon/base/domain.h"
#include "daemon/flow/blob.h"
#include "daemon/message/address.h"
#include "daemon/message/report.h"

#include <string.h>
#include <strings.h>

#define ORIGIN_PURPOSE "origin"

static bool has_prefix(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

/* Local parts that no person reads: owner-list, list-request, list-owner, mailer-daemon. */
static bool is_machine(const char *address)
{
    static const char *const tails[] = {"-request", "-owner", "-bounces", "-return"};
    size_t len = (size_t)(strrchr(address, '@') - address);

    if (has_prefix(address, "mailer-daemon@") || has_prefix(address, "owner-"))
        return true;
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        size_t n = strlen(tails[i]);

        if (len > n && strncasecmp(address + len - n, tails[i], n) == 0)
            return true;
    }
    return false;
}

static bool is_list_mail(const struct message *m)
{
    static const char list[] = "list-";

    for (size_t i = 0; i < m->n_fields; i++) {
        struct bytes name = m->fields[i].name;

        if (name.len > sizeof list - 1 &&
            bytes_equal_nocase((struct bytes){name.data, sizeof list - 1}, list))
            return true;
    }
    return false;
}

/* DMARC speaks of the From field; what is told goes to the envelope's sender. */
static bool is_proven(const struct sender_verdict *v, const char *mail_from)
{
    return sender_verdict_aligned(v) &&
           (v->spf == AUTH_PASS || strcasecmp(address_domain(mail_from), v->domain) == 0);
}

/* One msg-id, printable ASCII without blanks; it goes into a header of ours. */
static void message_id_of(const struct message *m, char out[ORIGIN_MESSAGE_ID_MAX + 1])
{
    const struct message_field *f = message_find(m, "Message-ID", 0);
    CLEANUP(buf_clear) struct buf text = {0};

    out[0] = '\0';
    if (!f || message_unfold(f->value, &text) || text.len < 3 || text.len > ORIGIN_MESSAGE_ID_MAX ||
        text.data[0] != '<' || text.data[text.len - 1] != '>')
        return;
    for (size_t i = 1; i + 1 < text.len; i++)
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7f ||
            memchr("<>\"\\(),;:[]", text.data[i], 11))
            return;
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

bool origin_of(const struct message *m, const struct sender_verdict *v, const char *mail_from,
               const char *const *domains, size_t n_domains, struct origin *out)
{
    *out = (struct origin){.sender = ""};
    if (strlen(mail_from) > HSM_ADDRESS_MAX || !address_is_valid(mail_from) ||
        !address_is_ascii(mail_from) || !is_proven(v, mail_from) || is_machine(mail_from) ||
        domain_enclosing(address_domain(mail_from), domains, n_domains) || is_list_mail(m) ||
        report_is_automatic(m))
        return false;
    memcpy(out->sender, mail_from, strlen(mail_from) + 1);
    message_id_of(m, out->message_id);
    return true;
}

enum err origin_seal(struct store *s, const char *id, const struct origin *o, struct buf *out)
{
    CLEANUP(buf_wipe) struct buf plain = {0};

    buf_append(&plain, o->sender, strlen(o->sender) + 1);
    buf_append(&plain, o->alias, strlen(o->alias) + 1);
    buf_append(&plain, o->message_id, strlen(o->message_id) + 1);
    return buf_error(&plain) ? ERR_NOMEM : blob_seal(s, ORIGIN_PURPOSE, id, buf_bytes(&plain), out);
}

/* The next of the strings; false when it does not end, or is too long. */
static bool string_next(struct bytes *rest, char *out, size_t cap)
{
    const uint8_t *end = rest->len ? memchr(rest->data, 0, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : 0;

    if (!end || len >= cap)
        return false;
    memcpy(out, rest->data, len + 1);
    rest->data += len + 1;
    rest->len -= len + 1;
    return true;
}

enum err origin_open(struct store *s, const char *id, struct bytes sealed, struct origin *out)
{
    CLEANUP(buf_wipe) struct buf plain = {0};
    struct origin o = {.sender = ""};
    struct bytes rest;
    enum err e = blob_open(s, ORIGIN_PURPOSE, id, sealed, &plain);

    if (e)
        return e;
    rest = buf_bytes(&plain);
    if (!string_next(&rest, o.sender, sizeof o.sender) ||
        !string_next(&rest, o.alias, sizeof o.alias) ||
        !string_next(&rest, o.message_id, sizeof o.message_id))
        return err_note(ERR_TAMPERED, "origin", "%zu bytes", plain.len);
    *out = o;
    return ERR_OK;
}
