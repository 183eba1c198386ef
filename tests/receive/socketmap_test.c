/* SPDX-License-Identifier: GPL-3.0-or-later */
/* socketmap_test.c - the table of valid recipients, as bytes in and bytes out. */
#include "daemon/receive/socketmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define REFUSED "31:OK 501 5.1.7 Bad address syntax,"

/* The local part says what becomes of it. */
static enum err look_up(void *ctx, const char *address)
{
    unsigned *asked = ctx;

    ++*asked;
    if (strncmp(address, "error", 5) == 0)
        for (int e = 0; e < ERR_COUNT; e++)
            if (strncmp(address + 6, err_name((enum err)e), strlen(err_name((enum err)e))) == 0 &&
                address[6 + strlen(err_name((enum err)e))] == '@')
                return (enum err)e;
    return strncmp(address, "ok", 2) == 0 ? ERR_OK : ERR_NO_ALIAS;
}

static bool feed(struct bytes in, size_t piece, struct buf *out, unsigned *asked)
{
    struct receive_handler handler = {.ctx = asked, .lookup = look_up};
    struct socketmap m = {0};
    bool going = true;

    *asked = 0;
    while (in.len && going) {
        size_t n = in.len < piece ? in.len : piece;

        going = socketmap_feed(&m, (struct bytes){in.data, n}, &handler, out);
        in.data += n;
        in.len -= n;
    }
    return going;
}

/* One request, in a netstring. */
static const char *ask(const char *request)
{
    static char answer[512];
    CLEANUP(buf_clear) struct buf in = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    unsigned asked;

    buf_printf(&in, "%zu:%s,", strlen(request), request);
    assert_true(feed(buf_bytes(&in), 3, &out, &asked));
    (void)snprintf(answer, sizeof answer, "%s", buf_str(&out));
    return answer;
}

static void only_what_rcpt_would_take_is_ok_and_only_what_mail_would_not_refused(void **state)
{
    static const struct {
        const char *request;
        const char *answer;
    } cases[] = {
        {"recipients ok@d.test", "12:OK ok@d.test,"},
        {"recipients OK@D.test", "9:NOTFOUND ,"}, /* the double knows no case */
        {"recipients nobody@d.test", "9:NOTFOUND ,"},
        {"recipients @d.test", "9:NOTFOUND ,"},
        {"recipients ok", "9:NOTFOUND ,"},
        {"recipients postmaster", "9:NOTFOUND ,"},
        {"recipients ", "9:NOTFOUND ,"},
        {"recipients  ok@d.test", "9:NOTFOUND ,"},
        {"recipients ok@d.test ", "9:NOTFOUND ,"},
        {"recipients ok@d.test> SIZE=1", "9:NOTFOUND ,"},
        {"recipients ok@", "9:NOTFOUND ,"},
        {"recipients ok@d..test", "9:NOTFOUND ,"},
        {"recipients ok b@d.test", "9:NOTFOUND ,"},
        {"recipients ok\xc3\xa9@d.test", "9:NOTFOUND ,"},
        {"recipients @x.test:ok@d.test", "9:NOTFOUND ,"},
        {"recipients \"ok\"@d.test", "9:NOTFOUND ,"},
        {"recipients okxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@d.t",
         "9:NOTFOUND ,"},
        {"recipients", "18:PERM want: map key,"},
        {"", "18:PERM want: map key,"},
        {"others ok@d.test", "21:PERM no such map here,"},
        {" ok@d.test", "21:PERM no such map here,"},
        {"Recipients ok@d.test", "21:PERM no such map here,"},
        {"senders a@b.test", "9:NOTFOUND ,"},
        {"senders <>", "9:NOTFOUND ,"},
        {"senders b.test", "9:NOTFOUND ,"},
        {"senders a@", "9:NOTFOUND ,"},
        {"senders \xc3\xa9@b.test", "9:NOTFOUND ,"},
        {"senders a@b..test", REFUSED},
        {"senders a b@c.test", REFUSED},
        {"senders \xff@b.test", REFUSED},
        {"senders a@b.test> SIZE=1", REFUSED},
        {"senders xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx@b.test",
         REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(ask(cases[i].request), cases[i].answer) != 0)
            fail_msg("%s: %s", cases[i].request, ask(cases[i].request));
}

static void every_error_is_answered_by_its_class(void **state)
{
    (void)state;
    for (int e = ERR_OK + 1; e < ERR_COUNT; e++) {
        const char *word = "TEMP";
        char request[128], want[32];
        const char *answer;

        if (err_class((enum err)e) == CLASS_PERM)
            word = "NOTFOUND";
        else if (e == ERR_TIMEOUT)
            word = "TIMEOUT";
        (void)snprintf(request, sizeof request, "recipients error-%s@d.test",
                       err_name((enum err)e));
        (void)snprintf(want, sizeof want, ":%s ", word);
        answer = strchr(ask(request), ':');
        if (!answer || strncmp(answer, want, strlen(want)) != 0)
            fail_msg("%s: %s", err_name((enum err)e), ask(request));
    }
}

static void however_it_is_cut_each_request_gets_its_answer(void **state)
{
    static const char in[] = "20:recipients ok@d.test,20:recipients no@d.test,0:,"
                             "20:recipients ok@e.test,";
    static const char want[] = "12:OK ok@d.test,9:NOTFOUND ,18:PERM want: map key,12:OK ok@e.test,";

    (void)state;
    for (size_t piece = 1; piece < sizeof in; piece++) {
        CLEANUP(buf_clear) struct buf out = {0};
        unsigned asked;

        assert_true(feed(bytes_of(in), piece, &out, &asked));
        assert_string_equal(buf_str(&out), want);
        assert_int_equal(asked, 3);
    }
}

static void what_is_no_netstring_ends_the_connection(void **state)
{
    static const char *const cases[] = {
        ":recipients ok@d.test,",
        "x",
        "-1:x,",
        "020:recipients ok@d.test,",
        "1025:",
        "99999:",
        "20 :recipients ok@d.test,",
        "19:recipients ok@d.test,",
        "21:recipients ok@d.test,2",
        "00:,",
        "20:recipients ok@d.test;",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(buf_clear) struct buf out = {0};
        unsigned asked;

        if (feed(bytes_of(cases[i]), 1, &out, &asked) || asked || out.len)
            fail_msg("%s: asked %u times, %s", cases[i], asked, buf_str(&out));
    }
}

static void a_connection_has_a_number_of_requests(void **state)
{
    CLEANUP(buf_clear) struct buf in = {0};
    CLEANUP(buf_clear) struct buf out = {0};
    unsigned asked;

    (void)state;
    for (unsigned i = 0; i < SOCKETMAP_REQUESTS_MAX + 5; i++)
        buf_append_str(&in, "20:recipients ok@d.test,");
    assert_false(feed(buf_bytes(&in), 4096, &out, &asked));
    assert_int_equal(asked, SOCKETMAP_REQUESTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_rcpt_would_take_is_ok_and_only_what_mail_would_not_refused),
        cmocka_unit_test(every_error_is_answered_by_its_class),
        cmocka_unit_test(however_it_is_cut_each_request_gets_its_answer),
        cmocka_unit_test(what_is_no_netstring_ends_the_connection),
        cmocka_unit_test(a_connection_has_a_number_of_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
