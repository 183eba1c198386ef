/* SPDX-License-Identifier: GPL-3.0-or-later */
/* address.c - address lists through GMime, and the questions asked of one address.
 *
 * GMime reads what strangers write; what leaves here is checked again, so that no address holds a
 * control byte, a blank outside quotes, or bytes that are not UTF-8. RFC 5322 3.4, RFC 5321 4.1.2,
 * RFC 6531 3.3. */
#include "daemon/message/address.h"
#include "daemon/base/id.h"
#include "daemon/message/message.h"

#include <gmime/gmime.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_MAX_BYTES 254u         /* RFC 5321 4.5.3.1.3 without the brackets */
#define LOCAL_MAX_BYTES   64u          /* RFC 5321 4.5.3.1.1 */
#define LABEL_MAX_BYTES   63u          /* RFC 1035 2.3.4 */
#define FIELD_MAX_BYTES   (64u * 1024) /* of one address field looked at; the rest is left out */
#define MAILBOXES_MAX     1000u        /* of one field */

static pthread_once_t gmime_once = PTHREAD_ONCE_INIT;

static void object_unref(InternetAddressList **list)
{
    if (*list)
        g_object_unref(*list);
    *list = NULL;
}

static bool is_utf8(const char *s, size_t len)
{
    return g_utf8_validate_len(s, len, NULL);
}

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool is_alnum(char c)
{
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
}

static bool local_is_quoted(const char *s, size_t len)
{
    if (len < 3 || s[0] != '"' || s[len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < len; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f || s[i] == '"')
            return false;
        if (s[i] == '\\' && (++i + 1 >= len || (unsigned char)s[i] < 0x20 || s[i] == 0x7f))
            return false;
    }
    return true;
}

static bool local_is_valid(const char *s, size_t len)
{
    static const char specials[] = "()<>[]:;@\\,\"";

    if (len == 0 || len > LOCAL_MAX_BYTES)
        return false;
    if (s[0] == '"')
        return local_is_quoted(s, len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] <= 0x20 || s[i] == 0x7f || strchr(specials, s[i]))
            return false;
    return true;
}

static bool label_is_valid(const char *s, size_t len)
{
    if (len == 0 || len > LABEL_MAX_BYTES || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(s[i]) && s[i] != '-' && s[i] != '_' && !((unsigned char)s[i] & 0x80))
            return false;
    return true;
}

static bool domain_is_valid(const char *s)
{
    for (;;) {
        size_t len = strcspn(s, ".");

        if (!label_is_valid(s, len))
            return false;
        if (!s[len])
            return true;
        s += len + 1;
    }
}

bool address_is_valid(const char *s)
{
    const char *at = s ? strrchr(s, '@') : NULL;
    size_t len = s ? strlen(s) : 0;

    return at && len <= ADDRESS_MAX_BYTES && is_utf8(s, len) &&
           local_is_valid(s, (size_t)(at - s)) && domain_is_valid(at + 1);
}

bool address_is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x21 || (unsigned char)*s > 0x7e)
            return false;
    return true;
}

void address_fold(char *s)
{
    for (; *s; s++)
        *s = lower(*s);
}

const char *address_domain(const char *s)
{
    const char *at = strrchr(s, '@');

    return at ? at + 1 : "";
}

bool address_is_reverse(const char *s)
{
    size_t n = 0;

    if (lower(s[0]) != 'r' || s[1] != '-')
        return false;
    for (s += 2; (lower(s[n]) >= 'a' && lower(s[n]) <= 'z') || (s[n] >= '2' && s[n] <= '7');)
        n++;
    return n == ID_LEN && s[n] == '@';
}

