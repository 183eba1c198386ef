/* SPDX-License-Identifier: GPL-3.0-or-later */
/* link.c - libp11's share, to load the module and look through its slots; then the log-in to the
 * right token.
 *
 * A token is found by its PKCS#11 URI (RFC 7512) or not at all: exactly one token must match, and
 * the note of a failure names what was looked for and what is there. */
#include "hsm/token/inside.h"

#include <libp11.h>
#include <openssl/err.h>
#include <p11-kit/uri.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOT_ID_NONE ((CK_SLOT_ID)-1)

struct link {
    PKCS11_CTX *context;
    PKCS11_SLOT *slots;
    unsigned n_slots;
};

static void uri_free(P11KitUri **uri)
{
    p11_kit_uri_free(*uri);
}

/* ---- finding ---- */

static enum err uri_parse(const char *text, P11KitUri **out)
{
    CK_ULONG n_attrs = 0;
    int code;

    *out = p11_kit_uri_new();
    if (!*out)
        return err_note(ERR_NOMEM, "p11_kit_uri_new", "out of memory");
    code = p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, *out);
    if (code != P11_KIT_URI_OK)
        return err_note(ERR_CONFIG, "PKCS#11 URI", "%s: %s", text, p11_kit_uri_message(code));
    if (p11_kit_uri_get_pin_value(*out) || p11_kit_uri_get_pin_source(*out))
        return err_note(ERR_CONFIG, "PKCS#11 URI", "the PIN belongs in the PIN file, not in a URI");
    (void)p11_kit_uri_get_attributes(*out, &n_attrs);
    if (n_attrs || p11_kit_uri_any_unrecognized(*out))
        return err_note(ERR_CONFIG, "PKCS#11 URI", "%s: names more than a token", text);
    if (!p11_kit_uri_get_token_info(*out)->label[0] &&
        !p11_kit_uri_get_token_info(*out)->serialNumber[0] &&
        p11_kit_uri_get_slot_id(*out) == SLOT_ID_NONE)
        return err_note(ERR_CONFIG, "PKCS#11 URI", "%s: needs token=, serial= or slot-id=", text);
    return ERR_OK;
}

/* Cryptoki's texts are padded by blanks and have no NUL. */
static void text_trim(char *out, const unsigned char *padded, size_t len)
{
    while (len && (padded[len - 1] == ' ' || padded[len - 1] == '\0'))
        len--;
    memcpy(out, padded, len);
    out[len] = '\0';
}

static bool slot_matches(struct token *t, CK_SLOT_ID slot, const CK_TOKEN_INFO *token,
                         P11KitUri *uri)
{
    CK_SLOT_ID wanted = p11_kit_uri_get_slot_id(uri);
    CK_SLOT_INFO slot_info = {0};
    CK_INFO info = {0};

    return (wanted == SLOT_ID_NONE || wanted == slot) &&
           t->ck.fn->C_GetSlotInfo(slot, &slot_info) == CKR_OK &&
           t->ck.fn->C_GetInfo(&info) == CKR_OK && p11_kit_uri_match_token_info(uri, token) &&
           p11_kit_uri_match_slot_info(uri, &slot_info) &&
           p11_kit_uri_match_module_info(uri, &info);
}

static void slot_tell(struct buf *seen, CK_SLOT_ID slot, const CK_TOKEN_INFO *token)
{
    char label[33], serial[17];

    text_trim(label, token->label, sizeof token->label);
    text_trim(serial, token->serialNumber, sizeof token->serialNumber);
    buf_printf(seen, "%s\"%s\" (serial %s, slot %lu)", seen->len ? ", " : "", label, serial, slot);
}

/* A token that is not there may come; which of two is meant does not mend itself. */
static enum err not_one(const char *text, unsigned matches, struct buf *seen)
{
    if (matches)
        return err_note(ERR_CONFIG, "PKCS#11 token", "%s matches %u tokens: %s", text, matches,
                        buf_str(seen));
    return err_note(ERR_HSM_AWAY, "PKCS#11 token", "no token is %s; there are: %s", text,
                    seen->len ? buf_str(seen) : "none");
}

