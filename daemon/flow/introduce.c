/* SPDX-License-Identifier: GPL-3.0-or-later */
/* introduce.c - makes a correspondent's reverse address and key before their first message. */
#include "daemon/flow/introduce.h"
#include "daemon/base/clock.h"
#include "daemon/base/domain.h"
#include "daemon/base/failpoint.h"
#include "daemon/flow/correspond.h"
#include "daemon/flow/notice.h"
#include "daemon/message/address.h"

#include <string.h>

#define MAKING_MS 10000

/* To itself the relay forwards nothing. */
static enum err address_judge(const struct forward *f, const char *address)
{
    if (!address_is_valid(address) || !address_is_ascii(address))
        return err_note(ERR_FORMAT, "correspondent", "not an ASCII address");
    return domain_enclosing(address_domain(address), f->policy.domains, f->policy.n_domains)
               ? err_note(ERR_REFUSED, "correspondent", "lies in a domain of this relay")
               : ERR_OK;
}

static enum err letter_post(struct forward *f, const struct hsm_profile *profile,
                            const struct store_alias *alias, struct correspondent *c, int64_t now_s)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    CLEANUP(buf_wipe) struct buf text = {0};
    struct notice_letter letter = {.subject = "A new correspondent"};
    enum err e = certs && X509_add_cert(certs, c->cert, X509_ADD_FLAG_UP_REF)
                     ? ERR_OK
                     : err_note_openssl(ERR_NOMEM, "X509_add_cert");

    buf_printf(&text,
               "You can write to\r\n\r\n    %s\r\n\r\n"
               "from your alias %s. Address your mail to\r\n\r\n    %s\r\n\r\n"
               "signed and encrypted as a reply is. The certificate of that address comes with\r\n"
               "this message.\r\n",
               c->row.address, alias->address, c->row.reverse);
    if (!e)
        e = buf_error(&text);
    letter.text = buf_str(&text);
    letter.certs = certs;
    if (!e)
        e = notice_post(f, profile->profile, &letter, now_s);
    sk_X509_pop_free(certs, X509_free);
    return e;
}

enum err introduce(struct forward *f, const char *alias, const char *address, int64_t now_s,
                   struct store_correspondent *out)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile profile = {0};
    CLEANUP(correspondent_clear) struct correspondent c = {0};
    struct store_alias found;
    struct correspond_request r = {.store = f->store,
                                   .hsm = f->hsm,
                                   .profile = &profile,
                                   .alias = &found,
                                   .now_s = now_s,
                                   .deadline_mono_ms = clock_mono_ms() + MAKING_MS};
    enum err e = address_judge(f, address);

    if (!e)
        e = store_alias_find(f->store, alias, &found);
    if (!e && (found.catch_all || alias[0] == '*'))
        e = ERR_NO_ALIAS;
    if (!e)
        e = policy_profile(&f->policy, &found, &profile);
    if (!e)
        e = correspond_find(&r, address, &c);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        e = correspond_make(&r, address, false, &c);
    }
    if (!e && failpoint("introduce.made"))
        e = ERR_IO;
    if (!e)
        e = letter_post(f, &profile, &found, &c, now_s);
    if (!e)
        *out = c.row;
    return e;
}
