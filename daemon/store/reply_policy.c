/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_policy.c - what a profile asks of replies, kept by its words. What the database says is
 * held to the same rules as what the operator says: nothing in there waives both proofs. */
#include "daemon/store/reply_policy.h"
#include "daemon/store/internal.h"

#include <string.h>

#define WORD_MAX 16

static const char *const proof_names[] = {
    [REPLY_REQUIRED] = "required", [REPLY_WAIVED] = "waived", NULL};
static const char *const onward_names[] = {[ONWARD_WHEN_KNOWN] = "when-known",
                                           [ONWARD_NEVER] = "never",
                                           [ONWARD_REQUIRED] = "required",
                                           NULL};
static const char *const plain_names[] = {"no", "yes", NULL};

const char *reply_proof_name(enum reply_proof p)
{
    return proof_names[p];
}

const char *onward_choice_name(enum onward_choice c)
{
    return onward_names[c];
}

const char *reply_plain_name(bool plain)
{
    return plain_names[plain];
}

static bool word_find(const char *const *names, const char *word, unsigned *out)
{
    for (unsigned i = 0; names[i]; i++)
        if (strcmp(names[i], word) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static enum err proof_set(enum reply_proof *proof, const char *name, const char *word)
{
    unsigned found;

    if (!word_find(proof_names, word, &found))
        return err_note(ERR_USAGE, name, "want required or waived");
    *proof = (enum reply_proof)found;
    return ERR_OK;
}

enum err reply_policy_set_word(struct reply_policy *p, const char *name, const char *word)
{
    unsigned found;

    if (strcmp(name, "reply_pass") == 0)
        return proof_set(&p->pass, name, word);
    if (strcmp(name, "reply_signature") == 0)
        return proof_set(&p->signature, name, word);
    if (strcmp(name, "plain") == 0) {
        if (!word_find(plain_names, word, &found))
            return err_note(ERR_USAGE, name, "want no or yes");
        p->plain = found == 1;
        return ERR_OK;
    }
    if (strcmp(name, "onward") == 0) {
        if (!word_find(onward_names, word, &found))
            return err_note(ERR_USAGE, name, "want never, when-known or required");
        p->onward = (enum onward_choice)found;
        return ERR_OK;
    }
    return err_note(ERR_USAGE, "reply policy", "want reply_pass, reply_signature, plain or onward");
}

enum err reply_policy_check(const struct reply_policy *p)
{
    if (p->pass == REPLY_WAIVED && p->signature == REPLY_WAIVED)
        return err_note(
            ERR_USAGE, "reply policy",
            "pass and signature cannot both be waived: anybody could write as the user");
    if (p->plain && p->signature == REPLY_REQUIRED)
        return err_note(ERR_USAGE, "reply policy",
                        "a plain reply has no signature: waive that first");
    return ERR_OK;
}

/* A word that no version wrote was written by somebody else. */
static enum err column_read(sqlite3_stmt *st, int column, const char *name, struct reply_policy *p)
{
    char word[WORD_MAX];
    enum err e = sql_text(st, column, word, sizeof word);

    if (e || !reply_policy_set_word(p, name, word))
        return e;
    err_note_clear();
    return err_note(ERR_TAMPERED, "reply policy", "%s: unknown word", name);
}

enum err store_reply_policy_get(struct store *s, const char *profile, struct reply_policy *out)
{
    static const char *const names[] = {"reply_pass", "reply_signature", "plain", "onward"};
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    struct reply_policy p = {0};
    enum err e = sql_query(
        db, &st, "SELECT pass, signature, plain, onward FROM reply_policy WHERE profile = ?", "t",
        profile);

    e = e ? e : sql_step(db, st);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        *out = p;
        return ERR_OK;
    }
    for (int i = 0; !e && i < 4; i++)
        e = column_read(st, i, names[i], &p);
    if (!e && reply_policy_check(&p)) {
        err_note_clear();
        e = err_note(ERR_TAMPERED, "reply policy", "words that may not stand together");
    }
    if (!e)
        *out = p;
    return e;
}

enum err store_reply_policy_set(struct store *s, const char *profile, const struct reply_policy *p)
{
    CLEANUP(sql_release) struct sql *db = NULL;
    enum err e = reply_policy_check(p);

    if (e)
        return e;
    if (!id_is_valid(profile))
        return err_note(ERR_FORMAT, "reply policy", "not a profile id");
    db = sql_hold(s->write);
    return sql_run(db,
                   "INSERT OR REPLACE INTO reply_policy (profile, pass, signature, plain, onward)"
                   " VALUES (?, ?, ?, ?, ?)",
                   "ttttt", profile, proof_names[p->pass], proof_names[p->signature],
                   plain_names[p->plain], onward_names[p->onward]);
}
