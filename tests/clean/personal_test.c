/* SPDX-License-Identifier: GPL-3.0-or-later */
/* personal_test.c - lines of calendar entries and vCards: the user in them is the alias and nothing
 * else, whatever program wrote them; others stay as they are. */
#include "tests/clean/cleaning.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#define OWN "mailto:" CLEANING_ALIAS "\r\n"

struct line_case {
    const char *line, *want;
};

/* The body of a message that is nothing but this. */
static void body_of(const char *type, const char *text, struct buf *body)
{
    CLEANUP(buf_clear) struct buf raw = {0};
    CLEANUP(clean_output_clear) struct clean_output out = {0};
    struct clean_refusal refusal = {0};

    buf_printf(&raw,
               "From: Jane Roe <" CLEANING_MAILBOX ">\r\nTo: " CLEANING_REVERSE "\r\n"
               "Content-Type: text/%s; charset=utf-8\r\n\r\n%s",
               type, text);
    if (clean_message(buf_bytes(&raw), &out, &refusal) != ERR_OK)
        fail_msg("%s", text);
    buf_append_str(body, strstr(buf_str(&out.entity), "\r\n\r\n") + 4);
}

static const struct line_case parties[] = {
    /* services that put a number of the account where an address should stand */
    {"ORGANIZER;CN=\"Jane Roe\";EMAIL=\"" CLEANING_MAILBOX "\":mailto:2_GEYT@imip.me.com",
     "ORGANIZER:" OWN},
    {"ATTENDEE;CN=Jane Roe;CUTYPE=INDIVIDUAL;EMAIL=Jane.Roe@home.example;PARTSTAT=ACCEPTED:/11511/"
     "principal/",
     "ATTENDEE;CUTYPE=INDIVIDUAL;PARTSTAT=ACCEPTED:" OWN},
    {"ATTENDEE;CN=\"" CLEANING_MAILBOX "\":urn:uuid:1", "ATTENDEE:" OWN},
    /* the user already is the alias */
    {"ATTENDEE;CN=\"Jane; Roe\";PARTSTAT=ACCEPTED:mailto:" CLEANING_ALIAS,
     "ATTENDEE;PARTSTAT=ACCEPTED:" OWN},
    {"ATTENDEE;CN=Jane;EMAIL=" CLEANING_ALIAS ":invalid:nomail", "ATTENDEE:" OWN},
    {"ATTENDEE;CN=Jane:MAILTO:Shop%40relay.example", "ATTENDEE:" OWN},
    /* as other programs write a name, and a party of vCalendar 1.0 */
    {"ATTENDEE ;CN=Jane:mailto:" CLEANING_MAILBOX, "ATTENDEE:" OWN},
    {"item1.ATTENDEE;CN=Jane:mailto:" CLEANING_MAILBOX, "ATTENDEE:" OWN},
    {"ATTENDEE;ROLE=OWNER:Jane Roe <" CLEANING_MAILBOX ">", "ATTENDEE;ROLE=OWNER:" OWN},
    {"ATTENDEE;ROLE=OWNER:Jane Roe <" CLEANING_ALIAS ">", "ATTENDEE;ROLE=OWNER:" OWN},
    /* others keep their names */
    {"ATTENDEE;CN=Carol;EMAIL=carol@third.example;SENT-BY=\"mailto:" CLEANING_MAILBOX
     "\":mailto:carol@third.example",
     "ATTENDEE;CN=Carol:mailto:carol@third.example\r\n"},
    {"ATTENDEE;CN=Work:mailto:work" CLEANING_ALIAS, "ATTENDEE;CN=Work:mailto:work" CLEANING_ALIAS},
};

static void a_party_that_is_the_user_is_the_alias_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parties / sizeof parties[0]; i++) {
        CLEANUP(buf_clear) struct buf text = {0};
        CLEANUP(buf_clear) struct buf body = {0};

        buf_printf(&text, "BEGIN:VEVENT\r\n%s\r\nEND:VEVENT\r\n", parties[i].line);
        body_of("calendar", buf_str(&text), &body);
        if (!strstr(buf_str(&body), parties[i].want) || strstr(buf_str(&body), "Jane"))
            fail_msg("%s\n----\n%s", parties[i].line, buf_str(&body));
    }
}

/* jane.roe@home.example in base64 */
#define MAILBOX_BASE64 "amFuZS5yb2VAaG9tZS5leGFtcGxl"

static const struct line_case own_cards[] = {
    {"NOTE;ENCODING=QUOTED-PRINTABLE:jane.roe=40home=\r\n.example", ""},
    {"EMAIL;INTERNET;ENCODING=BASE64:" MAILBOX_BASE64 "\r\n", ""},
    {"EMAIL:" CLEANING_ALIAS "\r\nKEY;ENCODING=b:AAAA\r\n " MAILBOX_BASE64, ""},
    {"KEY;MEDIATYPE=application/pkix-cert:data:x/y;base64\\," MAILBOX_BASE64, ""},
    {"item1.KEY;X509;BASE64:\r\nAAAA\r\n" MAILBOX_BASE64 "\r\n", ""},
};

