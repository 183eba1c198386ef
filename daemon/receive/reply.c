/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply.c - from errors to answers, and answers to the wire. */
#include "daemon/receive/reply.h"

/* Errors whose code says more than their class does (RFC 5321 4.2.2). */
static const struct {
    enum err error;
    int code;
} special_codes[] = {
    {ERR_OK, 250},       {ERR_NOSPACE, 452}, {ERR_OTHER_PROFILE, 452}, {ERR_NOT_ACTIVE, 450},
    {ERR_NO_ALIAS, 550}, {ERR_TOO_BIG, 552}, {ERR_HOPS, 554},          {ERR_LOOP, 554},
};

static int code_of_class(enum err_class class)
{
    switch (class) {
    case CLASS_OK:
        return 250;
    case CLASS_PERM:
        return 550;
    case CLASS_TEMP:
    case CLASS_OPER:
    case CLASS_BUG:
        return 451;
    }
    return 451;
}

struct reply reply_of(enum err e)
{
    struct reply r = {code_of_class(err_class(e)), err_status(e), err_text(e)};

    for (size_t i = 0; i < sizeof special_codes / sizeof special_codes[0]; i++)
        if (special_codes[i].error == e)
            r.code = special_codes[i].code;
    return r;
}

static bool is_final(struct reply r)
{
    int class = r.code / 100;

    return (class == 2 || class == 4 || class == 5) && r.status && r.text &&
           r.status[0] == (char)('0' + class);
}

int reply_append(struct buf *out, struct reply r)
{
    if (!is_final(r))
        r = reply_of(ERR_BUG);
    buf_printf(out, "%d %s %s\r\n", r.code, r.status, r.text);
    return r.code;
}

int reply_append_queued(struct buf *out, struct reply r, const char *id)
{
    if (r.code != 250 || !is_final(r))
        return reply_append(out, r);
    buf_printf(out, "%d %s %s: queued as %s\r\n", r.code, r.status, r.text, id);
    return r.code;
}
