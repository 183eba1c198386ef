/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fault_test.c - the whole way of delivery against next hops that misbehave: runner, socket,
 * sealdeliver, libesmtp, TCP. Each message ends exactly once, as done, to be retried or failed, and
 * what a next hop accepted is byte for byte what was queued. */
#include "daemon/deliver/runner.h"
#include "tests/deliver/hop_fixture.h"
#include "tests/deliver/memory_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGES_MAX 8
#define RESULT_MS    40000
#define SMALL        2000u
#define BIG          6000000u /* beyond all socket buffers */

static char deliver_socket[256];
static char ca_path[256];
static pid_t deliver_pid;

struct expectation {
    const char *name; /* a sentence */
    const char *scenario;
    size_t n;
    const char *outcomes; /* one letter a message: d(one), r(etry), f(ailed) */
    size_t size;
    long accepted;           /* by the next hop, at least once each; -1: not looked at */
    const char *certificate; /* of the next hop; NULL: no TLS */
    const char *host;        /* NULL: 127.0.0.1 */
    long late;               /* fails when the envelope has left already, in TLS */
};

#define CLEAR            NULL, NULL, 0
#define TLS(cert, host)  cert, host, 0
#define LATE(cert, host) cert, host, 1

static void content_make(struct buf *out, size_t size, size_t number)
{
    buf_printf(out, "From: <a@relay.example>\r\nTo: <b@user.example>\r\nSubject: %zu\r\n", number);
    buf_printf(out, "Date: Sun, 22 Nov 2026 07:00:00 +0000\r\n");
    buf_printf(out, "Message-ID: <%zu@relay.example>\r\n\r\n.\r\n..\r\n.a dot\r\n", number);
    while (out->len < size)
        buf_printf(out, "%zu line of text, none like another, sixty bytes or so long\r\n",
                   out->len);
}

static void queue_fill(struct queue *q, const char *hop, const struct expectation *x)
{
    for (size_t i = 0; i < x->n; i++) {
        CLEANUP(buf_clear) struct buf content = {0};
        char rcpt[64];

        content_make(&content, x->size, i);
        (void)snprintf(rcpt, sizeof rcpt, "user%zu@user.example", i);
        (void)memory_queue_add(q, hop, "b-x@relay.example", rcpt, buf_bytes(&content));
    }
}

static struct runner *runner_for(struct queue *q, const struct hop *hops, size_t n)
{
    const struct runner_options options = {.socket_path = deliver_socket,
                                           .hops = hops,
                                           .n_hops = n,
                                           .session_deadline_s = 20,
                                           .retry_first_s = 60,
                                           .retry_max_s = 3600};
    struct runner *r = NULL;

    assert_int_equal(runner_start(&options, q, &r), ERR_OK);
    return r;
}

static void check_entry(struct queue *q, const struct hop_process *hop, const struct expectation *x,
                        size_t entry, size_t i)
{
    static const char letters[] = {
        [OUTCOME_DONE] = 'd', [OUTCOME_RETRY] = 'r', [OUTCOME_FAILED] = 'f'};
    struct memory_entry e = memory_queue_entry(q, entry);
    char digest[65];
    char line[512];

    if (letters[e.outcome] != x->outcomes[i] || e.times_recorded != 1)
        fail_msg("%s: message %zu is %c (%u times), expected %c: %s", x->scenario, i,
                 letters[e.outcome], e.times_recorded, x->outcomes[i], e.text);
    if (strchr(e.text, '@'))
        fail_msg("%s: an address in \"%s\"", x->scenario, e.text);
    if (e.outcome != OUTCOME_DONE || !hop)
        return;
    sha256_hex(buf_bytes(&e.content), digest);
    (void)snprintf(line, sizeof line, "accepted %s %s", e.item.rcpt_to, digest);
    if (report_count(hop, line) != 1)
        fail_msg("%s: message %zu did not arrive once and unchanged", x->scenario, i);
}

/* One row: a next hop with a lane of its own. */
struct row {
    struct hop_process server;
    struct hop hop;
    char domain[32];
    size_t first; /* entry in the queue */
};

