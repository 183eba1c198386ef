/* SPDX-License-Identifier: GPL-3.0-or-later */
/* name.c - the forms of names that may stand in certificates; lower case throughout. */
#include "hsm/issue/name.h"

#include "daemon/base/id.h"
#include "hsm/hsm.h"

#include <string.h>

#define DOMAIN_MAX 253
#define LABEL_MAX  63
#define LOCAL_MAX  64 /* RFC 5321 4.5.3.1.1 */

static const char atext[] = "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+/=?^_`{|}~-";

bool name_is_domain(const char *s)
{
    unsigned labels = 0;

    if (!s || strlen(s) > DOMAIN_MAX)
        return false;
    for (;;) {
        size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

        if (n == 0 || n > LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
            return false;
        labels++;
        if (s[n] == '\0')
            return labels >= 2;
        if (s[n] != '.')
            return false;
        s += n + 1;
    }
}

bool name_is_address(const char *s)
{
    const char *at = s ? strchr(s, '@') : NULL;

    if (!at || at == s || at - s > LOCAL_MAX || strlen(s) > HSM_ADDRESS_MAX)
        return false;
    while (s < at) {
        size_t n = strspn(s, atext);

        if (n == 0)
            return false;
        s += n;
        if (s < at && (*s != '.' || s + 1 == at))
            return false;
        s += s < at;
    }
    return name_is_domain(at + 1);
}

bool name_is_reverse(const char *s)
{
    id_text random;

    if (!s || strlen(s) > HSM_ADDRESS_MAX || strncmp(s, "r-", 2) != 0 || strlen(s) < 2 + ID_LEN)
        return false;
    memcpy(random, s + 2, ID_LEN);
    random[ID_LEN] = '\0';
    return id_is_valid(random) && s[2 + ID_LEN] == '@' && name_is_domain(s + 3 + ID_LEN);
}
