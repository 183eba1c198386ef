/* SPDX-License-Identifier: GPL-3.0-or-later */
/* peer_test.c - strangers' own signatures: which are good, which are not, and what is told of each.
 *
 * The pki's root is the one authority that is trusted; its "user" is the stranger. */
#include "daemon/smime/peer.h"
#include "tests/smime/reply_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#define DAY       86400
#define FROM_USER "From: A User <" TEST_USER ">\r\n"
#define CA_USAGE  "critical,keyCertSign,cRLSign"
#define CHAIN_MAX (TRUST_DEPTH_MAX + 2)

static struct test_pki pki, other;
static struct trust *trust;

static int start(void **state)
{
    (void)state;
    test_pki_new(&pki, false);
    test_pki_new(&other, true);
    assert_int_equal(trust_open(test_path(&pki, "root.pem"), &trust), ERR_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    trust_free(trust);
    test_pki_free(&pki);
    test_pki_free(&other);
    return 0;
}

/* ---- asking ---- */

struct peer_question {
    const char *header; /* NULL: FROM_USER */
    int days;           /* from now */
    bool no_trust;
};

static void asked(const struct peer_question *q, struct bytes entity, struct peer_signature *out)
{
    CLEANUP(message_clear) struct message m = {0};
    CLEANUP(buf_clear) struct buf raw = {0};

    buf_append_str(&raw, q->header ? q->header : FROM_USER);
    buf_append_bytes(&raw, entity);
    assert_int_equal(message_parse(buf_bytes(&raw), &m), ERR_OK);
    assert_int_equal(
        peer_verify(q->no_trust ? NULL : trust, &m, time(NULL) + (int64_t)q->days * DAY, out),
        ERR_OK);
    assert_int_equal(out->cert != NULL, out->state == PEER_GOOD);
    assert_int_equal(err_note_get()->action[0], 0);
}

static enum peer_state state_of(const struct peer_question *q, struct bytes entity)
{
    CLEANUP(peer_signature_clear) struct peer_signature s = {0};

    asked(q, entity, &s);
    return s.state;
}

static enum peer_state state_of_signed(const struct peer_question *q,
                                       const struct reply_signing *how)
{
    CLEANUP(buf_clear) struct buf entity = {0};

    reply_sign(&pki, how, bytes_of(REPLY_ENTITY), &entity);
    return state_of(q, buf_bytes(&entity));
}

/* A stranger's certificate other than the pki's, by its intermediate unless told otherwise. */
struct special {
    X509 *cert;
    EVP_PKEY *key;
};

static struct special special_new(EVP_PKEY *key, struct test_role role)
{
    role.name = role.name ? role.name : "Special";
    role.email = role.email ? role.email : "email:" TEST_USER;
    return (struct special){test_certificate(&role, key, pki.inter, pki.inter_key), key};
}

static void special_clear(struct special *s)
{
    X509_free(s->cert);
    EVP_PKEY_free(s->key);
}

static enum peer_state state_of_special(EVP_PKEY *key, struct test_role role)
{
    CLEANUP(special_clear) struct special s = special_new(key, role);
    struct reply_signing how = {.cert = s.cert, .key = s.key};

    return state_of_signed(&(struct peer_question){0}, &how);
}

/* ---- good ---- */

static void a_signature_holds_however_it_is_made(void **state)
{
    const struct reply_signing rows[] = {
        {.opaque = false},    {.opaque = true},  {.md = EVP_sha384()},
        {.md = EVP_sha512()}, {.time_s = 86400}, {.flags = CMS_USE_KEYID},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(state_of_signed(&(struct peer_question){0}, &rows[i]), PEER_GOOD);
    assert_int_equal(state_of_special(EVP_EC_gen("P-384"), (struct test_role){0}), PEER_GOOD);
    assert_int_equal(
        state_of_special(EVP_EC_gen("P-256"), (struct test_role){.usage = "nonRepudiation"}),
        PEER_GOOD);
}

static void a_good_one_brings_its_certificate_and_who_issued_it(void **state)
{
    CLEANUP(peer_signature_clear) struct peer_signature s = {0};
    CLEANUP(buf_clear) struct buf entity = {0};
    CLEANUP(buf_clear) struct buf line = {0};

    (void)state;
    reply_sign(&pki, &(struct reply_signing){0}, bytes_of(REPLY_ENTITY), &entity);
    asked(&(struct peer_question){.header = "From: USER@Home.Example\r\n"}, buf_bytes(&entity), &s);
    assert_int_equal(s.state, PEER_GOOD);
    assert_int_equal(X509_cmp(s.cert, pki.user), 0);
    assert_false(s.aes_128);
    peer_line_append(&line, &s);
    assert_string_equal(buf_str(&line), "Sealrelay-Signature: good; by=Test Intermediate");
}

/* ---- bad ---- */

static void second_signer(CMS_ContentInfo *cms, const struct test_pki *p, unsigned flags)
{
    assert_non_null(CMS_add1_signer(cms, p->sender, p->sender_key, EVP_sha256(), flags));
}

static void what_is_not_by_the_one_mailbox_of_from_is_bad(void **state)
{
    static const char *const headers[] = {
        "From: " TEST_SENDER "\r\n",
        "From: \"" TEST_USER "\" <" TEST_SENDER ">\r\n",
        "From: " TEST_USER ", " TEST_SENDER "\r\n",
        "From: group: " TEST_USER ";\r\n",
        "Sender: " TEST_USER "\r\n",
        "From: " TEST_USER "\r\nFrom: " TEST_USER "\r\n",
        "From: \r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_equal(state_of_signed(&(struct peer_question){.header = headers[i]},
                                         &(struct reply_signing){0}),
                         PEER_BAD);
}

static void what_is_malformed_or_weak_is_bad(void **state)
{
    const struct reply_signing rows[] = {
        {.prepare = second_signer},
        {.flags = CMS_NOATTR},
        {.md = EVP_sha1()},
        {.md = EVP_sha1(), .opaque = true},
    };
    const struct peer_question now = {0};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(state_of_signed(&now, &rows[i]), PEER_BAD);
    assert_int_equal(state_of(&now, bytes_of("Content-Type: multipart/signed; boundary=x; "
                                             "protocol=\"application/pkcs7-signature\"\r\n\r\n"
                                             "--x\r\n\r\ntext\r\n--x--\r\n")),
                     PEER_BAD);
    assert_int_equal(state_of(&now, bytes_of("Content-Type: application/pkcs7-mime\r\n"
                                             "Content-Transfer-Encoding: base64\r\n\r\n!!!!\r\n")),
                     PEER_BAD);
    assert_int_equal(state_of(&now, bytes_of("Content-Type: application/pkcs7-mime\r\n"
                                             "Content-Transfer-Encoding: base64\r\n\r\nMAA=\r\n")),
                     PEER_BAD);
}

static void what_was_changed_is_bad_whoever_signed(void **state)
{
    const struct reply_signing signers[] = {{.cert = NULL},
                                            {.cert = other.user, .key = other.user_key}};

    (void)state;
    for (size_t i = 0; i < sizeof signers / sizeof *signers; i++) {
        CLEANUP(buf_clear) struct buf entity = {0};
        char *marker;

        reply_sign(&pki, &signers[i], bytes_of(REPLY_ENTITY), &entity);
        buf_append_str(&entity, "");
        marker = strstr((char *)entity.data, REPLY_MARKER);
        assert_non_null(marker);
        *marker = 'Q';
        assert_int_equal(state_of(&(struct peer_question){0}, buf_bytes(&entity)), PEER_BAD);
    }
}

static void content_stands_in_one_place_and_nowhere_else(void **state)
{
    const char *const beside[] = {"Content-Type: text/plain\r\n\r\nOther words\r\n", REPLY_ENTITY};
    const struct peer_question now = {0};
    CLEANUP(buf_clear) struct buf opaque = {0};
    CLEANUP(buf_clear) struct buf detached = {0};
    CLEANUP(buf_clear) struct buf nothing = {0};

    (void)state;
    reply_signature(&pki, &(struct reply_signing){.opaque = true}, bytes_of(REPLY_ENTITY), &opaque);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        CLEANUP(buf_clear) struct buf entity = {0};

        reply_join(bytes_of(beside[i]), buf_bytes(&opaque), &entity);
        assert_int_equal(state_of(&now, buf_bytes(&entity)), PEER_BAD);
    }
    reply_signature(&pki, &(struct reply_signing){0}, bytes_of(""), &detached);
    reply_cms_append(buf_bytes(&detached), &nothing);
    assert_int_equal(state_of(&now, buf_bytes(&nothing)), PEER_BAD);
}

