/* SPDX-License-Identifier: GPL-3.0-or-later */
/* words.c - build the words that scan.c looks for.
 *
 * A word is a row of folded characters with a few elements between them, so that one row covers an
 * address with and without +tag, or a name and an address with whatever brackets a client put
 * around them. */
#include "daemon/clean/words.h"
#include "daemon/message/address.h"

#include <glib.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MIN_BYTES 3u /* shorter names are words of the language */

/* Full-width and small forms, mathematical letters: the same characters in another cut. Circled
 * ones are not among them: they stand before an address as numbers of a list. */
static bool is_styled(uint32_t code)
{
    return (code >= 0xff01 && code <= 0xff5e) || (code >= 0xfe50 && code <= 0xfe6f) ||
           (code >= 0x1d400 && code <= 0x1d7ff);
}

uint32_t word_fold(uint32_t code)
{
    gunichar one;

    if (is_styled(code) && g_unichar_fully_decompose(code, TRUE, &one, 1) == 1)
        code = one;
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    return code < 0x110000 ? g_unichar_tolower(code) : code;
}

void words_init(struct words *w)
{
    *w = (struct words){0};
    for (size_t i = 0; i < WORDS_BUCKETS; i++)
        w->first[i] = WORDS_NONE;
}

static void word_clear(struct word *word)
{
    free(word->text);
    free(word->becomes);
    *word = (struct word){0};
}

void words_clear(struct words *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        word_clear(&w->items[i]);
    free(w->items);
    words_init(w);
}

/* A word in the making. */
struct draft {
    struct buf text; /* of uint32_t */
};

static void draft_clear(struct draft *d)
{
    buf_clear(&d->text);
}

static void draft_code(struct draft *d, uint32_t code)
{
    buf_append(&d->text, &code, sizeof code);
}

static void draft_text(struct draft *d, const char *utf8)
{
    for (const char *s = utf8; *s; s = g_utf8_next_char(s)) {
        uint32_t code = word_fold(g_utf8_get_char(s));

        draft_code(d, g_unichar_isspace(code) ? WORD_BLANKS : code);
    }
}

static void draft_local(struct draft *d, const char *address)
{
    CLEANUP(buf_clear) struct buf local = {0};
    const char *at = strrchr(address, '@');

    buf_append(&local, address, at ? (size_t)(at - address) : strlen(address));
    if (local.failed)
        d->text.failed = true;
    else
        draft_text(d, buf_str(&local));
}

static size_t shared_count(const struct word *a, const struct word *b)
{
    size_t n = 0;

    while (n < a->len && n < b->len && n < WORD_SHARED_MAX && a->text[n] == b->text[n] &&
           a->text[n] != WORD_TAG)
        n++;
    return n;
}

static enum err word_add(struct words *w, const struct draft *d, const char *becomes, bool hidden)
{
    struct word word = {.len = d->text.len / sizeof(uint32_t), .hidden = hidden};
    struct word *grown;
    size_t *bucket;

