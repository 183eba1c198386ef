/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender_policy.c - what a profile wants done with doubtful senders, kept by its words. */
#include "daemon/store/sender_policy.h"
#include "daemon/store/internal.h"

#include <string.h>

#define WORD_MAX 16

static const char *const failing_names[] = {[FAILING_BY_DOMAIN] = "policy",
                                            [FAILING_REFUSE] = "refuse",
                                            [FAILING_MARK] = "mark",
                                            [FAILING_DEFER] = "defer",
                                            NULL};
static const char *const spam_names[] = {
    [SPAM_CHOICE_REFUSE] = "refuse", [SPAM_CHOICE_MARK] = "mark", NULL};
static const char *const unchecked_names[] = {
    [UNCHECKED_ACCEPT] = "accept", [UNCHECKED_DEFER] = "defer", NULL};

const char *failing_action_name(enum failing_action a)
{
    return failing_names[a];
}

const char *spam_choice_name(enum spam_choice c)
{
    return spam_names[c];
}

const char *unchecked_action_name(enum unchecked_action a)
{
    return unchecked_names[a];
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

enum err sender_policy_set_word(struct sender_policy *p, const char *name, const char *word)
{
    unsigned found;

    if (strcmp(name, "failing") == 0) {
        if (!word_find(failing_names, word, &found))
            return err_note(ERR_USAGE, "failing", "want policy, refuse, mark or defer");
        p->failing = (enum failing_action)found;
        return ERR_OK;
    }
    if (strcmp(name, "spam") == 0) {
        if (!word_find(spam_names, word, &found))
            return err_note(ERR_USAGE, "spam", "want refuse or mark");
        p->spam = (enum spam_choice)found;
        return ERR_OK;
    }
    if (strcmp(name, "unchecked") == 0) {
        if (!word_find(unchecked_names, word, &found))
            return err_note(ERR_USAGE, "unchecked", "want accept or defer");
        p->unchecked = (enum unchecked_action)found;
        return ERR_OK;
    }
    return err_note(ERR_USAGE, "sender policy", "want failing, spam or unchecked");
}

/* A word that no version wrote was written by somebody else. */
static enum err column_read(sqlite3_stmt *st, int column, const char *name, struct sender_policy *p)
{
    char word[WORD_MAX];
    enum err e = sql_text(st, column, word, sizeof word);

    if (e || !sender_policy_set_word(p, name, word))
        return e;
    err_note_clear();
    return err_note(ERR_TAMPERED, "sender policy", "%s: unknown word", name);
}

enum err store_policy_get(struct store *s, const char *profile, struct sender_policy *out)
{
    CLEANUP(sql_release) struct sql *db = sql_hold(s->read);
    CLEANUP(sql_reset) sqlite3_stmt *st = NULL;
    struct sender_policy p = {0};
    enum err e =
        sql_query(db, &st, "SELECT failing, spam, unchecked FROM sender_policy WHERE profile = ?",
                  "t", profile);

    e = e ? e : sql_step(db, st);
    if (e == ERR_NOT_FOUND) {
        err_note_clear();
        *out = p;
        return ERR_OK;
    }
    e = e ? e : column_read(st, 0, "failing", &p);
    e = e ? e : column_read(st, 1, "spam", &p);
    e = e ? e : column_read(st, 2, "unchecked", &p);
    if (!e)
        *out = p;
    return e;
}

enum err store_policy_set(struct store *s, const char *profile, const struct sender_policy *p)
{
    CLEANUP(sql_release) struct sql *db = NULL;

    if (!id_is_valid(profile))
        return err_note(ERR_FORMAT, "sender policy", "not a profile id");
    db = sql_hold(s->write);
    return sql_run(db,
                   "INSERT OR REPLACE INTO sender_policy (profile, failing, spam, unchecked)"
                   " VALUES (?, ?, ?, ?)",
                   "tttt", profile, failing_names[p->failing], spam_names[p->spam],
                   unchecked_names[p->unchecked]);
}
