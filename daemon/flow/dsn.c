/* SPDX-License-Identifier: GPL-3.0-or-later */
/* dsn.c - composing a delivery status notification. RFC 3464 2, RFC 3834 3, RFC 6522 3. */
#include "daemon/flow/dsn.h"
#include "daemon/base/id.h"
#include "daemon/message/date.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define DIAGNOSTIC_WORDS_MAX 24

/* Words that mail systems explain a failure with; none of them names anybody. */
static const char *const diagnostic_words[] = {
    "a",        "access",      "account",     "address",     "and",       "at",       "be",
    "because",  "blocked",     "can",         "cannot",      "closed",    "connect",  "connection",
    "content",  "could",       "currently",   "deactivated", "delivered", "delivery", "denied",
    "disabled", "does",        "domain",      "error",       "exceeded",  "exceeds",  "exist",
    "expired",  "failed",      "found",       "full",        "has",       "have",     "host",
    "in",       "inactive",    "invalid",     "is",          "it",        "known",    "large",
    "limit",    "local",       "long",        "mail",        "mailbox",   "message",  "no",
    "not",      "of",          "over",        "permission",  "permitted", "policy",   "quota",
    "reached",  "receive",     "recipient",   "refused",     "rejected",  "relay",    "server",
    "service",  "size",        "space",       "spam",        "storage",   "such",     "suspended",
    "system",   "table",       "temporarily", "temporary",   "that",      "the",      "this",
    "time",     "timed",       "to",          "too",         "try",       "unable",   "unavailable",
    "unknown",  "unrouteable", "user",        "virtual",     "was",
};

static bool is_allowed(const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof diagnostic_words / sizeof *diagnostic_words; i++)
        if (strlen(diagnostic_words[i]) == len && strncasecmp(diagnostic_words[i], word, len) == 0)
            return true;
    return false;
}

/* "550" or "5.1.1", standing alone */
static bool is_code(const char *word, size_t len)
{
    size_t dots = 0;

    if (len < 3 || len > 9 || !memchr("245", word[0], 3))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (word[i] == '.')
            dots++;
        else if (!isdigit((unsigned char)word[i]))
            return false;
    }
    return (dots == 0 && len == 3) || (dots == 2 && word[1] == '.' && word[len - 1] != '.');
}

void dsn_diagnostic_append(struct buf *out, const char *text)
{
    unsigned words = 0;
    bool codes = true; /* codes stand at the beginning only */

    while (*text && words < DIAGNOSTIC_WORDS_MAX) {
        size_t len = strcspn(text, " ");
        size_t put = len;

        while (put && memchr(",;:.)", text[put - 1], 5))
            put--;
        codes = codes && is_code(text, put);
        if (codes || is_allowed(text, put)) {
            buf_append_str(out, words++ ? " " : "");
            buf_append(out, text, put);
        }
        text += len + (text[len] != '\0');
    }
}

const char *dsn_reason(const char *status)
{
    static const struct {
        const char *status;
        const char *reason;
    } reasons[] = {
        {"5.1.", "its mailbox does not exist"},
        {"5.2.1", "its mailbox is disabled"},
        {"5.2.2", "its mailbox is full"},
        {"4.2.2", "its mailbox is full"},
        {"5.2.3", "the message is too big for its mailbox"},
        {"5.3.4", "the message is too big for its mail system"},
        {"5.2.", "its mailbox does not take mail"},
        {"4.", "its mail system could not be reached in time"},
        {"5.7.", "its mail system refused it"},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strncmp(status, reasons[i].status, strlen(reasons[i].status)) == 0)
            return reasons[i].reason;
    return "it could not be delivered";
}

static void header_append(struct buf *out, const struct dsn *d, const char *boundary)
{
    buf_printf(out,
               "From: Mail Delivery System <MAILER-DAEMON@%s>\r\nTo: <%s>\r\n"
               "Subject: Undelivered mail to %s\r\nDate: ",
               d->domain, d->sender, d->alias);
    date_append(out, &(struct date){.time_s = d->now_s});
    buf_printf(out, "\r\nMessage-ID: <%s@%s>\r\n", d->id, d->domain);
    if (d->message_id[0])
        buf_printf(out, "In-Reply-To: %s\r\nReferences: %s\r\n", d->message_id, d->message_id);
    buf_printf(out,
               "Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n"
               "MIME-Version: 1.0\r\n"
               "Content-Type: multipart/report; report-type=delivery-status;\r\n"
               " boundary=\"%s\"\r\n\r\n",
               boundary);
}

static void text_append(struct buf *out, const struct dsn *d)
{
    buf_printf(out,
               "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
               "This is the mail relay of %s.\r\n\r\n"
               "Your message to <%s>\r\nwas not delivered: %s.\r\n\r\n"
               "It will not be tried again.\r\n",
               d->domain, d->alias, dsn_reason(d->status));
}

static void status_append(struct buf *out, const struct dsn *d)
{
    CLEANUP(buf_clear) struct buf diagnostic = {0};

    buf_printf(out,
               "Content-Type: message/delivery-status\r\n\r\n"
               "Reporting-MTA: dns; %s\r\nArrival-Date: ",
               d->domain);
    date_append(out, &(struct date){.time_s = d->arrived_s});
    buf_printf(out, "\r\n\r\nFinal-Recipient: rfc822; %s\r\nAction: failed\r\nStatus: %s\r\n",
               d->alias, d->status[0] ? d->status : "5.0.0");
    dsn_diagnostic_append(&diagnostic, d->diagnostic);
    if (diagnostic.len)
        buf_printf(out, "Diagnostic-Code: smtp; %s\r\n", buf_str(&diagnostic));
}

enum err dsn_append(struct buf *out, const struct dsn *d)
{
    boundary_text boundary;
    enum err e = boundary_new(boundary);

    if (e)
        return e;
    header_append(out, d, boundary);
    buf_printf(out, "--%s\r\n", boundary);
    text_append(out, d);
    buf_printf(out, "\r\n--%s\r\n", boundary);
    status_append(out, d);
    if (d->message_id[0])
        buf_printf(out, "\r\n--%s\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: %s\r\n",
                   boundary, d->message_id);
    buf_printf(out, "\r\n--%s--\r\n", boundary);
    return buf_error(out);
}
