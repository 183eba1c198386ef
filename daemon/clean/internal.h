/* SPDX-License-Identifier: GPL-3.0-or-later */
/* internal.h - what the steps of one cleaning share. */
#ifndef SEALRELAY_CLEAN_INTERNAL_H
#define SEALRELAY_CLEAN_INTERNAL_H

#include "daemon/clean/clean.h"
#include "daemon/clean/scan.h"

#include <gmime/gmime.h>

/* An old name and the one that stands for it: Content-IDs, reverse addresses. */
struct pair {
    char *from, *to; /* to NULL: looked up, there is none */
};

struct pairs {
    struct pair *items;
    size_t n;
    GHashTable
        *index; /* from, in items: where, counted from 1; a text may hold any number of one */
};

const struct pair *pairs_find(const struct pairs *p, const char *from);
/* pairs_add - to may be NULL. Errors: ERR_NOMEM. */
enum err pairs_add(struct pairs *p, const char *from, const char *to);
void pairs_clear(struct pairs *p);

struct clean {
    const struct clean_input *in;
    struct clean_output *out;
    struct clean_refusal *refusal;
    struct words words;
    struct pairs cids;     /* Content-IDs without brackets */
    struct pairs reverses; /* reverse address, real address */
    char salt[17];         /* for new class names, so that no list of old ones finds them */
    unsigned parts;
    unsigned files; /* messages that were files, around the part that is cleaned now */
};

/* clean_refuse - note why; returns ERR_REFUSED. */
enum err clean_refuse(struct clean *c, enum clean_reason reason, const char *part);
void clean_warn(struct clean *c, enum clean_warning_kind kind, const char *part);

/* ---- tokens.c: what reverse addresses, cid: and file: links become ---- */

/* clean_real - the real address behind a reverse address, borrowed; NULL: none of this user's.
 * Errors: ERR_REFUSED (too many), those of the look-up. */
enum err clean_real(struct clean *c, const char *reverse, const char **real);
/* clean_cid - the new id of a Content-ID (no brackets); the same for the same. Borrowed.
 * Errors: ERR_NOMEM, ERR_IO, ERR_REFUSED (too many). */
enum err clean_cid(struct clean *c, struct bytes id, const char **to);
/* clean_scan - a scanner over text with all of this cleaning's words and tokens. */
struct scan clean_scan(struct clean *c, struct bytes text, unsigned layers,
                       enum scan_escape escape);
/* clean_holds - is the user's mailbox address in the text, under any layers? text: any bytes. */
bool clean_holds(const struct words *words, struct bytes text);

/* ---- ids.c: Message-ID, In-Reply-To, References ---- */

/* ids_append - the field with those ids of the value that may leave, mapped; nothing if none. */
enum err ids_append(struct clean *c, struct buf *out, const char *name, struct bytes value);
/* ids_first - the value's first id, given; NULL when there is none. Errors: ERR_NOMEM. */
enum err ids_first(struct bytes value, char **out);

/* ---- header.c: the fields of the message ---- */

/* header_append - the whole header but Content-*.
 *   inner  the protected header, NULL when nothing was protected; whole: RFC 9788's rule holds,
 *          what is only outside does not count */
enum err header_append(struct clean *c, const struct message *inner, bool whole, struct buf *out);
/* recipients_append - an address field, mapped.
 *   strict  an address that is nobody's is refused; else it stays (attached messages) */
enum err recipients_append(struct clean *c, struct buf *out, const char *name, struct bytes value,
                           bool strict);
/* subject_append - a Subject field, words replaced. */
enum err subject_append(struct clean *c, struct buf *out, struct bytes value);
/* name_find - a From value's display name, given; NULL when there is none. */
enum err name_find(struct bytes value, char **out);

/* ---- part.c, tree.c, nested.c: MIME ---- */

/* object_append - one MIME entity: Content-* fields, empty line, body.
 *   path     its number; depth: of multiparts and messages around it
 *   written  false: nothing of it may leave; out is as before */
enum err object_append(struct clean *c, GMimeObject *object, const char *path, unsigned depth,
                       struct buf *out, bool *written);
enum err part_append(struct clean *c, GMimePart *part, const char *path, struct buf *out,
                     bool *written);
enum err attached_append(struct clean *c, GMimeMessagePart *part, const char *path, unsigned depth,
                         struct buf *out);
/* message_append - the same of a message that was a file. Errors: ERR_FORMAT (it is none that can
 * be taken apart; out is as before). */
enum err message_append(struct clean *c, struct bytes file, const char *path, struct buf *out);
/* message_holds_trace - does a file that may be a message hold fields of mail systems?
 * message_names_user - does it hold those, or an address of the user?
 * Errors: none; true when memory is short. */
bool message_holds_trace(struct bytes file);
bool message_names_user(const struct clean *c, struct bytes file);
enum err receipt_append(struct clean *c, struct bytes text, struct buf *out);

/* ---- text.c, armor.c, html.c, css.c, personal.c: text in UTF-8 ---- */

struct text_form {
    bool flowed_delsp; /* format=flowed; delsp=yes */
    bool legacy;       /* begins with a legacy display element (RFC 9788 5.2) */
};

/* Each appends the cleaned text; changed is set when it differs, else untouched. */
enum err text_clean(struct clean *c, struct bytes text, const struct text_form *form,
                    struct buf *out, bool *changed);
enum err html_clean(struct clean *c, struct bytes html, bool legacy, struct buf *out);
enum err calendar_clean(struct clean *c, struct bytes text, struct buf *out, bool *changed);
enum err vcard_clean(struct clean *c, struct bytes text, const char *path, struct buf *out,
                     bool *changed);
/* armor_drop - take PGP keys and signatures that lie in a text out of it (they hold addresses in
 * base64), keep what was signed. Errors: none; changed as above. */
void armor_drop(struct clean *c, struct buf *text, bool html, bool *changed);
/* armor_may_be - false: armor_drop would find nothing. */
bool armor_may_be(struct bytes text);
/* css_append - a style sheet, or the declarations of a style attribute. */
enum err css_append(struct clean *c, struct bytes css, bool declarations, struct buf *out);
/* class_append - a class or id as it leaves. */
void class_append(struct clean *c, struct bytes name, struct buf *out);
/* url_append - a link as it leaves; usable false: it may not, nothing is appended. url: as in an
 * attribute, entities undone. */
enum err url_append(struct clean *c, struct bytes url, struct buf *out, bool *usable);

/* A MIME entity as a tree whose contents are views of its bytes; it must not move. */
struct parsed {
    struct buf rebuilt; /* instead of the bytes, when GMime does not take their header */
    GByteArray view;
    GMimeObject *root;
};

/* entity_parse - the bytes must outlive out.
 * Errors: ERR_FORMAT (none to be seen), ERR_TOO_BIG, ERR_HEADER, ERR_BARE_LINE, ERR_NOMEM. */
enum err entity_parse(struct bytes entity, struct parsed *out);
void parsed_clear(struct parsed *p);

/* ---- sweep.c: is the product clean? ---- */

/* sweep - read the finished entity and header once more.
 * Errors: ERR_REFUSED (CLEAN_ADDRESS, with its part). */
enum err sweep(struct clean *c, struct bytes header, struct bytes entity);

#endif
