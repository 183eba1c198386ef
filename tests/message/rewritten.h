/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rewritten.h - one message taken through both steps of rewriting, for the tests of both headers.
 */
#ifndef SEALRELAY_TESTS_REWRITTEN_H
#define SEALRELAY_TESTS_REWRITTEN_H

#include "daemon/message/rewrite.h"

#define REWRITTEN_NOW_S        1795330746 /* Sun, 22 Nov 2026 06:59:06 +0000 */
#define REWRITTEN_NOT_BEFORE_S (REWRITTEN_NOW_S - 30 * 86400)
#define REWRITTEN_ALIAS        "shop@relay.example"
#define REWRITTEN_REVERSE      "r-abcdefghijklmnop@relay.example"

struct rewritten {
    struct message message;
    struct rewrite_parties parties;
    struct rewrite_output out;
    struct message outer; /* out.outer, taken apart */
    struct buf entity;    /* what gets signed, whole */
    struct message inner; /* entity, taken apart */
};

/* rewritten_make - raw must parse. Addresses other than the alias are mapped to themselves with
 * "r-" before and "@relay.example" behind, '@' becoming '-', those of nomap.example left out.
 * Asserts that all went well. */
void rewritten_make(const char *raw, bool hide_subject, struct rewritten *out);
/* rewritten_make_marked - the same of a message whose sender failed, or that is spam. */
void rewritten_make_marked(const char *raw, bool unverified, bool spam, struct rewritten *out);
void rewritten_clear(struct rewritten *r);

/* rewritten_value - the only field of that name unfolded; "-" when there is none, "many" when there
 * are several. Valid until the eighth call after. */
const char *rewritten_value(const struct message *m, const char *name);

#endif
