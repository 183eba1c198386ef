/* SPDX-License-Identifier: GPL-3.0-or-later */
/* client_test.c - the client of the key service against a real one that is stopped, killed and
 * started again, and against a false one that answers nonsense. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "hsm/proto/frame.h"
#include "hsm/proto/message.h"
#include "tests/hsm/service_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CALL_MS 20000
#define THREADS 4
#define ROUNDS  50

struct world {
    struct service_fixture service;
    struct hsm *relay;
    id_text profile;
    struct hsm_sender sender;
};

static struct world world;

static int world_make(void **state)
{
    enum err e = service_fixture_new(&world.service, "");

    (void)state;
    world.relay = service_fixture_open(world.service.relay_socket, CALL_MS);
    if (!e)
        e = service_fixture_profile(&world.service, KEY_RSA_2048, world.profile);
    if (!e)
        e = hsm_sender_new(world.relay, world.profile, SERVICE_DOMAIN, NULL, false, &world.sender);
    if (e)
        print_error("%s: %s: %s\n", err_name(e), err_note_get()->action, err_note_get()->detail);
    return e != ERR_OK;
}

static int world_end(void **state)
{
    (void)state;
    hsm_sender_clear(&world.sender);
    hsm_free(world.relay);
    return !service_fixture_free(&world.service);
}

/* ---- signing ---- */

static bool signature_is_good(const struct buf *cert_der, const uint8_t digest[static 32],
                              const struct buf *signature)
{
    const uint8_t *p = cert_der->data;
    X509 *cert = d2i_X509(NULL, &p, (long)cert_der->len);
    EVP_PKEY_CTX *ctx = cert ? EVP_PKEY_CTX_new(X509_get0_pubkey(cert), NULL) : NULL;
    bool good =
        ctx && EVP_PKEY_verify_init(ctx) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
        EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
        EVP_PKEY_verify(ctx, signature->data, signature->len, digest, SHA256_DIGEST_LENGTH) == 1;

    EVP_PKEY_CTX_free(ctx);
    X509_free(cert);
    return good;
}

/* One signature over a digest of n, verified by OpenSSL with the certificate's key. */
static enum err sign_once(struct hsm *h, unsigned n)
{
    CLEANUP(buf_clear) struct buf signature = {0};
    struct hsm_key_ref key = {.profile = world.profile,
                              .reverse = world.sender.reverse,
                              .blob = buf_bytes(&world.sender.blob)};
    uint8_t digest[SHA256_DIGEST_LENGTH];
    enum err e;

    (void)SHA256((const uint8_t *)&n, sizeof n, digest);
    e = hsm_key_use(h, &key, HSM_SIGN_PKCS1, "SHA256", NULL, (struct bytes){digest, sizeof digest},
                    &signature);
    if (!e && !signature_is_good(&world.sender.cert, digest, &signature))
        e = ERR_BUG;
    return e;
}

struct signer {
    struct hsm *h;
    unsigned first;
    unsigned good;
};

static void *signer_main(void *arg)
{
    struct signer *s = arg;

    for (unsigned i = 0; i < ROUNDS; i++)
        if (sign_once(s->h, s->first + i) == ERR_OK)
            s->good++;
    return NULL;
}