bool address_first_split(const char *s, char *alias, char *to)
{
    const char *at = strrchr(s, '@');
    const char *plus = strchr(s, '+');
    const char *equals = at ? memrchr(s, '=', (size_t)(at - s)) : NULL;
    size_t alias_local, to_local, to_domain;

    if (!plus || !equals || plus == s || plus > equals)
        return false;
    alias_local = (size_t)(plus - s);
    memcpy(alias, s, alias_local);
    memcpy(alias + alias_local, at, strlen(at) + 1);
    to_local = (size_t)(equals - plus - 1);
    to_domain = (size_t)(at - equals - 1);
    memcpy(to, plus + 1, to_local);
    to[to_local] = '@';
    memcpy(to + to_local + 1, equals + 1, to_domain);
    to[to_local + 1 + to_domain] = '\0';
    return address_is_valid(alias) && address_is_valid(to);
}

static void mailbox_clear(struct mailbox *m)
{
    free(m->name);
    free(m->addr);
    *m = (struct mailbox){0};
}

void mailbox_list_clear(struct mailbox_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->n; i++)
        mailbox_clear(&l->items[i]);
    free(l->items);
    *l = (struct mailbox_list){0};
}

/* A name worth keeping: not empty, valid UTF-8 (what is not becomes U+FFFD). */
static char *name_copy(const char *name)
{
    char *valid;
    char *copy;

    if (!name || !*name)
        return NULL;
    valid = g_utf8_make_valid(name, -1);
    copy = strdup(valid);
    g_free(valid);
    return copy;
}

static enum err mailbox_add(struct mailbox_list *out, const char *name, const char *addr)
{
    struct mailbox *grown;
    struct mailbox m = {0};

    if (!address_is_valid(addr) || out->n >= MAILBOXES_MAX)
        return ERR_OK;
    grown = realloc(out->items, (out->n + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    out->items = grown;
    m.addr = strdup(addr);
    m.name = name_copy(name);
    if (!m.addr || (name && *name && !m.name)) {
        mailbox_clear(&m);
        return ERR_NOMEM;
    }
    address_fold(strrchr(m.addr, '@'));
    out->items[out->n++] = m;
    return ERR_OK;
}

/* GMime reads an IDN domain in either form as U-labels; the A-labels are what SMTP can look up. */
static const char *mailbox_address(InternetAddressMailbox *m)
{
    const char *addr = internet_address_mailbox_get_addr(m);
    const char *idn;

    if (!addr || address_is_ascii(address_domain(addr)))
        return addr;
    idn = internet_address_mailbox_get_idn_addr(m);
    return idn ? idn : addr;
}

/* GMime nests groups one deep at most in well-formed input; deeper ones are left out. */
static enum err list_collect(InternetAddressList *list, unsigned depth, struct mailbox_list *out)
{
    int n = list ? internet_address_list_length(list) : 0;
    enum err e = ERR_OK;

    for (int i = 0; !e && i < n; i++) {
        InternetAddress *ia = internet_address_list_get_address(list, i);

        if (INTERNET_ADDRESS_IS_MAILBOX(ia))
            e = mailbox_add(out, internet_address_get_name(ia),
                            mailbox_address(INTERNET_ADDRESS_MAILBOX(ia)));
        else if (INTERNET_ADDRESS_IS_GROUP(ia) && depth < 2)
            e = list_collect(internet_address_group_get_members(INTERNET_ADDRESS_GROUP(ia)),
                             depth + 1, out);
    }
    return e;
}

enum err mailbox_list_parse(struct bytes value, struct mailbox_list *out)
{
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(object_unref) InternetAddressList *parsed = NULL;
    struct mailbox_list list = {0};
    enum err e;

    if (value.len > FIELD_MAX_BYTES)
        value.len = FIELD_MAX_BYTES;
    e = message_unfold(value, &text);
    if (e)
        return e;
    (void)pthread_once(&gmime_once, g_mime_init);
    parsed = internet_address_list_parse(NULL, buf_str(&text));
    e = list_collect(parsed, 0, &list);
    if (e)
        mailbox_list_clear(&list);
    else
        *out = list;
    return e;
}
