/* SPDX-License-Identifier: GPL-3.0-or-later */
/* role_fuzz_test.c - a taken-over relay and a taken-over settings page ask the running service
 * everything they can spell, with true and bent values mixed: it lives, and nothing changes that
 * their role may not change. */
#include "daemon/base/fdio.h"
#include "hsm/proto/frame.h"
#include "hsm/proto/request.h"
#include "tests/hsm/service_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CALL_MS   30000
#define ROUNDS    400
#define THREADS   2 /* a role */
#define VALUE_MAX 512

static struct service_fixture service;
static id_text profiles[2];
static struct hsm_profile before[2];
static struct hsm_sender senders[2];

static int service_make(void **state)
{
    struct hsm *h;
    enum err e = service_fixture_new(&service, "web_profiles_per_hour = 3\n");

    (void)state;
    for (size_t i = 0; !e && i < 2; i++)
        e = service_fixture_profile(&service, i ? KEY_RSA_2048 : KEY_P256, profiles[i]);
    if (e)
        return 1;
    h = service_fixture_open(service.relay_socket, CALL_MS);
    for (size_t i = 0; !e && i < 2; i++) {
        e = hsm_profile_get(h, profiles[i], &before[i]);
        if (!e)
            e = hsm_sender_new(h, profiles[i], SERVICE_DOMAIN, NULL, false, &senders[i]);
    }
    hsm_free(h);
    return e != ERR_OK;
}

static int service_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        hsm_profile_clear(&before[i]);
        hsm_sender_clear(&senders[i]);
    }
    return !service_fixture_free(&service);
}

/* ---- requests ---- */

struct maker {
    uint64_t seed; /* xorshift: a failure comes again */
    bool web;
    char texts[16][VALUE_MAX];
    char *pointers[4];
    size_t n_texts;
    uint8_t bytes[4][4096];
    size_t n_bytes;
};

static unsigned draw(struct maker *m, unsigned n)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return (unsigned)(m->seed >> 11) % n;
}

static char *text_make(struct maker *m, const char *field)
{
    const struct hsm_sender *s = &senders[draw(m, 2)];
    const char *const others[] = {
        "",   "aaaaaaaaaaaaaaaa", "SHA256",   "SHA512", "SHA1",         "MD5",
        "DE", "x@y.example",      "22222222", "%n%s",   SERVICE_DOMAIN, SERVICE_MAILBOX};
    const char *value = others[draw(m, sizeof others / sizeof *others)];
    char *out = m->texts[m->n_texts++];

    if (strcmp(field, "profile") == 0 && draw(m, 8))
        value = profiles[draw(m, 2)];
    else if ((strcmp(field, "user") == 0 || strcmp(field, "for_user") == 0) && draw(m, 4))
        value = before[draw(m, 2)].user;
    else if (strncmp(field, "reverse", 7) == 0 && draw(m, 4))
        value = s->reverse;
    else if (strncmp(field, "domain", 6) == 0 && draw(m, 4))
        value = SERVICE_DOMAIN;
    (void)snprintf(out, VALUE_MAX, "%s", value);
    if (!draw(m, 6) && out[0])
        out[draw(m, (unsigned)strlen(out))] = (char)(1 + draw(m, 127));
    return out;
}

static ProtobufCBinaryData bytes_make(struct maker *m, const char *field)
{
    const struct hsm_sender *s = &senders[draw(m, 2)];
    const struct bytes all[] = {buf_bytes(&s->blob), buf_bytes(&s->cert), bytes_of("{}"),
                                buf_bytes(&before[draw(m, 2)].certs[0].der)};
    struct bytes from = strcmp(field, "blob") == 0 && draw(m, 4) ? all[0] : all[draw(m, 4)];
    uint8_t *out = m->bytes[m->n_bytes++];
    size_t len = from.len;

    memcpy(out, from.data, len);
    if (strcmp(field, "input") == 0) {
        static const unsigned lengths[] = {20, 32, 48, 64, 65, 256, 384};

        len = lengths[draw(m, 7)];
        memset(out, (int)draw(m, 256), len);
    }
    if (!draw(m, 3) && len)
        out[draw(m, (unsigned)len)] ^= (uint8_t)(1u << draw(m, 8));
    if (!draw(m, 6) && len)
        len = draw(m, (unsigned)len);
    return (ProtobufCBinaryData){.len = len, .data = out};
}

static void field_make(struct maker *m, const ProtobufCFieldDescriptor *f, uint8_t *message)
{
    static const uint32_t numbers[] = {0, 1, 2, 3, 4, 5, 365, 730, 3640, 5475, UINT32_MAX};
    uint32_t number = numbers[draw(m, sizeof numbers / sizeof *numbers)];
    uint8_t *at = message + f->offset;

    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        char **list = m->pointers + (f->name[0] == 'd' ? 2 : 0);
        size_t n = 1 + draw(m, 2);

        for (size_t i = 0; i < n; i++)
            list[i] = text_make(m, f->name);
        memcpy(at, &list, sizeof list);
        memcpy(message + f->quantifier_offset, &n, sizeof n);
    } else if (f->type == PROTOBUF_C_TYPE_STRING) {
        char *text = text_make(m, f->name);

        memcpy(at, &text, sizeof text);
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData data = bytes_make(m, f->name);

        memcpy(at, &data, sizeof data);
    } else if (f->type == PROTOBUF_C_TYPE_UINT64) {
        uint64_t wide = number;

        memcpy(at, &wide, sizeof wide);
    } else {
        if (f->type == PROTOBUF_C_TYPE_BOOL)
            number &= 1;
        memcpy(at, &number, sizeof number);
    }
}