static const struct line_case other_cards[] = {
    /* keys, and where on whose server the card lies */
    {"KEY;ENCODING=b:AAAA\r\nFN:Carol", "VERSION:3.0\r\nFN:Carol\r\nEND"},
    {"item1.KEY:data:application/pgp-keys;base64,AAAA", "VERSION:3.0\r\nEND"},
    {"SOURCE:https://cards.example/1151135111/janeroe.vcf", "VERSION:3.0\r\nEND"},
    {"UID:https://cards.example/1151135111/janeroe", "VERSION:3.0\r\nEND"},
    {"UID:urn:uuid:1-2", "UID:urn:uuid:1-2\r\n"},
    {"item1.X-ABUID:janeroe\r\nitem1.X-ABLabel:Work", "VERSION:3.0\r\nitem1.X-ABLabel:Work\r\n"},
    {"PHOTO;ENCODING=BASE64:QUJD\r\nREVG=\r\n\r\nTEL:1",
     "PHOTO;ENCODING=BASE64:QUJDREVG=\r\nTEL:1"},
    /* soft line breaks */
    {"NOTE;ENCODING=QUOTED-PRINTABLE:one=0D=0A=\r\nsee: two",
     "NOTE;ENCODING=QUOTED-PRINTABLE:one=0D=0Asee: two\r\nEND"},
    {"NOTE;QUOTED-PRINTABLE:one=\r\n=\r\n two\r\nTEL:1", "NOTE;QUOTED-PRINTABLE:one two\r\nTEL:1"},
    {"NOTE;QUOTED-PRINTABLE:one=", "NOTE;QUOTED-PRINTABLE:one\r\nEND:VCARD"},
    {"NOTE:1+1=\r\nTEL:1", "NOTE:1+1=\r\nTEL:1"},
    {"NOTE;QUOTED-PRINTABLE:0123456789012345678901234567890123456789012345=C3=BC=C3=BC",
     "012345=C3=BC=\r\n=C3=BC\r\nEND"},
};

static void card_case(const struct line_case *one, struct buf *body)
{
    CLEANUP(buf_clear) struct buf text = {0};

    buf_printf(&text, "BEGIN:VCARD\r\nVERSION:3.0\r\n%s\r\nEND:VCARD\r\n", one->line);
    body_of("vcard", buf_str(&text), body);
    if (!strstr(buf_str(body), one->want) || strstr(buf_str(body), "janeroe"))
        fail_msg("%s\n----\n%s", one->line, buf_str(body));
}

static void a_card_with_the_mailbox_in_any_encoding_is_the_users(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof own_cards / sizeof own_cards[0]; i++) {
        CLEANUP(buf_clear) struct buf body = {0};

        card_case(&own_cards[i], &body);
        if (!strstr(buf_str(&body), "FN:shop@relay.example\r\n"))
            fail_msg("%s\n----\n%s", own_cards[i].line, buf_str(&body));
    }
}

static void cards_of_others_lose_keys_and_accounts_and_no_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof other_cards / sizeof other_cards[0]; i++) {
        CLEANUP(buf_clear) struct buf body = {0};

        card_case(&other_cards[i], &body);
    }
}

static void quoted_printable_in_calendars_is_looked_through(void **state)
{
    CLEANUP(buf_clear) struct buf body = {0};

    (void)state;
    body_of("x-vcalendar",
            "BEGIN:VEVENT\r\nUID:1/2\r\nATTENDEE;ENCODING=QUOTED-PRINTABLE:Jane "
            "<jane.roe=40home.example>\r\n"
            "DESCRIPTION;QUOTED-PRINTABLE:f=C3=BCr jane.roe=40ho=\r\nme.example=0A\r\n"
            "END:VEVENT\r\n",
            &body);
    assert_string_equal(buf_str(&body),
                        "BEGIN:VEVENT\r\nUID:1/2\r\nATTENDEE:" OWN
                        "DESCRIPTION;QUOTED-PRINTABLE:f=C3=BCr shop@relay.example=0A\r\n"
                        "END:VEVENT\r\n");
}

static void a_calendar_with_the_mailbox_in_a_file_is_refused(void **state)
{
    struct clean_output out = {0};
    struct clean_refusal refusal = {0};

    (void)state;
    assert_int_equal(clean_message(bytes_of("From: " CLEANING_MAILBOX "\r\nTo: " CLEANING_REVERSE
                                            "\r\nContent-Type: text/calendar\r\n\r\n"
                                            "ATTACH;ENCODING=BASE64:" MAILBOX_BASE64 "\r\n"),
                                   &out, &refusal),
                     ERR_REFUSED);
    assert_int_equal(refusal.reason, CLEAN_ADDRESS);
    assert_string_equal(refusal.part, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_card_with_the_mailbox_in_any_encoding_is_the_users),
        cmocka_unit_test(cards_of_others_lose_keys_and_accounts_and_no_text),
        cmocka_unit_test(quoted_printable_in_calendars_is_looked_through),
        cmocka_unit_test(a_calendar_with_the_mailbox_in_a_file_is_refused),
        cmocka_unit_test(a_party_that_is_the_user_is_the_alias_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
