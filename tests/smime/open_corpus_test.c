/* SPDX-License-Identifier: GPL-3.0-or-later */
/* open_corpus_test.c - other people's S/MIME samples and attacks, addressed to a reverse alias:
 * none opens, no key is touched.
 *
 * And once more with the hardest case: the very certificates of a sample enrolled, at the very
 * time of its signature. Then only what its signer signed, under its signer's address, may open. */
#include "daemon/base/fdio.h"
#include "daemon/smime/layer.h"
#include "tests/smime/reply_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <ftw.h>
#include <openssl/err.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CERTS_MAX 16

static struct test_pki pki;
static struct counts {
    unsigned files, unreadable, smime, opened;
} counts;
static struct buf opened_names;

struct sample {
    const char *name;
    struct buf text;
    struct message message;
};

static enum err no_key(void *ctx, size_t which, size_t content_key_len, EVP_PKEY **out)
{
    (void)ctx;
    (void)which;
    (void)content_key_len;
    (void)out;
    fail_msg("a key was touched");
    return ERR_BUG;
}

static struct open_job job_of(const struct sample *s)
{
    return (struct open_job){.message = &s->message,
                             .certs = &pki.sender,
                             .n_certs = 1,
                             .key_load = no_key,
                             .now_s = time(NULL)};
}

static void nothing_opens(const struct sample *s)
{
    unsigned char *der = NULL;
    int len = i2d_X509(pki.user, &der);
    struct bytes enrolled = {der, (size_t)len};
    struct open_job job = job_of(s);
    struct open_result result = {0};
    enum err e;

    job.user_certs = &enrolled;
    job.n_user_certs = 1;
    assert_int_equal(open_run(&job, &result), ERR_UNPROVEN);
    job.unsigned_allowed = true;
    e = open_run(&job, &result);
    assert_true(e == ERR_UNPROVEN || (e == ERR_OK && result.kind == OPEN_PLAIN));
    open_result_clear(&result);
    OPENSSL_free(der);
}

/* ---- with the sample's own signer enrolled ---- */

/* The signature at the root, if there is one that OpenSSL can read. */
static CMS_ContentInfo *signature_read(const struct sample *s)
{
    CLEANUP(buf_clear) struct buf ber = {0};
    struct layer layer;
    const uint8_t *p;
    bool detached;

    if (layer_read(&s->message, &layer) != ERR_OK || layer.kind == LAYER_NONE)
        return NULL;
    counts.smime++;
    detached = layer.kind == LAYER_DETACHED;
    if (layer_decode(detached ? layer.signature : layer.body, layer.transfer, &ber) != ERR_OK)
        return NULL;
    p = ber.data;
    return d2i_CMS_ContentInfo(NULL, &p, (long)ber.len);
}

static int64_t signing_time_s(CMS_ContentInfo *cms)
{
    CMS_SignerInfo *si = sk_CMS_SignerInfo_value(CMS_get0_SignerInfos(cms), 0);
    const ASN1_TIME *t =
        si ? CMS_signed_get0_data_by_OBJ(si, OBJ_nid2obj(NID_pkcs9_signingTime), -3, V_ASN1_UTCTIME)
           : NULL;
    struct tm tm = {0};

    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? timegm(&tm) : 0;
}

static void signer_opens_or_nobody(const struct sample *s)
{
    CMS_ContentInfo *cms = signature_read(s);
    STACK_OF(X509) *certs = cms ? CMS_get1_certs(cms) : NULL;
    struct bytes enrolled[CERTS_MAX] = {{0}};
    struct open_job job = job_of(s);
    struct open_result result = {0};

    job.user_certs = enrolled;
    for (int i = 0; i < sk_X509_num(certs) && job.n_user_certs < CERTS_MAX; i++) {
        unsigned char *der = NULL;
        int len = i2d_X509(sk_X509_value(certs, i), &der);

        enrolled[job.n_user_certs++] = (struct bytes){der, (size_t)len};
    }
    job.now_s = cms ? signing_time_s(cms) : 0;
    if (open_run(&job, &result) == ERR_OK) {
        counts.opened++;
        buf_printf(&opened_names, "%s\n", s->name);
    }
    open_result_clear(&result);
    for (size_t i = 0; i < job.n_user_certs; i++)
        OPENSSL_free((void *)(uintptr_t)enrolled[i].data);
    sk_X509_pop_free(certs, X509_free);
    CMS_ContentInfo_free(cms);
    ERR_clear_error();
}

/* ---- the files ---- */

static void sample_judge(const char *path, size_t folder_len)
{
    struct sample s = {.name = path + folder_len + 1};
    CLEANUP(buf_clear) struct buf raw = {0};
    struct bytes text;

    assert_int_equal(file_read(path, 64u << 20, &raw), ERR_OK);
    text = buf_bytes(&raw);
    if (text.len > 5 && memcmp(text.data, "From ", 5) == 0) {
        const uint8_t *lf = memchr(text.data, '\n', text.len);

        assert_non_null(lf);
        text.len -= (size_t)(lf + 1 - text.data);
        text.data = lf + 1;
    }
    reply_crlf(text, &s.text);
    counts.files++;
    err_note_clear();
    if (message_parse(buf_bytes(&s.text), &s.message) == ERR_OK) {
        nothing_opens(&s);
        signer_opens_or_nobody(&s);
    } else {
        counts.unreadable++; /* the receiver takes none of these */
    }
    message_clear(&s.message);
    buf_clear(&s.text);
}

static int file_visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    if (type == FTW_F)
        sample_judge(path, strlen(pki.dir));
    return 0;
}

static bool archive_judge(const char *name)
{
    char path[512];
    const char *argv[] = {"tar", "xzf", path, NULL};

    (void)snprintf(path, sizeof path, "%s/%s.tar.gz", CORPUS_DIR, name);
    if (access(path, R_OK) != 0) {
        print_message("No S/MIME samples beside the checkout (%s): nothing judged.\n", path);
        return false;
    }
    counts = (struct counts){0};
    assert_int_equal(test_run(&pki, "", argv), 0);
    assert_int_equal(nftw(test_path(&pki, name), file_visit, 16, FTW_PHYS), 0);
    print_message("%s: %u files, %u unreadable, %u with S/MIME at their root, %u by their signer\n",
                  name, counts.files, counts.unreadable, counts.smime, counts.opened);
    return true;
}

/* Each of these, and nothing else. */
static void opened_are(const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_non_null(strstr(buf_str(&opened_names), names[i]));
    if (counts.opened != n)
        print_message("%s", buf_str(&opened_names));
    assert_int_equal(counts.opened, n);
}

static int set_up(void **state)
{
    (void)state;
    test_pki_new(&pki, false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_clear(&opened_names);
    test_pki_free(&pki);
    return 0;
}

static void attacks_do_not_open(void **state)
{
    static const char *const honest[] = {"assets_valid-signed_eve-smime.eml",
                                         "assets_valid-signed_manager-smime.eml"};

    (void)state;
    if (archive_judge("attack-crypto"))
        opened_are(honest, 2);
}

static void samples_open_for_nobody_but_their_signer(void **state)
{
    static const char *const honest[] = {"openssl-signed-sha256-non-default-salt-length.eml",
                                         "3nnn_smime.eml", "pkcs7_smime-onepart-signed.eml",
                                         "protected-headers_smime-onepart-signed.eml"};

    (void)state;
    if (archive_judge("smime"))
        opened_are(honest, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(attacks_do_not_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(samples_open_for_nobody_but_their_signer, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