static void four_threads_sign_fifty_times_each_over(struct hsm *h)
{
    struct signer signers[THREADS];
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        signers[i] = (struct signer){.h = h, .first = i * 1000};
        assert_int_equal(pthread_create(&threads[i], NULL, signer_main, &signers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(signers[i].good, ROUNDS);
    }
}

static void four_threads_sign_at_once_and_openssl_verifies(void **state)
{
    (void)state;
    four_threads_sign_fifty_times_each_over(world.relay);
}

static void more_threads_than_connections_take_turns(void **state)
{
    struct hsm_options options = {
        .socket_path = world.service.relay_socket, .timeout_ms = CALL_MS, .connections_max = 2};
    struct hsm *h = NULL;

    (void)state;
    assert_int_equal(hsm_open(&options, &h), ERR_OK);
    four_threads_sign_fifty_times_each_over(h);
    hsm_free(h);
}

static void what_the_service_answers_arrives_with_its_note(void **state)
{
    struct hsm_key_ref key = {.profile = world.profile,
                              .reverse = "r-aaaaaaaaaaaaaaaa@" SERVICE_DOMAIN,
                              .blob = buf_bytes(&world.sender.blob)};
    CLEANUP(buf_clear) struct buf out = {0};
    uint8_t digest[SHA256_DIGEST_LENGTH] = {0};

    (void)state;
    err_note_clear();
    assert_int_equal(hsm_key_use(world.relay, &key, HSM_SIGN_PKCS1, "SHA256", NULL,
                                 (struct bytes){digest, sizeof digest}, &out),
                     ERR_TAMPERED);
    assert_int_equal(out.len, 0);
    assert_true(err_note_get()->action[0]);
    assert_int_equal(hsm_profile_delete(world.relay, world.profile), ERR_REFUSED);
}

static void data_keys_come_back_only_unaltered(void **state)
{
    CLEANUP(secret_free) struct secret key = {0};
    CLEANUP(secret_free) struct secret again = {0};
    CLEANUP(buf_clear) struct buf wrapped = {0};
    uint32_t generation = 0;

    (void)state;
    for (int under = HSM_WRAP_SPOOL; under <= HSM_WRAP_STORE; under++) {
        enum hsm_wrap_key k = (enum hsm_wrap_key)under;

        buf_reset(&wrapped);
        secret_free(&key);
        assert_int_equal(hsm_data_key_new(world.relay, k, &key, &wrapped, &generation), ERR_OK);
        assert_int_equal(hsm_data_key_open(world.relay, k, buf_bytes(&wrapped), &again), ERR_OK);
        assert_int_equal(again.len, HSM_DATA_KEY_LEN);
        assert_memory_equal(key.data, again.data, HSM_DATA_KEY_LEN);
        secret_free(&again);
        wrapped.data[wrapped.len - 1] ^= 1;
        assert_int_equal(hsm_data_key_open(world.relay, k, buf_bytes(&wrapped), &again),
                         ERR_TAMPERED);
        assert_null(again.data);
    }
}

static void the_recipients_are_those_of_the_record(void **state)
{
    struct hsm_profile p = {0};
    struct hsm_profile same = {0};

    (void)state;
    assert_int_equal(hsm_profile_get(world.relay, world.profile, &p), ERR_OK);
    assert_int_equal(p.state, PROFILE_ACTIVE);
    assert_int_equal(p.n_certs, 1);
    assert_false(p.certs[0].expired);
    assert_int_equal(p.n_addresses, 1);
    assert_string_equal(p.addresses[0], SERVICE_MAILBOX);
    assert_string_equal(p.domains[0], SERVICE_DOMAIN);
    assert_int_equal(hsm_user_profile(world.relay, p.user, &same), ERR_OK);
    assert_string_equal(same.profile, world.profile);
    hsm_profile_clear(&p);
    hsm_profile_clear(&same);
    assert_int_equal(hsm_profile_get(world.relay, "aaaaaaaaaaaaaaaa", &p), ERR_NOT_FOUND);
}

/* ---- a service that is away ---- */

static void a_stopped_service_is_away_at_the_deadline_and_back_at_once(void **state)
{
    struct hsm *h = service_fixture_open(world.service.relay_socket, 400);
    int64_t began_ms;
    struct hsm_profile p = {0};
    int64_t took_ms;
    int status = 0;

    (void)state;
    assert_int_equal(hsm_ping(h), ERR_OK);
    assert_int_equal(kill(world.service.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(world.service.pid, &status, WUNTRACED), world.service.pid);
    assert_true(WIFSTOPPED(status));
    began_ms = clock_mono_ms();
    assert_int_equal(hsm_ping(h), ERR_HSM_AWAY);
    took_ms = clock_mono_ms() - began_ms;
    assert_int_equal(kill(world.service.pid, SIGCONT), 0);
    assert_in_range(took_ms, 390, 1500);
    /* The late answer is nobody's: this call has its own. */
    assert_int_equal(hsm_profile_get(h, world.profile, &p), ERR_OK);
    hsm_profile_clear(&p);
    hsm_free(h);
    assert_int_equal(sign_once(world.relay, 1), ERR_OK);
}

/* As many callers come one after the other as an outage brings sessions. */
static void a_silent_service_costs_its_first_caller_the_time_and_no_others(void **state)
{
    struct hsm *h = service_fixture_open(world.service.relay_socket, 400);
    int64_t began_ms;
    int64_t took_ms;
    int status = 0;

    (void)state;
    assert_int_equal(hsm_ping(h), ERR_OK);
    assert_int_equal(kill(world.service.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(world.service.pid, &status, WUNTRACED), world.service.pid);
    began_ms = clock_mono_ms();
    for (int i = 0; i < 50; i++)
        assert_int_equal(hsm_ping(h), ERR_HSM_AWAY);
    took_ms = clock_mono_ms() - began_ms;
    assert_int_equal(kill(world.service.pid, SIGCONT), 0);
    assert_in_range(took_ms, 390, 4000); /* the first, and one that asked for all: not 50 times */
    began_ms = clock_mono_ms();
    while (hsm_ping(h) != ERR_OK)
        assert_in_range(clock_mono_ms() - began_ms, 0, 3000);
    hsm_free(h);
}

static void a_killed_service_is_away_and_found_again_after_its_restart(void **state)
{
    (void)state;
    assert_int_equal(hsm_ping(world.relay), ERR_OK);
    (void)service_fixture_end(&world.service, SIGKILL);
    assert_int_equal(hsm_ping(world.relay), ERR_HSM_AWAY);
    assert_int_equal(service_fixture_start(&world.service), ERR_OK);
    assert_int_equal(hsm_ping(world.relay), ERR_OK);
    assert_int_equal(sign_once(world.relay, 2), ERR_OK);
}

static void idle_connections_of_an_earlier_run_are_not_used(void **state)
{
    (void)state;
    four_threads_sign_fifty_times_each_over(world.relay);
    assert_int_equal(service_fixture_end(&world.service, SIGTERM), 0);
    assert_int_equal(service_fixture_start(&world.service), ERR_OK);
    four_threads_sign_fifty_times_each_over(world.relay);
}

static void no_socket_at_all_is_away_at_once(void **state)
{
    struct hsm *h = service_fixture_open("/nonexistent/relay", CALL_MS);
    int64_t began_ms = clock_mono_ms();

    (void)state;
    assert_int_equal(hsm_ping(h), ERR_HSM_AWAY);
    assert_true(clock_mono_ms() - began_ms < 1000);
    hsm_free(h);
}

/* ---- a false service: each connection gets one packet, or several, for its request ---- */

struct falsehood {
    int listener;
    const char *packets[4]; /* NULL-ended */
    size_t lens[4];
    atomic_uint requests;
};

static void *falsehood_main(void *arg)
{
    struct falsehood *f = arg;
    CLEANUP(buf_clear) struct buf request = {0};
    int fd;

    while ((fd = accept(f->listener, NULL, NULL)) >= 0) {
        while (frame_receive(fd, 5000, &request) == ERR_OK) {
            atomic_fetch_add(&f->requests, 1);
            for (size_t i = 0; i < 4 && f->packets[i]; i++)
                (void)packet_send(fd, (struct bytes){(const uint8_t *)f->packets[i], f->lens[i]},
                                  1000);
        }
        (void)close(fd);
    }
    return NULL;
}

static enum err ask_falsehood(struct falsehood *f, struct buf *out)
{
    char path[128];
    struct hsm *h;
    pthread_t thread;
    enum err e;

    (void)snprintf(path, sizeof path, "%s/false", world.service.softhsm.dir);
    assert_int_equal(unix_listen(path, SOCK_SEQPACKET, 0600, &f->listener), ERR_OK);
    assert_int_equal(pthread_create(&thread, NULL, falsehood_main, f), 0);
    h = service_fixture_open(path, 500);
    e = hsm_checkpoint(h, world.profile, out);
    hsm_free(h);
    (void)shutdown(f->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(thread, NULL), 0);
    fd_close(&f->listener);
    return e;
}

static void nonsense_is_never_taken_for_an_answer(void **state)
{
    struct falsehood undecodable = {.packets = {"\xff\xff\xff"}, .lens = {3}};
    struct falsehood unknown_error = {.packets = {"\x0a\x03"
                                                  "ODD"},
                                      .lens = {5}};
    struct falsehood silent = {.packets = {NULL}};
    struct falsehood unfinished = {.packets = {"\x0a\x06"
                                               "ERR_OK"
                                               "\x3a\x01"
                                               "a"
                                               "\x48\x01"},
                                   .lens = {13}};
    CLEANUP(buf_clear) struct buf out = {0};

    (void)state;
    assert_int_equal(ask_falsehood(&undecodable, &out), ERR_HSM_AWAY);
    assert_int_equal(ask_falsehood(&unknown_error, &out), ERR_BUG);
    assert_int_equal(ask_falsehood(&silent, &out), ERR_HSM_AWAY);
    assert_int_equal(ask_falsehood(&unfinished, &out), ERR_HSM_AWAY);
    assert_int_equal(out.len, 0);
    /* A request that was sent is not sent again. */
    assert_int_equal(atomic_load(&silent.requests), 1);
}

static void an_answer_in_several_packets_is_put_together(void **state)
{
    struct falsehood parts = {.packets = {"\x0a\x06"
                                          "ERR_OK"
                                          "\x3a\x02"
                                          "ab"
                                          "\x48\x01",
                                          "\x3a\x02"
                                          "cd"
                                          "\x48\x01",
                                          "\x3a\x01"
                                          "e"},
                              .lens = {14, 6, 3}};
    CLEANUP(buf_clear) struct buf out = {0};

    (void)state;
    assert_int_equal(ask_falsehood(&parts, &out), ERR_OK);
    assert_string_equal(buf_str(&out), "abcde");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_threads_sign_at_once_and_openssl_verifies),
        cmocka_unit_test(more_threads_than_connections_take_turns),
        cmocka_unit_test(what_the_service_answers_arrives_with_its_note),
        cmocka_unit_test(data_keys_come_back_only_unaltered),
        cmocka_unit_test(the_recipients_are_those_of_the_record),
        cmocka_unit_test(a_stopped_service_is_away_at_the_deadline_and_back_at_once),
        cmocka_unit_test(a_silent_service_costs_its_first_caller_the_time_and_no_others),
        cmocka_unit_test(a_killed_service_is_away_and_found_again_after_its_restart),
        cmocka_unit_test(idle_connections_of_an_earlier_run_are_not_used),
        cmocka_unit_test(no_socket_at_all_is_away_at_once),
        cmocka_unit_test(nonsense_is_never_taken_for_an_answer),
        cmocka_unit_test(an_answer_in_several_packets_is_put_together),
    };

    return cmocka_run_group_tests(tests, world_make, world_end);
}
