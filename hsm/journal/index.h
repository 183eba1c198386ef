/* SPDX-License-Identifier: GPL-3.0-or-later */
/* index.h - what the journal tells, kept in memory: whose a reverse alias is, which leaves a
 * profile has, which record version counts.
 *
 * Built while the journal is read at start, kept up with every append. Thread-safe. The kinds and
 * fields it understands:
 *   profile      user=                                   a profile is made
 *   record       version= sha256=                        its record's row that counts
 *   abandon      -                                       the making of a profile did not end
 *   user-cert    serial= not-after= spki=                a user certificate
 *   sender-cert  user= alias= serial= not-after= key=    key is new or same
 *   alias-cert   alias= serial= not-after= spki=         an alias's, over the user's key
 * Any other kind passes unread. */
#ifndef SEALRELAY_HSM_JOURNAL_INDEX_H
#define SEALRELAY_HSM_JOURNAL_INDEX_H

#include "hsm/journal/line.h"

struct journal_index;

#define INDEX_SERIAL_HEX 40 /* hex digits of a serial number, at most 20 octets */

struct index_leaf {
    char serial[INDEX_SERIAL_HEX + 1]; /* lower-case hex */
    int64_t issued_s;
    int64_t not_after_s;
    journal_hash alias_of; /* an alias's certificate: hash of the user key in it; else empty */
};

struct index_profile {
    id_text profile;
    id_text user;
    uint64_t version;    /* 0: no record line yet */
    journal_hash record; /* hash of the record that counts */
    bool abandoned;      /* never got a record, and its keys were destroyed */
};

enum err journal_index_new(struct journal_index **out);
void journal_index_free(struct journal_index *x);

/* journal_index_visit - a journal_visit with the index as context.
 * Errors: ERR_TAMPERED (fields missing, a version that goes back), ERR_NOMEM. */
enum err journal_index_visit(void *context, const struct journal_line *line, struct bytes text);

/* journal_index_alias - which user a reverse alias belongs to. False: never certified. */
bool journal_index_alias(struct journal_index *x, const char *alias, id_text user_out);
/* journal_index_profile - False: unknown. */
bool journal_index_profile(struct journal_index *x, const char *profile, struct index_profile *out);
/* journal_index_profiles - all of them; given, free(). */
enum err journal_index_profiles(struct journal_index *x, struct index_profile **out, size_t *n_out);
/* journal_index_day - new sender keys of a profile on the UTC day of now_s. */
unsigned journal_index_day(struct journal_index *x, const char *profile, int64_t now_s);
/* journal_index_leaves - every leaf of a profile; given, free(). */
enum err journal_index_leaves(struct journal_index *x, const char *profile, struct index_leaf **out,
                              size_t *n_out);

#endif
