/* SPDX-License-Identifier: GPL-3.0-or-later */
/* names.c - parts of addresses, and URLs, checked before anything is made of them. */
#include "provisioning/enroll/names.h"

#include <stddef.h>
#include <string.h>

#define URL_MAX 200

static bool is_lower_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

const char *name_domain_of(const char *address)
{
    const char *at = strrchr(address, '@');

    return at ? at + 1 : "";
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
