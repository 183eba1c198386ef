/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clean_test.c - which parts leave, how, and which messages do not. */
#include "tests/clean/cleaning.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#define HEAD                                                                                       \
    "From: Jane Roe <" CLEANING_MAILBOX ">\r\nTo: " CLEANING_REVERSE "\r\nMIME-Version: 1.0\r\n"
#define MIXED      HEAD "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
#define TEXT       "--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
#define END        "--b--\r\n"
#define PART(type) "--b\r\nContent-Type: " type "\r\n"

/* A message as a file: trace fields, and a line that names its recipient. */
#define TRACE  "Received: from janes-laptop (192.168.77.5)\r\n"
#define FILED  TRACE "To: " CLEANING_MAILBOX "\r\nSubject: filed\r\n\r\nin\r\n"
#define OCTETS "application/octet-stream; name="
#define OLE    "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

struct refusal_case {
    const char *raw;
    enum clean_reason reason;
    const char *part;
};

static const struct refusal_case refusals[] = {
    /* Outlook's own format, by type, by name, by its first bytes, and as uuencoded text */
    {MIXED TEXT PART("application/ms-tnef") "\r\nx\r\n" END, CLEAN_TNEF, "2"},
    {MIXED TEXT PART("application/octet-stream; name=WINMAIL.DAT") "\r\nx\r\n" END, CLEAN_TNEF,
     "2"},
    {MIXED TEXT PART("application/octet-stream") "Content-Transfer-Encoding: base64\r\n\r\n"
                                                 "eJ8+IgAA\r\n" END,
     CLEAN_TNEF, "2"},
    {HEAD "\r\nhi\r\n\r\nbegin 644 winmail.dat\r\n#86)C\r\n`\r\nend\r\n", CLEAN_TNEF, "1"},
    /* pieces */
    {HEAD "Content-Type: message/partial; id=\"1\"; number=1; total=2\r\n\r\nx", CLEAN_PIECE, "1"},
    {MIXED TEXT PART("message/external-body; access-type=local-file") "\r\nx: y\r\n" END,
     CLEAN_PIECE, "2"},
    /* S/MIME inside, and reports */
    {MIXED TEXT PART("application/pkcs7-mime; smime-type=enveloped-data") "\r\nx\r\n" END,
     CLEAN_SEALED, "2"},
    {MIXED TEXT PART(
         "message/rfc822") "\r\nContent-Type: application/x-pkcs7-mime\r\n\r\nx\r\n" END,
     CLEAN_SEALED, "2"},
    {MIXED TEXT PART("message/delivery-status") "\r\nx: y\r\n" END, CLEAN_REPORT, "2"},
    /* a label that nobody knows */
    {HEAD "Content-Type: text/html; charset=no-such\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
          "gr\xfc\xdf",
     CLEAN_CHARSET, "1"},
    /* files that are messages and cannot be taken apart */
    {MIXED TEXT PART(OCTETS "x.eml") "\r\n\x80\x81 \r\n" TRACE END, CLEAN_FILE, "2"},
    {MIXED TEXT PART(OCTETS "x.EMLX") "\r\n?\r\n" CLEANING_MAILBOX "\r\n" END, CLEAN_FILE, "2"},
    {MIXED TEXT PART(OCTETS "x.msg") "\r\n" OLE FILED "From: x\r\n" END, CLEAN_FILE, "2"},
    {MIXED TEXT PART("application/mbox") "\r\nFrom a Sun Nov 22 10:00:00 2026\r\n" FILED
                                         "\r\nFrom b Sun Nov 22 11:00:00 2026\r\n" FILED END,
     CLEAN_FILE, "2"},
    {MIXED TEXT PART("application/x-odd; name=x.msg") "Content-Transfer-Encoding: base64\r\n\r\n"
                                                      "0M8R4KGxGuFqAGEAbgBlAC4AcgBvAGUAQABoAG8AbQBl"
                                                      "AC4AZQB4AGEAbQBwAGwAZQA=\r\n" END,
     CLEAN_FILE, "2"},
    {MIXED TEXT PART("text/plain; name=x.mbox") "\r\nFrom a\r\n" FILED "\r\nFrom b\r\n" FILED END,
     CLEAN_FILE, "2"},
    /* what rebuilding missed, the sweep sees */
    {HEAD "\r\njane<b></b>.roe@home.example\r\n", CLEAN_ADDRESS, "1"},
    {MIXED TEXT PART("text/x-odd") "\r\njane<i>.roe@home</i>.example\r\n" END, CLEAN_ADDRESS, "2"},
};

