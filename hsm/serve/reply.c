/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply.c - a reply as response packets, data cut into pieces that fit one. */
#include "hsm/serve/reply.h"

#include "hsm/proto/frame.h"
#include "hsm/proto/message.h"

#include <stdlib.h>

#define REPLY_DATA_MAX ((size_t)128 * 1024) /* bytes of data in one packet */
#define REPLY_SEND_MS  5000                 /* a client that does not read for so long is dropped */

void reply_clear(struct reply *r)
{
    buf_wipe(&r->data);
    hsm_profile_clear(&r->profile);
    hsm_sender_clear(&r->sender);
    secret_free(&r->key);
    buf_wipe(&r->wrapped);
    *r = (struct reply){0};
}

static enum err response_send(int fd, const Seal__Response *response)
{
    CLEANUP(buf_wipe) struct buf packet = {0};
    enum err e = message_pack(&response->base, &packet);

    return e ? e : packet_send(fd, buf_bytes(&packet), REPLY_SEND_MS);
}

/* The first packet, then as many as are needed with nothing but data. */
static enum err packets_send(int fd, Seal__Response *response, struct bytes data)
{
    enum err e;

    do {
        size_t len = data.len < REPLY_DATA_MAX ? data.len : REPLY_DATA_MAX;

        response->data = message_data((struct bytes){data.data, len});
        data.len -= len;
        data.data = data.len ? data.data + len : NULL;
        response->more = data.len > 0;
        e = response_send(fd, response);
        *response = (Seal__Response)SEAL__RESPONSE__INIT;
    } while (!e && data.len > 0);
    return e;
}

/* The profile's certificates as messages: one array of values, one of pointers to them. */
struct cert_list {
    Seal__UserCert *values;
    Seal__UserCert **pointers;
};

static void cert_list_clear(struct cert_list *l)
{
    free(l->values);
    free(l->pointers);
}

static enum err cert_list_fill(struct cert_list *l, const struct hsm_profile *p)
{
    size_t n = p->n_certs ? p->n_certs : 1;

    l->values = calloc(n, sizeof *l->values);
    l->pointers = calloc(n, sizeof(void *));
    if (!l->values || !l->pointers)
        return ERR_NOMEM;
    for (size_t i = 0; i < p->n_certs; i++) {
        seal__user_cert__init(&l->values[i]);
        l->values[i].der = message_data(buf_bytes(&p->certs[i].der));
        l->values[i].expired = p->certs[i].expired;
        l->pointers[i] = &l->values[i];
    }
    return ERR_OK;
}

static void profile_fill(Seal__ProfileInfo *m, const struct hsm_profile *p,
                         const struct cert_list *certs)
{
    m->profile = (char *)(uintptr_t)p->profile;
    m->user = (char *)(uintptr_t)p->user;
    m->state = (Seal__ProfileState)p->state;
    m->sender_key_type = (Seal__KeyType)p->sender_key_type;
    m->intermediate = message_data(buf_bytes(&p->intermediate));
    m->n_certs = p->n_certs;
    m->certs = certs->pointers;
    m->n_addresses = p->n_addresses;
    m->addresses = p->addresses;
    m->n_domains = p->n_domains;
    m->domains = p->domains;
}

static void sender_fill(Seal__Sender *m, const struct hsm_sender *s)
{
    m->reverse = (char *)(uintptr_t)s->reverse;
    m->cert = message_data(buf_bytes(&s->cert));
    m->blob = message_data(buf_bytes(&s->blob));
}

static void data_key_fill(Seal__DataKey *m, const struct reply *r)
{
    m->key = message_data((struct bytes){r->key.data, r->key.len});
    m->wrapped = message_data(buf_bytes(&r->wrapped));
    m->generation = r->generation;
}

static enum err error_send(int fd, enum err result)
{
    const struct err_note *note = err_note_get();
    Seal__Response response = SEAL__RESPONSE__INIT;

    response.err = (char *)(uintptr_t)err_name(result);
    response.note_action = (char *)(uintptr_t)note->action;
    response.note_detail = (char *)(uintptr_t)note->detail;
    return response_send(fd, &response);
}

static enum err result_send(int fd, const struct reply *r, const struct cert_list *certs)
{
    Seal__Response response = SEAL__RESPONSE__INIT;
    Seal__ProfileInfo profile = SEAL__PROFILE_INFO__INIT;
    Seal__Sender sender = SEAL__SENDER__INIT;
    Seal__DataKey data_key = SEAL__DATA_KEY__INIT;

    response.err = (char *)(uintptr_t)err_name(ERR_OK);
    response.next_offset = r->next_offset;
    if (r->has_profile) {
        profile_fill(&profile, &r->profile, certs);
        response.profile = &profile;
    }
    if (r->has_sender) {
        sender_fill(&sender, &r->sender);
        response.sender = &sender;
    }
    if (r->has_data_key) {
        data_key_fill(&data_key, r);
        response.data_key = &data_key;
    }
    return packets_send(fd, &response, buf_bytes(&r->data));
}

enum err reply_send(int fd, enum err result, const struct reply *r)
{
    struct cert_list certs = {0};
    enum err e;

    if (!result && r->has_profile)
        result = cert_list_fill(&certs, &r->profile);
    e = result ? error_send(fd, result) : result_send(fd, r, &certs);
    cert_list_clear(&certs);
    return e;
}
