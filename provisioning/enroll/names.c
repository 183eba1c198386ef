/* SPDX-License-Identifier: GPL-3.0-or-later */
/* names.c - host names and addresses, checked before anything is made of them. */
#include "provisioning/enroll/names.h"

#include <stddef.h>
#include <string.h>

#define DOMAIN_MAX  253
#define LABEL_MAX   63
#define LOCAL_MAX   64
#define ADDRESS_MAX 254
#define URL_MAX     200

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_label(const char *s, size_t len)
{
    if (len == 0 || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_lower_alnum(s[i]) && s[i] != '-')
            return false;
    return true;
}

bool name_is_domain(const char *s)
{
    size_t labels = 0;

    if (strlen(s) > DOMAIN_MAX)
        return false;
    for (;; s++) {
        size_t len = strcspn(s, ".");

        if (!is_label(s, len))
            return false;
        labels++;
        s += len;
        if (!*s)
            return labels >= 2;
    }
}

static bool is_local_part(const char *s, size_t len)
{
    if (len == 0 || len > LOCAL_MAX || s[0] == '.' || s[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '.' && s[i + 1] == '.')
            return false;
        if (!is_lower_alnum(s[i]) && !strchr("!#$%&'*+-/=?^_`{|}~.", s[i]))
            return false;
    }
    return true;
}

const char *name_domain_of(const char *address)
{
    const char *at = strrchr(address, '@');

    return at ? at + 1 : "";
}

bool name_is_address(const char *s)
{
    const char *at = strrchr(s, '@');

    return at && strlen(s) <= ADDRESS_MAX && is_local_part(s, (size_t)(at - s)) &&
           name_is_domain(at + 1);
}

bool name_is_url(const char *s)
{
    static const char scheme[] = "http://";
    size_t len = strlen(s);
    size_t at = sizeof scheme - 1;

    if (len > URL_MAX || strncmp(s, scheme, at) != 0 || !is_lower_alnum(s[at]))
        return false;
    for (; at < len; at++)
        if (s[at] <= 0x20 || s[at] > 0x7e)
            return false;
    return true;
}
