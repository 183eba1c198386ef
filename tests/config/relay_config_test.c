/* SPDX-License-Identifier: GPL-3.0-or-later */
/* relay_config_test.c - sealrelayd.conf: what is taken, what is refused with file and line, and
 * what
 * --check-config learns of a next hop, which here is a script in a thread. */
#include "daemon/config/relay_config.h"
#include "tests/deliver/hop_fixture.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
// clang-format on
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RELAY  "[relay]\nhostname = r.example.com\ndomains = r.example.com\nstate_dir = /x\n"
#define RSPAMD "[verdict]\nsource = rspamd\nrspamd = http://"
#define HOP    "[next-hop default]\nhost = 127.0.0.1\n"

static enum err load(const char *text, struct relay_config *c)
{
    const char *path = fixture_path("relay.conf");
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    err_note_clear();
    return relay_config_load(path, c);
}

static void a_short_file_is_filled_with_the_documented_defaults(void **state)
{
    struct relay_config c;

    (void)state;
    assert_int_equal(load(RELAY HOP, &c), ERR_OK);
    assert_int_equal(c.connections, 200);
    assert_int_equal(c.recipients, 100);
    assert_int_equal(c.message_size, 25 << 20);
    assert_int_equal(c.free_min, (25 << 20) / 2 * 3);
    assert_int_equal(c.new_keys_per_message, 5);
    assert_int_equal(c.lifetime_s, 5 * 86400);
    assert_int_equal(c.n_hops, 1);
    assert_string_equal(c.hops[0].domain, "");
    assert_string_equal(c.hops[0].tls, "none");
    relay_config_clear(&c);
}

static void domains_and_hops_of_their_own_are_read(void **state)
{
    struct relay_config c;

    (void)state;
    assert_int_equal(load("[relay]\nhostname = h\ndomains = A.example.com, b.example.com\n"
                          "state_dir = /x\n" HOP "port = 10026\n[next-hop example.org]\n"
                          "host = mx.example.org\ntls = required\nsessions = 9\n",
                          &c),
                     ERR_OK);
    assert_int_equal(c.domains.n, 2);
    assert_string_equal(c.domains.items[0], "a.example.com");
    assert_int_equal(c.n_hops, 2);
    assert_int_equal(c.hops[0].port, 10026);
    assert_string_equal(c.hops[1].domain, "example.org");
    assert_int_equal(c.hops[1].sessions, 9);
    relay_config_clear(&c);
}

static void whoever_judges_senders_is_read(void **state)
{
    static const char *const hosts[] = {"127.0.0.1", "127.8.9.10", "localhost", "[::1]"};
    struct relay_config c;

    (void)state;
    assert_int_equal(load(RELAY HOP, &c), ERR_OK);
    assert_string_equal(c.verdict_source, "none");
    assert_int_equal(c.verdict_timeout_s, 5);
    relay_config_clear(&c);
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        char text[512];

        (void)snprintf(text, sizeof text, RELAY HOP RSPAMD "%s:11333\ntimeout = 3s\n", hosts[i]);
        assert_int_equal(load(text, &c), ERR_OK);
        assert_int_equal(c.verdict_timeout_s, 3);
        relay_config_clear(&c);
    }
    assert_int_equal(load(RELAY HOP "[verdict]\nsource = authentication-results\n"
                                    "authserv_id = mx.example.com\n",
                          &c),
                     ERR_OK);
    assert_string_equal(c.authserv_id, "mx.example.com");
    relay_config_clear(&c);
}

static void the_example_file_is_good(void **state)
{
    struct relay_config c;

    (void)state;
    err_note_clear();
    assert_int_equal(relay_config_load(EXAMPLE, &c), ERR_OK);
    relay_config_clear(&c);
}

