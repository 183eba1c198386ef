/* SPDX-License-Identifier: GPL-3.0-or-later */
/* host.c - a server under test on loopback. */
#include "tests/receive/host.h"

#include "daemon/base/fdio.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

static void pause_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

    (void)nanosleep(&t, NULL);
}

static struct reply judge_rcpt(void *ctx, struct receive_transaction *t, const char *address)
{
    (void)ctx;
    (void)t;
    return strncmp(address, "bad", 3) == 0 ? reply_of(ERR_NO_ALIAS) : reply_of(ERR_OK);
}

static enum err look_up(void *ctx, const char *address)
{
    (void)ctx;
    return strncmp(address, "bad", 3) == 0 ? ERR_NO_ALIAS : ERR_OK;
}

static void take_message(void *ctx, struct receive_transaction *t, struct bytes data,
                         int64_t deadline, struct reply *replies)
{
    struct host *h = ctx;

    (void)deadline;
    pause_ms(h->handler_ms);
    (void)pthread_mutex_lock(&h->lock);
    h->n_messages++;
    if (h->messages.len < 100000)
        buf_append_bytes(&h->messages, data);
    (void)pthread_mutex_unlock(&h->lock);
    for (size_t i = 0; i < t->n_rcpts; i++)
        replies[i] = reply_of(ERR_OK);
}

static void end_transaction(void *ctx, struct receive_transaction *t)
{
    struct host *h = ctx;

    (void)t;
    (void)pthread_mutex_lock(&h->lock);
    h->n_ends++;
    (void)pthread_mutex_unlock(&h->lock);
}

static void make_certificate(const struct host *h)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *key_file = fopen(h->key, "w");
    FILE *cert_file = fopen(h->certificate, "w");
    X509_NAME *name = X509_get_subject_name(cert);

    assert_true(key && cert && key_file && cert_file && name);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const unsigned char *)"relay.test", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(cert, name), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_X509(cert_file, cert), 1);
    assert_int_equal(PEM_write_PrivateKey(key_file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(key_file) | fclose(cert_file), 0);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static int listen_loopback(int *port_out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 512), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port_out = ntohs(address.sin_port);
    return fd;
}

struct receive_options host_options(void)
{
    return (struct receive_options){
        .hostname = "relay.test", .command_timeout_s = 5, .data_timeout_s = 5, .stop_grace_s = 1};
}

void host_open(struct host *h, struct receive_options options)
{
    int fd;

    *h = (struct host){.dir = "/tmp/receive-test-XXXXXX"};
    assert_int_equal(pthread_mutex_init(&h->lock, NULL), 0);
    assert_non_null(mkdtemp(h->dir));
    (void)snprintf(h->certificate, sizeof h->certificate, "%s/cert.pem", h->dir);
    (void)snprintf(h->key, sizeof h->key, "%s/key.pem", h->dir);
    (void)snprintf(h->unix_path, sizeof h->unix_path, "%s/lmtp", h->dir);
    make_certificate(h);
    options.tls_certificate = h->certificate;
    options.tls_key = h->key;
    h->handler = (struct receive_handler){.ctx = h,
                                          .rcpt = judge_rcpt,
                                          .lookup = look_up,
                                          .message = take_message,
                                          .end = end_transaction};
    assert_int_equal(receive_new(&options, &h->handler, &h->receive), ERR_OK);
    fd = listen_loopback(&h->smtp_port);
    assert_int_equal(receive_listen(h->receive, fd, RECEIVE_SMTP), ERR_OK);
    fd = listen_loopback(&h->lmtp_port);
    assert_int_equal(receive_listen(h->receive, fd, RECEIVE_LMTP), ERR_OK);
    fd = listen_loopback(&h->socketmap_port);
    assert_int_equal(receive_listen_socketmap(h->receive, fd), ERR_OK);
    assert_int_equal(unix_listen(h->unix_path, SOCK_STREAM, 0600, &fd), ERR_OK);
    assert_int_equal(receive_listen(h->receive, fd, RECEIVE_LMTP), ERR_OK);
}

static void *serve(void *argument)
{
    struct host *h = argument;

    return receive_run(h->receive) == ERR_OK ? h : NULL;
}

void host_start(struct host *h)
{
    assert_int_equal(pthread_create(&h->thread, NULL, serve, h), 0);
    h->running = true;
}

void host_stop(struct host *h)
{
    void *result = NULL;

    if (!h->running)
        return;
    receive_stop(h->receive);
    assert_int_equal(pthread_join(h->thread, &result), 0);
    assert_ptr_equal(result, h);
    h->running = false;
}

void host_close(struct host *h)
{
    struct receive_stats stats;

    host_stop(h);
    receive_stats_get(h->receive, &stats);
    assert_int_equal(stats.memory_now_bytes, 0);
    assert_int_equal(stats.connections_now, 0);
    receive_free(h->receive);
    buf_clear(&h->messages);
    (void)unlink(h->certificate);
    (void)unlink(h->key);
    (void)unlink(h->unix_path);
    (void)rmdir(h->dir);
    (void)pthread_mutex_destroy(&h->lock);
}

void host_wait_idle(struct host *h)
{
    struct receive_stats stats;

    for (int i = 0; i < 500; i++) {
        receive_stats_get(h->receive, &stats);
        if (stats.connections_now == 0)
            return;
        pause_ms(10);
    }
    fail_msg("%s", "connections are left");
}

unsigned open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    (void)closedir(dir);
    return n;
}