static void row_start(const struct expectation *x, size_t number, struct queue *q, struct row *row)
{
    char cert[64] = "";
    char key[64] = "";

    (void)snprintf(row->domain, sizeof row->domain, "row%zu.example", number);
    row->hop = (struct hop){
        .domain = row->domain, .host = x->host ? x->host : "127.0.0.1", .sessions_max = 1};
    if (x->certificate) {
        (void)snprintf(cert, sizeof cert, "%s.pem", x->certificate);
        (void)snprintf(key, sizeof key, "%s.key", x->certificate);
        row->hop.tls = HOP_TLS_REQUIRED;
        row->hop.ca_file = ca_path;
    }
    hop_start(x->scenario, x->certificate ? fixture_path(cert) : NULL,
              x->certificate ? fixture_path(key) : NULL, &row->server);
    row->hop.port = row->server.port;
    row->first = memory_queue_count(q);
    queue_fill(q, row->domain, x);
}

static void row_check(const struct expectation *x, const struct row *row, struct queue *q)
{
    for (size_t i = 0; i < x->n; i++)
        check_entry(q, &row->server, x, row->first + i, i);
    if (x->accepted >= 0 && (long)report_count(&row->server, "accepted") != x->accepted)
        fail_msg("%s: next hop accepted %zu", x->scenario, report_count(&row->server, "accepted"));
    if (x->certificate && x->outcomes[0] == 'r' && !x->late &&
        report_count(&row->server, "command MAIL") != 0)
        fail_msg("%s: an envelope left", x->scenario);
}

/* All rows at once, in one runner: what one next hop does must not touch another. */
static void expect_all(const struct expectation *table, size_t n)
{
    struct queue *q = memory_queue_new(false);
    struct row *rows = calloc(n, sizeof *rows);
    struct hop *hops = calloc(n, sizeof *hops);
    struct runner *r;
    bool settled;

    assert_non_null(rows);
    assert_non_null(hops);
    for (size_t i = 0; i < n; i++) {
        row_start(&table[i], i, q, &rows[i]);
        hops[i] = rows[i].hop;
    }
    r = runner_for(q, hops, n);
    settled = memory_queue_wait(q, RESULT_MS);
    runner_stop(r);
    for (size_t i = 0; i < n; i++)
        row_check(&table[i], &rows[i], q);
    assert_true(settled);
    for (size_t i = 0; i < n; i++)
        process_end(rows[i].server.pid);
    free(hops);
    free(rows);
    memory_queue_free(q);
}

#define EXPECT(table) expect_all(table, sizeof(table) / sizeof(table)[0])

static void plain_next_hops_of_all_kinds_take_messages_unchanged(void **state)
{
    static const struct expectation table[] = {
        {"no extension but HELP", "good", 3, "ddd", SMALL, 3, CLEAR},
        {"no extension", "bare", 2, "dd", SMALL, 2, CLEAR},
        {"pipelining", "pipelining", 3, "ddd", SMALL, 3, CLEAR},
        {"chunking", "bdat-good", 3, "ddd", 100000, 3, CLEAR},
        {"all extensions", "everything", 3, "ddd", 100000, 3, CLEAR},
        {"a big message", "good", 1, "d", BIG, 1, CLEAR},
        {"a big message in chunks", "bdat-good", 1, "d", BIG, 1, CLEAR},
        {"a short pause", "pause", 2, "dd", BIG, 2, CLEAR},
    };

    (void)state;
    EXPECT(table);
}

static void a_bad_greeting_is_temporary(void **state)
{
    static const struct expectation table[] = {
        {"421", "greeting-421", 2, "rr", SMALL, 0, CLEAR},
        {"450", "greeting-450", 2, "rr", SMALL, 0, CLEAR},
        {"554", "greeting-554", 2, "rr", SMALL, 0, CLEAR},
        {"closed", "greeting-drop", 2, "rr", SMALL, 0, CLEAR},
        {"none", "greeting-none", 2, "rr", SMALL, 0, CLEAR},
        {"a byte now and then", "greeting-drip", 1, "r", SMALL, 0, CLEAR},
        {"two replies", "greeting-twice", 1, "r", SMALL, 0, CLEAR},
    };

    (void)state;
    EXPECT(table);
}

