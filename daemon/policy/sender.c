/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender.c - a table of verdicts and answers, applied before anything is made for a sender. */
#include "daemon/policy/sender.h"

static bool refuses_failing(const struct sender_verdict *v, const struct sender_policy *p)
{
    switch (p->failing) {
    case FAILING_BY_DOMAIN:
        return v->policy == DMARC_POLICY_REJECT;
    case FAILING_REFUSE:
        return true;
    case FAILING_MARK:
    case FAILING_DEFER:
        return false;
    }
    return true;
}

static bool is_unchecked(const struct sender_verdict *v)
{
    return v->gap != VERDICT_CHECKED || v->dmarc == AUTH_TEMPERROR;
}

enum err policy_sender(const struct sender_verdict *v, const struct sender_policy *p,
                       struct sender_marks *out)
{
    bool failed = sender_verdict_failed(v);

    if (failed && refuses_failing(v, p))
        return ERR_SENDER_FAILED;
    if (v->spam == SPAM_REJECT && p->spam == SPAM_CHOICE_REFUSE)
        return ERR_SPAM;
    if (v->spam == SPAM_DEFER || (failed && p->failing == FAILING_DEFER))
        return ERR_SENDER_DEFERRED;
    if (is_unchecked(v) && p->unchecked == UNCHECKED_DEFER)
        return ERR_UNCHECKED;
    *out = (struct sender_marks){.unverified = failed,
                                 .spam = v->spam == SPAM_MARK || v->spam == SPAM_REJECT};
    return ERR_OK;
}
