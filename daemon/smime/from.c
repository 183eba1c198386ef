/* SPDX-License-Identifier: GPL-3.0-or-later */
/* from.c - the one mailbox of a From field against the signer's certificate.
 *
 * OpenSSL compares no identity. A field that two readers could take for two different senders
 * (second mailbox, group, second field) is refused, whatever it holds. RFC 8550 3, RFC 5322 3.6.2.
 */
#include "daemon/message/address.h"
#include "daemon/smime/signer.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_BYTES_MAX 254 /* RFC 5321 4.5.3.1.3 */

static enum err refused(const char *what)
{
    return err_note(ERR_REFUSED, "From", "%s", what);
}

/* Nothing outside quotes, comments and angles that separates mailboxes or opens a group. */
static bool is_single(struct bytes v)
{
    bool quoted = false;
    unsigned depth = 0, angles = 0;

    for (size_t i = 0; i < v.len; i++) {
        uint8_t c = v.data[i];

        if (c == '\\' && (quoted || depth))
            i++;
        else if (c == '"' && !depth)
            quoted = !quoted;
        else if (!quoted && c == '(')
            depth++;
        else if (!quoted && depth && c == ')')
            depth--;
        else if (!quoted && !depth && ((c && strchr(",;:", c)) || (c == '<' && angles++)))
            return false;
    }
    return !quoted && !depth;
}

/* An rfc822Name is IA5String: its length counts, not a NUL in it. */
static bool name_is(const GENERAL_NAME *name, const char *folded)
{
    char text[ADDRESS_BYTES_MAX + 1] = {0};
    int type = 0;
    const ASN1_STRING *s = GENERAL_NAME_get0_value(name, &type);

    if (type != GEN_EMAIL || !s || (size_t)ASN1_STRING_length(s) >= sizeof text)
        return false;
    memcpy(text, ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s));
    if (strlen(text) != (size_t)ASN1_STRING_length(s))
        return false;
    address_fold(text);
    return strcmp(text, folded) == 0;
}

bool signer_names(X509 *cert, const char *folded)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool found = false;

    for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++)
        found = name_is(sk_GENERAL_NAME_value(names, i), folded);
    GENERAL_NAMES_free(names);
    return found;
}

enum err signer_is_from(const struct message *header, X509 *cert)
{
    CLEANUP(mailbox_list_clear) struct mailbox_list list = {0};
    const struct message_field *f = message_find(header, "From", 0);
    enum err e;

    if (message_count(header, "From") != 1 || !is_single(f->value))
        return refused("not exactly one mailbox");
    e = mailbox_list_parse(f->value, &list);
    if (e)
        return e;
    if (list.n != 1)
        return refused("not exactly one mailbox");
    address_fold(list.items[0].addr);
    return signer_names(cert, list.items[0].addr) ? ERR_OK : refused("is not the signer's address");
}
