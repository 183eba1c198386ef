/* SPDX-License-Identifier: GPL-3.0-or-later */
/* proto_test.c - the key service's door: every field has a rule, every rule holds; packets keep
 * their bounds. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "hsm/hsm.h"
#include "hsm/proto/frame.h"
#include "hsm/proto/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PROFILE "abcdefgh234567ab"
#define REVERSE "r-abcdefgh234567ab@relay.example"

static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static ProtobufCBinaryData blob_of(size_t len)
{
    static uint8_t zeros[512 * 1024];

    assert_true(len <= sizeof zeros);
    return (ProtobufCBinaryData){.len = len, .data = zeros};
}

static void every_field_of_every_verb_has_a_rule(void **state)
{
    (void)state;
    assert_true(request_fields_have_rules());
}

/* ---- fields ---- */

struct key_use_case {
    const char *what;
    const char *profile;
    const char *reverse;
    size_t blob;
    const char *md;
    size_t input;
    int mechanism;
    enum err expected;
};

static void key_use_fields_are_checked_at_the_door(void **state)
{
    static const struct key_use_case cases[] = {
        {"good signature", PROFILE, REVERSE, 300, "SHA256", 32, HSM_SIGN_PKCS1, ERR_OK},
        {"largest digest", PROFILE, REVERSE, 300, "SHA512", 64, HSM_SIGN_ECDSA, ERR_OK},
        {"digest too long", PROFILE, REVERSE, 300, "SHA512", 65, HSM_SIGN_PKCS1, ERR_FORMAT},
        {"largest ciphertext", PROFILE, REVERSE, 300, "", 512, HSM_DECRYPT_PKCS1, ERR_OK},
        {"ciphertext too long", PROFILE, REVERSE, 300, "", 513, HSM_DECRYPT_OAEP, ERR_FORMAT},
        {"no input", PROFILE, REVERSE, 300, "SHA256", 0, HSM_SIGN_PKCS1, ERR_FORMAT},
        {"profile too short", "abc", REVERSE, 300, "SHA256", 32, 0, ERR_NOT_FOUND},
        {"profile too long", PROFILE "a", REVERSE, 300, "SHA256", 32, 0, ERR_NOT_FOUND},
        {"profile of other letters", "ABCDEFGH234567AB", REVERSE, 300, "SHA256", 32, 0,
         ERR_NOT_FOUND},
        {"no profile", "", REVERSE, 300, "SHA256", 32, 0, ERR_NOT_FOUND},
        {"no reverse alias", PROFILE, "", 300, "SHA256", 32, 0, ERR_TAMPERED},
        {"reverse alias with a line end", PROFILE, "r@x\r\n", 300, "SHA256", 32, 0, ERR_TAMPERED},
        {"reverse alias without @", PROFILE, "relay.example", 300, "SHA256", 32, 0, ERR_TAMPERED},
        {"largest blob", PROFILE, REVERSE, REQUEST_BLOB_MAX, "SHA256", 32, 0, ERR_OK},
        {"blob too long", PROFILE, REVERSE, REQUEST_BLOB_MAX + 1, "SHA256", 32, 0, ERR_TAMPERED},
        {"no blob", PROFILE, REVERSE, 0, "SHA256", 32, 0, ERR_TAMPERED},
        {"unknown mechanism", PROFILE, REVERSE, 300, "SHA256", 32, HSM_DERIVE_ECDH + 1, ERR_USAGE},
        {"negative mechanism", PROFILE, REVERSE, 300, "SHA256", 32, -1, ERR_USAGE},
        {"digest name with a blank", PROFILE, REVERSE, 300, "SHA 256", 32, 0, ERR_REFUSED},
        {"digest name too long", PROFILE, REVERSE, 300, "SHA256SHA256SHA256SHA256SHA256SHA", 32, 0,
         ERR_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Seal__Request r = SEAL__REQUEST__INIT;
        Seal__KeyUse m = SEAL__KEY_USE__INIT;

        m.profile = text(cases[i].profile);
        m.reverse = text(cases[i].reverse);
        m.blob = blob_of(cases[i].blob);
        m.mechanism = (Seal__Mechanism)cases[i].mechanism;
        m.md_opt = text(cases[i].md);
        m.input = blob_of(cases[i].input);
        r.verb_case = SEAL__REQUEST__VERB_KEY_USE;
        r.key_use = &m;
        err_note_clear();
        if (request_check(&r) != cases[i].expected)
            fail_msg("%s: not %s", cases[i].what, err_name(cases[i].expected));
    }
}

static void lists_are_bounded_in_number_and_in_each_item(void **state)
{
    char long_address[HSM_ADDRESS_MAX + 2];
    char *addresses[REQUEST_NAMES_MAX + 1];
    char *domains[] = {text("relay.example")};
    Seal__ProfileAdd m = SEAL__PROFILE_ADD__INIT;
    Seal__Request r = SEAL__REQUEST__INIT;

    (void)state;
    memset(long_address, 'a', sizeof long_address - 1);
    memcpy(long_address, "u@", 2);
    long_address[HSM_ADDRESS_MAX] = '\0';
    for (size_t i = 0; i < REQUEST_NAMES_MAX + 1; i++)
        addresses[i] = long_address;
    m.for_user = text(PROFILE);
    m.addresses = addresses;
    m.n_addresses = REQUEST_NAMES_MAX;
    m.domains = domains;
    m.n_domains = 1;
    r.verb_case = SEAL__REQUEST__VERB_PROFILE_ADD;
    r.profile_add = &m;
    assert_int_equal(request_check(&r), ERR_OK);
    m.n_addresses = REQUEST_NAMES_MAX + 1;
    assert_int_equal(request_check(&r), ERR_USAGE);
    m.n_addresses = 1;
    long_address[HSM_ADDRESS_MAX] = 'a';
    long_address[HSM_ADDRESS_MAX + 1] = '\0';
    assert_int_equal(request_check(&r), ERR_USAGE);
    addresses[0] = text("u@mailbox.example");
    domains[0] = text("relay.example/..");
    assert_int_equal(request_check(&r), ERR_USAGE);
    domains[0] = text("relay.example");
    m.organisation_opt = text("line\nend");
    assert_int_equal(request_check(&r), ERR_USAGE);
    m.organisation_opt = text("");
    m.root_days = 40000;
    assert_int_equal(request_check(&r), ERR_USAGE);
}

/* ---- messages ---- */

static void a_request_survives_packing_and_parsing(void **state)
{
    CLEANUP(buf_clear) struct buf packet = {0};
    CLEANUP(request_free) Seal__Request *parsed = NULL;
    Seal__DataKeyOpen m = SEAL__DATA_KEY_OPEN__INIT;
    Seal__Request r = SEAL__REQUEST__INIT;

    (void)state;
    m.under = SEAL__WRAP_KEY__STORE;
    m.wrapped = blob_of(80);
    r.verb_case = SEAL__REQUEST__VERB_DATA_KEY_OPEN;
    r.data_key_open = &m;
    assert_int_equal(message_pack(&r.base, &packet), ERR_OK);
    assert_int_equal(request_parse(buf_bytes(&packet), &parsed), ERR_OK);
    assert_true(request_is_whole(parsed));
    assert_int_equal(request_check(parsed), ERR_OK);
    assert_int_equal(parsed->data_key_open->wrapped.len, 80);
    assert_string_equal(request_verb_name(parsed->verb_case), "data_key_open");
}

struct malformed_case {
    const char *what;
    const char *packet;
    size_t len;
};

static void what_is_no_request_is_told_apart(void **state)
{
    static const struct malformed_case cases[] = {
        {"a verb that does not exist", "\x9a\x06\x00", 3},
        {"a field that does not exist", "\x1a\x04\xea\x04\x01x", 6},
        {"a verb of the wrong type", "\x18\x05", 2},
        {"a length beyond the packet", "\x32\xff\xff\xff\xff\x0f", 6},
        {"a length cut off", "\x32\xff", 2},
        {"a group that never ends", "\x0b", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(request_free) Seal__Request *r = NULL;
        struct bytes packet = {(const uint8_t *)cases[i].packet, cases[i].len};

        if (request_parse(packet, &r) == ERR_OK && request_is_whole(r))
            fail_msg("%s: taken for a request", cases[i].what);
    }
}

static void every_error_name_is_read_back(void **state)
{
    (void)state;
    for (enum err e = ERR_OK; e < ERR_COUNT; e++)
        assert_int_equal(err_parse(err_name(e)), e);
    assert_int_equal(err_parse("ERR_NEVER_HEARD"), ERR_BUG);
    assert_int_equal(err_parse(""), ERR_BUG);
}

/* ---- packets ---- */

static void socket_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(frame_socket_prepare(fds[0]), ERR_OK);
    assert_int_equal(frame_socket_prepare(fds[1]), ERR_OK);
}

static void the_largest_packet_arrives_whole_and_a_larger_one_is_refused(void **state)
{
    CLEANUP(buf_clear) struct buf got = {0};
    uint8_t *data = calloc(1, FRAME_MAX + 1);
    int fds[2];

    (void)state;
    assert_non_null(data);
    data[FRAME_MAX - 1] = 0x5a;
    socket_pair(fds);
    assert_int_equal(packet_send(fds[0], (struct bytes){data, FRAME_MAX}, 1000), ERR_OK);
    assert_int_equal(frame_receive(fds[1], 1000, &got), ERR_OK);
    assert_int_equal(got.len, FRAME_MAX);
    assert_memory_equal(got.data, data, FRAME_MAX);
    assert_int_equal(packet_send(fds[0], (struct bytes){data, FRAME_MAX + 1}, 1000), ERR_TOO_BIG);
    assert_true(send(fds[0], data, FRAME_MAX + 1, 0) > 0);
    assert_int_equal(frame_receive(fds[1], 1000, &got), ERR_TOO_BIG);
    free(data);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
}

static void a_reader_that_never_reads_times_the_sender_out(void **state)
{
    static const uint8_t data[64 * 1024];
    enum err e = ERR_OK;
    int64_t began_ms = clock_mono_ms();
    int fds[2];

    (void)state;
    socket_pair(fds);
    for (int i = 0; i < 1000 && !e; i++)
        e = packet_send(fds[0], (struct bytes){data, sizeof data}, 100);
    assert_int_equal(e, ERR_TIMEOUT);
    assert_true(clock_mono_ms() - began_ms >= 90);
    fd_close(&fds[0]);
    fd_close(&fds[1]);
}

static void silence_an_empty_packet_and_a_closed_peer_are_errors(void **state)
{
    CLEANUP(buf_clear) struct buf got = {0};
    int fds[2];

    (void)state;
    socket_pair(fds);
    assert_int_equal(frame_receive(fds[1], 50, &got), ERR_TIMEOUT);
    assert_int_equal(send(fds[0], "", 0, 0), 0);
    assert_int_equal(frame_receive(fds[1], 50, &got), ERR_NET);
    assert_false(frame_peer_gone(fds[1]));
    fd_close(&fds[0]);
    assert_true(frame_peer_gone(fds[1]));
    assert_int_equal(frame_receive(fds[1], 50, &got), ERR_NET);
    assert_int_equal(packet_send(fds[1], bytes_of("x"), 50), ERR_NET);
    fd_close(&fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_every_verb_has_a_rule),
        cmocka_unit_test(key_use_fields_are_checked_at_the_door),
        cmocka_unit_test(lists_are_bounded_in_number_and_in_each_item),
        cmocka_unit_test(a_request_survives_packing_and_parsing),
        cmocka_unit_test(what_is_no_request_is_told_apart),
        cmocka_unit_test(every_error_name_is_read_back),
        cmocka_unit_test(the_largest_packet_arrives_whole_and_a_larger_one_is_refused),
        cmocka_unit_test(a_reader_that_never_reads_times_the_sender_out),
        cmocka_unit_test(silence_an_empty_packet_and_a_closed_peer_are_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
