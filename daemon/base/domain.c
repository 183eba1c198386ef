/* SPDX-License-Identifier: GPL-3.0-or-later */
/* domain.c - label boundaries: "notexample.com" is not within "example.com". */
#include "daemon/base/domain.h"

#include <string.h>
#include <strings.h>

bool domain_is_within(const char *domain, const char *parent)
{
    size_t len = strlen(domain), n = strlen(parent);

    return n > 0 && len >= n && strcasecmp(domain + len - n, parent) == 0 &&
           (len == n || (len > n + 1 && domain[len - n - 1] == '.'));
}

const char *domain_enclosing(const char *domain, const char *const *parents, size_t n_parents)
{
    const char *best = NULL;

    for (size_t i = 0; i < n_parents; i++)
        if (domain_is_within(domain, parents[i]) && (!best || strlen(parents[i]) > strlen(best)))
            best = parents[i];
    return best;
}
