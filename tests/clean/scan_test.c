/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scan_test.c - words are found however they are written, and only where they are the user's. */
#include "daemon/clean/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define HTML (SCAN_TAGS | SCAN_ENTITIES)
#define LINK (SCAN_ENTITIES | SCAN_PERCENT)

struct scan_case {
    unsigned layers;
    bool loose;
    const char *text, *want; /* want NULL: stays as it is */
};

static const struct scan_case cases[] = {
    /* where an address begins and ends */
    {0, false, "write jane@home.example.", "write A@r.example."},
    {0, false, "<jane@home.example>,", "<A@r.example>,"},
    {0, false, "JANE@Home.Example", "A@r.example"},
    {0, false, "jane+shop.1@home.example", "A@r.example"},
    {0, false, "_jane@home.example_", "_A@r.example_"},
    {0, false, "...jane@home.example", "...A@r.example"},
    {0, false, "=jane@home.example&", "=A@r.example&"},
    {0, false, "\xe6\x98\xafjane@home.example",
     "\xe6\x98\xaf"
     "A@r.example"},
    {0, false, "maryjane@home.example", NULL},
    {0, false, "mary.jane@home.example", NULL},
    {0, false, "mary-jane@home.example", NULL},
    {0, false, "jane@home.examples", NULL},
    {0, false, "jane@home.example.org", NULL},
    {0, false, "jane@home.example-shop.org", NULL},
    {0, true, "jane@home.example.pdf", "A@r.example.pdf"},
    {0, false, "jane@home.example jane@home.example", "A@r.example A@r.example"},
    {0, false, "jane@home.example.Please", "A@r.example.Please"},
    {0, false, "jane@home.example.Is it", "A@r.example.Is it"},
    {0, false, "jane@home.example.please. Yes", "A@r.example.please. Yes"},
    {0, false, "jane@home.example.zip jane@home.example.2", "A@r.example.zip A@r.example.2"},
    {0, false, "jane@home.example.co.uk jane@home.example.shop.org", NULL},
    {0, false, "Jane@Home.Example.Is JANE@HOME.EXAMPLE.ORG", NULL},
    {0, false, "jane@home.example.xn--p1ai jane@home.example.org-x", NULL},
    {0, false,
     "jane@home\xe3\x80\x82"
     "example",
     "A@r.example"},
    /* sources that nothing has undone */
    {0, false, "u=3Djane@home.example", "u=3DA@r.example"},
    {0, false, "%3djane@home.example", "%3dA@r.example"},
    {0, false, "\"a\\njane@home.example", "\"a\\nA@r.example"},
    {0, false, "=3Cjane=40home.example>", "=3CA=40r.example>"},
    {0, false, "=4Djane@home.example %2Djane@home.example", NULL},
    {0, false, "unsub-jane@home.example", NULL},
    {0, false, "jane@home", NULL},
    {0, false, "jane @home.example", NULL},
    {0, false, "", ""},
    /* its other forms */
    {0, false, "jane at home.example", "A at r.example"},
    {0, false, "bounce-jane=home.example@l.example", "bounce-A=r.example@l.example"},
    {0, false, "\"jane\"@home.example", "A@r.example"},
    {0, false, "\"jane+x\"@home.example \"jane@home.example\"", "A@r.example \"A@r.example\""},
    {0, false, "jane+a=b@home.example", "A@r.example"},
    {0, false, "jane+a/b&c'd@home.example", "A@r.example"},
    {0, false,
     "jane+gr\xc3\xb6\xc3\x9f"
     "e@home.example",
     "A@r.example"},
    {0, false, "bounce-jane+a=b=home.example@l.example", "bounce-A=r.example@l.example"},
    {0, false, "q=jane+doe&of=home.example", NULL},
    {0, false, "jane+a b@home.example", NULL},
    {0, false, "jane%home.example@relay", "A%r.example@relay"},
    {0, false, "xjane=home.example", NULL},
    {0, false,
     "j\xc3\xb6@b\xc3\xbc"
     "cher.example",
     "A@r.example"},
    {0, false, "J\xc3\x96@xn--bcher-kva.example", "A@r.example"},
    /* the name before it, in whatever brackets */
    {0, false, "Jane Roe <jane@home.example> wrote:", "A@r.example wrote:"},
    {0, false, "\"Jane Roe\" <jane@home.example>", "\"A@r.example"},
    {0, false, "Jane Roe [mailto:jane@home.example]", "A@r.example"},
    {0, false, "Jane Roe\r\n> <jane@home.example>", "A@r.example"},
    {0, false, "Am 1.1. schrieb Jane Roe:", "Am 1.1. schrieb A@r.example:"},
    {0, false, "Jane Roe wrote:", "A@r.example wrote:"},
    {0, false, "Yours, Jane Roe", NULL},
    /* as the relay shows others */
    {0, false, "Bob - bob at corp.example <x>", "Bob <x>"},
    {0, false, "bob at corp.example", "bob@corp.example"},
    /* invisible and wide characters */
    {0, false,
     "ja\xc2\xadne@home.ex\xe2\x80\x8b"
     "ample",
     "A@r.example"},
    {0, false, "jane\xef\xbc\xa0home.example", "A@r.example"},
    {0, false, "\xff\xfejane@home.example\xff",
     "\xff\xfe"
     "A@r.example\xff"},
    /* percent escapes */
    {0, false, "ja\xcd\x8fne\xd8\x9c@home\xe1\xa0\x8e.example", "A@r.example"},
    {0, false,
     "jane\xef\xb9\xabhome\xef\xb9\x92"
     "example",
     "A@r.example"},
    {0, false,
     "\xf0\x9d\x90\xa3"
     "ane@home.example",
     "A@r.example"},
    {0, false, "\xe2\x91\xa0jane@home.example",
     "\xe2\x91\xa0"
     "A@r.example"},
    /* backslashes */
    {SCAN_BACKSLASH, false, "\"jane\\.\"", NULL},
    {SCAN_BACKSLASH, false, "jane\\40 home\\.example", "A@r.example"},
    {SCAN_BACKSLASH, false, "jane\\000040home.example", "A@r.example"},
    {SCAN_BACKSLASH, false, "jane\\u0040home\\x2eexample", "A@r.example"},
    {SCAN_BACKSLASH, false, "\\u003cjane\\@home.example\\u003e", "\\u003cA@r.example\\u003e"},
    {SCAN_BACKSLASH, false, "HOME\\jane@home.example\\.org", "HOME\\A@r.example\\.org"},
    {SCAN_BACKSLASH, false, "mary\\-jane@home.example", "mary\\-A@r.example"},
    {0, false, "jane\\@home.example", NULL},
    {LINK, false, "mailto:jane%40home.example", "mailto:A@r.example"},
    {LINK, false, "u=%6Aane%2540home%2Eexample", "u=A@r.example"},
    {LINK, false, "jane%2525252540home.example", NULL},
    {LINK, false, "100%jane@home.example%", "100%A@r.example%"},
    {LINK, false, "j%C3%B6@b%C3%BCcher.example", "A@r.example"},
    {0, false, "jane%40home.example", NULL},
    /* character references and tags */
    {HTML, false, "&#106;ane&#x40;home&period;example&gt;", "A@r.example&gt;"},
    {HTML, false, "jane&commat;home.example", "A@r.example"},
    {HTML, false, "&#106ane@home.example", "A@r.example"},
    {HTML, false, "jane&shy@home.example&gt", "A@r.example&gt"},
    {HTML, false, "&ltjane&lrm;@&NoBreak;home.example", "&ltA@r.example"},
    {HTML | SCAN_VALUE, false, "&ltjane@home.example", NULL},
    {HTML, false, "jane<wbr>@home<b>.example</b>", "<wbr><b>A@r.example</b>"},
    {HTML, false, "<i>jane</i>@home.example", "<i>A@r.example</i>"},
    {HTML, false, "jane@home.example<br>Jane", "A@r.example<br>Jane"},
    {HTML, false, "<p>jane</p>@home.example", NULL},
    {HTML, false, "<a title=\"jane@home.example\">x</a>", NULL},
    {HTML, false, "Jane Roe &lt;<a href=x>jane@home.example</a>&gt;", "<a href=x>A@r.example</a>"},
    {HTML, false, "a < jane@home.example", "a < A@r.example"},
    {HTML, false, "jane<kbd>@</kbd><o:p>home</o:p>.<x-y z>example",
     "<kbd></kbd><o:p></o:p><x-y z>A@r.example"},
    {HTML, false, "<td>jane</td><td>@home.example</td>", NULL},
    {HTML, false, "jane<!-- x -->@home.example", "<!-- x -->A@r.example"},
    {0, false, "jane<wbr>@home.example", NULL},
    /* elements side by side, which a style may set apart */
    {HTML, false, "<b>Jane</b><span>jane@home.example</span><i>Tel</i>",
     "<b>Jane</b><span>A@r.example</span><i>Tel</i>"},
    {HTML, false, "<b>Jane Roe</b><i>jane@home.example</i>", "<b></b><i>A@r.example</i>"},
    {HTML, false, "x<b></b>jane@home.example.<i>Please", "x<b></b>A@r.example.<i>Please"},
    /* base64 */
    {0, false, "/event?eid=YWJjMTIzZGVmNDU2IGphbmVAaG9tZS5leGFtcGxl&x=1", "/event?eid=&x=1"},
    {0, false, "e=ab%3DeyJlbWFpbCI6ImphbmVAaG9tZS5leGFtcGxlIiwieCI6Iv_--yJ9.c", "e=ab%3D.c"},
    {0, false, "x1YWJjMTIzZGVmNDU2IGphbmVAaG9tZS5leGFtcGxl y", " y"},
    {0, false, "?q=%2f%2fu%2BEg1qYW5lQGhvbWUuZXhhbXBsZRo%3D&", "?q=%3D&"},
    {0, false, "eid=YWJjMTIzZGVmNDU2IG1hcnktamFuZUBob21lLmV4YW1wbGU=", NULL},
    /* soft line breaks */
    {SCAN_DELSP, false, "> jane@ \r\n> home.example", "> A@r.example"},
    {0, false, "jane@ \r\nhome.example", NULL},
};