static void messages_that_name_the_user_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct clean_output out = {0};
        struct clean_refusal refusal = {0};

        if (clean_message(bytes_of(refusals[i].raw), &out, &refusal) != ERR_REFUSED)
            fail_msg("%s", refusals[i].raw);
        assert_int_equal(refusal.reason, refusals[i].reason);
        assert_string_equal(refusal.part, refusals[i].part);
        assert_null(out.entity.data);
        assert_non_null(clean_reason_text(refusal.reason));
    }
}

#define FILED_CLEAN                                                                                \
    "Content-Type: message/rfc822\r\n"                                                             \
    "Content-Disposition: attachment; filename=\"message.eml\"\r\n\r\n"                            \
    "To: shop@relay.example\r\nSubject: filed\r\nMIME-Version: 1.0\r\n"                            \
    "Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nin\r\n"

struct part_case {
    const char *raw;
    const char *with;     /* is in the entity */
    const char *without;  /* is not */
    const char *warnings; /* "kind:part " each */
};

static const struct part_case parts[] = {
    /* what leaves as it came */
    {MIXED TEXT END, "hello", "=b", ""},
    {HEAD "\r\nhi\r\n", "Content-Type: text/plain\r\n", "charset", ""},
    {HEAD "Content-Type: text/plain; format=flowed; delsp=yes; x-mac-type=1\r\n\r\nhi",
     "format=flowed; delsp=yes", "x-mac", ""},
    {HEAD "Content-Language: de, en\r\n\r\nx", "Content-Language: de, en", "=", ""},
    {HEAD "Content-Description: x\r\nContent-Location: y\r\nContent-Base: z\r\n\r\nx",
     "Content-Type", "Content-Loc", ""},
    {HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
          "gr\xc3\xbc\xc3\x9f"
          "e aus K\xc3\xb6ln am Rhein, wie jedes Jahr",
     "gr=C3=BC=C3=9Fe", "\xc3", ""},
    {HEAD "Content-Transfer-Encoding: 8bit\r\n\r\ngr\xfc\xdf"
          "e aus K\xf6ln am Rhein, wie immer",
     "charset=windows-1252", "\xfc", ""},
    {HEAD "Content-Type: X-odd; 1\r\n\r\njane.roe@home.example", "shop@relay.example", "octet", ""},
    {HEAD "Content-Type: application/json\r\n\r\n{}", "application/json", "{}", ""},
    /* keys and signatures are left out, signed content is unwrapped */
    {MIXED TEXT PART("application/pgp-keys") "\r\nx\r\n" END, "hello", "multipart", "2:2 "},
    {MIXED TEXT PART("application/x-pkcs7-signature") "\r\nx\r\n" END, "hello", "pkcs7", "2:2 "},
    {MIXED TEXT PART("application/pkcs7-mime; smime-type=certs-only") "\r\nx\r\n" END, "hello",
     "pkcs7", "2:2 "},
    {MIXED TEXT PART("application/octet-stream; name=key.asc") "\r\n"
                                                               "-----BEGIN PGP PUBLIC KEY "
                                                               "BLOCK-----\r\nx\r\n-----END PGP "
                                                               "PUBLIC KEY BLOCK-----\r\n" END,
     "hello", "key.asc", "2:2 "},
    {HEAD "Content-Type: multipart/signed; boundary=b; protocol=x\r\n\r\n" TEXT PART(
         "application/pgp-signature") "\r\nx\r\n" END,
     "hello", "signed", ""},
    {HEAD "Content-Type: application/pgp-keys\r\n\r\nx", "Content-Type: text/plain", "pgp", "2:1 "},
    {HEAD
     "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\r\n"
     "\r\n" PART("application/pgp-encrypted") "\r\nVersion: 1\r\n" PART(
         "application/octet-stream") "\r\n-----BEGIN PGP MESSAGE-----\r\n" END,
     "multipart/encrypted; protocol=\"application/pgp-encrypted\"", "=b\r", "4:1 "},
    {MIXED TEXT PART("application/applefile") "\r\nx\r\n" END, "hello", "apple", "2:2 "},
    {HEAD "Content-Type: multipart/mixed; boundary=none\r\n\r\nhello\r\n", "hello", "multipart",
     ""},
    {HEAD "Content-Type: multipart/x-odd; boundary=b\r\n\r\n" TEXT TEXT END, "multipart/mixed",
     "x-odd", ""},
    /* what is looked at and warned of */
    {MIXED TEXT PART("application/zip") "\r\nxx jane.roe@home.example\r\n" END, "application/zip",
     "jane", "0:2 "},
    {MIXED TEXT PART(
         "application/zip") "Content-Transfer-Encoding: base64\r\n\r\n"
                            "agBhAG4AZQAuAHIAbwBlAEAAaABvAG0AZQAuAGUAeABhAG0AcABsAGUA\r\n" END,
     "zip", "jane", "0:2 "},
    {MIXED TEXT PART("application/pdf") "\r\n%PDF-1.7 /Author(x)\r\n" END, "pdf", "=b\r", "1:2 "},
    {MIXED TEXT PART("application/zip") "\r\nxx\r\n" END, "application/zip", "=b\r", ""},
    /* the relay's own explanation in a quoted message */
    {HEAD "\r\nThis message was S/MIME-protected already when it reached the relay.\r\n"
          "It is attached as it came.\r\nx\r\n",
     "x", "relay", ""},
    {HEAD "Content-Type: text/plain; hp-legacy-display=1\r\n\r\nSubject: secret\r\n\r\nx", "x",
     "secret", ""},
    {HEAD "\r\nSubject: secret\r\n\r\nx", "Subject: secret", "hp", ""},
    /* attached messages */
    {MIXED TEXT PART("message/rfc822") "\r\nReceived: x\r\nFrom: Jane Roe <" CLEANING_MAILBOX
                                       ">\r\nTo: carol@third.example\r\nDate: Sun, 1 Nov 2020 "
                                       "01:00:00 +0100\r\n\r\nin\r\n" END,
     "\r\n\r\nFrom: shop@relay.example\r\nTo: carol@third.example\r\n"
     "Date: Sun, 01 Nov 2020 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"
     "Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nin\r\n--",
     "Received", ""},
    /* ... as files, in whatever way they are kept */
    {MIXED TEXT PART(OCTETS "x.eml") "\r\n" FILED END, FILED_CLEAN, "Received", ""},
    {MIXED TEXT PART(OCTETS "x.eml") "\r\n\r\n\r\n" FILED END, FILED_CLEAN, "Received", ""},
    {MIXED TEXT PART("message/rfc822") "\r\n\r\n" FILED END, FILED_CLEAN, "Received", ""},
    {MIXED TEXT PART("application/x-eml") "\r\n" FILED END, FILED_CLEAN, "Received", ""},
    {MIXED TEXT PART("text/plain; name=x.eml") "\r\n\xef\xbb\xbf" FILED END, FILED_CLEAN,
     "Received", ""},
    {MIXED TEXT PART(OCTETS "x.mht") "\r\n" FILED END, FILED_CLEAN, "Received", ""},
    {MIXED TEXT PART(OCTETS "x.mbox") "\r\nFrom a Sun Nov 22 10:00:00 2026\r\n" FILED END,
     FILED_CLEAN, "Received", ""},
    /* the number is one of bytes with LF alone at line ends, or with CRLF */
    {MIXED TEXT PART(OCTETS "x.emlx") "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                                      "18=0ASubject: x=0A=0Ain=0A<plist>janes-mac</plist>\r\n" END,
     "\r\n\r\nin\r\n", "plist", ""},
    /* ... that are none, or pages that do not name the user */
    {MIXED TEXT PART(OCTETS "x.eml") "\r\nhello\r\n" END, "name=\"x.eml\"", "=b\r", ""},
    {MIXED TEXT PART(OCTETS "x.mht") "\r\nFrom: <Saved by Blink>\r\nContent-Type: text/plain\r\n"
                                     "\r\nin\r\n" END,
     "name=\"x.mht\"", "rfc822", ""},
    {MIXED TEXT PART("text/plain; name=x.msg") "\r\nFrom: x\r\n\r\nin\r\n" END,
     "From: x\r\n\r\nin\r\n", "rfc822", ""},
    {MIXED TEXT PART("text/plain; name=x.eml") "\r\nhello " CLEANING_MAILBOX "\r\n" END,
     "hello shop@relay.example", "octet", ""},
    /* receipts */
    {HEAD "Content-Type: message/disposition-notification\r\n\r\nReporting-UA: janes-mac\r\n"
          "Original-Recipient: rfc822;jane.roe@home.example\r\nFinal-Recipient: rfc822;x@y\r\n"
          "Original-Message-ID: <1@corp.example>\r\nDisposition: manual-action/MDN-sent-manually; "
          "displayed\r\n",
     "Final-Recipient: rfc822; shop@relay.example\r\nOriginal-Message-ID: <1@corp.example>\r\n"
     "Disposition: manual-action/MDN-sent-manually; displayed\r\n",
     "janes", ""},
    /* vCards and calendars */
    {HEAD "Content-Type: text/vcard\r\n\r\nBEGIN:VCARD\r\nFN:Jane\r\nEMAIL:jane.r\r\n"
          " oe@home.example\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:Carol\r\nX-Y:1\r\nEND:VCARD\r\n",
     "EMAIL:shop@relay.example\r\nEND:VCARD\r\nBEGIN:VCARD\r\nFN:Carol\r\nEND:VCARD", "Jane",
     "3:1 "},
    {HEAD "Content-Type: text/x-vcard\r\n\r\nBEGIN:VCARD\r\nEMAIL;ENCODING=QUOTED-PRINTABLE:jane"
          ".roe=40home=\r\n.example\r\nEND:VCARD\r\n",
     "EMAIL:shop@relay.example", "jane", "3:1 "},
    {HEAD "Content-Type: text/calendar; method=REPLY; x-y=1\r\n\r\nBEGIN:VCALENDAR\r\n"
          "PRODID:-//Jane//EN\r\nUID:1@corp.example\r\nATTENDEE;CN=\"Jane; Roe\";PARTSTAT="
          "ACCEPTED;X-A=\":\":mailto:jane.roe@home.example\r\nEND:VCALENDAR\r\n",
     "method=REPLY\r\nContent-Transfer-Encoding: 7bit\r\n\r\nBEGIN:VCALENDAR\r\nPRODID:-//mail//EN"
     "\r\nUID:1@corp.example\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:shop@relay.example\r\n",
     "Jane", ""},
    /* whoever organises knows the id that they gave, though they share a domain with the user */
    {HEAD "Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REPLY\r\n"
          "UID:1@home.example\r\nEND:VCALENDAR\r\n",
     "UID:1@home.example", "Jane", ""},
    {HEAD "Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n"
          "UID:1@home.example\r\nEND:VCALENDAR\r\n",
     "@relay.example", "home.example", ""},
};

