/* SPDX-License-Identifier: GPL-3.0-or-later */
/* scan.h - find words in text as a reader would see it: encodings undone, case and invisible
 * characters aside; and put others in their place without touching what lies between.
 *
 * A scanner walks over encoded bytes one visible character at a time, so nothing is copied to be
 * searched, and a match knows which bytes of the source it covers. */
#ifndef SEALRELAY_CLEAN_SCAN_H
#define SEALRELAY_CLEAN_SCAN_H

#include "daemon/clean/words.h"

/* How the source is encoded, innermost last; may be combined. */
enum scan_layer {
    SCAN_TAGS = 1,       /* HTML tags: those of blocks are a line break, others are skipped; a word
                            may begin and end at any */
    SCAN_ENTITIES = 2,   /* HTML character references */
    SCAN_PERCENT = 4,    /* %40, and %2540 */
    SCAN_DELSP = 8,      /* format=flowed with delsp=yes: a soft line break is no character */
    SCAN_BACKSLASH = 16, /* "\40 ", "\u0040", "\@" */
    SCAN_VALUE = 32,     /* with SCAN_ENTITIES: an attribute's value, "&lt=1" is no reference */
};

/* How a replacement is written. */
enum scan_escape { SCAN_AS_IS, SCAN_AS_HTML, SCAN_AS_URL };

/* Tokens that are no fixed words, replaced by whoever scans. */
enum scan_token { SCAN_REVERSE, SCAN_CID, SCAN_FILE };

/* scan_replacer - what a token becomes.
 *   token  as read: a reverse address in lower case, what follows "cid:" or "file:"
 *   out    appended to
 *   found  false: it stays as it is */
typedef enum err scan_replacer(void *context, enum scan_token kind, struct bytes token,
                               struct buf *out, bool *found);

struct scan {
    struct bytes text; /* UTF-8; stray bytes are passed by */
    unsigned layers;   /* of enum scan_layer */
    bool loose;        /* a word may stand behind "Letter-" and before ".pdf": file names */
    bool encoded;      /* words are looked for inside base64, too; with it, it goes */
    const struct words *words;
    scan_replacer *replacer; /* NULL: no tokens */
    void *context;
    enum scan_escape escape;
};

#define SCAN_END UINT32_MAX

/* scan_next - the next visible character at *at, lower case, which moves behind it; SCAN_END. */
uint32_t scan_next(const struct scan *s, size_t *at);
/* scan_cased - the same, as it is written. */
uint32_t scan_cased(const struct scan *s, size_t *at);

/* scan_text_append - the visible characters of the source from at to end, case kept, as UTF-8. */
void scan_text_append(const struct scan *s, size_t at, size_t end, struct buf *out);
/* scan_unseen_skip - behind tags and soft line breaks at at. */
size_t scan_unseen_skip(const struct scan *s, size_t at);
/* scan_parted - is there at at what no word of its own has in it: a tag, a soft line break, an
 * escape? Words may begin and end there, as they do where those are not undone. */
bool scan_parted(const struct scan *s, size_t at);
/* scan_tag_end - behind the tag, comment or declaration that begins at at; at if none does. */
size_t scan_tag_end(const struct scan *s, size_t at);

/* scan_finds - does the text hold a hidden word? */
bool scan_finds(const struct scan *s);

/* scan_replace - the text with words and tokens replaced, at the end of out; tags inside a match
 * stay. changed: set to true if anything was replaced, else untouched. Errors: ERR_NOMEM, the
 * replacer's. */
enum err scan_replace(const struct scan *s, struct buf *out, bool *changed);

/* scan_escaped_append - text as the escape wants it. */
void scan_escaped_append(struct buf *out, enum scan_escape escape, struct bytes text);

#endif
