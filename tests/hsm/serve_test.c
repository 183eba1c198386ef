/* SPDX-License-Identifier: GPL-3.0-or-later */
/* serve_test.c - the service's doors: who may ask what, what malformed packets and floods do. */
#include "daemon/base/fdio.h"
#include "hsm/proto/frame.h"
#include "hsm/proto/request.h"
#include "tests/hsm/service_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <openssl/rand.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#define CALL_MS        20000
#define SERVED_WAIT_MS 10000u

static struct service_fixture service;

static int service_make(void **state)
{
    enum err e = service_fixture_new(&service, "web_profiles_per_hour = 2\n");

    (void)state;
    if (e)
        print_error("%s: %s: %s\n", err_name(e), err_note_get()->action, err_note_get()->detail);
    return e != ERR_OK;
}

static int service_end(void **state)
{
    (void)state;
    return !service_fixture_free(&service);
}

static double status_number(const char *name)
{
    struct hsm *h = service_fixture_open(service.admin_socket, CALL_MS);
    CLEANUP(buf_clear) struct buf text = {0};
    cJSON *json;
    double value;

    assert_int_equal(hsm_status(h, &text), ERR_OK);
    hsm_free(h);
    json = cJSON_Parse(buf_str(&text));
    value = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, name));
    cJSON_Delete(json);
    return value;
}

/* ---- roles ---- */

struct role_case {
    const char *verb;
    bool may[3]; /* relay, admin, web */
};

static const char *const role_names[3] = {"relay", "admin", "web"};

/* Who may ask what. A verb missing here fails the test. */
static const struct role_case role_cases[] = {
    {"ping", {true, true, false}},
    {"user_profile", {true, false, false}},
    {"profile_get", {true, false, false}},
    {"sender_new", {true, false, false}},
    {"sender_renew", {true, false, false}},
    {"key_use", {true, false, false}},
    {"data_key_new", {true, false, false}},
    {"data_key_open", {true, false, false}},
    {"spool_retire", {true, false, false}},
    {"activation_code", {true, false, false}},
    {"suspend", {true, true, false}},
    {"leaf_crl", {true, false, false}},
    {"checkpoint", {true, true, false}},
    {"alias_cert", {true, false, false}},
    {"user_request", {true, false, true}},
    {"profile_add", {false, true, true}},
    {"profile_request", {false, true, true}},
    {"profile_install", {false, true, true}},
    {"profile_issue", {false, true, true}},
    {"profile_activate", {false, true, true}},
    {"profile_nonce", {false, true, true}},
    {"profile_resume", {false, true, false}},
    {"profile_delete", {false, true, false}},
    {"profile_rekey", {false, true, false}},
    {"profile_list", {false, true, false}},
    {"profile_show", {false, true, false}},
    {"journal_page", {false, true, false}},
    {"journal_verify", {false, true, false}},
    {"journal_public", {false, true, false}},
    {"records_export", {false, true, false}},
    {"token_init", {false, true, false}},
    {"token_unlock", {false, true, false}},
    {"token_report", {false, true, false}},
    {"status", {false, true, false}},
};

static const struct role_case *role_case_of(const char *verb)
{
    for (size_t i = 0; i < sizeof role_cases / sizeof role_cases[0]; i++)
        if (strcmp(role_cases[i].verb, verb) == 0)
            return &role_cases[i];
    return NULL;
}

/* Ask a verb with every field empty: whoever may ask it is told of the fields or answered, whoever
 * may not is told so. */
static bool is_refused_by_role(int fd, unsigned verb)
{
    CLEANUP(buf_clear) struct buf packet = {0};
    CLEANUP(response_free) Seal__Response *response = NULL;
    Seal__Nothing nothing = SEAL__NOTHING__INIT;
    Seal__Request r = SEAL__REQUEST__INIT;
    bool more = true;
    bool refused = false;

    /* An empty message of any type is encoded alike. */
    r.verb_case = SEAL__REQUEST__VERB_PING;
    r.ping = &nothing;
    assert_int_equal(message_pack(&r.base, &packet), ERR_OK);
    assert_int_equal(packet.len, 2);
    buf_reset(&packet);
    if (verb >= 16) {
        uint8_t tag[3] = {(uint8_t)((verb << 3 & 0x7f) | 0x82), (uint8_t)(verb >> 4), 0};

        buf_append(&packet, tag, 3);
    } else {
        uint8_t tag[2] = {(uint8_t)(verb << 3 | 2), 0};

        buf_append(&packet, tag, 2);
    }
    assert_int_equal(packet_send(fd, buf_bytes(&packet), CALL_MS), ERR_OK);
    while (more) {
        response_free(&response);
        assert_int_equal(frame_receive(fd, CALL_MS, &packet), ERR_OK);
        assert_int_equal(response_parse(buf_bytes(&packet), &response), ERR_OK);
        refused = refused || (strcmp(response->err, "ERR_REFUSED") == 0 &&
                              strstr(response->note_detail, "not for the "));
        more = response->more;
    }
    return refused;
}

