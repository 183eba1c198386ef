/* SPDX-License-Identifier: GPL-3.0-or-later */
/* match.c - match words against the characters that walk.c sees.
 *
 * Where an address begins and ends decides whether it is the user's: bigjohn@home.example and
 * john@home.example.org are somebody else's. */
#include "daemon/clean/match.h"

#include <glib.h>
#include <string.h>

#define BLANKS_MAX    32u /* characters between two words; more is no address any more */
#define TAG_MAX       64u /* characters of a +tag: RFC 5321 4.5.3.1.1 */
#define FOLLOWING_MAX 64u /* characters behind a domain that are looked at */

/* Top-level domains under which another's name may be a name again, as home.example.org is; two
 * letters are a country's. What else follows the full stop is a word, or how a file's name ends. */
static const char *const tops[] = {"com",      "net",         "org",  "edu",  "gov",  "mil",
                                   "int",      "info",        "biz",  "name", "pro",  "coop",
                                   "local",    "arpa",        "lan",  "corp", "home", "internal",
                                   "intranet", "localdomain", "test", "onion"};

bool match_is_alnum(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool match_is_blank(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0xa0;
}

static bool is_one_of(uint32_t c, const char *set)
{
    return c && c < 0x80 && strchr(set, (int)c);
}

/* Moves past the next character if it is one of the set. */
static bool one_skip(const struct scan *s, size_t *at, const char *set)
{
    size_t next = *at;

    if (!is_one_of(scan_next(s, &next), set))
        return false;
    *at = next;
    return true;
}

/* Blanks and line breaks, and quote marks behind a line break. */
static bool blanks_skip(const struct scan *s, size_t *at)
{
    bool any = false;
    bool line = false;

    for (unsigned i = 0; i < BLANKS_MAX; i++) {
        size_t next = *at;
        uint32_t c = scan_next(s, &next);

        if (!match_is_blank(c) && !(line && c == '>'))
            return any;
        line = line || c == '\n';
        any = true;
        *at = next;
    }
    return any;
}

static void text_skip(const struct scan *s, size_t *at, const char *text)
{
    size_t next = *at;

    for (; *text; text++)
        if (scan_next(s, &next) != (uint8_t)*text)
            return;
    *at = next;
}

static bool open_skip(const struct scan *s, size_t *at)
{
    bool any = scan_unseen_skip(s, *at) > *at; /* elements side by side */

    any = one_skip(s, at, "\"'") || any;
    any = blanks_skip(s, at) || any;
    any = one_skip(s, at, "<[(") || any;
    text_skip(s, at, "mailto:");
    return any;
}

static bool element_match(const struct scan *s, size_t *at, uint32_t element)
{
    uint32_t c;

    switch (element) {
    case WORD_BLANKS:
        return blanks_skip(s, at);
    case WORD_OPEN:
        return open_skip(s, at);
    case WORD_CLOSE:
        (void)one_skip(s, at, ">])");
        return true;
    default:
        c = scan_next(s, at);
        return c == element || (element == '.' && (c == 0x3002 || c == 0xff61)); /* RFC 3490 3.1 */
    }
}

/* ---- where it ends ---- */

static bool is_top(const char *label, size_t len)
{
    if (len == 2 && g_ascii_isalpha(label[0]) && g_ascii_isalpha(label[1]))
        return true;
    for (size_t i = 0; i < sizeof tops / sizeof tops[0]; i++)
        if (strlen(tops[i]) == len && memcmp(label, tops[i], len) == 0)
            return true;
    return false;
}

/* May what begins at the place, behind a full stop, be more of a domain? */
static bool domain_goes_on(const struct scan *s, size_t at)
{
    char label[16];
    size_t len = 0;

    for (unsigned i = 0; i < FOLLOWING_MAX; i++) {
        uint32_t c = scan_parted(s, at) ? ' ' : scan_next(s, &at);

        if (match_is_alnum(c)) {
            label[len < sizeof label - 1 ? len++ : len] = (char)c;
            continue;
        }
        if (is_top(label, len))
            return true;
        if (!is_one_of(c, ".-"))
            return false;
        len = 0;
    }
    return false;
}

static bool is_upper(uint32_t c)
{
    return c >= 'A' && c <= 'Z';
}

/* "jane@home.example.Is it" of somebody who writes addresses in lower case. */
static bool sentence_begins(const struct scan *s, size_t start, size_t at)
{
    uint32_t first = scan_cased(s, &at);

    return is_upper(first) && !is_upper(scan_cased(s, &at)) && !is_upper(scan_cased(s, &start));
}

/* Does the word from start end here? A tag ends it, too: clients put elements side by side. */
static bool ends_here(const struct scan *s, size_t start, size_t at)
{
    uint32_t c;
    size_t next;

    if (scan_parted(s, at))
        return true;
    c = scan_next(s, &at);
    if (match_is_alnum(c))
        return false;
    if (s->loose || (c != '.' && c != '-'))
        return true;
    next = at;
    if (scan_parted(s, at) || !match_is_alnum(scan_next(s, &next)))
        return true;
    return c == '.' && (sentence_begins(s, start, at) || !domain_goes_on(s, at));
}

/* ---- what stands between ---- */

static size_t elements_match(const struct scan *s, size_t start, size_t at, const struct word *word,
                             size_t i);

/* RFC 5322 3.2.3, RFC 6532 3.2. Before anything but "@" it is rather a link's next parameter that
 * begins with some of them. */
static bool is_tag_character(uint32_t c, bool plain)
{
    if (c >= 0x80)
        return c < 0x110000 && g_unichar_isalnum(c);
    return match_is_alnum(c) || is_one_of(c, ".-_+=/") ||
           (!plain && is_one_of(c, "!#$%&'*?^`{|}~"));
}

/* A tag may hold what follows tags: the longest that the rest of the word, from element i, fits. */
static size_t tag_match(const struct scan *s, size_t start, size_t at, const struct word *word,
                        size_t i)
{
    size_t best = elements_match(s, start, at, word, i);
    bool plain = i < word->len && word->text[i] != '@';

    if (best || !one_skip(s, &at, "+"))
        return best;
    for (unsigned n = 0; n < TAG_MAX; n++) {
        size_t end = elements_match(s, start, at, word, i);

        best = end ? end : best;
        if (!is_tag_character(scan_next(s, &at), plain))
            break;
    }
    return best;
}

/* Where the word that begins at start ends, when its elements from i on are to be found from at on;
 * 0 if they are not. */
static size_t elements_match(const struct scan *s, size_t start, size_t at, const struct word *word,
                             size_t i)
{
    for (; i < word->len; i++) {
        if (word->text[i] == WORD_TAG)
            return tag_match(s, start, at, word, i + 1);
        if (!element_match(s, &at, word->text[i]))
            return 0;
    }
    return ends_here(s, start, at) ? at : 0;
}

/* What is known at a place from the word tried last: many begin alike, with the user's name. */
struct tried {
    size_t ends[WORD_SHARED_MAX]; /* of its first n elements */
    size_t n;
    bool failed; /* the next one does not match */
};

static size_t word_match(const struct scan *s, size_t start, const struct word *word,
                         struct tried *t)
{
    size_t at = t->n ? t->ends[t->n - 1] : start;

    for (; t->n < word->len && t->n < WORD_SHARED_MAX && word->text[t->n] != WORD_TAG; t->n++) {
        if (!element_match(s, &at, word->text[t->n])) {
            t->failed = true;
            return 0;
        }
        t->ends[t->n] = at;
    }
    return elements_match(s, start, at, word, t->n);
}

/* ---- where it begins ---- */

void match_passed(struct match_before *before, uint32_t c)
{
    before->past = before->past << 8 | (c < 0x80 ? c : 0x80);
}

/* The n-th last character. */
static uint8_t passed(const struct match_before *b, unsigned n)
{
    return (uint8_t)(b->past >> 8 * (n - 1));
}

/* Behind "=3D", "%3D", "\n" of a source that nothing has undone. */
static bool behind_escape(const struct match_before *b)
{
    int high = g_ascii_xdigit_value((char)passed(b, 2));
    int low = g_ascii_xdigit_value((char)passed(b, 1));
    uint32_t c = (uint32_t)(high * 16 + low);

    if (passed(b, 2) == '\\' && is_one_of(passed(b, 1), "nrt"))
        return true;
    return is_one_of(passed(b, 3), "=%") && high >= 0 && low >= 0 &&
           !match_is_alnum(word_fold(c)) && !is_one_of(c, ".-_+");
}

bool match_begins(const struct scan *s, const struct match_before *b, uint32_t c)
{
    if (!match_is_alnum(c) || behind_escape(b))
        return true;
    return !match_is_alnum(passed(b, 1)) &&
           (!is_one_of(passed(b, 1), s->loose ? ".+" : ".-_+") || !match_is_alnum(passed(b, 2)));
}

/*   hidden  only a word that must not be left, and the first one found will do */
static const struct word *word_find(const struct scan *s, size_t at, uint32_t c,
                                    const struct match_before *before, bool hidden, size_t *end)
{
    size_t i = s->words->first[c % WORDS_BUCKETS];
    bool here = i != WORDS_NONE && match_begins(s, before, c);
    const struct word *best = NULL;
    struct tried tried;

    *end = 0;
    if (!here && match_is_alnum(passed(before, 1)))
        return NULL;
    tried.n = 0;
    tried.failed = false;
    for (; i != WORDS_NONE && !(hidden && best); i = s->words->items[i].next) {
        const struct word *word = &s->words->items[i];
        size_t found;

        if (tried.failed && word->shared > tried.n)
            continue;
        tried.failed = false;
        tried.n = word->shared < tried.n ? word->shared : tried.n;
        if (word->text[0] != c || (!here && !word->inside) || (hidden && !word->hidden))
            continue;
        found = word_match(s, at, word, &tried);
        if (found > *end) {
            *end = found;
            best = word;
        }
    }
    return best;
}

const struct word *match_word(const struct scan *s, size_t at, uint32_t c,
                              const struct match_before *before, size_t *end)
{
    return word_find(s, at, c, before, false, end);
}

bool match_hidden(const struct scan *s, size_t at, uint32_t c, const struct match_before *before)
{
    size_t end;

    return word_find(s, at, c, before, true, &end) != NULL;
}
