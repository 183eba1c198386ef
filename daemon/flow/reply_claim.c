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

static void field_append(const struct reply_parcel *p, const char *name, struct buf *out)
{
    const struct message_field *field = message_find(&p->message, name, 0);

    if (field && message_unfold(field->value, out))
        out->failed = true;
    buf_append(out, "", 1);
}

static void list_append(const struct mailbox_list *list, struct buf *out)
{
    for (size_t i = 0; i < list->n; i++)
        buf_printf(out, "%s\n", list->items[i].addr);
    buf_append(out, "", 1);
}

/* The body, without what could be put behind it or above it in another's name: a DKIM signature
 * covers neither all of the header nor the lines that end a body. */
static struct bytes plain_body(struct bytes entity)
{
    bool headed = entity.len < 2 || memcmp(entity.data, "\r\n", 2) != 0;

    for (size_t i = 0; headed && i + 4 <= entity.len; i++)
        if (memcmp(entity.data + i, "\r\n\r\n", 4) == 0) {
            entity.data += i + 4;
            entity.len -= i + 4;
            break;
        }
    while (entity.len &&
           (entity.data[entity.len - 1] == '\r' || entity.data[entity.len - 1] == '\n' ||
            entity.data[entity.len - 1] == ' '))
        entity.len--;
    return entity;
}

/* A plain message is told from another by its own id and its content. */
static enum err plain_hash(const struct reply_parcel *p, struct store_claim *c)
{
    CLEANUP(buf_wipe) struct buf text = {0};
    uint8_t content[STORE_BLOB_LEN];
    enum err e = hash_text(plain_body(p->opened.entity), content);

    if (message_count(&p->message, "Message-ID") > 1)
        return err_note(ERR_UNPROVEN, "reply", "two ids");
    field_append(p, "Message-ID", &text);
    field_append(p, "Date", &text);
    buf_append(&text, content, sizeof content);
    buf_append_str(&text, p->parties.from.addr ? p->parties.from.addr : "");
    e = e ? e : buf_error(&text);
    return e ? e : hash_text(buf_bytes(&text), c->blob);
}

/* What was not encrypted has the same id and names the same recipients in each of its copies. */
static enum err copies_hash(const struct reply_parcel *p, struct store_claim *c)
{
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e;

    field_append(p, "Message-ID", &text);
    list_append(&p->parties.to, &text);
    list_append(&p->parties.cc, &text);
    e = buf_error(&text);
    c->named = true; /* or nobody would have come here: is_meant() of reply_prove.c */
    return e ? e : hash_text(buf_bytes(&text), c->envelope);
}

static enum err claim_fill(const struct forward_job *job, const struct reply_parcel *p,
                           struct store_claim *c)
{
    enum err e = ERR_OK;

    memcpy(c->reverse, p->to.reverse, sizeof c->reverse);
    memcpy(c->entry, job->queue_id, sizeof c->entry);
    c->named = p->named;
    switch (p->opened.kind) {
    case OPEN_PLAIN:
        e = plain_hash(p, c);
        return e ? e : copies_hash(p, c);
    case OPEN_SIGNED:
        memcpy(c->blob, p->opened.signature_id, sizeof c->blob);
        return copies_hash(p, c);
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

/* One person may be named twice in a transaction, by reverse alias and as in a first mail. */
static bool is_sibling(const struct forward_job *job, const char *entry)
{
    for (size_t i = 0; i < job->n_siblings; i++)
        if (strcmp(job->siblings[i], entry) == 0)
            return true;
    return false;
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
        p->repeat = is_sibling(job, lost);
        return p->repeat ? ERR_OK : ERR_BUSY;
    case CLAIM_ORPHAN: /* another session has taken it over */
        return ERR_BUSY;
    case CLAIM_FOREIGN:
        return ERR_UNPROVEN;
    }
    return ERR_BUG;
}
