/* SPDX-License-Identifier: GPL-3.0-or-later */
/* path.h - the arguments of MAIL and RCPT: one address and its parameters.
 *
 * Nothing that is not printable ASCII or valid UTF-8 ever enters an envelope record. */
#ifndef SEALRELAY_RECEIVE_PATH_H
#define SEALRELAY_RECEIVE_PATH_H

#include "daemon/base/buf.h"

#define PATH_LOCAL_MAX_BYTES   64u  /* RFC 5321 4.5.3.1.1 */
#define PATH_DOMAIN_MAX_BYTES  255u /* RFC 5321 4.5.3.1.2 */
#define PATH_ADDRESS_MAX_BYTES 254u /* RFC 5321 4.5.3.1.3, less the brackets */

/* What became of an argument. */
enum path_result {
    PATH_OK,
    PATH_SYNTAX,            /* 501: not PREFIX:<address> [parameters] */
    PATH_BAD_ADDRESS,       /* 501: brackets hold no usable address */
    PATH_NOT_ASCII,         /* 550: non-ASCII address without SMTPUTF8 */
    PATH_BAD_PARAMETER,     /* 501: known keyword, value missing, wrong or given twice */
    PATH_NOT_OFFERED,       /* 501: keyword of an extension that is not offered (DSN, AUTH) */
    PATH_UNKNOWN_PARAMETER, /* 555 */
    PATH_NO_MEMORY          /* 451 */
};

/* A parsed argument. Zero it before use; path_clear() behind. */
struct path {
    char *address; /* as given, quoting kept, source route stripped; "" for the null path */
    bool has_size;
    uint64_t size; /* SIZE=, saturated */
    bool has_body; /* BODY= was given */
    bool smtputf8;
};

enum path_kind { PATH_MAIL, PATH_RCPT };

/* path_parse - parse what follows "MAIL " or "RCPT ".
 *   argument      one line without its end; any bytes
 *   utf8_allowed  RCPT: the transaction has SMTPUTF8. MAIL: ignored, the parameter decides
 * The null path "<>" is for MAIL only, "<postmaster>" without a domain for RCPT only. One space
 * before "<" is taken, as many clients send it. Local parts may have dots in any place.
 * Source: RFC 5321 4.1.2, 4.1.1.3; RFC 1870; RFC 6152; RFC 6531 3.3. */
enum path_result path_parse(struct bytes argument, enum path_kind kind, bool utf8_allowed,
                            struct path *out);
void path_clear(struct path *p);

#endif