    if (d->text.failed)
        return ERR_NOMEM;
    if (!word.len)
        return ERR_OK;
    grown = realloc(w->items, (w->n + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    w->items = grown;
    word.text = malloc(d->text.len);
    word.becomes = strdup(becomes);
    if (!word.text || !word.becomes) {
        word_clear(&word);
        return ERR_NOMEM;
    }
    memcpy(word.text, d->text.data, d->text.len);
    bucket = &w->first[word.text[0] % WORDS_BUCKETS];
    word.next = *bucket;
    if (word.next != WORDS_NONE)
        w->items[word.next].shared = shared_count(&word, &w->items[word.next]);
    *bucket = w->n;
    w->items[w->n++] = word;
    return ERR_OK;
}

static enum err form_add(struct words *w, const char *mailbox, const char *separator,
                         const char *domain, const char *alias)
{
    CLEANUP(draft_clear) struct draft d = {0};
    CLEANUP(buf_clear) struct buf becomes = {0};
    const char *at = strrchr(alias, '@');
    bool quoted = *separator == '"';
    enum err e;

    buf_printf(&becomes, "%.*s%s%s", at ? (int)(at - alias) : 0, alias, separator + quoted,
               address_domain(alias));
    if (becomes.failed)
        return ERR_NOMEM;

    if (quoted)
        draft_text(&d, "\"");
    draft_local(&d, mailbox);
    draft_code(&d, WORD_TAG);
    draft_text(&d, separator);
    draft_text(&d, domain);
    e = word_add(w, &d, buf_str(&becomes), true);
    if (!e)
        w->items[w->n - 1].inside = *separator == '=' || *separator == '%';
    return e;
}

/* The domain in U-labels; NULL if it has none that differ. Given. */
static char *domain_unicode(const char *domain)
{
    char *unicode = g_hostname_is_ascii_encoded(domain) ? g_hostname_to_unicode(domain) : NULL;

    if (unicode && strcmp(unicode, domain) != 0)
        return unicode;
    g_free(unicode);
    return NULL;
}

enum err words_add_mailbox(struct words *w, const char *mailbox, const char *alias)
{
    static const char *const separators[] = {"@", "\"@", "=", "=40", "%", " at "};
    const char *domain = address_domain(mailbox);
    char *unicode = domain_unicode(domain);
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < sizeof separators / sizeof separators[0]; i++) {
        e = form_add(w, mailbox, separators[i], domain, alias);
        if (!e && unicode)
            e = form_add(w, mailbox, separators[i], unicode, alias);
    }
    g_free(unicode);
    return e;
}

/* How clients say who wrote what they quote, behind the name and before it. */
static const char *const wrote_behind[] = {" wrote",      " writes",   " schrieb",  " a écrit",
                                           " ha scritto", " escribió", " escreveu", " skrev",
                                           " schreef",    " napisał",  " kirjoitti"};
static const char *const wrote_before[] = {"schrieb ", "escribió ", "het ", "scritto da ",
                                           "écrit par "};

static enum err wrote_add(struct words *w, const char *before, const char *name, const char *behind,
                          const char *alias)
{
    CLEANUP(draft_clear) struct draft d = {0};
    CLEANUP(buf_clear) struct buf becomes = {0};

    draft_text(&d, before);
    draft_text(&d, name);
    draft_text(&d, behind);
    buf_printf(&becomes, "%s%s%s", before, alias, behind);
    return becomes.failed ? ERR_NOMEM : word_add(w, &d, buf_str(&becomes), false);
}

enum err words_add_name(struct words *w, const char *name, const char *mailbox, const char *alias)
{
    CLEANUP(draft_clear) struct draft d = {0};
    enum err e;

    if (strlen(name) < NAME_MIN_BYTES)
        return ERR_OK;
    draft_text(&d, name);
    draft_code(&d, WORD_OPEN);
    draft_local(&d, mailbox);
    draft_code(&d, WORD_TAG);
    draft_text(&d, "@");
    draft_text(&d, address_domain(mailbox));
    draft_code(&d, WORD_CLOSE);
    e = word_add(w, &d, alias, true);
    for (size_t i = 0; !e && i < sizeof wrote_behind / sizeof wrote_behind[0]; i++)
        e = wrote_add(w, "", name, wrote_behind[i], alias);
    for (size_t i = 0; !e && i < sizeof wrote_before / sizeof wrote_before[0]; i++)
        e = wrote_add(w, wrote_before[i], name, ":", alias);
    return e;
}

enum err words_add_first(struct words *w, const char *first, const char *real)
{
    CLEANUP(draft_clear) struct draft d = {0};

    draft_text(&d, first);
    return word_add(w, &d, real, false);
}

/* "Bob - bob at shop.example" loses its tail, "bob at shop.example" alone is an address again. */
enum err words_add_shown(struct words *w, const char *real)
{
    CLEANUP(draft_clear) struct draft alone = {0};
    CLEANUP(draft_clear) struct draft tail = {0};
    enum err e;

    draft_local(&alone, real);
    draft_text(&alone, " at ");
    draft_text(&alone, address_domain(real));
    draft_code(&tail, ' '); /* a blank, not a run of them: most blanks are looked at in vain */
    draft_text(&tail, "- ");
    buf_append_bytes(&tail.text, buf_bytes(&alone.text));
    e = word_add(w, &alone, real, false);
    return e ? e : word_add(w, &tail, "", false);
}
