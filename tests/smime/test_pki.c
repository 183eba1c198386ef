/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test_pki.c - certificates made in memory, files for the judges, and running them. */
#include "tests/smime/test_pki.h"
#include "daemon/base/fdio.h"
#include "provisioning/enroll/old_reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void extension_add(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509_EXTENSION *ext;
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(ext);
    assert_int_equal(X509_add_ext(cert, ext, -1), 1);
    X509_EXTENSION_free(ext);
}

static void name_add(X509_NAME *name, const char *field, const char *value)
{
    if (value)
        assert_int_equal(X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8,
                                                    (const unsigned char *)value, -1, -1, 0),
                         1);
}

X509 *test_certificate(const struct test_role *role, EVP_PKEY *key, X509 *issuer,
                       EVP_PKEY *issuer_key)
{
    bool usual = role->from_day == 0 && role->to_day == 0;
    X509 *cert = X509_new();
    X509_NAME *name = X509_NAME_new();
    static long serial = 1000;

    assert_non_null(cert);
    name_add(name, "CN", role->name);
    name_add(name, "O", role->organisation);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(cert), (usual ? -30L : role->from_day) * 86400);
    X509_gmtime_adj(X509_getm_notAfter(cert), (usual ? 600L : role->to_day) * 86400);
    X509_set_subject_name(cert, name);
    X509_set_issuer_name(cert, issuer ? X509_get_subject_name(issuer) : name);
    X509_set_pubkey(cert, key);
    extension_add(cert, issuer ? issuer : cert, NID_subject_key_identifier, "hash");
    if (issuer)
        extension_add(cert, issuer, NID_authority_key_identifier, "keyid:always");
    if (role->basic)
        extension_add(cert, issuer, NID_basic_constraints, role->basic);
    if (role->usage)
        extension_add(cert, issuer, NID_key_usage, role->usage);
    if (role->email || role->purpose)
        extension_add(cert, issuer, NID_ext_key_usage,
                      role->purpose ? role->purpose : "emailProtection");
    if (role->email)
        extension_add(cert, issuer, NID_subject_alt_name, role->email);
    assert_true(X509_sign(cert, issuer_key, role->md ? role->md : EVP_sha384()) > 0);
    X509_NAME_free(name);
    return cert;
}

static EVP_PKEY *leaf_key(bool ec)
{
    return ec ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
}

static void pem_write(const struct test_pki *p, const char *name, X509 *cert, EVP_PKEY *key)
{
    FILE *f = fopen(test_path(p, name), "w");

    assert_non_null(f);
    if (cert)
        assert_int_equal(PEM_write_X509(f, cert), 1);
    if (key)
        assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
}

static PKCS12 *p12_create(const struct test_pki *p)
{
    return PKCS12_create("secret", "user", p->user_key, p->user, NULL,
                         NID_pbe_WithSHA1And3_Key_TripleDES_CBC,
                         NID_pbe_WithSHA1And3_Key_TripleDES_CBC, 2048, -1, 0);
}

/* In the old form, which gpgsm 2.2 reads too, mostly. */
static void p12_write(const struct test_pki *p)
{
    PKCS12 *p12 = p12_create(p);
    FILE *f = fopen(test_path(p, "user.p12"), "w");

    while (p12 && !old_reader_takes(p12, "secret")) {
        PKCS12_free(p12);
        p12 = p12_create(p);
    }
    assert_non_null(p12);
    assert_int_equal(PKCS12_set_mac(p12, "secret", -1, NULL, 0, 2048, EVP_sha1()), 1);
    assert_non_null(f);
    assert_int_equal(i2d_PKCS12_fp(f, p12), 1);
    assert_int_equal(fclose(f), 0);
    PKCS12_free(p12);
}

void test_pki_new(struct test_pki *p, bool ec)
{
    const char *ca_usage = "critical,keyCertSign,cRLSign";
    const char *leaf_usage =
        ec ? "critical,digitalSignature,keyAgreement" : "critical,digitalSignature,keyEncipherment";
    struct test_role root = {"Test Root", ca_usage, .basic = "critical,CA:TRUE"};
    struct test_role inter = {"Test Intermediate", ca_usage, .basic = "critical,CA:TRUE,pathlen:0"};
    struct test_role sender = {TEST_SENDER, leaf_usage, .email = "email:" TEST_SENDER};
    struct test_role user = {TEST_USER, leaf_usage, .email = "email:" TEST_USER};

    *p = (struct test_pki){.dir = "/tmp/seal-test-XXXXXX"};
    assert_non_null(mkdtemp(p->dir));
    p->root_key = EVP_EC_gen("P-384");
    p->inter_key = EVP_EC_gen("P-384");
    p->sender_key = leaf_key(ec);
    p->user_key = leaf_key(ec);
    p->root = test_certificate(&root, p->root_key, NULL, p->root_key);
    p->inter = test_certificate(&inter, p->inter_key, p->root, p->root_key);
    p->sender = test_certificate(&sender, p->sender_key, p->inter, p->inter_key);
    p->user = test_certificate(&user, p->user_key, p->inter, p->inter_key);
    pem_write(p, "root.pem", p->root, NULL);
    pem_write(p, "inter.pem", p->inter, NULL);
    pem_write(p, "sender.pem", p->sender, NULL);
    pem_write(p, "user.pem", p->user, NULL);
    pem_write(p, "user.key", NULL, p->user_key);
    p12_write(p);
}

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void test_pki_free(struct test_pki *p)
{
    (void)nftw(p->dir, entry_remove, 16, FTW_DEPTH | FTW_PHYS);
    X509_free(p->root);
    X509_free(p->inter);
    X509_free(p->sender);
    X509_free(p->user);
    EVP_PKEY_free(p->root_key);
    EVP_PKEY_free(p->inter_key);
    EVP_PKEY_free(p->sender_key);
    EVP_PKEY_free(p->user_key);
}

const char *test_path(const struct test_pki *p, const char *name)
{
    static char paths[4][160];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof paths[0], "%s/%s", p->dir, name);
    return path;
}

void test_write(const struct test_pki *p, const char *name, struct bytes data)
{
    int fd = open(test_path(p, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write_all(fd, data.data, data.len), ERR_OK);
    assert_int_equal(close(fd), 0);
}

void test_read(const struct test_pki *p, const char *name, struct buf *out)
{
    assert_int_equal(file_read(test_path(p, name), 64u << 20, out), ERR_OK);
}

/* Sanitizer settings are ours, not the judges'. */
static void child_run(const struct test_pki *p, int input, const char *const argv[])
{
    int log = open(test_path(p, "log"), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (chdir(p->dir) || dup2(input, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0)
        _exit(126);
    (void)setenv("GNUPGHOME", test_path(p, "gnupg"), 1);
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

int test_run(const struct test_pki *p, const char *input, const char *const argv[])
{
    int ends[2];
    int status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write_all(ends[1], input, strlen(input)), ERR_OK);
    assert_int_equal(close(ends[1]), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_run(p, ends[0], argv);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) {
        CLEANUP(buf_clear) struct buf log = {0};

        test_read(p, "log", &log);
        print_message("%s %s: status %d\n%s", argv[0], argv[1], status, buf_str(&log));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