static void one_case(const struct words *words, const struct scan_case *c)
{
    const struct scan s = {.text = bytes_of(c->text),
                           .layers = c->layers,
                           .loose = c->loose,
                           .encoded = true,
                           .words = words};
    CLEANUP(buf_clear) struct buf out = {0};
    bool changed = false;

    assert_int_equal(scan_replace(&s, &out, &changed), ERR_OK);
    if (strcmp(buf_str(&out), c->want ? c->want : c->text) != 0)
        print_message("%s\n", c->text);
    assert_string_equal(buf_str(&out), c->want ? c->want : c->text);
    assert_int_equal(changed, c->want && strcmp(c->want, c->text) != 0);
}

static void words_are_found_as_a_reader_sees_them(void **state)
{
    struct words words;

    (void)state;
    words_init(&words);
    assert_int_equal(words_add_mailbox(&words, "jane@home.example", "A@r.example"), ERR_OK);
    assert_int_equal(words_add_mailbox(&words, "j\xc3\xb6@xn--bcher-kva.example", "A@r.example"),
                     ERR_OK);
    assert_int_equal(words_add_name(&words, "Jane Roe", "jane@home.example", "A@r.example"),
                     ERR_OK);
    assert_int_equal(words_add_shown(&words, "bob@corp.example"), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        one_case(&words, &cases[i]);
    words_clear(&words);
}

/* What is replaced is found, and what stays is not: the two must not disagree. */
static void what_is_found_is_what_is_replaced(void **state)
{
    struct words words;

    (void)state;
    words_init(&words);
    assert_int_equal(words_add_mailbox(&words, "jane@home.example", "A@r.example"), ERR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct scan s = {.text = bytes_of(cases[i].text),
                               .layers = cases[i].layers,
                               .loose = cases[i].loose,
                               .encoded = true,
                               .words = &words};
        CLEANUP(buf_clear) struct buf out = {0};
        bool changed = false;

        assert_int_equal(scan_replace(&s, &out, &changed), ERR_OK);
        assert_int_equal(scan_finds(&s), changed);
    }
    words_clear(&words);
}

static enum err bracket(void *context, enum scan_token kind, struct bytes token, struct buf *out,
                        bool *found)
{
    static const char *const names[] = {"reverse", "cid", "file"};

    (void)context;
    buf_printf(out, "[%s:%.*s]", names[kind], (int)token.len, (const char *)token.data);
    *found = token.len == 0 || token.data[0] != '!';
    return ERR_OK;
}

static void tokens_are_handed_over(void **state)
{
    static const struct {
        const char *text, *want;
    } tokens[] = {
        {"<R-abcdefghijklmnop@Relay.example>", "<[reverse:r-abcdefghijklmnop@relay.example]>"},
        {"r-abcdefghijklmnop@relay.example.", "[reverse:r-abcdefghijklmnop@relay.example]."},
        {"r-abcdefghijklmno1@relay.example", "r-abcdefghijklmno1@relay.example"},
        {"xr-abcdefghijklmnop@relay.example", "xr-abcdefghijklmnop@relay.example"},
        {"[cid:A@b] x", "[[cid:A@b]] x"},
        {"cid:! x", "cid:! x"},
        {"<file:///C:/Users/Jane/x.pdf>", "<[file://C:/Users/Jane/x.pdf]>"},
        {"profile:/x", "profile:/x"},
        {"cid: x", "cid: x"},
    };
    struct words words;

    (void)state;
    words_init(&words);
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        const struct scan s = {
            .text = bytes_of(tokens[i].text), .words = &words, .replacer = bracket};
        CLEANUP(buf_clear) struct buf out = {0};
        bool changed = false;

        assert_int_equal(scan_replace(&s, &out, &changed), ERR_OK);
        assert_string_equal(buf_str(&out), tokens[i].want);
    }
    words_clear(&words);
}

static void replacements_are_escaped_for_their_place(void **state)
{
    CLEANUP(buf_clear) struct buf out = {0};

    (void)state;
    scan_escaped_append(&out, SCAN_AS_IS, bytes_of("a&<\"'>@"));
    scan_escaped_append(&out, SCAN_AS_HTML, bytes_of("a&<\"'>@"));
    scan_escaped_append(&out, SCAN_AS_URL, bytes_of("a&<+%@\xc3\xbc"));
    assert_string_equal(buf_str(&out), "a&<\"'>@"
                                       "a&#38;&#60;&#34;&#39;&#62;@"
                                       "a%26%3C%2B%25@%C3%BC");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_found_as_a_reader_sees_them),
        cmocka_unit_test(what_is_found_is_what_is_replaced),
        cmocka_unit_test(tokens_are_handed_over),
        cmocka_unit_test(replacements_are_escaped_for_their_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