static void odd_replies_never_lead_out_of_step(void **state)
{
    static const struct expectation table[] = {
        {"EHLO unknown", "ehlo-500", 2, "dd", SMALL, 2, CLEAR},
        {"EHLO refused", "ehlo-554", 2, "rr", SMALL, 0, CLEAR},
        {"much EHLO text", "ehlo-big", 2, "dd", SMALL, 2, CLEAR},
        {"too much EHLO text", "ehlo-huge", 1, "r", SMALL, 0, CLEAR},
        {"long line in EHLO", "ehlo-long-line", 1, "r", SMALL, 0, CLEAR},
        {"long line that hides a 250", "mail-long-line", 2, "rr", SMALL, 0, CLEAR},
        {"long 550 that hides a 250", "rcpt-long-line", 2, "rr", SMALL, 0, CLEAR},
        {"long line behind the dot", "dot-long-line", 2, "rr", SMALL, -1, CLEAR},
        {"250 without text", "mail-no-text", 1, "r", SMALL, 0, CLEAR},
        {"250 without text behind the dot", "dot-no-text", 1, "r", SMALL, 1, CLEAR},
        {"no reply at all", "reply-garbage", 1, "r", SMALL, 0, CLEAR},
        {"two codes in one reply", "reply-codes-differ", 1, "r", SMALL, 0, CLEAR},
        {"every byte value", "reply-binary", 1, "r", SMALL, 0, CLEAR},
        {"two replies to MAIL", "mail-twice", 2, "rr", SMALL, 0, CLEAR},
        {"two replies to RCPT", "rcpt-twice", 2, "rr", SMALL, 0, CLEAR},
        {"250 in place of 354", "data-250", 1, "r", SMALL, 0, CLEAR},
        {"two replies to the dot", "dot-twice", 1, "d", SMALL, 1, CLEAR},
        {"421 right behind the 250", "dot-250-421", 2, "dr", SMALL, 1, CLEAR},
    };

    (void)state;
    EXPECT(table);
}

static void each_message_has_its_own_answer(void **state)
{
    static const struct expectation table[] = {
        {"RCPT", "rcpt-mixed", 4, "drfd", SMALL, 2, CLEAR},
        {"RCPT, pipelined", "rcpt-mixed-pipelining", 4, "drfd", SMALL, 2, CLEAR},
        {"MAIL", "mail-mixed", 4, "drfd", SMALL, 2, CLEAR},
        {"MAIL 450", "mail-450", 2, "rr", SMALL, 0, CLEAR},
        {"MAIL 553", "mail-553", 2, "ff", SMALL, 0, CLEAR},
        {"TLS wanted of us", "mail-530", 1, "r", SMALL, 0, CLEAR},
        {"DATA 451", "data-451", 2, "rr", SMALL, 0, CLEAR},
        {"DATA 554", "data-554", 2, "ff", SMALL, 0, CLEAR},
        {"dot 451", "dot-451", 2, "rr", SMALL, 0, CLEAR},
        {"dot 452", "dot-452", 2, "rr", SMALL, 0, CLEAR},
        {"dot 554", "dot-554", 2, "ff", SMALL, 0, CLEAR},
        {"dot 503", "dot-503", 1, "r", SMALL, 0, CLEAR},
        {"SIZE kept", "size-1000", 2, "dd", 500, 2, CLEAR},
        {"SIZE exceeded", "size-1000", 2, "ff", SMALL, 0, CLEAR},
        {"250 to nothing behind RCPT 550", "rcpt-550-data-354-250", 1, "f", SMALL, 0, CLEAR},
        {"250 to nothing behind RCPT 450", "rcpt-450-data-354-250", 1, "r", SMALL, 0, CLEAR},
    };

    (void)state;
    EXPECT(table);
}

static void a_connection_that_ends_is_not_a_delivery(void **state)
{
    static const struct expectation table[] = {
        {"behind 354", "data-drop", 2, "rr", SMALL, 0, CLEAR},
        {"behind the second 354", "data-354-then-drop-second", 3, "drr", SMALL, 1, CLEAR},
        {"half way", "body-drop", 2, "rr", BIG, 0, CLEAR},
        {"half way, by reset", "body-reset", 2, "rr", BIG, 0, CLEAR},
        {"behind the dot", "dot-drop", 2, "rr", SMALL, 0, CLEAR},
        {"behind the second dot", "dot-drop-second", 3, "drr", SMALL, 1, CLEAR},
        {"silence behind the dot", "dot-silent", 1, "r", SMALL, 0, CLEAR},
        {"250 and a reset", "dot-blank-reset", 1, "d", SMALL, 1, CLEAR},
        {"421 to MAIL", "mail-421", 3, "drr", SMALL, 1, CLEAR},
        {"421 to RCPT", "rcpt-421", 3, "drr", SMALL, 1, CLEAR},
        {"421 to the dot", "dot-421", 3, "drr", SMALL, 1, CLEAR},
        {"421 to the dot, and closed", "dot-421-drop", 3, "drr", SMALL, 1, CLEAR},
    };

    (void)state;
    EXPECT(table);
}

static void a_full_disk_is_temporary_though_503_follows(void **state)
{
    static const struct expectation table[] = {
        {"452, then 503", "bdat-452-503", 1, "r", 200000, 0, CLEAR},
        {"552, then 503", "bdat-552", 1, "f", 200000, 0, CLEAR},
        {"503 alone", "bdat-503", 1, "r", SMALL, 0, CLEAR},
    };

    (void)state;
    EXPECT(table);
}

