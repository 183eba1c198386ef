/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verdict_lines.c - Sealrelay-Verdict, -Signature, -Spam and -Notice. */
#include "daemon/flow/verdict_lines.h"

#define EXPIRED_NOTICE                                                                             \
    "Sealrelay-Notice: a certificate of yours has expired; enrol a new key within 90 days of its " \
    "end"

static bool has_expired_cert(const struct hsm_profile *profile)
{
    for (size_t i = 0; i < profile->n_certs; i++)
        if (profile->certs[i].expired)
            return true;
    return false;
}

enum err verdict_lines_make(const struct sender_verdict *v, const struct sender_marks *marks,
                            const struct hsm_profile *profile,
                            const struct peer_signature *signature, struct verdict_lines *out)
{
    verdict_line_append(&out->verdict, v);
    verdict_spam_line_append(&out->spam, v);
    peer_line_append(&out->signature, signature);
    out->lines[out->n++] = buf_str(&out->verdict);
    out->lines[out->n++] = buf_str(&out->signature);
    if (marks->spam)
        out->lines[out->n++] = buf_str(&out->spam);
    if (has_expired_cert(profile))
        out->lines[out->n++] = EXPIRED_NOTICE;
    return buf_error(&out->verdict) || buf_error(&out->signature) ? ERR_NOMEM
                                                                  : buf_error(&out->spam);
}

void verdict_lines_clear(struct verdict_lines *l)
{
    buf_clear(&l->verdict);
    buf_clear(&l->spam);
    buf_clear(&l->signature);
    *l = (struct verdict_lines){0};
}