static void check_role(const char *socket, unsigned role)
{
    int fd = -1;

    assert_int_equal(frame_connect(socket, CALL_MS, &fd), ERR_OK);
    for (unsigned i = 0; i < seal__request__descriptor.n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &seal__request__descriptor.fields[i];
        const struct role_case *expected = role_case_of(field->name);

        if (!expected)
            fail_msg("%s: who may ask it?", field->name);
        else if (is_refused_by_role(fd, field->id) == expected->may[role])
            fail_msg("%s as %s: not as the table says", field->name, role_names[role]);
    }
    fd_close(&fd);
}

static void every_verb_is_refused_to_every_role_that_may_not_ask_it(void **state)
{
    (void)state;
    check_role(service.relay_socket, 0);
    check_role(service.admin_socket, 1);
    check_role(service.web_socket, 2);
}

static void the_settings_page_makes_only_so_many_profiles(void **state)
{
    static const char *const addresses[] = {SERVICE_MAILBOX};
    static const char *const domains[] = {SERVICE_DOMAIN};
    struct hsm *web = service_fixture_open(service.web_socket, CALL_MS);
    struct hsm_profile_new p = {.addresses = addresses,
                                .n_addresses = 1,
                                .domains = domains,
                                .n_domains = 1,
                                .ca_key_type = KEY_P384,
                                .user_key_type = KEY_P256,
                                .sender_key_type = KEY_P256};
    id_text user, profile;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(id_new(user), ERR_OK);
        p.user = user;
        assert_int_equal(hsm_profile_add(web, &p, profile), i < 2 ? ERR_OK : ERR_LIMIT);
    }
    hsm_free(web);
}

/* ---- malformed packets ---- */

struct signing {
    struct hsm *relay;
    struct hsm_key_ref key;
    atomic_bool end;
    atomic_uint good, bad;
};

static void *signing_main(void *arg)
{
    struct signing *s = arg;
    static const uint8_t digest[32] = {1};

    while (!atomic_load(&s->end)) {
        CLEANUP(buf_clear) struct buf out = {0};

        if (hsm_key_use(s->relay, &s->key, HSM_SIGN_PKCS1, "SHA256", NULL,
                        (struct bytes){digest, sizeof digest}, &out))
            atomic_fetch_add(&s->bad, 1);
        else
            atomic_fetch_add(&s->good, 1);
    }
    return NULL;
}

/* Send bytes on a connection of their own: the service must close it and answer nothing. */
static void send_malformed(const void *data, size_t len)
{
    CLEANUP(buf_clear) struct buf answer = {0};
    int fd = -1;

    assert_int_equal(frame_connect(service.relay_socket, CALL_MS, &fd), ERR_OK);
    assert_int_equal(send(fd, data, len, MSG_NOSIGNAL), len);
    err_note_clear();
    assert_int_equal(frame_receive(fd, CALL_MS, &answer), ERR_NET);
    fd_close(&fd);
}

static unsigned send_all_malformed(void)
{
    static const uint8_t truncated[] = {0x32, 0x40, 0x0a, 0x10, 'a', 'b'};
    static const uint8_t wrong_verb[] = {0x9a, 0x06, 0x00};
    static const uint8_t wrong_type[] = {0x30, 0x05};
    static const uint8_t unknown_field[] = {0x1a, 0x04, 0xea, 0x04, 0x01, 'x'};
    uint8_t random[512];
    uint8_t *big = calloc(1, FRAME_MAX + 4096);
    unsigned n = 4;

    assert_non_null(big);
    send_malformed(truncated, sizeof truncated);
    send_malformed(wrong_verb, sizeof wrong_verb);
    send_malformed(wrong_type, sizeof wrong_type);
    send_malformed(unknown_field, sizeof unknown_field);
    for (size_t len = 1; len < sizeof random; len += 7, n++) {
        assert_int_equal(RAND_bytes(random, sizeof random), 1);
        random[0] = 0xff; /* no field begins so */
        send_malformed(random, len);
    }
    send_malformed(big, FRAME_MAX + 4096);
    free(big);
    return n + 1;
}