static void warnings_append(const struct clean_output *out, struct buf *text)
{
    for (size_t i = 0; i < out->n_warnings; i++)
        buf_printf(text, "%d:%s ", (int)out->warnings[i].kind, out->warnings[i].part);
}

static void parts_leave_by_their_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        CLEANUP(clean_output_clear) struct clean_output out = {0};
        CLEANUP(buf_clear) struct buf warnings = {0};
        struct clean_refusal refusal = {0};

        if (clean_message(bytes_of(parts[i].raw), &out, &refusal))
            fail_msg("%s", parts[i].raw);
        if (!strstr(buf_str(&out.entity), parts[i].with) ||
            strstr(buf_str(&out.entity), parts[i].without))
            fail_msg("%s\n----\n%s", parts[i].raw, buf_str(&out.entity));
        warnings_append(&out, &warnings);
        assert_string_equal(buf_str(&warnings), parts[i].warnings);
    }
}

/* A message of so many multiparts inside each other, or of so many parts. */
static enum err grown(unsigned depth, unsigned n, struct clean_refusal *refusal)
{
    CLEANUP(buf_clear) struct buf raw = {0};
    CLEANUP(clean_output_clear) struct clean_output out = {0};

    buf_append_str(&raw, HEAD);
    for (unsigned i = 0; i < depth; i++)
        buf_printf(&raw, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n", i, i);
    for (unsigned i = 0; i < n; i++)
        buf_printf(&raw, "%s\r\nx\r\n", i && depth ? "--b0\r\n" : "");
    return clean_message(buf_bytes(&raw), &out, refusal);
}

static void depth_and_number_of_parts_are_bounded(void **state)
{
    struct clean_refusal refusal = {0};

    (void)state;
    assert_int_equal(grown(CLEAN_DEPTH_MAX, 1, &refusal), ERR_OK);
    assert_int_equal(grown(CLEAN_DEPTH_MAX + 1, 1, &refusal), ERR_REFUSED);
    assert_int_equal(refusal.reason, CLEAN_DEPTH);
    assert_int_equal(grown(1, CLEAN_PARTS_MAX - 1, &refusal), ERR_OK);
    assert_int_equal(grown(1, CLEAN_PARTS_MAX, &refusal), ERR_REFUSED);
    assert_int_equal(refusal.reason, CLEAN_PARTS);
}

static void too_many_reverse_addresses_are_refused(void **state)
{
    CLEANUP(buf_clear) struct buf raw = {0};
    struct clean_output out = {0};
    struct clean_refusal refusal = {0};

    (void)state;
    buf_append_str(&raw, HEAD "\r\n");
    for (unsigned i = 0; i < CLEAN_LOOKUPS_MAX; i++)
        buf_printf(&raw, "r-aaaaaaaaaaaaaa%c%c@relay.example\r\n", 'a' + (int)(i / 26),
                   'a' + (int)(i % 26));
    assert_int_equal(clean_message(buf_bytes(&raw), &out, &refusal), ERR_REFUSED);
    assert_int_equal(refusal.reason, CLEAN_LOOKUPS);
}

static void armor_append(struct buf *out)
{
    for (unsigned i = 0; i < 24000; i++)
        buf_append_str(out, "> -----BEGIN PGP SIGNATURE-----\r\n> x\r\n"
                            "> -----END PGP SIGNATURE-----\r\n");
}

static void endless_armor_append(struct buf *out)
{
    for (unsigned i = 0; i < 24000; i++)
        buf_append_str(out, "> -----BEGIN PGP SIGNATURE-----\r\n> x\r\n");
}

static void links_append(struct buf *out)
{
    for (unsigned i = 0; i < 100000; i++)
        buf_printf(out, "> cid:%u\r\n", i < 1990 ? i : 1989);
}

/* A stranger may have sent it, and the user's client quotes it all. */
static void what_is_quoted_costs_no_more_than_its_length(void **state)
{
    static void (*const texts[])(struct buf *) = {armor_append, endless_armor_append, links_append};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        CLEANUP(buf_clear) struct buf raw = {0};
        CLEANUP(clean_output_clear) struct clean_output out = {0};
        struct clean_refusal refusal = {0};
        clock_t begun;

        buf_append_str(&raw, HEAD "Content-Type: text/plain\r\n\r\n");
        texts[i](&raw);
        begun = clock();
        assert_int_equal(clean_message(buf_bytes(&raw), &out, &refusal), ERR_OK);
        assert_true(clock() - begun < 4 * CLOCKS_PER_SEC);
        assert_null(memmem(out.entity.data, out.entity.len, "PGP", 3));
    }
}

