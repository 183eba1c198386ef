/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs_people.c - users, aliases and correspondents, over the store.
 *
 * A walk of the store may hold its lock: nothing in a row's function calls the store again. */
#include "daemon/base/buf.h"
#include "daemon/base/clock.h"
#include "daemon/base/domain.h"
#include "daemon/control/verbs_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAILBOXES_MAX 16

/* A walk: the page it fills, and what its rows need. */
struct walk {
    struct page page;
    cJSON *names;      /* id of a user -> name */
    const char *alias; /* address of the alias whose correspondents are walked */
};

static cJSON *strings_of(char *const *items, size_t n)
{
    cJSON *list = cJSON_CreateArray();

    for (size_t i = 0; list && i < n; i++)
        (void)cJSON_AddItemToArray(list, cJSON_CreateString(items[i]));
    return list;
}

/* Is domain one of the relay's, or below one of them? */
static bool is_relay_domain(const struct relay_verbs *v, const char *domain, bool below_only)
{
    for (size_t i = 0; i < v->n_domains; i++)
        if (domain_is_within(domain, v->domains[i]) &&
            !(below_only && strlen(domain) == strlen(v->domains[i])))
            return true;
    return false;
}

/* ---- users ---- */

/* A mailbox of ours would send mail round in circles. */
static enum err check_mailbox(const struct relay_verbs *v, const char *mailbox)
{
    const char *at = strrchr(mailbox, '@');

    return at && is_relay_domain(v, at + 1, false)
               ? err_note(ERR_REFUSED, "mailbox", "lies in a domain of this relay")
               : ERR_OK;
}

enum err verb_user_add(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(request, "mailboxes");
    const char *mailboxes[MAILBOXES_MAX];
    const cJSON *item;
    const char *name;
    size_t n = 0;
    id_text user;
    enum err e = verb_need(request, "name", &name);

    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) || n == MAILBOXES_MAX)
            return err_note(ERR_USAGE, "mailboxes", "1 to 16 addresses expected");
        mailboxes[n++] = item->valuestring;
        if (!e)
            e = check_mailbox(v, item->valuestring);
    }
    if (!e && n == 0)
        e = err_note(ERR_USAGE, "mailboxes", "1 to 16 addresses expected");
    if (!e)
        e = store_user_add(v->store, name, mailboxes, n, clock_now_s(), user);
    if (!e)
        add_text(answer, "user", user);
    return e;
}

static enum err user_row(void *ctx, const struct store_user *u)
{
    struct walk *w = ctx;
    cJSON *row;

    if (!page_wants(&w->page))
        return ERR_OK;
    row = cJSON_CreateObject();
    add_text(row, "user", u->user);
    add_text(row, "name", u->name);
    (void)cJSON_AddItemToObject(row, "mailboxes", strings_of(u->mailboxes, u->n_mailboxes));
    add_number(row, "created", (double)u->created_s);
    return page_row(&w->page, row);
}

enum err verb_user_list(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct walk w = {0};
    enum err e = page_begin(&w.page, request, answer);

    if (!e)
        e = store_user_each(v->store, user_row, &w);
    return page_end(&w.page, answer, e);
}

/* ---- aliases ---- */

static bool is_postmaster(const char *address, size_t local_len)
{
    return (local_len == 10 && strncasecmp(address, "postmaster", local_len) == 0) ||
           (local_len == 5 && strncasecmp(address, "abuse", local_len) == 0);
}

static enum err check_alias(const struct relay_verbs *v, const char *address,
                            const struct store_user *u)
{
    const char *at = strrchr(address, '@');
    bool catch_all = strncmp(address, "*@", 2) == 0;

    if (!at || !is_relay_domain(v, at + 1, catch_all))
        return err_note(ERR_REFUSED, "alias",
                        catch_all ? "a catch-all needs a sub-domain of a relay domain"
                                  : "not in a domain of this relay");
    if (is_postmaster(address, (size_t)(at - address)) &&
        (!v->operator_user ||
         (strcmp(v->operator_user, u->name) != 0 && strcmp(v->operator_user, u->user) != 0)))
        return err_note(ERR_REFUSED, "alias", "postmaster and abuse belong to the operator's user");
    return ERR_OK;
}

static cJSON *alias_object(const struct store_alias *a)
{
    cJSON *row = cJSON_CreateObject();

    add_text(row, "address", a->address);
    add_text(row, "user", a->user);
    add_text(row, "mailbox", a->mailbox);
    (void)cJSON_AddBoolToObject(row, "catch_all", a->catch_all);
    (void)cJSON_AddBoolToObject(row, "made_by_catch_all", a->made_by_catch_all);
    add_number(row, "created", (double)a->created_s);
    return row;
}