static void a_certificate_counts_in_its_life_and_for_what_it_is_made(void **state)
{
    const struct reply_signing by_user = {0};
    const struct test_role wrong[] = {
        {.usage = "keyEncipherment"},
        {.purpose = "serverAuth"},
        {.from_day = -9, .to_day = -1},
        {.from_day = 1, .to_day = 9},
        {.md = EVP_sha1()},
        {.email = "email:other@home.example"},
        {.email = "DNS:home.example"},
    };

    (void)state;
    assert_int_equal(state_of_signed(&(struct peer_question){.days = 599}, &by_user), PEER_GOOD);
    assert_int_equal(state_of_signed(&(struct peer_question){.days = 601}, &by_user), PEER_BAD);
    assert_int_equal(state_of_signed(&(struct peer_question){.days = -31}, &by_user), PEER_BAD);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(state_of_special(EVP_EC_gen("P-256"), wrong[i]), PEER_BAD);
    assert_int_equal(state_of_special(EVP_RSA_gen(1024), (struct test_role){0}), PEER_BAD);
}

/* Long before anybody is asked who issued it. */
static void a_weak_key_or_a_life_that_is_over_is_bad_whoever_issued_it(void **state)
{
    const struct {
        EVP_PKEY *key;
        int from_day, to_day;
        enum peer_state want;
    } rows[] = {
        {EVP_RSA_gen(1024), -1, 1, PEER_BAD},
        {EVP_EC_gen("P-224"), -1, 1, PEER_BAD},
        {EVP_EC_gen("P-256"), -9, -1, PEER_BAD},
        {EVP_EC_gen("P-256"), 1, 9, PEER_BAD},
        {EVP_EC_gen("P-256"), -1, 1, PEER_UNKNOWN_ISSUER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct test_role self = {.name = "Self",
                                       .email = "email:" TEST_USER,
                                       .from_day = rows[i].from_day,
                                       .to_day = rows[i].to_day,
                                       .md = EVP_sha256()};
        struct reply_signing how = {.key = rows[i].key};

        how.cert = test_certificate(&self, how.key, NULL, how.key);
        assert_int_equal(state_of_signed(&(struct peer_question){0}, &how), rows[i].want);
        X509_free(how.cert);
        EVP_PKEY_free(how.key);
    }
}

/* ---- the chain ---- */

/* Adds the authorities of chain_new to the CMS. */
static X509 *chain[CHAIN_MAX];

static void chain_add(CMS_ContentInfo *cms, const struct test_pki *p, unsigned flags)
{
    (void)p;
    (void)flags;
    for (size_t i = 0; i < CHAIN_MAX && chain[i]; i++)
        assert_int_equal(CMS_add1_cert(cms, chain[i]), 1);
}

/* State, days later, of a signature that n authorities stand behind, below the trusted root; the
 * first of them as role says. */
static enum peer_state state_of_chain(size_t n, struct test_role role, int days)
{
    const struct test_role leaf = {.name = "Leaf", .email = "email:" TEST_USER};
    EVP_PKEY *keys[CHAIN_MAX];
    struct reply_signing how = {.prepare = chain_add};
    enum peer_state got;
    char name[32];

    for (size_t i = 0; i < n; i++) {
        struct test_role one = {.usage = CA_USAGE, .basic = "critical,CA:TRUE"};

        (void)snprintf(name, sizeof name, "CA %zu", i);
        one = i ? one : role;
        one.name = name;
        keys[i] = EVP_EC_gen("P-256");
        chain[i] = test_certificate(&one, keys[i], i ? chain[i - 1] : pki.root,
                                    i ? keys[i - 1] : pki.root_key);
    }
    how.key = EVP_EC_gen("P-256");
    how.cert = test_certificate(&leaf, how.key, chain[n - 1], keys[n - 1]);
    got = state_of_signed(&(struct peer_question){.days = days}, &how);
    X509_free(how.cert);
    EVP_PKEY_free(how.key);
    for (size_t i = 0; i < n; i++) {
        X509_free(chain[i]);
        EVP_PKEY_free(keys[i]);
        chain[i] = NULL;
    }
    return got;
}

static void an_authority_must_be_one_now_and_not_too_many_stand_between(void **state)
{
    const struct test_role authority = {.usage = CA_USAGE, .basic = "critical,CA:TRUE"};
    const struct test_role short_lived = {
        .usage = CA_USAGE, .basic = "critical,CA:TRUE", .from_day = -9, .to_day = 4};
    const struct test_role wrong[] = {
        {.usage = "digitalSignature", .basic = "critical,CA:TRUE"},
        {.usage = CA_USAGE, .basic = "critical,CA:FALSE"},
        {.usage = CA_USAGE, .basic = "critical,CA:TRUE", .purpose = "serverAuth"},
        {.usage = CA_USAGE, .basic = "critical,CA:TRUE", .from_day = -9, .to_day = -1},
        {.usage = CA_USAGE, .basic = "critical,CA:TRUE", .md = EVP_sha1()},
    };

    (void)state;
    assert_int_equal(state_of_chain(1, authority, 0), PEER_GOOD);
    assert_int_equal(state_of_chain(1, short_lived, 3), PEER_GOOD);
    assert_int_equal(state_of_chain(1, short_lived, 5), PEER_BAD);
    assert_int_equal(state_of_chain(TRUST_DEPTH_MAX, authority, 0), PEER_GOOD);
    assert_int_equal(state_of_chain(TRUST_DEPTH_MAX + 1, authority, 0), PEER_BAD);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(state_of_chain(1, wrong[i], 0), PEER_BAD);
}

static void others_chain_add(CMS_ContentInfo *cms, const struct test_pki *p, unsigned flags)
{
    (void)p;
    (void)flags;
    assert_int_equal(CMS_add1_cert(cms, other.inter), 1);
    assert_int_equal(CMS_add1_cert(cms, other.root), 1);
}

static enum peer_state state_under(const char *path, const struct reply_signing *how)
{
    struct trust *kept = trust;
    enum peer_state got;

    assert_int_equal(trust_open(path, &trust), ERR_OK);
    got = state_of_signed(&(struct peer_question){0}, how);
    trust_free(trust);
    trust = kept;
    return got;
}

static void whom_no_authority_knows_is_unknown(void **state)
{
    const struct reply_signing by_user = {0};
    const struct reply_signing by_other = {.cert = other.user, .key = other.user_key};
    const struct reply_signing nobody = {.flags = CMS_NOCERTS};
    const struct peer_question now = {0};
    struct test_role self = {.name = "Self", .email = "email:" TEST_USER};
    struct reply_signing by_self = {.key = EVP_EC_gen("P-256")};
    struct reply_signing with_root = by_other;

    (void)state;
    by_self.cert = test_certificate(&self, by_self.key, NULL, by_self.key);
    assert_int_equal(state_of_signed(&now, &by_other), PEER_UNKNOWN_ISSUER);
    assert_int_equal(state_of_signed(&now, &nobody), PEER_UNKNOWN_ISSUER);
    assert_int_equal(state_of_signed(&now, &by_self), PEER_UNKNOWN_ISSUER);
    assert_int_equal(state_of_signed(&(struct peer_question){.no_trust = true}, &by_user),
                     PEER_UNKNOWN_ISSUER);
    with_root.prepare = others_chain_add;
    assert_int_equal(state_of_signed(&now, &with_root), PEER_UNKNOWN_ISSUER);
    assert_int_equal(state_under(NULL, &by_user), PEER_UNKNOWN_ISSUER);
    assert_int_equal(state_under(test_path(&pki, "inter.pem"), &by_user), PEER_UNKNOWN_ISSUER);
    assert_int_equal(state_under(test_path(&other, "root.pem"), &with_root), PEER_GOOD);
    X509_free(by_self.cert);
    EVP_PKEY_free(by_self.key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_holds_however_it_is_made),
        cmocka_unit_test(a_good_one_brings_its_certificate_and_who_issued_it),
        cmocka_unit_test(what_is_not_by_the_one_mailbox_of_from_is_bad),
        cmocka_unit_test(what_is_malformed_or_weak_is_bad),
        cmocka_unit_test(what_was_changed_is_bad_whoever_signed),
        cmocka_unit_test(content_stands_in_one_place_and_nowhere_else),
        cmocka_unit_test(a_certificate_counts_in_its_life_and_for_what_it_is_made),
        cmocka_unit_test(a_weak_key_or_a_life_that_is_over_is_bad_whoever_issued_it),
        cmocka_unit_test(an_authority_must_be_one_now_and_not_too_many_stand_between),
        cmocka_unit_test(whom_no_authority_knows_is_unknown),
    };

    return cmocka_run_group_tests(tests, start, end);
}