static enum err token_find(struct token *t, const char *text, PKCS11_SLOT **slot_out,
                           CK_TOKEN_INFO *info_out)
{
    CLEANUP(uri_free) P11KitUri *uri = NULL;
    CLEANUP(buf_clear) struct buf seen = {0};
    unsigned matches = 0;
    enum err e = uri_parse(text, &uri);

    for (unsigned i = 0; i < t->link->n_slots && !e; i++) {
        CK_SLOT_ID id = PKCS11_get_slotid_from_slot(&t->link->slots[i]);
        CK_TOKEN_INFO info = {0};

        if (t->ck.fn->C_GetTokenInfo(id, &info) != CKR_OK || !(info.flags & CKF_TOKEN_INITIALIZED))
            continue;
        slot_tell(&seen, id, &info);
        if (!slot_matches(t, id, &info, uri))
            continue;
        matches++;
        *slot_out = &t->link->slots[i];
        *info_out = info;
    }
    if (!e && matches != 1)
        e = not_one(text, matches, &seen);
    return e;
}

/* ---- what the token says of itself ---- */

static enum err mechanisms_read(struct token *t, struct place *p)
{
    CK_ULONG n = 0;
    CK_RV rv = t->ck.fn->C_GetMechanismList(p->slot, NULL, &n);
    CK_MECHANISM_TYPE *types = rv == CKR_OK ? calloc(n + 1, sizeof *types) : NULL;

    p->mechanisms = types ? calloc(n + 1, sizeof *p->mechanisms) : NULL;
    if (p->mechanisms)
        rv = t->ck.fn->C_GetMechanismList(p->slot, types, &n);
    for (CK_ULONG i = 0; p->mechanisms && rv == CKR_OK && i < n; i++) {
        CK_MECHANISM_INFO info = {0};

        if (t->ck.fn->C_GetMechanismInfo(p->slot, types[i], &info) == CKR_OK)
            p->mechanisms[p->n_mechanisms++] = (struct mechanism){types[i], info.flags};
    }
    free(types);
    if (rv != CKR_OK)
        return err_note(ERR_HSM_AWAY, "C_GetMechanismList", "%s (0x%lx)", ckr_name(rv), rv);
    return p->mechanisms ? ERR_OK : err_note(ERR_NOMEM, "mechanisms", "out of memory");
}

/* Our share of the token's sessions: one is left for the vendor's tool. */
static unsigned sessions_allowed(const struct token *t, const CK_TOKEN_INFO *info)
{
    unsigned most = t->options.sessions_max;

    if (info->ulMaxRwSessionCount != CK_EFFECTIVELY_INFINITE &&
        info->ulMaxRwSessionCount != CK_UNAVAILABLE_INFORMATION &&
        info->ulMaxRwSessionCount < (CK_ULONG)most + 1)
        most = info->ulMaxRwSessionCount > 1 ? (unsigned)info->ulMaxRwSessionCount - 1 : 1;
    return most;
}

static enum err place_fill(struct token *t, struct place *p, PKCS11_SLOT *slot,
                           const CK_TOKEN_INFO *info)
{
    p->slot = PKCS11_get_slotid_from_slot(slot);
    text_trim(p->label, info->label, sizeof info->label);
    text_trim(p->serial, info->serialNumber, sizeof info->serialNumber);
    text_trim(p->model, info->model, sizeof info->model);
    text_trim(p->manufacturer, info->manufacturerID, sizeof info->manufacturerID);
    p->n_max = sessions_allowed(t, info);
    return mechanisms_read(t, p);
}

/* ---- logging in ---- */

/* The session that logs in is the first of ours, and stays. */
static enum err session_first(struct token *t, struct place *p)
{
    CK_SESSION_HANDLE session = 0;
    CK_RV rv =
        t->ck.fn->C_OpenSession(p->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);

    if (rv != CKR_OK)
        return err_note(ERR_HSM_AWAY, "C_OpenSession", "token %s: %s (0x%lx)", p->label,
                        ckr_name(rv), rv);
    p->n_open = 1;
    p->idle[p->n_idle++] = session;
    return ERR_OK;
}