static void what_is_wrong_is_refused_and_named(void **state)
{
    static const struct {
        const char *text;
        const char *where, *what; /* parts of the note */
    } cases[] = {
        {RELAY "colour = blue\n" HOP, "relay.conf:5", "colour"},
        {RELAY HOP "colour = blue\n", "relay.conf:7", "colour"},
        {RELAY "[colours]\nblue = yes\n" HOP, "relay.conf:6", "blue"},
        {RELAY "[limits]\nconnections = 0\n" HOP, "relay.conf:6", "connections"},
        {RELAY "[limits]\nmessage_size = big\n" HOP, "relay.conf:6", "message_size"},
        {RELAY "[queue]\nlifetime = 5 years\n" HOP, "relay.conf:6", "lifetime"},
        {RELAY "hide_subject = perhaps\n" HOP, "relay.conf:5", "hide_subject"},
        {RELAY "hostname = twice\n" HOP, "relay.conf:5", "hostname"},
        {RELAY "no equals sign\n" HOP, "relay.conf:5", "line"},
        {RELAY HOP "port = 65536\n", "relay.conf:7", "port"},
        {"[relay]\nhostname = h\ndomains = d\n" HOP, "relay.conf", "state_dir"},
        {RELAY, "relay.conf", "next-hop default"},
        {RELAY "[next-hop default]\nport = 25\n", "relay.conf", "host is missing"},
        {RELAY HOP "tls = maybe\n", "relay.conf", "none or required"},
        {RELAY "[next-hop default]\nhost = mx.example.org\n", "relay.conf", "loopback"},
        {RELAY HOP HOP, "relay.conf:8", "twice"},
        {RELAY HOP "[next-hop x.example]\nhost = ::1\n[next-hop x.example]\nport = 26\n",
         "relay.conf:10", "twice"},
        {RELAY HOP "[next-hop x.example]\nhost = ::1\n[limits]\n[next-hop X.Example]\nport = 26\n",
         "relay.conf:11", "twice"},
        {RELAY HOP "host = ::1\n", "relay.conf:7", "twice"},
        {RELAY HOP "[listen]\ntls_key = /x\n", "relay.conf", "go together"},
        {RELAY HOP "[queue]\nretry_first = 2h\nretry_max = 1h\n", "relay.conf", "retry_first"},
        {RELAY HOP "[limits]\nmemory = 1M\n", "relay.conf", "memory"},
        {RELAY HOP "[verdict]\nsource = perhaps\n", "relay.conf", "source"},
        {RELAY HOP "[verdict]\nsource = rspamd\n", "relay.conf", "rspamd is missing"},
        {RELAY HOP RSPAMD "127.0.0.1:1\nauthserv_id = x\n", "relay.conf", "go together"},
        {RELAY HOP "[verdict]\nsource = authentication-results\n", "relay.conf", "go together"},
        {RELAY HOP "[verdict]\nrspamd = http://127.0.0.1:1\n", "relay.conf", "source = rspamd"},
        {RELAY HOP "[verdict]\npassword_file = /x\n", "relay.conf", "source = rspamd"},
        {RELAY HOP RSPAMD "192.0.2.1:11333\n", "relay.conf", "loopback"},
        {RELAY HOP RSPAMD "127.0.0.1.evil.example:80\n", "relay.conf", "loopback"},
        {RELAY HOP RSPAMD "127.0.0.1\n", "relay.conf", "http://host:port"},
        {RELAY HOP RSPAMD "127.0.0.1:1/path\n", "relay.conf", "http://host:port"},
        {RELAY HOP RSPAMD "127.0.0.1:\n", "relay.conf", "http://host:port"},
        {RELAY HOP RSPAMD "user@127.0.0.1:80\n", "relay.conf", "loopback"},
        {RELAY HOP "[verdict]\nsource = rspamd\nrspamd = https://127.0.0.1:1\n", "relay.conf",
         "http://host:port"},
        {RELAY HOP "[verdict]\ntimeout = 16s\n", "relay.conf", "timeout"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct relay_config c;
        enum err e = load(cases[i].text, &c);
        const struct err_note *note = err_note_get();

        if (e != ERR_CONFIG || !strstr(note->action, cases[i].where) ||
            !strstr(note->detail, cases[i].what))
            fail_msg("case %zu: %s, %s: %s", i, err_name(e), note->action, note->detail);
    }
}

static void the_size_of_a_sealed_message_is_bounded_from_above(void **state)
{
    (void)state;
    /* 25 MB of lines grow by 1.375, a small message by 1.49 and its certificates */
    assert_true(relay_sealed_size(25000000) >= 34375000 + 8192);
    assert_true(relay_sealed_size(25000000) < 35000000);
    assert_true(relay_sealed_size(8192) >= 12207 + 8192);
    assert_true(relay_sealed_size(0) >= 8192);
}

/* ---- a next hop ---- */

struct hop_script {
    const char *greeting, *ehlo, *starttls; /* replies */
    const char *cert;                       /* NAME of NAME.pem, NAME.key for STARTTLS */
    int fd;
    pthread_t thread;
};

struct talk {
    int fd;
    SSL *ssl;
};

static bool talk_say(const struct talk *t, const char *text)
{
    int len = (int)strlen(text);

    return t->ssl ? SSL_write(t->ssl, text, len) == len : write(t->fd, text, (size_t)len) == len;
}

static bool talk_hear(const struct talk *t, char line[512])
{
    size_t n = 0;

    while (n < 511 && (t->ssl ? SSL_read(t->ssl, line + n, 1) : (int)read(t->fd, line + n, 1)) == 1)
        if (line[n++] == '\n')
            break;
    line[n] = '\0';
    return n > 0;
}

static bool talk_tls(struct talk *t, const char *name, SSL_CTX *ctx)
{
    char file[64];

    (void)snprintf(file, sizeof file, "%s.pem", name);
    if (SSL_CTX_use_certificate_chain_file(ctx, fixture_path(file)) != 1)
        return false;
    (void)snprintf(file, sizeof file, "%s.key", name);
    if (SSL_CTX_use_PrivateKey_file(ctx, fixture_path(file), SSL_FILETYPE_PEM) != 1)
        return false;
    t->ssl = SSL_new(ctx);
    return t->ssl && SSL_set_fd(t->ssl, t->fd) == 1 && SSL_accept(t->ssl) == 1;
}

static bool talk_answer(struct talk *t, const struct hop_script *s, SSL_CTX *ctx, const char *line)
{
    if (strncmp(line, "EHLO ", 5) == 0)
        return talk_say(t, s->ehlo);
    if (strncmp(line, "STARTTLS", 8) == 0)
        return talk_say(t, s->starttls) && s->starttls[0] == '2' && talk_tls(t, s->cert, ctx);
    (void)talk_say(t, "221 bye\r\n");
    return false;
}

static void *hop_serve(void *arg)
{
    const struct hop_script *s = arg;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct talk t = {.fd = accept(s->fd, NULL, NULL)};
    char line[512];

    if (t.fd >= 0 && talk_say(&t, s->greeting))
        while (talk_hear(&t, line) && talk_answer(&t, s, ctx, line))
            ;
    SSL_free(t.ssl);
    SSL_CTX_free(ctx);
    if (t.fd >= 0)
        (void)close(t.fd);
    return NULL;
}

/* What relay_config_probe says of a hop that behaves as scripted. */
static enum err probe(struct hop_script *s, const char *hop_lines, const char *more)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    struct relay_config c;
    char text[1024];
    enum err e;

    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(s->fd, 1), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&address, &len), 0);
    (void)snprintf(text, sizeof text, RELAY "[next-hop default]\nport = %u\n%s%s",
                   ntohs(address.sin_port), hop_lines, more);
    assert_int_equal(load(text, &c), ERR_OK);
    assert_int_equal(pthread_create(&s->thread, NULL, hop_serve, s), 0);
    e = relay_config_probe(&c);
    (void)shutdown(s->fd, SHUT_RDWR);
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    (void)close(s->fd);
    relay_config_clear(&c);
    return e;
}

