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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_party_that_is_the_user_is_the_alias_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
