/* SPDX-License-Identifier: GPL-3.0-or-later */
/* peer.c - verifies a signature at the root of an inbound message: form, content, From, issuer.
 *
 * In this order, so that "unknown-issuer" is said only of what is good in every other respect. */
#include "daemon/smime/peer.h"
#include "daemon/message/content_type.h"
#include "daemon/smime/enveloped.h"
#include "daemon/smime/layer.h"
#include "daemon/smime/own_cert.h"
#include "daemon/smime/signer.h"

#include <ctype.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <string.h>

static void certs_free(STACK_OF(X509) * *certs)
{
    sk_X509_pop_free(*certs, X509_free);
    *certs = NULL;
}

/* ---- what it tells ---- */

const char *peer_state_name(enum peer_state s)
{
    static const char *const names[] = {[PEER_NONE] = "none",
                                        [PEER_GOOD] = "good",
                                        [PEER_BAD] = "bad",
                                        [PEER_UNKNOWN_ISSUER] = "unknown-issuer",
                                        [PEER_UNCHECKED] = "unchecked"};

    return names[s];
}

void peer_line_append(struct buf *out, const struct peer_signature *s)
{
    buf_append_str(out, "Sealrelay-Signature: ");
    buf_append_str(out, peer_state_name(s->state));
    if (s->state != PEER_GOOD)
        return;
    buf_append_str(out, "; by=");
    buf_append_str(out, s->by);
}

/* An authority that is trusted may still have a name that would read as something else. */
static void issuer_name(X509 *cert, char out[PEER_BY_MAX + 1])
{
    const X509_NAME *issuer = X509_get_issuer_name(cert);
    unsigned char *text = NULL;
    int at = X509_NAME_get_index_by_NID(issuer, NID_commonName, -1);
    int len;
    size_t n = 0;

    if (at < 0)
        at = X509_NAME_get_index_by_NID(issuer, NID_organizationName, -1);
    len = at < 0 ? 0
                 : ASN1_STRING_to_UTF8(&text,
                                       X509_NAME_ENTRY_get_data(X509_NAME_get_entry(issuer, at)));
    for (int i = 0; i < len && n < PEER_BY_MAX; i++)
        out[n++] = (text[i] < 0x80 && isalnum(text[i])) || (text[i] && strchr(" .,-_'&()", text[i]))
                       ? (char)text[i]
                       : '?';
    while (n && out[n - 1] == ' ')
        n--;
    if (!n)
        out[n++] = '?';
    out[n] = '\0';
    OPENSSL_free(text);
}

/* sMIMECapabilities with AES-128-CBC and no AES-256-CBC (RFC 8551 2.5.2). */
static bool knows_aes_128_only(CMS_SignerInfo *si)
{
    const ASN1_STRING *value =
        CMS_signed_get0_data_by_OBJ(si, OBJ_nid2obj(NID_SMIMECapabilities), -3, V_ASN1_SEQUENCE);
    const unsigned char *p = value ? ASN1_STRING_get0_data(value) : NULL;
    STACK_OF(X509_ALGOR) *all = p ? d2i_X509_ALGORS(NULL, &p, ASN1_STRING_length(value)) : NULL;
    bool has_128 = false, has_256 = false;

    for (int i = 0; i < sk_X509_ALGOR_num(all); i++) {
        int nid = OBJ_obj2nid(sk_X509_ALGOR_value(all, i)->algorithm);

        has_128 = has_128 || nid == NID_aes_128_cbc;
        has_256 = has_256 || nid == NID_aes_256_cbc;
    }
    sk_X509_ALGOR_pop_free(all, X509_ALGOR_free);
    return has_128 && !has_256;
}

/* ---- verifying ---- */

/* The certificate that the SignerInfo names, out of those that came along. */
static X509 *signer_of(const struct signature *s, STACK_OF(X509) * bag)
{
    for (int i = 0; i < sk_X509_num(bag); i++)
        if (CMS_SignerInfo_cert_cmp(s->signer, sk_X509_value(bag, i)) == 0)
            return sk_X509_value(bag, i);
    return NULL;
}

static bool is_valid_at(X509 *cert, int64_t now_s)
{
    int64_t not_before_s, not_after_s;

    return !own_cert_times(cert, &not_before_s, &not_after_s) && now_s >= not_before_s &&
           now_s <= not_after_s;
}

