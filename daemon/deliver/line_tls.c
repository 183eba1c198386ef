/* SPDX-License-Identifier: GPL-3.0-or-later */
/* line_tls.c - libesmtp's calls into TLS, taken over by the executable, and the poll() in front of
 * them.
 *
 * Invariants as in line.c; and libesmtp is told that there is something to read only when there is
 * something for it, not a record of TLS's own. */
#include "daemon/base/clock.h"
#include "daemon/deliver/line_internal.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>

/* As in line.c: libssl's and libc's names on the symbols only. */
int line_ssl_connect(SSL *ssl) __asm__("SSL_connect");
int line_ssl_read(SSL *ssl, void *data, int len) __asm__("SSL_read");
int line_ssl_write(SSL *ssl, const void *data, int len) __asm__("SSL_write");
int line_poll(struct pollfd *fds, nfds_t n, int timeout_ms) __asm__("poll");

/* The same in TLS. Once the connection is shut down the true SSL_write fails by itself, and its
 * error is what libesmtp asks OpenSSL for. */
bool line_tls_whole(SSL *ssl, const uint8_t *data, size_t len)
{
    NEXT(line_ssl_write, "SSL_write");
    int put;

    while ((put = next(ssl, data, (int)len)) <= 0) {
        int why = SSL_get_error(ssl, put);

        if (line_state.wire->fault || (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)) {
            line_cut(FAULT_DROPPED);
            return false;
        }
        (void)line_wait(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
    }
    return true; /* partial writes are not enabled */
}

/* libesmtp keeps what it read in clear behind the 220 of STARTTLS and takes it for replies inside
 * TLS, sends no server name, and checks the certificate against whatever name DNS gave. Here the
 * clear part ends with nothing left over, the configured name is sent, and OpenSSL itself fails
 * the handshake unless the certificate carries it. */
static void handshake_begins(SSL *ssl)
{
    const char *host = line_state.options.host;
    struct in6_addr ignored;
    bool literal =
        inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1;

    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!wire_start_tls(line_state.wire))
        line_cut(line_state.wire->fault);
    else if (literal ? !X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host)
                     : !SSL_set1_host(ssl, host) || !SSL_set_tlsext_host_name(ssl, host))
        line_cut(FAULT_LOCAL);
}

static void handshake_failed(const SSL *ssl, int why)
{
    long verify = SSL_get_verify_result(ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    char text[JOB_TEXT_MAX + 1];

    if (line_state.wire->fault || why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return;
    if (verify != X509_V_OK)
        (void)snprintf(text, sizeof text, "%s", X509_verify_cert_error_string(verify));
    else
        (void)snprintf(text, sizeof text, "handshake failed (1.2 or 1.3 is wanted): %s",
                       reason ? reason : "the connection ended");
    line_cut(verify == X509_V_OK ? FAULT_TLS : FAULT_CERTIFICATE);
    job_text_set(line_state.wire->summary->text, bytes_of(text));
}

int line_ssl_connect(SSL *ssl)
{
    NEXT(line_ssl_connect, "SSL_connect");
    int result;

    if (line_state.wire && SSL_in_before(ssl))
        handshake_begins(ssl);
    result = next(ssl);
    if (line_state.wire && result <= 0)
        handshake_failed(ssl, SSL_get_error(ssl, result));
    else if (line_state.wire)
        line_state.ssl = ssl;
    return result;
}

int line_ssl_read(SSL *ssl, void *data, int len)
{
    NEXT(line_ssl_read, "SSL_read");
    int got = next(ssl, data, len);

    if (!line_state.wire || got <= 0)
        return got;
    return (int)line_received(data, (size_t)got);
}

int line_ssl_write(SSL *ssl, const void *data, int len)
{
    NEXT(line_ssl_write, "SSL_write");

    if (line_state.wire && line_send(ssl, data, (size_t)len))
        return len;
    return next(ssl, data, len); /* not ours, or dead: then this fails with an error to show */
}

/* ---- waiting ---- */

/* Reads what is there: records of TLS itself (session tickets, key updates) are dealt with and
 * gone, the content of others stays for SSL_read. False: nothing was left for it. Errors and the
 * peer's end are for SSL_read to find. */
static bool tls_has_data(SSL *ssl)
{
    uint8_t byte;
    int got;

    ERR_clear_error();
    got = SSL_peek(ssl, &byte, 1);
    return got > 0 || SSL_get_error(ssl, got) != SSL_ERROR_WANT_READ;
}

static bool asks_to_read(const struct pollfd *fds, nfds_t n)
{
    return n && fds[0].fd == line_state.fd && (fds[0].events & POLLIN);
}

/* libesmtp polls for reading and writing at once and, once the socket is readable, reads a reply
 * before it has flushed its command. The session tickets of TLS 1.3 make the socket readable right
 * behind the handshake: it would wait its full timeout for the reply to an EHLO that it never sent.
 * It asks for reading in the first place of the array or not at all. */
static int poll_for_data(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    NEXT(line_poll, "poll");
    int64_t end_ms = clock_mono_ms() + timeout_ms;
    int64_t left_ms = timeout_ms;
    int ready;

    for (;;) {
        ready = next(fds, n, (int)left_ms);
        if (ready <= 0 || !(fds[0].revents & POLLIN) || tls_has_data(line_state.ssl))
            return ready;
        fds[0].revents &= (short)~POLLIN;
        if (fds[0].revents == 0 && --ready > 0)
            return ready; /* it may write */
        if (fds[0].revents)
            return ready;
        if (timeout_ms >= 0)
            left_ms = end_ms > clock_mono_ms() ? end_ms - clock_mono_ms() : 0;
    }
}

int line_poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    NEXT(line_poll, "poll");
    int ready;

    if (!line_state.wire || line_state.waiting || !asks_to_read(fds, n))
        return next(fds, n, timeout_ms);
    line_state.polled = true;
    ready = line_state.ssl ? poll_for_data(fds, n, timeout_ms) : next(fds, n, timeout_ms);
    /* libesmtp gives up now, without a word about why. */
    if (ready == 0 && timeout_ms != 0)
        wire_fail(line_state.wire, FAULT_SILENT);
    return ready;
}
