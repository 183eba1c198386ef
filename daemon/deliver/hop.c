/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hop.c - the static table of next hops. */
#include "daemon/deliver/hop.h"

#include <strings.h>

static const struct hop *hop_exact(const struct hop *hops, size_t n, const char *domain)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(hops[i].domain, domain) == 0)
            return &hops[i];
    return NULL;
}

const struct hop *hop_find(const struct hop *hops, size_t n, const char *domain)
{
    const struct hop *hop = hop_exact(hops, n, domain);

    return hop ? hop : hop_exact(hops, n, "");
}

const char *hop_key(const struct hop *hops, size_t n, const char *domain)
{
    const struct hop *hop = hop_exact(hops, n, domain);

    return hop ? hop->domain : "";
}
