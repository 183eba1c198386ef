/* SPDX-License-Identifier: GPL-3.0-or-later */
/* names.h - what the request needs beyond hsm/issue/name.h. */
#ifndef SEALRELAY_ENROLL_NAMES_H
#define SEALRELAY_ENROLL_NAMES_H

#include <stdbool.h>

/* name_domain_of - what stands behind the last "@". Borrowed. */
const char *name_domain_of(const char *address);
/* name_is_url - "http://", a host name, printable ASCII, at most 200 bytes. */
bool name_is_url(const char *s);

#endif
