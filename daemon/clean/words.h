/* SPDX-License-Identifier: GPL-3.0-or-later */
/* words.h - what is looked for in a reply: the user's mailbox addresses in each of their forms,
 * the user's name before them, what the relay itself showed the user. */
#ifndef SEALRELAY_CLEAN_WORDS_H
#define SEALRELAY_CLEAN_WORDS_H

#include "daemon/base/buf.h"

/* Elements of a word that are no character. */
enum word_element {
    WORD_BLANKS = 0x110001, /* blanks, line breaks, "> " of quoting: one or more */
    WORD_TAG,               /* "+anything", if there */
    WORD_OPEN,              /* quote, blanks, one of < [ (, and "mailto:", each if there */
    WORD_CLOSE,             /* one of > ] ), if there */
};

struct word {
    uint32_t *text; /* lower case characters and elements */
    size_t len;
    char *becomes; /* UTF-8 */
    bool hidden;   /* must not be left in what leaves */
    bool inside;   /* may stand behind a prefix, as in bounce-user=home.example */
    size_t shared; /* how many first elements are those of the word before it in the list, too; no
                      WORD_TAG is among them */
    size_t next;   /* of the words with the same first character; WORDS_NONE */
};

#define WORDS_BUCKETS   128u
#define WORD_SHARED_MAX 64u /* elements */
#define WORDS_NONE      SIZE_MAX

struct words {
    struct word *items;
    size_t n;
    size_t first[WORDS_BUCKETS]; /* by first character modulo WORDS_BUCKETS */
};

void words_init(struct words *w);
void words_clear(struct words *w);

/* words_add_mailbox - local@domain with any +tag, in A- and U-labels; "local"@domain; local=domain
 * (VERP), local%domain, local=40domain, "local at domain": all hidden, all become alias.
 * words_add_name - the user's name before such an address, or as who wrote a quoted text.
 * words_add_first - the address by which the user writes to somebody for the first time.
 * words_add_shown - "user at example.com", as the relay shows a correspondent to the user.
 * Errors: ERR_NOMEM. */
enum err words_add_mailbox(struct words *w, const char *mailbox, const char *alias);
enum err words_add_name(struct words *w, const char *name, const char *mailbox, const char *alias);
enum err words_add_first(struct words *w, const char *first, const char *real);
enum err words_add_shown(struct words *w, const char *real);

/* word_fold - one character as words hold it: lower case, full-width, small and mathematical
 * forms as what they stand for. */
uint32_t word_fold(uint32_t code);

#endif
