/* SPDX-License-Identifier: GPL-3.0-or-later */
/* html_test.c - HTML keeps what a reader sees and loses what only its author's machine knows. */
#include "daemon/clean/html_token.h"
#include "tests/clean/cleaning.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

struct html_case {
    const char *html, *want;
};

static const struct html_case cases[] = {
    {"<p>hi</p>", "<p>hi</p>"},
    {"<P ALIGN=center>hi<BR/>", "<p align=\"center\">hi<br>"},
    {"a < b <3 &lt;x", "a &lt; b &lt;3 &lt;x"},
    /* comments, declarations, what follows an unclosed one */
    {"a<!-- x -->b<!-->c<!--->d<!--", "abcd"},
    {"<!--[if mso]>x<![endif]-->y<![if !mso]>z<![endif]>", "yz"},
    {"<?xml:namespace prefix = o />a", "a"},
    {"</ x>a", "a"},
    {"<!DOCTYPE html>a", "<!DOCTYPE html>a"},
    {"<!DOCTYPE html SYSTEM \"x@y\">a", "<!DOCTYPE html>a"},
    {"<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 4.01//EN\" "
     "\"http://www.w3.org/TR/html4/strict.dtd\">a",
     "<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 4.01//EN\" "
     "\"http://www.w3.org/TR/html4/strict.dtd\">a"},
    {"<!DOCTYPE html PUBLIC \"-//W3C//DTD HTML 4.01//EN\" \"file:///home/jane/x.dtd\">a",
     "<!DOCTYPE html>a"},
    {"<!DOCTYPE janes>a", "<!DOCTYPE html>a"},
    {"<!DOCTYPE html [<!ENTITY me \"jane\">]>a", "<!DOCTYPE html>]>a"},
    {"a<b", "a<b>"},
    /* elements that tell of the author's program, or run in the reader's */
    {"<meta name=Generator content=X><base href=file:///x><link rel=x>a", "a"},
    {"<script>document.write('<p>')</script>a", "a"},
    {"<xml><o:x>1</o:x></xml>a", "a"},
    {"<iframe src=x>y</iframe>", "y"},
    {"<o:p>x</o:p>", "<o:p>x</o:p>"},
    {"<jane.roe@home.example>", ""},
    {"From Jane <jane.roe@home.example> x", "From Jane  x"},
    /* attributes */
    {"<p onclick=x() data-x=1 fairemail=1 title='a\"b'>", "<p title=\"a&#34;b\">"},
    {"<p title=\"jane.roe@home.example\">", "<p title=\"shop@relay.example\">"},
    {"<img alt='C:\\Users\\jroe\\x.png'>", "<img alt=\"x.png\">"},
    {"<img alt=/home/jroe/x.png>", "<img alt=\"x.png\">"},
    {"<td nowrap width=1>", "<td nowrap width=\"1\">"},
    {"<p title=unclosed", "<p title=\"unclosed\">"},
    {"<p title=\"unclosed>x", "<p title=\"unclosed&#62;x\">"},
    /* links */
    {"<a href=\"https://x.example/?a=b&amp;c=%20d\">",
     "<a href=\"https://x.example/?a=b&#38;c=%20d\">"},
    {"<a href=' MAILTO:Jane.Roe%40home.example?cc=jane.roe&#64;home.example'>",
     "<a href=\"MAILTO:shop@relay.example?cc=shop@relay.example\">"},
    {"<a "
     "href='https://x.example/"
     "event?eid=YWJjMTIzZGVmNDU2IGphbmUucm9lQGhvbWUuZXhhbXBsZQ&amp;y'>https://x.example/"
     "event?eid=YWJjMTIzZGVmNDU2IGphbmUucm9lQGhvbWUuZXhhbXBsZQ",
     "<a href=\"https://x.example/event?eid=&#38;y\">https://x.example/event?eid="},
    {"<a href=mailto:r-abcdefghijklmnop@relay.example>", "<a href=\"mailto:bob@corp.example\">"},
    {"<a href=file:///x><a href=mailbox:///x><a href='java\nscript:x'><img src=C:\\x>",
     "<a><a><a><img>"},
    {"<img src=applewebdata://x/y><img src='\\\\host\\x'><img src=content://x>", "<img><img><img>"},
    {"<img src='data:image/png;base64,AAAA'><img src='data:text/html,x'>",
     "<img src=\"data:image/png;base64,AAAA\"><img>"},
    /* without a scheme: paths of the author's machine, and what looks like a host */
    {"<a href='..\\..\\Users\\jroe\\x'><a href=/Users/jroe/x><a href=//janes-laptop/share>",
     "<a><a><a>"},
    {"<img src=./x.png><img src='%2e%2e/jroe'><img src='C|/jroe/x'><img src=Users/jroe/x.png>",
     "<img><img><img><img>"},
    {"<img src='www.example.org\\jroe'><img src='\t/jroe'><img srcset='/jroe/x.png 2x'>",
     "<img><img><img>"},
    {"<a href=www.example.org/x/y><a href=bob@corp.example><a href='http://x.example/a\\b'>",
     "<a href=\"www.example.org/x/y\"><a href=\"bob@corp.example\">"
     "<a href=\"http://x.example/a\\b\">"},
    {"<p style=\"background:url('../jroe/x.png')\">", "<p style=\"background:url()\">"},
    {"<blockquote type=cite cite=mid:x@y>", "<blockquote type=\"cite\">"},
    /* style */
    {"<p style='color:red;mso-x:y;background:url(file:///x)'>",
     "<p style=\"color:red;background:url()\">"},
    {"<p style=\"background:url('https://x.example/a.png')\">",
     "<p style=\"background:url(https://x.example/a.png)\">"},
    {"<style>/* jane */@import 'x';p{a:b}@page Word{c:d}q{e:'}'}</style>",
     "<style>p{a:b}q{e:'}'}</style>"},
    {"<style><!-- p{a:b} --></style>", "<style> p{a:b} </style>"},
    {"<style>p:after{content:\"jane\\.roe\\40 home.example\"}</style>",
     "<style>p:after{content:\"shop@relay.example\"}</style>"},
    {"<p style='content:\"jane.roe\\40 home.example\"'>",
     "<p style=\"content:&#34;shop@relay.example&#34;\">"},
    {"<a href='https://x.example/?a=1&lt=2&copy=3&amp=4'>",
     "<a href=\"https://x.example/?a=1&#38;lt=2&#38;copy=3&#38;amp=4\">"},
    {"<style>p{mso-x:1}", "<style>p{}"},
    /* text */
    {"&#106;ane.roe@home.example", "shop@relay.example"},
    {"jane.roe<wbr>@home.example", "<wbr>shop@relay.example"},
    {"Bob - bob at corp.example &lt;r-abcdefghijklmnop@relay.example&gt;",
     "Bob &lt;bob@corp.example&gt;"},
    {"<b>Jane Roe</b><i>jane.roe@home.example</i><i>Tel.</i>",
     "<b></b><i>shop@relay.example</i><i>Tel.</i>"},
    {"x<i>jane.roe@home.example</i>.<b>Please", "x<i>shop@relay.example</i>.<b>Please"},
    {"r-aaaaaaaaaaaaaaaa@relay.example", "r-aaaaaaaaaaaaaaaa@relay.example"},
    {"<pre>-----BEGIN PGP PUBLIC KEY BLOCK-----<br>x<br>-----END PGP PUBLIC KEY BLOCK-----\n</pre>",
     "<pre></pre>"},
};