#define HELLO "220 hop ESMTP\r\n"

static void a_hop_is_good_when_a_whole_sealed_message_fits(void **state)
{
    static const char *const good[] = {
        "250-hop\r\n250-PIPELINING\r\n250 SIZE 36241408\r\n",
        "250-hop\r\n250-SIZE\r\n250 CHUNKING\r\n", /* no limit told */
        "250-hop\r\n250-SIZE 0\r\n250 X\r\n",      /* RFC 1870: no fixed limit */
        "250 hop\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct hop_script s = {.greeting = HELLO, .ehlo = good[i]};

        assert_int_equal(probe(&s, "host = 127.0.0.1\n", ""), ERR_OK);
    }
}

static void a_hop_whose_size_is_too_small_is_refused_with_the_limit_that_would_fit(void **state)
{
    struct hop_script s = {.greeting = HELLO, .ehlo = "250-hop\r\n250 SIZE 26214400\r\n"};

    (void)state;
    assert_int_equal(probe(&s, "host = 127.0.0.1\n", ""), ERR_CONFIG);
    assert_non_null(strstr(err_note_get()->detail, "at most 18948"));
    assert_int_equal(probe(&s, "host = 127.0.0.1\n", "[limits]\nmessage_size = 18M\n"), ERR_OK);
    s.ehlo = "250-hop\r\n250 size 1000\r\n";
    assert_int_equal(probe(&s, "host = 127.0.0.1\n", ""), ERR_CONFIG);
}

