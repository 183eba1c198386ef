/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wrap.c - the MIME entity that gets signed: the original's fields byte for byte.
 *
 * Clients show the status of one S/MIME layer and blank bodies for some nestings, so S/MIME mail
 * never stands directly below the relay's signature: signed mail becomes the only child of a
 * multipart/mixed, any other PKCS #7 root an attached message beside a line of explanation.
 * RFC 9788 2.1 (hp), RFC 8551 3.2, RFC 2046 5.1, 5.2.1. */
#include "daemon/message/wrap.h"
#include "daemon/base/id.h"
#include "daemon/message/content_type.h"

#include <string.h>
#include <strings.h>

#define HP_PARAMETER "; hp=\"cipher\""

enum content_kind { CONTENT_PLAIN, CONTENT_SMIME_SIGNED, CONTENT_SMIME_OTHER };

static enum content_kind content_kind_of(const struct content_type *ct)
{
    if (strcmp(ct->type, "multipart") == 0 && strcmp(ct->subtype, "signed") == 0 &&
        (strstr(ct->protocol, "pkcs7") || ct->protocol_coded))
        return CONTENT_SMIME_SIGNED;
    if (strcmp(ct->type, "application") != 0 ||
        (strcmp(ct->subtype, "pkcs7-mime") != 0 && strcmp(ct->subtype, "x-pkcs7-mime") != 0))
        return CONTENT_PLAIN;
    if (strcmp(ct->smime_type, "signed-data") == 0 || strcmp(ct->smime_type, "certs-only") == 0)
        return CONTENT_SMIME_SIGNED;
    return CONTENT_SMIME_OTHER;
}

/* Of several Content-Type fields readers take the first or the last: any that says S/MIME counts.
 */
static enum content_kind content_kind_find(const struct message *m)
{
    enum content_kind kind = CONTENT_PLAIN;

    for (size_t i = 0; i < m->n_fields && kind == CONTENT_PLAIN; i++) {
        struct content_type ct;

        if (!bytes_equal_nocase(m->fields[i].name, "Content-Type"))
            continue;
        content_type_read(m->fields[i].value, &ct);
        kind = content_kind_of(&ct);
    }
    return kind;
}

static bool is_content_field(const struct message_field *f)
{
    return f->name.len > 8 && strncasecmp((const char *)f->name.data, "Content-", 8) == 0;
}

/* All but the final CRLF is as it came; a last line of the message may lack that. */
static void field_append(struct buf *out, const struct message_field *f, const char *parameter)
{
    size_t len = (size_t)(f->value.data + f->value.len - f->whole.data);

    buf_append(out, f->whole.data, len);
    buf_append_str(out, parameter);
    buf_append_str(out, "\r\n");
}

static void content_fields_append(struct buf *out, const struct message *m,
                                  const struct message_field *with_hp)
{
    for (size_t i = 0; i < m->n_fields; i++)
        if (is_content_field(&m->fields[i]))
            field_append(out, &m->fields[i], &m->fields[i] == with_hp ? HP_PARAMETER : "");
    buf_append_str(out, "\r\n");
}

static void multipart_open(struct buf *head, struct buf *tail, const char *boundary)
{
    buf_printf(head,
               "Content-Type: multipart/mixed; boundary=\"%s\"" HP_PARAMETER "\r\n"
               "Content-Transfer-Encoding: 8bit\r\n\r\n--%s\r\n",
               boundary, boundary);
    buf_printf(tail, "\r\n--%s--\r\n", boundary);
}

static enum err signed_wrap(const struct message *m, struct buf *head, struct buf *tail)
{
    boundary_text boundary;
    enum err e = boundary_new(boundary);

    if (e)
        return e;
    multipart_open(head, tail, boundary);
    content_fields_append(head, m, NULL);
    return ERR_OK;
}

/* Fields for the list view of an attached message: those we wrote ourselves. */
static enum err attached_header_append(struct buf *out, struct bytes protected_header)
{
    static const char *const names[] = {"Date", "From", "Subject"};
    CLEANUP(message_clear) struct message header = {0};
    enum err e = message_parse(protected_header, &header);

    for (size_t i = 0; !e && i < sizeof names / sizeof names[0]; i++) {
        const struct message_field *f = message_find(&header, names[i], 0);

        if (f)
            buf_append_bytes(out, f->whole);
    }
    buf_append_str(out, "MIME-Version: 1.0\r\n");
    return e;
}

static enum err other_wrap(const struct message *m, struct bytes protected_header, struct buf *head,
                           struct buf *tail)
{
    CLEANUP(buf_clear) struct buf attached = {0}; /* built first: head may move */
    boundary_text boundary;
    enum err e = boundary_new(boundary);

    if (!e)
        e = attached_header_append(&attached, protected_header);
    if (!e)
        e = buf_error(&attached);
    if (e)
        return e;
    multipart_open(head, tail, boundary);
    buf_printf(head,
               "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
               "This message was S/MIME-protected already when it reached the relay.\r\n"
               "It is attached as it came.\r\n"
               "\r\n--%s\r\n"
               "Content-Type: message/rfc822\r\n"
               "Content-Transfer-Encoding: 8bit\r\n"
               "Content-Disposition: attachment; filename=\"message.eml\"\r\n\r\n",
               boundary);
    buf_append_bytes(head, buf_bytes(&attached));
    content_fields_append(head, m, NULL);
    return ERR_OK;
}

/* hp goes to the one Content-Type that every parser reads alike; two of them are left alone. */
static void plain_append(const struct message *m, struct buf *head)
{
    const struct message_field *f = message_find(m, "Content-Type", 0);
    struct content_type ct = {0};
    bool mark;

    if (f)
        content_type_read(f->value, &ct);
    mark = ct.parses && !ct.has_hp && message_count(m, "Content-Type") == 1;
    if (!f)
        buf_append_str(head, "Content-Type: text/plain" HP_PARAMETER "\r\n");
    content_fields_append(head, m, mark ? f : NULL);
}

enum err entity_append(const struct message *m, struct bytes protected_header, struct buf *head,
                       struct buf *tail)
{
    enum content_kind kind = content_kind_find(m);
    enum err e = ERR_OK;

    switch (kind) {
    case CONTENT_PLAIN:
        plain_append(m, head);
        break;
    case CONTENT_SMIME_SIGNED:
        e = signed_wrap(m, head, tail);
        break;
    case CONTENT_SMIME_OTHER:
        e = other_wrap(m, protected_header, head, tail);
        break;
    }
    if (!e)
        e = buf_error(head);
    return e ? e : buf_error(tail);
}