/* The body of a cleaned HTML message. */
static void body_of(const char *html, const char *parameter, struct buf *body)
{
    CLEANUP(buf_clear) struct buf raw = {0};
    CLEANUP(clean_output_clear) struct clean_output out = {0};
    struct clean_refusal refusal = {0};
    const char *start;

    buf_printf(&raw,
               "From: Jane Roe <" CLEANING_MAILBOX ">\r\nTo: " CLEANING_REVERSE "\r\n"
               "Content-Type: text/html; charset=utf-8%s\r\n\r\n%s",
               parameter, html);
    assert_int_equal(clean_message(buf_bytes(&raw), &out, &refusal), ERR_OK);
    start = strstr(buf_str(&out.entity), "\r\n\r\n") + 4;
    buf_append_str(body, start);
    if (body->len >= 2 && memcmp(body->data + body->len - 2, "\r\n", 2) == 0)
        body->data[body->len -= 2] = '\0';
}

static void html_is_rebuilt_from_what_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CLEANUP(buf_clear) struct buf body = {0};

        body_of(cases[i].html, "", &body);
        if (strcmp(buf_str(&body), cases[i].want) != 0)
            print_message("%s\n", cases[i].html);
        assert_string_equal(buf_str(&body), cases[i].want);
    }
}

static void only_a_marked_legacy_display_element_goes(void **state)
{
    static const char html[] =
        "<body><div class=\"header-protection-legacy-display\"><pre>Subject: x</pre>"
        "<div>y</div></div>text</body>";
    CLEANUP(buf_clear) struct buf marked = {0};
    CLEANUP(buf_clear) struct buf plain = {0};

    (void)state;
    body_of(html, "; hp-legacy-display=1", &marked);
    assert_string_equal(buf_str(&marked), "<body>text</body>");
    body_of(html, "", &plain);
    assert_non_null(strstr(buf_str(&plain), "Subject: x"));
}

static void class_names_are_new_in_every_message(void **state)
{
    CLEANUP(buf_clear) struct buf one = {0};
    CLEANUP(buf_clear) struct buf two = {0};

    (void)state;
    body_of("<p class=MsoNormal>", "", &one);
    body_of("<p class=MsoNormal>", "", &two);
    assert_null(strstr(buf_str(&one), "Mso"));
    assert_string_not_equal(buf_str(&one), buf_str(&two));
}

static void every_byte_belongs_to_one_token(void **state)
{
    struct bytes rest = bytes_of("a<b c=\"d>e\" f>g</b><!--h--><i j='>'k>");
    struct html_token token;
    struct html_attribute attribute;
    size_t n = 0;

    (void)state;
    while (html_next(&rest, &token)) {
        n++;
        if (n == 2) {
            assert_true(html_attribute_next(&token.attributes, &attribute));
            assert_true(bytes_equal(attribute.value, bytes_of("d>e")));
            assert_true(html_attribute_next(&token.attributes, &attribute));
            assert_false(attribute.has_value);
            assert_false(html_attribute_next(&token.attributes, &attribute));
        }
    }
    assert_int_equal(n, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(html_is_rebuilt_from_what_is_allowed),
        cmocka_unit_test(only_a_marked_legacy_display_element_goes),
        cmocka_unit_test(class_names_are_new_in_every_message),
        cmocka_unit_test(every_byte_belongs_to_one_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
