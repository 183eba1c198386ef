/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_claim.c - what was signed once is sent once: nobody who gets hold of a reply can have it
 * sent again, to the same correspondent or to another. */
#include "daemon/base/failpoint.h"
#include "daemon/flow/reply_parcel.h"

#include <openssl/evp.h>
#include <string.h>

static enum err hash_text(struct bytes text, uint8_t out[STORE_BLOB_LEN])
{
    return EVP_Digest(text.data, text.len, out, NULL, EVP_sha256(), NULL) == 1
               ? ERR_OK
               : err_note_openssl(ERR_NOMEM, "EVP_Digest");
}

static enum err message_id_hash(const struct reply_parcel *p, uint8_t out[STORE_BLOB_LEN])
{
    const struct message_field *field = message_find(&p->message, "Message-ID", 0);
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = field ? message_unfold(field->value, &text) : ERR_OK;

    return e ? e : hash_text(bytes_of(buf_str(&text)), out);
}

/* A plain message is told from another by its own id and its content. */
static enum err plain_hash(const struct reply_parcel *p, struct store_claim *c)
{
    CLEANUP(buf_wipe) struct buf text = {0};
    uint8_t content[STORE_BLOB_LEN];
    enum err e = hash_text(p->opened.entity, content);

    buf_append(&text, c->message_id, sizeof c->message_id);
    buf_append(&text, content, sizeof content);
    buf_append_str(&text, p->parties.from.addr ? p->parties.from.addr : "");
    e = e ? e : buf_error(&text);
    return e ? e : hash_text(buf_bytes(&text), c->blob);
}

static enum err claim_fill(const struct forward_job *job, const struct reply_parcel *p,
                           struct store_claim *c)
{
    enum err e = message_id_hash(p, c->message_id);

    if (e)
        return e;
    memcpy(c->reverse, p->to.reverse, sizeof c->reverse);
    memcpy(c->entry, job->queue_id, sizeof c->entry);
    c->named = p->named;
    switch (p->opened.kind) {
    case OPEN_PLAIN:
        return plain_hash(p, c);
    case OPEN_SIGNED:
        memcpy(c->blob, p->opened.signature_id, sizeof c->blob);
        return ERR_OK;
    case OPEN_ENCRYPTED:
        memcpy(c->blob, p->opened.envelope_id, sizeof c->blob);
        memcpy(c->envelope, p->opened.envelope_id, sizeof c->envelope);
        return ERR_OK;
    case OPEN_ENCRYPTED_SIGNED:
        memcpy(c->blob, p->opened.signature_id, sizeof c->blob);
        memcpy(c->envelope, p->opened.envelope_id, sizeof c->envelope);
        return ERR_OK;
    }
    return ERR_BUG;
}

/* A session died between claim and answer: had its entry become durable? */
static enum err orphan_judge(struct forward *f, const struct store_claim *c, const char *lost,
                             int64_t now_s, enum store_claim_answer *answer)
{
    struct queue_item item;
    id_text entry;
    enum err e = queue_show(f->queue, lost, &item);

    if (!e) {
        *answer = CLAIM_REPEAT;
        return store_claim_settle(f->store, c);
    }
    if (e != ERR_NOT_FOUND)
        return e;
    err_note_clear();
    return store_claim(f->store, c, lost, now_s, answer, entry);
}

enum err reply_claim(struct forward *f, const struct forward_job *job, struct reply_parcel *p)
{
    struct store_claim *c = &p->made.claim;
    enum store_claim_answer answer = CLAIM_BUSY;
    id_text lost = "";
    enum err e = claim_fill(job, p, c);

    if (!e)
        e = store_claim(f->store, c, "", job->now_s, &answer, lost);
    if (!e && answer == CLAIM_ORPHAN)
        e = orphan_judge(f, c, lost, job->now_s, &answer);
    if (e)
        return e;
    switch (answer) {
    case CLAIM_GRANTED:
        p->made.claimed = true;
        return failpoint("reply.claimed") ? ERR_BUSY : ERR_OK;
    case CLAIM_REPEAT:
        p->repeat = true;
        return ERR_OK;
    case CLAIM_BUSY:
    case CLAIM_ORPHAN: /* another session has taken it over */
        return ERR_BUSY;
    case CLAIM_FOREIGN:
        return ERR_UNPROVEN;
    }
    return ERR_BUG;
}
