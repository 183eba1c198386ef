/* SPDX-License-Identifier: GPL-3.0-or-later */
/* domain.h - which domain names lie in which. Names are compared without case, as text: U-labels
 * and A-labels of one name are different names here. RFC 1034 3.1. */
#ifndef SEALRELAY_BASE_DOMAIN_H
#define SEALRELAY_BASE_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

/* domain_is_within - is domain parent itself, or below it? */
bool domain_is_within(const char *domain, const char *parent);

/* domain_enclosing - the longest of parents that domain is within; NULL: none. Borrowed from
 * parents. */
const char *domain_enclosing(const char *domain, const char *const *parents, size_t n_parents);

#endif