static void a_stall_never_leaves_a_hole(void **state)
{
    static const struct expectation table[] = {
        {"DATA", "stall", 2, "rr", BIG, 0, CLEAR},
        {"BDAT", "bdat-stall", 2, "rr", BIG, 0, CLEAR},
        {"TLS 1.2", "tls12-stall", 2, "rr", BIG, 0, LATE("good", "localhost")},
        {"TLS 1.3", "tls13-stall", 2, "rr", BIG, 0, LATE("good", "localhost")},
    };

    (void)state;
    EXPECT(table);
}

static void tls_is_verified_by_name_or_nothing_leaves(void **state)
{
    static const struct expectation table[] = {
        {"by name", "starttls", 3, "ddd", SMALL, 3, TLS("good", "localhost")},
        {"by address", "starttls", 3, "ddd", SMALL, 3, TLS("good", "127.0.0.1")},
        {"a big message", "starttls", 1, "d", BIG, 1, TLS("good", "localhost")},
        {"wrong name", "starttls", 1, "r", SMALL, 0, TLS("wrong", "localhost")},
        {"wrong address", "starttls", 1, "r", SMALL, 0, TLS("wrong", "127.0.0.1")},
        {"common name only", "starttls", 1, "r", SMALL, 0, TLS("cn", "localhost")},
        {"expired", "starttls", 1, "r", SMALL, 0, TLS("expired", "localhost")},
        {"self-signed", "starttls", 1, "r", SMALL, 0, TLS("self", "localhost")},
        {"not offered", "good", 1, "r", SMALL, 0, TLS("good", "localhost")},
        {"EHLO unknown", "ehlo-500", 1, "r", SMALL, 0, TLS("good", "localhost")},
        {"refused", "starttls-refused", 1, "r", SMALL, 0, TLS("good", "localhost")},
        {"closed", "starttls-drop", 1, "r", SMALL, 0, TLS("good", "localhost")},
        {"silent", "starttls-hang", 1, "r", SMALL, 0, TLS("good", "localhost")},
        {"TLS 1.3 only", "tls13", 3, "ddd", SMALL, 3, TLS("good", "localhost")},
        {"TLS 1.3 only, a big message", "tls13", 1, "d", BIG, 1, TLS("good", "localhost")},
        {"TLS 1.3 only, wrong name", "tls13", 1, "r", SMALL, 0, TLS("wrong", "localhost")},
        {"TLS 1.2 only", "tls12", 3, "ddd", SMALL, 3, TLS("good", "localhost")},
        {"TLS 1.1 only", "tls11", 1, "r", SMALL, 0, TLS("good", "localhost")},
    };

    (void)state;
    EXPECT(table);
}

static void clear_text_behind_starttls_ends_the_session(void **state)
{
    static const struct expectation table[] = {
        {"with the 220", "starttls-injected", 2, "rr", SMALL, 0, TLS("good", "localhost")},
        {"with the reply to EHLO", "starttls-injected-early", 2, "rr", SMALL, 0,
         TLS("good", "localhost")},
        {"between 220 and handshake", "starttls-injected-late", 2, "rr", SMALL, 0,
         TLS("good", "localhost")},
    };

    (void)state;
    EXPECT(table);
}

static void no_one_listens_is_temporary(void **state)
{
    const struct hop hops[] = {
        {.domain = "", .host = "127.0.0.1", .port = free_port()},
        {.domain = "hole.example", .host = "192.0.2.1", .port = 25},
        {.domain = "noname.example", .host = "no-such-host.invalid", .port = 25},
        {.domain = "six.example", .host = "::1", .port = free_port()},
    };
    const struct expectation x = {.scenario = "nobody", .n = 1, .outcomes = "rrrr", .size = SMALL};
    struct queue *q = memory_queue_new(false);
    struct runner *r;

    (void)state;
    for (size_t i = 0; i < 4; i++)
        queue_fill(q, hops[i].domain, &x);
    r = runner_for(q, hops, 4);
    assert_true(memory_queue_wait(q, RESULT_MS));
    runner_stop(r);
    for (size_t i = 0; i < 4; i++)
        check_entry(q, NULL, &x, i, i);
    memory_queue_free(q);
}

