/* SPDX-License-Identifier: GPL-3.0-or-later */
/* state.c - activation codes, nonces, and the changes of a profile's state. */
#include "hsm/issue/inside.h"

#include "daemon/base/codec.h"
#include "daemon/base/failpoint.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define CODE_LIFE_S  (2 * DAY_S)
#define NONCE_LIFE_S (7 * DAY_S)
#define MAC_LEN      32

enum err profile_may_mail(const struct record *r)
{
    if ((r->state != PROFILE_READY && r->state != PROFILE_ACTIVE) || r->deleting)
        return err_note(ERR_NOT_ACTIVE, "profile", "is %s",
                        r->deleting ? "being deleted" : profile_state_name(r->state));
    return ERR_OK;
}

static enum err wrong_state(const struct record *r)
{
    return err_note(ERR_WRONG_STATE, "profile", "is %s",
                    r->deleting ? "being deleted" : profile_state_name(r->state));
}

/* len random characters of a-z2-7 and NUL. */
static enum err random_text(char *out, size_t len)
{
    uint8_t random[32];
    CLEANUP(buf_wipe) struct buf text = {0};

    if (RAND_bytes(random, sizeof random) != 1)
        return err_note_openssl(ERR_IO, "RAND_bytes");
    base32_append(&text, (struct bytes){random, sizeof random});
    OPENSSL_cleanse(random, sizeof random);
    if (buf_error(&text) || len > text.len)
        return ERR_NOMEM;
    memcpy(out, text.data, len);
    out[len] = '\0';
    return ERR_OK;
}

/* ---- activation ---- */

/* A code has 40 bits: kept under the token's key, not as a hash that a thief could search. */
static enum err code_mac(struct authority *a, const struct record *r, const char *code,
                         uint8_t out[MAC_LEN])
{
    CLEANUP(buf_wipe) struct buf text = {0};

    buf_printf(&text, "%s %s", r->profile, code);
    return buf_error(&text)
               ? ERR_NOMEM
               : token_hmac(a->options.token, "activation-code", buf_bytes(&text), out);
}

static enum err code_make(struct change *c, const char *code)
{
    struct record *r = c->next;
    int64_t now = authority_now(c->a);
    uint8_t mac[MAC_LEN];
    enum err e;

    if (r->codes_day != now / DAY_S) {
        r->codes_day = now / DAY_S;
        r->codes_made = 0;
    }
    if (r->codes_made >= c->a->limits.codes_day)
        return err_note(ERR_LIMIT, "activation code", "too many today");
    e = code_mac(c->a, r, code, mac);
    if (e)
        return e;
    buf_reset(&r->code_mac);
    buf_append(&r->code_mac, mac, sizeof mac);
    r->code_expires_s = now + CODE_LIFE_S;
    r->code_attempts = 0;
    r->codes_made++;
    return buf_error(&r->code_mac) ? ERR_NOMEM : change_commit(c);
}

enum err authority_code_new(struct authority *a, const char *profile,
                            char code_out[HSM_CODE_LEN + 1])
{
    CLEANUP(change_end) struct change c = {0};
    char code[HSM_CODE_LEN + 1];
    enum err e = change_begin(&c, a, profile);

    if (!e && (c.before->state != PROFILE_READY || c.before->deleting))
        e = wrong_state(c.before);
    if (!e)
        e = random_text(code, HSM_CODE_LEN);
    if (!e)
        e = code_make(&c, code);
    if (!e)
        memcpy(code_out, code, sizeof code);
    return e;
}

static void code_end(struct record *r)
{
    buf_clear(&r->code_mac);
    r->code_expires_s = 0;
    r->code_attempts = 0;
}

/* Letters without case; hyphens and blanks as a person may type them. */
static bool code_normal(const char *typed, char out[HSM_CODE_LEN + 1])
{
    size_t n = 0;

    for (; typed && *typed; typed++) {
        char c = *typed >= 'A' && *typed <= 'Z' ? (char)(*typed + 32) : *typed;

        if (c == '-' || c == ' ')
            continue;
        if (n == HSM_CODE_LEN)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n == HSM_CODE_LEN;
}

/* ERR_REFUSED for a wrong code, which has then been counted and saved. */
static enum err code_check(struct change *c, const char *typed)
{
    struct record *r = c->next;
    char code[HSM_CODE_LEN + 1] = {0};
    uint8_t mac[MAC_LEN];
    enum err e;

    if (r->code_mac.len != MAC_LEN || authority_now(c->a) >= r->code_expires_s)
        return err_note(ERR_REFUSED, "activation code", "none is open, or it has expired");
    (void)code_normal(typed, code);
    e = code_mac(c->a, r, code, mac);
    if (e)
        return e;
    if (CRYPTO_memcmp(mac, r->code_mac.data, sizeof mac) == 0)
        return ERR_OK;
    if (++r->code_attempts >= c->a->limits.code_attempts)
        code_end(r);
    e = change_commit(c);
    return e ? e : err_note(ERR_REFUSED, "activation code", "wrong");
}

/* One active profile a user: the former one steps back first. */
static enum err former_step_back(struct authority *a, const struct record *chosen)
{
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < a->n_slots; i++) {
        CLEANUP(record_drop) struct record *next = NULL;
        struct record *other = a->slots[i]->record;

        if (!other || strcmp(other->user, chosen->user) != 0 || other->state != PROFILE_ACTIVE ||
            strcmp(other->profile, chosen->profile) == 0)
            continue;
        e = record_copy(other, &next);
        if (!e)
            next->state = PROFILE_READY;
        if (!e)
            e = authority_replace(a, other, next);
    }
    return e;
}