static void a_hop_that_answers_nothing_good_is_not_reached(void **state)
{
    static const struct hop_script bad[] = {
        {.greeting = "554 go away\r\n", .ehlo = ""},
        {.greeting = HELLO, .ehlo = "421 not now\r\n"},
        {.greeting = HELLO, .ehlo = "500 what\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct hop_script s = bad[i];

        assert_int_equal(probe(&s, "host = 127.0.0.1\n", ""), ERR_NET);
    }
}

static void required_tls_needs_starttls_and_a_certificate_of_that_name(void **state)
{
    static const struct {
        const char *host, *cert, *ca, *ehlo, *starttls;
        enum err expected;
    } cases[] = {
        {"localhost", "good", "ca.pem", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n", ERR_OK},
        {"127.0.0.1", "good", "ca.pem", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n", ERR_OK},
        {"localhost", "good", "ca.pem", "250-h\r\n250 SIZE\r\n", "220 go\r\n", ERR_CONFIG},
        {"localhost", "good", "ca.pem", "250-h\r\n250 STARTTLS\r\n", "454 no\r\n", ERR_NET},
        {"localhost", "wrong", "ca.pem", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n", ERR_CONFIG},
        {"127.0.0.1", "wrong", "ca.pem", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n", ERR_CONFIG},
        {"localhost", "expired", "ca.pem", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n", ERR_CONFIG},
        {"localhost", "self", "ca.pem", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n", ERR_CONFIG},
        {"localhost", "good", "self.pem", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n", ERR_CONFIG},
        {"localhost", "good", "none.pem", "250-h\r\n250 STARTTLS\r\n", "220 go\r\n", ERR_CONFIG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hop_script s = {.greeting = HELLO,
                               .ehlo = cases[i].ehlo,
                               .starttls = cases[i].starttls,
                               .cert = cases[i].cert};
        char lines[512];
        enum err e;

        (void)snprintf(lines, sizeof lines, "host = %s\ntls = required\nca_file = %s\n",
                       cases[i].host, fixture_path(cases[i].ca));
        e = probe(&s, lines, "");
        if (e != cases[i].expected)
            fail_msg("case %zu: %s, %s", i, err_name(e), err_note_get()->detail);
    }
}

static int setup(void **state)
{
    (void)state;
    certificates_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_file_is_filled_with_the_documented_defaults),
        cmocka_unit_test(domains_and_hops_of_their_own_are_read),
        cmocka_unit_test(the_example_file_is_good),
        cmocka_unit_test(whoever_judges_senders_is_read),
        cmocka_unit_test(what_is_wrong_is_refused_and_named),
        cmocka_unit_test(the_size_of_a_sealed_message_is_bounded_from_above),
        cmocka_unit_test(a_hop_is_good_when_a_whole_sealed_message_fits),
        cmocka_unit_test(a_hop_whose_size_is_too_small_is_refused_with_the_limit_that_would_fit),
        cmocka_unit_test(a_hop_that_answers_nothing_good_is_not_reached),
        cmocka_unit_test(required_tls_needs_starttls_and_a_certificate_of_that_name),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup, teardown);
}
