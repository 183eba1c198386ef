/* SPDX-License-Identifier: GPL-3.0-or-later */
/* address.h - addresses in header fields and envelopes (RFC 5322 3.4, RFC 5321 4.1.2). */
#ifndef SEALRELAY_MESSAGE_ADDRESS_H
#define SEALRELAY_MESSAGE_ADDRESS_H

#include "daemon/base/buf.h"

struct mailbox {
    char *name; /* display name, UTF-8, NULL when there is none */
    char *addr; /* local@domain, domain lower case and in A-labels; local part as written */
};

struct mailbox_list {
    struct mailbox *items;
    size_t n;
};

/* mailbox_list_parse - the mailboxes of an address-list field, groups flattened, unusable ones
 * (no domain, control bytes, over 254 bytes) left out. Through GMime. Errors: ERR_NOMEM. */
enum err mailbox_list_parse(struct bytes value, struct mailbox_list *out);
void mailbox_list_clear(struct mailbox_list *l);

/* address_is_valid - is s local@domain that may go into an envelope: 254 bytes at most, local part
 * 64, no control bytes, no blanks or specials outside quotes, an LDH or U-label domain
 * ('_' is let pass: it is seen); no address literals. */
bool address_is_valid(const char *s);
bool address_is_ascii(const char *s);
/* address_fold - lower case of the whole address, for aliases and mailboxes. */
void address_fold(char *s);
/* address_domain - behind the last '@'; "" when there is none. Borrowed. */
const char *address_domain(const char *s);
/* address_is_reverse - has the local part the form r-<16 of a-z2-7> of a reverse alias? */
bool address_is_reverse(const char *s);
/* address_first_split - "shop+bob=example.net@relay.example" is where a user writes to
 * bob@example.net for the first time, from the alias shop@relay.example.
 *   alias, to  strlen(s) + 1 bytes each; set when true
 * Returns whether s has that form. Nothing is said of whether the alias exists. */
bool address_first_split(const char *s, char *alias, char *to);

/* mailbox_append - "Name" <addr> as RFC 5322 phrase, RFC 2047 where needed, ASCII only, folded
 * towards 78 columns as counted in out from its last line break.
 *   name  UTF-8, NULL or "" for none; at most ADDRESS_NAME_MAX_BYTES of it are written
 *   addr  ASCII
 * Errors: ERR_FORMAT (addr is not ASCII), ERR_NOMEM. */
enum err mailbox_append(struct buf *out, const char *name, const char *addr);
#define ADDRESS_NAME_MAX_BYTES 512u

/* unstructured_append - text as an ASCII field body, folded towards 78 columns as counted in out
 * from its last line break, never over 998. RFC 2047 words in it stay as they are; words with raw
 * 8-bit bytes are encoded as UTF-8 if the whole is valid UTF-8, else as windows-1252; over-long
 * words are encoded too. At most UNSTRUCTURED_MAX_BYTES of it are written.
 *   value  as in a field: folds are taken out, control bytes become '?'
 * Errors: ERR_NOMEM. Source: RFC 5322 2.2.3, RFC 2047 2 and 5. */
enum err unstructured_append(struct buf *out, struct bytes value);
#define UNSTRUCTURED_MAX_BYTES 8192u

#endif