static enum err broken_look_up(void *context, const char *reverse, char **real)
{
    (void)context;
    (void)reverse;
    (void)real;
    return ERR_HSM_AWAY;
}

static void a_failing_look_up_fails_the_cleaning(void **state)
{
    static const char *const none[] = {NULL};
    CLEANUP(message_clear) struct message m = {0};
    struct clean_output out = {0};
    struct clean_refusal refusal = {0};
    struct clean_input in = {.outer = &m,
                             .alias = CLEANING_ALIAS,
                             .mailboxes = none,
                             .domains = none,
                             .domain = CLEANING_DOMAIN,
                             .lookups = {.address_real = broken_look_up}};

    (void)state;
    in.entity = bytes_of(HEAD "\r\nx");
    assert_int_equal(message_parse(in.entity, &m), ERR_OK);
    assert_int_equal(clean_reply(&in, &out, &refusal), ERR_HSM_AWAY);
    assert_null(out.header.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_that_name_the_user_are_refused),
        cmocka_unit_test(parts_leave_by_their_kind),
        cmocka_unit_test(depth_and_number_of_parts_are_bounded),
        cmocka_unit_test(too_many_reverse_addresses_are_refused),
        cmocka_unit_test(what_is_quoted_costs_no_more_than_its_length),
        cmocka_unit_test(a_failing_look_up_fails_the_cleaning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