static void malformed_packets_harm_nobody_else(void **state)
{
    struct signing s = {.relay = service_fixture_open(service.relay_socket, CALL_MS)};
    struct hsm_sender sender = {0};
    double before = status_number("malformed");
    id_text profile;
    pthread_t thread;
    unsigned n;

    (void)state;
    assert_int_equal(service_fixture_profile(&service, KEY_RSA_2048, profile), ERR_OK);
    assert_int_equal(hsm_sender_new(s.relay, profile, SERVICE_DOMAIN, NULL, false, &sender),
                     ERR_OK);
    s.key = (struct hsm_key_ref){
        .profile = profile, .reverse = sender.reverse, .blob = buf_bytes(&sender.blob)};
    assert_int_equal(pthread_create(&thread, NULL, signing_main, &s), 0);
    n = send_all_malformed();
    send_malformed("", 0); /* the same as a closed connection: not counted */
    for (unsigned i = 0; i < SERVED_WAIT_MS && !atomic_load(&s.good) && !atomic_load(&s.bad); i++)
        (void)poll(NULL, 0, 1); /* the service is slow beside other tests */
    atomic_store(&s.end, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(atomic_load(&s.bad), 0);
    assert_true(atomic_load(&s.good) > 0);
    assert_int_equal((int)(status_number("malformed") - before), n);
    hsm_sender_clear(&sender);
    hsm_free(s.relay);
}

static void a_bad_field_is_answered_and_the_connection_lives(void **state)
{
    struct hsm_options options = {
        .socket_path = service.admin_socket, .timeout_ms = CALL_MS, .connections_max = 1};
    struct hsm *h = NULL;
    CLEANUP(buf_clear) struct buf out = {0};

    (void)state;
    assert_int_equal(hsm_open(&options, &h), ERR_OK);
    assert_int_equal(hsm_profile_show(h, "not an id", &out), ERR_NOT_FOUND);
    assert_int_equal(hsm_profile_list(h, &out), ERR_OK);
    assert_int_equal(out.data[0], '[');
    hsm_free(h);
}

/* ---- connections ---- */

static void a_flood_of_one_role_leaves_room_for_the_others(void **state)
{
    int fds[64];
    struct hsm *admin = service_fixture_open(service.admin_socket, CALL_MS);
    struct hsm *relay = service_fixture_open(service.relay_socket, 2000);
    double before = status_number("peers_refused");

    (void)state;
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(frame_connect(service.relay_socket, CALL_MS, &fds[i]), ERR_OK);
    assert_int_equal(hsm_ping(admin), ERR_OK);
    for (int i = 0; i < 100 && status_number("peers_refused") <= before; i++)
        (void)poll(NULL, 0, 50);
    assert_true(status_number("peers_refused") > before);
    for (size_t i = 0; i < 64; i++)
        fd_close(&fds[i]);
    for (int i = 0; i < 100 && hsm_ping(relay) != ERR_OK; i++)
        (void)poll(NULL, 0, 50);
    assert_int_equal(hsm_ping(relay), ERR_OK);
    hsm_free(admin);
    hsm_free(relay);
}

static void the_sockets_are_closed_to_other_users(void **state)
{
    const char *const paths[] = {service.relay_socket, service.admin_socket, service.web_socket};
    struct stat st;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(stat(paths[i], &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

/* ---- the operator's view ---- */

static void journal_records_and_report_can_be_read(void **state)
{
    struct hsm *admin = service_fixture_open(service.admin_socket, CALL_MS);
    CLEANUP(buf_clear) struct buf journal = {0};
    CLEANUP(buf_clear) struct buf records = {0};
    CLEANUP(buf_clear) struct buf report = {0};
    CLEANUP(buf_clear) struct buf verdict = {0};
    CLEANUP(buf_clear) struct buf key = {0};
    uint64_t next = 0;
    uint64_t end = 0;
    id_text profile;
    cJSON *json;

    (void)state;
    assert_int_equal(service_fixture_profile(&service, KEY_P256, profile), ERR_OK);
    assert_int_equal(hsm_journal_page(admin, 0, &journal, &next), ERR_OK);
    assert_true(journal.len > 0 && next == journal.len);
    assert_int_equal(journal.data[journal.len - 1], '\n');
    assert_non_null(strstr(buf_str(&journal), profile));
    assert_int_equal(hsm_journal_page(admin, next, &journal, &end), ERR_OK);
    assert_true(end >= next);
    assert_int_equal(hsm_journal_page(admin, 1u << 30, &journal, &end), ERR_USAGE);
    assert_int_equal(hsm_records_export(admin, &records), ERR_OK);
    json = cJSON_Parse(buf_str(&records));
    assert_true(cJSON_IsArray(json) && cJSON_GetArraySize(json) > 0);
    assert_non_null(cJSON_GetObjectItemCaseSensitive(json->child, "mac"));
    cJSON_Delete(json);
    assert_non_null(strstr(buf_str(&records), profile));
    assert_int_equal(hsm_token_report(admin, &report), ERR_OK);
    assert_int_equal(report.data[0], '{');
    assert_int_equal(hsm_journal_verify(admin, &verdict), ERR_OK);
    json = cJSON_Parse(buf_str(&verdict));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "good")));
    cJSON_Delete(json);
    assert_int_equal(hsm_journal_public(admin, &key), ERR_OK);
    assert_non_null(strstr(buf_str(&key), "BEGIN PUBLIC KEY"));
    hsm_free(admin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_is_refused_to_every_role_that_may_not_ask_it),
        cmocka_unit_test(the_settings_page_makes_only_so_many_profiles),
        cmocka_unit_test(malformed_packets_harm_nobody_else),
        cmocka_unit_test(a_bad_field_is_answered_and_the_connection_lives),
        cmocka_unit_test(a_flood_of_one_role_leaves_room_for_the_others),
        cmocka_unit_test(the_sockets_are_closed_to_other_users),
        cmocka_unit_test(journal_records_and_report_can_be_read),
    };

    return cmocka_run_group_tests(tests, service_make, service_end);
}