static void content_that_may_not_leave_fails_and_harms_no_other(void **state)
{
    static const char *const bad[] = {"Subject: x\r\n\r\nbare\nlf\r\n",
                                      "Subject: x\r\n\r\nbare\rcr\r\n",
                                      "Subject: x\r\n\r\nend\n.\r\nMAIL FROM:<evil@x.example>\r\n",
                                      "Subject: x\r\n\r\n8-bit \xc3\xa9\r\n",
                                      "Subject: x\r\n\r\nends in cr\r",
                                      "Subject: x\n\nall lf\n"};
    const struct expectation good = {.scenario = "good", .n = 1, .outcomes = "d", .size = SMALL};
    struct hop hop = {.domain = "", .host = "127.0.0.1", .sessions_max = 1};
    struct hop_process server;

    (void)state;
    hop_start("good", NULL, NULL, &server);
    hop.port = server.port;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct queue *q = memory_queue_new(true);
        struct runner *r;

        (void)memory_queue_add(q, "", "b-x@relay.example", "bad@user.example", bytes_of(bad[i]));
        queue_fill(q, "", &good);
        r = runner_for(q, &hop, 1);
        assert_true(memory_queue_wait(q, RESULT_MS));
        runner_stop(r);
        assert_int_equal(memory_queue_entry(q, 0).outcome, OUTCOME_FAILED);
        assert_int_equal(memory_queue_entry(q, 1).outcome, OUTCOME_DONE);
        memory_queue_free(q);
    }
    assert_int_equal(report_count(&server, "accepted bad"), 0);
    process_end(server.pid);
}

static void addresses_that_would_be_commands_never_leave(void **state)
{
    static const struct {
        const char *from, *to;
    } bad[] = {{"b@x.example", "a@b>\r\nRCPT TO:<evil@x"},
               {"b@x.example>\r\nDATA\r\n", "a@b.example"},
               {"b@x.example", "a b@c.example"},
               {"b@x.example", ""},
               {"b@x.example", "nodomain"},
               {"b@x.example", "a@b@c.example"},
               {"b@x.example", "a@b.example> NOTIFY=NEVER"},
               {"b@x.example", "\xc3\xa9@b.example"}};
    struct hop hop = {.domain = "", .host = "127.0.0.1"};
    struct queue *q = memory_queue_new(false);
    struct hop_process server;
    struct runner *r;

    (void)state;
    hop_start("good", NULL, NULL, &server);
    hop.port = server.port;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        (void)memory_queue_add(q, "", bad[i].from, bad[i].to, bytes_of("Subject: x\r\n\r\nx\r\n"));
    (void)memory_queue_add(q, "", "", "\"a b\"@c.example", bytes_of("Subject: x\r\n\r\nx\r\n"));
    r = runner_for(q, &hop, 1);
    assert_true(memory_queue_wait(q, RESULT_MS));
    runner_stop(r);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(memory_queue_entry(q, i).outcome, OUTCOME_FAILED);
    assert_int_equal(memory_queue_entry(q, sizeof bad / sizeof *bad).outcome, OUTCOME_DONE);
    assert_int_equal(report_count(&server, "command RCPT"), 1);
    process_end(server.pid);
    memory_queue_free(q);
}

static int start(void **state)
{
    (void)state;
    certificates_make();
    (void)snprintf(ca_path, sizeof ca_path, "%s", fixture_path("ca.pem"));
    deliver_pid =
        deliver_start("transfer_timeout_s = 1\ncommand_timeout_s = 2\nfinal_timeout_s = 2\n"
                      "connect_timeout_s = 2\n",
                      NULL, deliver_socket);
    return deliver_pid <= 0;
}

static int end(void **state)
{
    (void)state;
    process_end(deliver_pid);
    fixture_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_next_hops_of_all_kinds_take_messages_unchanged),
        cmocka_unit_test(a_bad_greeting_is_temporary),
        cmocka_unit_test(odd_replies_never_lead_out_of_step),
        cmocka_unit_test(each_message_has_its_own_answer),
        cmocka_unit_test(a_connection_that_ends_is_not_a_delivery),
        cmocka_unit_test(a_full_disk_is_temporary_though_503_follows),
        cmocka_unit_test(a_stall_never_leaves_a_hole),
        cmocka_unit_test(tls_is_verified_by_name_or_nothing_leaves),
        cmocka_unit_test(clear_text_behind_starttls_ends_the_session),
        cmocka_unit_test(no_one_listens_is_temporary),
        cmocka_unit_test(content_that_may_not_leave_fails_and_harms_no_other),
        cmocka_unit_test(addresses_that_would_be_commands_never_leave),
    };

    return cmocka_run_group_tests(tests, start, end);
}