static enum err issuer_judge(const struct trust *trust, const struct signature *s,
                             STACK_OF(X509) * bag, int64_t now_s, struct peer_signature *out)
{
    enum trust_answer answer = TRUST_UNKNOWN_ISSUER;
    enum err e = trust ? trust_ask(trust, s->cert, bag, now_s, &answer) : ERR_OK;

    if (e)
        return e;
    switch (answer) {
    case TRUST_BAD:
        out->state = PEER_BAD;
        break;
    case TRUST_UNKNOWN_ISSUER:
        out->state = PEER_UNKNOWN_ISSUER;
        break;
    case TRUST_GOOD:
        out->state = PEER_GOOD;
        out->cert = s->cert;
        (void)X509_up_ref(s->cert);
        issuer_name(s->cert, out->by);
        out->aes_128 = knows_aes_128_only(s->signer);
        break;
    }
    return ERR_OK;
}

/* A signature of good form: whose is it, and does it hold? */
static enum err signer_judge(const struct trust *trust, const struct message *m,
                             const struct layer *layer, struct signature *s, int64_t now_s,
                             struct peer_signature *out)
{
    CLEANUP(certs_free) STACK_OF(X509) *bag = CMS_get1_certs(s->cms);
    X509 *signer = signer_of(s, bag);
    enum err e;

    out->state = signer ? PEER_BAD : PEER_UNKNOWN_ISSUER;
    if (!signer || !signer_key_is_good(signer) || !is_valid_at(signer, now_s))
        return ERR_OK;
    s->cert = signer;
    (void)X509_up_ref(signer);
    if (!signature_holds(s, layer->kind == LAYER_DETACHED ? &layer->signed_entity : NULL))
        return ERR_OK;
    e = signer_is_from(m, signer);
    if (e)
        return e == ERR_NOMEM ? e : ERR_OK;
    return issuer_judge(trust, s, bag, now_s, out);
}

/* Certificates without a signer are no signature, and neither is anything but SignedData. */
static bool is_signed(CMS_ContentInfo *cms)
{
    return OBJ_obj2nid(CMS_get0_type(cms)) == NID_pkcs7_signed &&
           sk_CMS_SignerInfo_num(CMS_get0_SignerInfos(cms)) > 0;
}

static enum err cms_judge(const struct trust *trust, const struct message *m,
                          const struct layer *layer, int64_t now_s, struct peer_signature *out)
{
    bool detached = layer->kind == LAYER_DETACHED;
    CLEANUP(buf_wipe) struct buf ber = {0};
    struct signature s = {0};
    CMS_ContentInfo *cms = NULL;
    enum err e = layer_decode(detached ? layer->signature : layer->body, layer->transfer, &ber);

    out->state = PEER_BAD;
    if (!e)
        e = cms_read(buf_bytes(&ber), &cms);
    if (!e && !is_signed(cms)) {
        cms_drop(&cms);
        out->state = PEER_NONE;
        return ERR_OK;
    }
    if (!e)
        e = signature_read(buf_bytes(&ber), cms, detached, &s);
    if (e)
        return e == ERR_NOMEM ? e : ERR_OK;
    e = signer_judge(trust, m, layer, &s, now_s, out);
    signature_clear(&s);
    return e;
}

/* What says so itself is not decoded only to find that nobody can read it. */
static bool says_encrypted(const struct message *m)
{
    const struct message_field *f = message_find(m, "Content-Type", 0);
    struct content_type ct = {0};

    if (f)
        content_type_read(f->value, &ct);
    return strcmp(ct.smime_type, "enveloped-data") == 0 ||
           strcmp(ct.smime_type, "authenveloped-data") == 0;
}

enum err peer_verify(const struct trust *trust, const struct message *m, int64_t now_s,
                     struct peer_signature *out)
{
    struct peer_signature s = {0};
    struct layer layer;
    enum err e = layer_read(m, &layer);

    if (e == ERR_NOMEM)
        return e;
    if (e || (layer.kind == LAYER_DETACHED && layer.signature.len > PEER_CMS_BYTES_MAX))
        s.state = PEER_BAD; /* no signature is that long */
    else if (layer.kind == LAYER_CMS && layer.body.len > PEER_CMS_BYTES_MAX)
        s.state = says_encrypted(m) ? PEER_NONE : PEER_UNCHECKED;
    else if (layer.kind == LAYER_DETACHED || (layer.kind == LAYER_CMS && !says_encrypted(m)))
        e = cms_judge(trust, m, &layer, now_s, &s);
    ERR_clear_error();
    if (e == ERR_NOMEM) {
        peer_signature_clear(&s);
        return e;
    }
    err_note_clear();
    *out = s;
    return ERR_OK;
}

void peer_signature_clear(struct peer_signature *s)
{
    if (!s)
        return;
    X509_free(s->cert);
    *s = (struct peer_signature){0};
}
