/* SPDX-License-Identifier: GPL-3.0-or-later */
/* answer.c - enhanced status and queue id out of a reply's text.
 *
 * What comes out goes into logs and the queue's history, so it has letters, digits, dots and dashes
 * and a bound; a word with anything else in it is no queue id but, perhaps, an address. */
#include "daemon/deliver/answer.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Up to three digits, then end; NULL if it is not so. */
static const char *digits_end(const char *s, char end)
{
    size_t n = strspn(s, "0123456789");

    return n >= 1 && n <= 3 && s[n] == end ? s + n + 1 : NULL;
}

void answer_status(uint16_t code, const char *text, char out[ANSWER_STATUS_SIZE])
{
    const char *at = text;
    size_t len;

    out[0] = '\0';
    if (code < 200 || code > 599 || text[0] != '0' + code / 100 || text[1] != '.')
        return;
    at = digits_end(text + 2, '.');
    if (!at)
        return;
    len = strspn(at, "0123456789");
    if (len < 1 || len > 3 || (at[len] != '\0' && at[len] != ' '))
        return;
    (void)snprintf(out, ANSWER_STATUS_SIZE, "%.*s", (int)(at - text) + (int)len, text);
}

static size_t id_len(const char *s)
{
    size_t n = 0;

    while (isalnum((unsigned char)s[n]) || s[n] == '.' || s[n] == '-')
        n++;
    return n;
}

/* A whole word: a blank or a bracket ends it; a full stop at its end is the sentence's. */
static bool take_word(const char *s, char out[ANSWER_HOP_ID_MAX + 1])
{
    size_t len = id_len(s);

    if (s[len] && !strchr(" )];,", s[len]))
        return false;
    while (len && s[len - 1] == '.')
        len--;
    if (len == 0 || len > ANSWER_HOP_ID_MAX)
        return false;
    (void)snprintf(out, ANSWER_HOP_ID_MAX + 1, "%.*s", (int)len, s);
    return true;
}

/* The word in front of a marker, which begins with a blank; but not the enhanced status. */
static bool take_word_before(const char *text, const char *marker, char out[ANSWER_HOP_ID_MAX + 1])
{
    const char *begin = marker;

    while (begin > text && begin[-1] != ' ')
        begin--;
    if (strspn(begin, "0123456789.") == (size_t)(marker - begin) && memchr(begin, '.', 2))
        return false;
    return take_word(begin, out);
}

bool answer_hop_id(const char *text, char out[ANSWER_HOP_ID_MAX + 1])
{
    static const char *const behind[] = {"queued as ", "OK id=", "Message accepted for delivery: "};
    static const char in_front[] = " Message accepted for delivery";
    const char *at;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
        at = strcasestr(text, behind[i]);
        if (at)
            return take_word(at + strlen(behind[i]), out);
    }
    at = strcasestr(text, in_front);
    return at && take_word_before(text, at, out);
}
