/* SPDX-License-Identifier: GPL-3.0-or-later */
/* user_names.c - the mailboxes of a user and of a profile, and their domains, each once. */
#include "daemon/flow/user_names.h"
#include "daemon/message/address.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Mailbox domains that name nobody: message ids at them are their other users' too, and threads
 * with those would break if they were taken for ids of this user's. */
static const char *const shared_domains[] = {
    "aol.com",     "fastmail.com", "freenet.de", "gmail.com",      "gmx.at",
    "gmx.ch",      "gmx.de",       "gmx.net",    "googlemail.com", "hey.com",
    "hotmail.com", "icloud.com",   "live.com",   "mac.com",        "mail.ru",
    "mailbox.org", "me.com",       "msn.com",    "orange.fr",      "outlook.com",
    "pm.me",       "posteo.de",    "proton.me",  "protonmail.com", "qq.com",
    "t-online.de", "tutanota.com", "web.de",     "yahoo.co.jp",    "yahoo.com",
    "yandex.ru",   "zoho.com",     NULL,
};

void user_names_clear(struct user_names *n)
{
    free(n->mailboxes);
    free(n->domains);
    store_user_clear(&n->user);
    *n = (struct user_names){0};
}

/* The list ends with NULL. */
static bool is_listed(const char *const *items, const char *s)
{
    for (; *items; items++)
        if (strcasecmp(*items, s) == 0)
            return true;
    return false;
}

/* One more of a list that ends with NULL. */
static enum err list_add(const char ***items, size_t *n, const char *s)
{
    const char **grown = realloc(*items, (*n + 2) * sizeof **items);

    if (!grown)
        return ERR_NOMEM;
    *items = grown;
    grown[(*n)++] = s;
    grown[*n] = NULL;
    return ERR_OK;
}

enum err user_names_add(struct user_names *n, const char *mailbox)
{
    const char *domain = address_domain(mailbox);
    enum err e = ERR_OK;

    if (!is_listed(n->mailboxes, mailbox))
        e = list_add(&n->mailboxes, &n->n_mailboxes, mailbox);
    if (!e && !is_listed(n->domains, domain) && !is_listed(shared_domains, domain))
        e = list_add(&n->domains, &n->n_domains, domain);
    return e;
}

static enum err names_add_all(const struct hsm_profile *profile, struct user_names *n)
{
    enum err e = ERR_OK;

    for (size_t i = 0; !e && i < profile->n_addresses; i++)
        e = user_names_add(n, profile->addresses[i]);
    for (size_t i = 0; !e && i < n->user.n_mailboxes; i++)
        e = user_names_add(n, n->user.mailboxes[i]);
    return e;
}

enum err user_names_find(struct store *store, const char *user, const struct hsm_profile *profile,
                         struct user_names *out)
{
    struct user_names n = {0};
    enum err e = store_user_find(store, user, &n.user);

    if (e)
        return e == ERR_NOT_FOUND ? err_note(ERR_BUSY, "names", "the user was removed") : e;
    n.mailboxes = calloc(1, sizeof *n.mailboxes);
    n.domains = calloc(1, sizeof *n.domains);
    e = n.mailboxes && n.domains ? names_add_all(profile, &n) : ERR_NOMEM;
    if (e)
        user_names_clear(&n);
    else
        *out = n;
    return e;
}