/* Any verb of any role, for to refuse it is part of the test; but mostly the role's own. The relay
 * may suspend a profile, after which there is little more to attack: seldom. */
static const ProtobufCFieldDescriptor *verb_draw(struct maker *m)
{
    const ProtobufCMessageDescriptor *all = &seal__request__descriptor;
    unsigned id;

    if (!draw(m, 16))
        return &all->fields[draw(m, all->n_fields)];
    do
        id = m->web ? SEAL__REQUEST__VERB_PROFILE_ADD + draw(m, 6)
                    : SEAL__REQUEST__VERB_PING + draw(m, 14);
    while (id == SEAL__REQUEST__VERB_SUSPEND);
    return protobuf_c_message_descriptor_get_field(all, id);
}

static void packet_make(struct maker *m, struct buf *out)
{
    const ProtobufCFieldDescriptor *verb = verb_draw(m);
    const ProtobufCMessageDescriptor *type = verb->descriptor;
    ProtobufCMessage *message = calloc(1, type->sizeof_message);
    Seal__Request r = SEAL__REQUEST__INIT;

    protobuf_c_message_init(type, message);
    m->n_texts = m->n_bytes = 0;
    for (unsigned i = 0; i < type->n_fields; i++)
        field_make(m, &type->fields[i], (uint8_t *)message);
    r.verb_case = (Seal__Request__VerbCase)verb->id;
    memcpy(&r.ping, &message, sizeof message);
    (void)message_pack(&r.base, out);
    free(message);
}

/* ---- attackers ---- */

struct attacker {
    const char *socket;
    uint64_t seed;
    unsigned answered;
    unsigned lost; /* connections that the service closed */
};

static bool answer_read(int fd)
{
    bool more = true;

    while (more) {
        CLEANUP(buf_clear) struct buf packet = {0};
        CLEANUP(response_free) Seal__Response *response = NULL;

        if (frame_receive(fd, CALL_MS, &packet) || response_parse(buf_bytes(&packet), &response))
            return false;
        more = response->more != 0;
    }
    return true;
}

static void *attack(void *arg)
{
    struct attacker *a = arg;
    struct maker m = {.seed = a->seed, .web = a->socket == service.web_socket};
    int fd = -1;

    for (unsigned i = 0; i < ROUNDS; i++) {
        CLEANUP(buf_clear) struct buf packet = {0};

        if (fd < 0 && frame_connect(a->socket, CALL_MS, &fd))
            break;
        packet_make(&m, &packet);
        if (packet_send(fd, buf_bytes(&packet), CALL_MS) == ERR_OK && answer_read(fd)) {
            a->answered++;
            continue;
        }
        a->lost++;
        fd_close(&fd);
    }
    fd_close(&fd);
    return NULL;
}

static void profile_is_as_before(size_t i)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile now = {0};
    struct hsm *h = service_fixture_open(service.relay_socket, CALL_MS);

    assert_int_equal(hsm_profile_get(h, profiles[i], &now), ERR_OK);
    hsm_free(h);
    assert_true(now.state == PROFILE_SUSPENDED || now.state == PROFILE_ACTIVE);
    assert_int_equal(now.n_certs, before[i].n_certs);
    assert_true(bytes_equal(buf_bytes(&now.certs[0].der), buf_bytes(&before[i].certs[0].der)));
    assert_true(bytes_equal(buf_bytes(&now.intermediate), buf_bytes(&before[i].intermediate)));
}

static void relay_and_page_gone_wild_change_nothing_they_may_not(void **state)
{
    struct attacker attackers[2 * THREADS];
    pthread_t threads[2 * THREADS];
    cJSON *json;
    CLEANUP(buf_clear) struct buf verdict = {0};
    struct hsm *admin = service_fixture_open(service.admin_socket, CALL_MS);

    (void)state;
    for (size_t i = 0; i < 2 * THREADS; i++) {
        attackers[i] = (struct attacker){
            .socket = i % 2 ? service.web_socket : service.relay_socket, .seed = 0x5eed + 977 * i};
        assert_int_equal(pthread_create(&threads[i], NULL, attack, &attackers[i]), 0);
    }
    for (size_t i = 0; i < 2 * THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(attackers[i].answered + attackers[i].lost, ROUNDS);
        assert_true(attackers[i].answered > ROUNDS / 2);
    }
    for (size_t i = 0; i < 2; i++)
        profile_is_as_before(i);
    assert_int_equal(hsm_journal_verify(admin, &verdict), ERR_OK);
    json = cJSON_Parse(buf_str(&verdict));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "good")));
    cJSON_Delete(json);
    hsm_free(admin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relay_and_page_gone_wild_change_nothing_they_may_not),
    };

    return cmocka_run_group_tests(tests, service_make, service_end);
}