enum err authority_activate(struct authority *a, const char *profile, const char *code)
{
    CLEANUP(change_end) struct change c = {0};
    enum err e = change_begin(&c, a, profile);

    if (e || (c.before->state == PROFILE_ACTIVE && !c.before->deleting))
        return e;
    if (c.before->state != PROFILE_READY || c.before->deleting)
        return wrong_state(c.before);
    e = code_check(&c, code);
    if (!e)
        e = former_step_back(a, c.before);
    if (!e && failpoint("activate.former"))
        e = ERR_IO;
    if (e)
        return e;
    code_end(c.next);
    c.next->state = PROFILE_ACTIVE;
    return change_commit(&c);
}

/* ---- suspension, keys ---- */

enum err authority_suspend(struct authority *a, const char *profile)
{
    CLEANUP(change_end) struct change c = {0};
    enum err e = change_begin(&c, a, profile);

    if (e || (c.before->state == PROFILE_SUSPENDED && !c.before->deleting))
        return e;
    if (profile_may_mail(c.before)) {
        err_note_clear();
        return wrong_state(c.before);
    }
    code_end(c.next);
    c.next->state = PROFILE_SUSPENDED;
    return change_commit(&c);
}

enum err authority_resume(struct authority *a, const char *profile)
{
    CLEANUP(change_end) struct change c = {0};
    enum err e = change_begin(&c, a, profile);

    if (e)
        return e;
    if (c.before->state != PROFILE_SUSPENDED || c.before->deleting)
        return wrong_state(c.before);
    c.next->state = PROFILE_READY;
    return change_commit(&c);
}

enum err authority_rekey(struct authority *a, const char *profile)
{
    CLEANUP(change_end) struct change c = {0};
    enum err e = change_begin(&c, a, profile);

    if (e)
        return e;
    if (c.before->state == PROFILE_DELETED || c.before->deleting)
        return wrong_state(c.before);
    c.next->kek_generation++;
    e = token_kek_new(a->options.token, profile, (uint32_t)c.next->kek_generation);
    return e ? e : change_commit(&c);
}

/* ---- nonces ---- */

/* Expired ones go; when all places are taken, the oldest goes. */
static struct record_nonce *nonce_place(struct record *r, int64_t now_s)
{
    size_t oldest = 0;

    for (size_t i = 0; i < r->n_nonces;)
        if (r->nonces[i].expires_s <= now_s)
            r->nonces[i] = r->nonces[--r->n_nonces];
        else
            i++;
    if (r->n_nonces < RECORD_NONCES_MAX)
        return &r->nonces[r->n_nonces++];
    for (size_t i = 1; i < r->n_nonces; i++)
        if (r->nonces[i].expires_s < r->nonces[oldest].expires_s)
            oldest = i;
    return &r->nonces[oldest];
}

static enum err nonce_make(struct change *c, char out[AUTHORITY_NONCE_LEN + 1])
{
    int64_t now = authority_now(c->a);
    struct record_nonce *n;
    char text[AUTHORITY_NONCE_LEN + 1];
    enum err e = random_text(text, AUTHORITY_NONCE_LEN);

    if (e)
        return e;
    n = nonce_place(c->next, now);
    n->expires_s = now + NONCE_LIFE_S;
    if (EVP_Digest(text, AUTHORITY_NONCE_LEN, n->sha256, NULL, EVP_sha256(), NULL) != 1)
        return err_note_openssl(ERR_NOMEM, "digest");
    e = change_commit(c);
    if (!e)
        memcpy(out, text, sizeof text);
    return e;
}

enum err authority_nonce_new(struct authority *a, const char *profile,
                             char out[AUTHORITY_NONCE_LEN + 1])
{
    CLEANUP(change_end) struct change c = {0};
    enum err e = change_begin(&c, a, profile);

    if (e)
        return e;
    if (!c.before->n_keys || c.before->state == PROFILE_DELETED || c.before->deleting)
        return wrong_state(c.before);
    e = authority_count(a, profile, COUNT_NONCES);
    return e ? e : nonce_make(&c, out);
}