enum err verb_alias_add(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    CLEANUP(store_user_clear) struct store_user user = {0};
    const char *mailbox = verb_text(request, "mailbox");
    struct store_alias alias;
    const char *address;
    const char *name;
    enum err e = verb_need(request, "address", &address);

    if (!e)
        e = verb_need(request, "user", &name);
    if (!e)
        e = store_user_find(v->store, name, &user);
    if (!e)
        e = check_alias(v, address, &user);
    if (!e && !mailbox) {
        if (user.n_mailboxes != 1)
            return err_note(ERR_USAGE, "mailbox", "the user has several; name one");
        mailbox = user.mailboxes[0];
    }
    if (!e)
        e = store_alias_add(v->store, user.user, address, mailbox, clock_now_s(), &alias);
    if (!e)
        (void)cJSON_AddItemToObject(answer, "alias", alias_object(&alias));
    return e;
}

enum err verb_alias_remove(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    const char *address;
    enum err e = verb_need(request, "address", &address);

    (void)answer;
    return e ? e : store_alias_remove(v->store, address);
}

static enum err name_row(void *ctx, const struct store_user *u)
{
    add_text(ctx, u->user, u->name);
    return ERR_OK;
}

static enum err alias_row(void *ctx, const struct store_alias *a)
{
    struct walk *w = ctx;
    const char *name;
    cJSON *row;

    if (!page_wants(&w->page))
        return ERR_OK;
    row = alias_object(a);
    name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(w->names, a->user));
    add_text(row, "name", name ? name : "");
    return page_row(&w->page, row);
}

/* user_out: the id of the user that the request names, or "" for all. */
static enum err wanted_user(const struct relay_verbs *v, const cJSON *request, id_text user_out)
{
    CLEANUP(store_user_clear) struct store_user user = {0};
    const char *name = verb_text(request, "user");
    enum err e = name ? store_user_find(v->store, name, &user) : ERR_OK;

    memset(user_out, 0, sizeof(id_text));
    if (!e && name)
        memcpy(user_out, user.user, sizeof(id_text));
    return e;
}

enum err verb_alias_list(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct walk w = {.names = cJSON_CreateObject()};
    id_text user;
    enum err e = page_begin(&w.page, request, answer);

    if (!e)
        e = wanted_user(v, request, user);
    if (!e)
        e = store_user_each(v->store, name_row, w.names);
    if (!e)
        e = store_alias_each(v->store, user[0] ? user : NULL, alias_row, &w);
    cJSON_Delete(w.names);
    return page_end(&w.page, answer, e);
}

/* ---- correspondents ---- */

/* The aliases whose correspondents are wanted, collected before the walk over these. */
struct aliases {
    struct store_alias *items;
    size_t n;
};

static enum err collect_alias(void *ctx, const struct store_alias *a)
{
    struct aliases *all = ctx;
    struct store_alias *more;

    if (a->catch_all)
        return ERR_OK;
    more = realloc(all->items, (all->n + 1) * sizeof *more);
    if (!more)
        return ERR_NOMEM;
    all->items = more;
    all->items[all->n++] = *a;
    return ERR_OK;
}

static enum err wanted_aliases(const struct relay_verbs *v, const cJSON *request,
                               struct aliases *out)
{
    const char *address = verb_text(request, "alias");
    struct store_alias one;
    id_text user;
    enum err e;

    if (address) {
        e = store_alias_find(v->store, address, &one);
        if (!e && one.catch_all)
            e = ERR_NO_ALIAS;
        return e ? e : collect_alias(out, &one);
    }
    e = wanted_user(v, request, user);
    return e ? e : store_alias_each(v->store, user[0] ? user : NULL, collect_alias, out);
}

static enum err correspondent_row(void *ctx, const struct store_correspondent *c)
{
    struct walk *w = ctx;
    cJSON *row;

    if (!page_wants(&w->page))
        return ERR_OK;
    row = cJSON_CreateObject();
    add_text(row, "alias", w->alias);
    add_text(row, "address", c->address);
    add_text(row, "reverse", c->reverse);
    add_number(row, "messages", (double)c->messages);
    add_number(row, "created", (double)c->created_s);
    add_number(row, "last_seen", (double)c->last_seen_s);
    return page_row(&w->page, row);
}

enum err verb_correspondent_list(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct aliases all = {0};
    struct walk w = {0};
    enum err e = page_begin(&w.page, request, answer);

    if (!e)
        e = wanted_aliases(v, request, &all);
    for (size_t i = 0; !e && i < all.n; i++) {
        w.alias = all.items[i].address;
        e = store_correspondent_each(v->store, all.items[i].id, correspondent_row, &w);
    }
    free(all.items);
    return page_end(&w.page, answer, e);
}