/* Not every failure of C_Login is a refused PIN; whatever says PIN is. */
static enum err login_failed(struct token *t, struct place *p, CK_RV rv)
{
    if (ckr_err(rv) == ERR_PIN) {
        atomic_store(&t->locked, true);
        return login_refused(t, p, rv);
    }
    return err_note(ERR_HSM_AWAY, "C_Login", "token %s: %s (0x%lx)", p->label, ckr_name(rv), rv);
}

/* Through Cryptoki and not libp11, which would keep a copy of the PIN: a log-in counts for every
 * session of the process, PKCS#11 2.40 5.6. */
static enum err place_login(struct token *t, struct place *p, const CK_TOKEN_INFO *info)
{
    enum err e = session_first(t, p);
    CK_RV rv;

    if (e || !(info->flags & CKF_LOGIN_REQUIRED))
        return e;
    e = login_permitted(t, p, info->flags);
    if (e == ERR_PIN)
        atomic_store(&t->locked, true);
    if (!e)
        e = login_begin(t);
    if (e)
        return e;
    rv = t->ck.fn->C_Login(p->idle[0], CKU_USER, t->pin.data, (CK_ULONG)t->pin.len);
    if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
        return login_failed(t, p, rv);
    login_accepted(t);
    return ERR_OK;
}

/* ---- opening and closing ---- */

static enum err link_load(struct token *t)
{
    struct link *l = calloc(1, sizeof *l);

    if (!l)
        return err_note(ERR_NOMEM, "link", "out of memory");
    l->context = PKCS11_CTX_new();
    if (!l->context || PKCS11_CTX_load(l->context, t->options.module) != 0) {
        PKCS11_CTX_free(l->context);
        free(l);
        return err_note_openssl(ERR_CONFIG, "PKCS11_CTX_load");
    }
    t->link = l;
    if (PKCS11_enumerate_slots(l->context, &l->slots, &l->n_slots) != 0)
        return err_note_openssl(ERR_CONFIG, "PKCS11_enumerate_slots");
    return ERR_OK;
}

static enum err role_open(struct token *t, enum role role, const char *uri)
{
    struct place *p = &t->places[role];
    CK_TOKEN_INFO info = {0};
    PKCS11_SLOT *slot = NULL;
    enum err e = token_find(t, uri, &slot, &info);

    if (e)
        return e;
    if (role == ROLE_SENDER && PKCS11_get_slotid_from_slot(slot) == t->at[ROLE_CA]->slot) {
        t->at[ROLE_SENDER] = t->at[ROLE_CA];
        return ERR_OK;
    }
    t->at[role] = p;
    e = place_fill(t, p, slot, &info);
    return e ? e : place_login(t, p, &info);
}

/* The names in one token; the gate is ours, so a call need not pass it. */
static enum err names_load(struct token *t, enum role role)
{
    bool shared = t->at[ROLE_CA] == t->at[ROLE_SENDER];
    struct call c = {
        .ck = {.fn = t->ck.fn, .handle = t->at[role]->idle[0]}, .token = t, .place = t->at[role]};

    return keyring_load(&c, role == ROLE_CA, shared || role == ROLE_SENDER);
}

enum err token_link_open(struct token *t)
{
    enum err e = link_load(t);

    if (!e)
        e = role_open(t, ROLE_CA, t->options.ca_uri);
    if (!e)
        e = role_open(t, ROLE_SENDER, t->options.sender_uri);
    if (!e)
        e = names_load(t, ROLE_CA);
    if (!e && t->at[ROLE_CA] != t->at[ROLE_SENDER])
        e = names_load(t, ROLE_SENDER);
    if (e)
        token_link_close(t);
    return e;
}

void token_link_close(struct token *t)
{
    struct link *l = t->link;

    keyring_clear(&t->keyring);
    cache_forget_all(&t->cache);
    pool_forget_all(&t->pool);
    for (size_t i = 0; i < 2; i++) {
        place_reset(&t->places[i]);
        t->at[i] = NULL;
    }
    t->link = NULL;
    if (!l)
        return;
    if (l->slots)
        PKCS11_release_all_slots(l->context, l->slots, l->n_slots);
    PKCS11_CTX_unload(l->context);
    PKCS11_CTX_free(l->context);
    ERR_clear_error();
    free(l);
}
