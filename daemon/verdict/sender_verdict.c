/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender_verdict.c - what a verdict says, in words from closed sets. */
#include "daemon/verdict/sender_verdict.h"

#include <string.h>

#define SCORE_MAX 9999.99 /* what is shown of a score */

bool sender_verdict_aligned(const struct sender_verdict *v)
{
    return v->gap == VERDICT_CHECKED && v->dmarc == AUTH_PASS && !v->unclear;
}

bool sender_verdict_failed(const struct sender_verdict *v)
{
    return v->gap == VERDICT_CHECKED && (v->dmarc == AUTH_FAIL || v->unclear);
}

const char *auth_result_name(enum auth_result r)
{
    static const char *const names[] = {
        [AUTH_NONE] = "none",           [AUTH_PASS] = "pass",       [AUTH_FAIL] = "fail",
        [AUTH_SOFTFAIL] = "softfail",   [AUTH_NEUTRAL] = "neutral", [AUTH_TEMPERROR] = "temperror",
        [AUTH_PERMERROR] = "permerror",
    };

    return names[r];
}

const char *dmarc_policy_name(enum dmarc_policy p)
{
    static const char *const names[] = {
        [DMARC_POLICY_UNKNOWN] = "unknown",
        [DMARC_POLICY_NONE] = "none",
        [DMARC_POLICY_QUARANTINE] = "quarantine",
        [DMARC_POLICY_REJECT] = "reject",
    };

    return names[p];
}

const char *verdict_gap_name(enum verdict_gap g)
{
    static const char *const names[] = {
        [VERDICT_CHECKED] = "checked",  [VERDICT_NOT_ASKED] = "not-asked",
        [VERDICT_AWAY] = "rspamd-away", [VERDICT_SLOW] = "rspamd-slow",
        [VERDICT_GARBLED] = "garbled",  [VERDICT_NO_FIELD] = "no-field",
    };

    return names[g];
}

const char *spam_action_name(enum spam_action a)
{
    static const char *const names[] = {
        [SPAM_NO] = "no", [SPAM_MARK] = "mark", [SPAM_DEFER] = "defer", [SPAM_REJECT] = "reject"};

    return names[a];
}

static const char *const source_names[] = {
    [VERDICT_SOURCE_NONE] = "none",
    [VERDICT_SOURCE_RSPAMD] = "rspamd",
    [VERDICT_SOURCE_FIELD] = "authentication-results",
};

const char *verdict_source_name(enum verdict_source s)
{
    return source_names[s];
}

enum err verdict_source_parse(const char *s, enum verdict_source *out)
{
    for (size_t i = 0; i < sizeof source_names / sizeof *source_names; i++)
        if (strcmp(s, source_names[i]) == 0) {
            *out = (enum verdict_source)i;
            return ERR_OK;
        }
    return err_note(ERR_CONFIG, "[verdict] source", "want none, rspamd or authentication-results");
}

static const char *overall(const struct sender_verdict *v)
{
    return sender_verdict_aligned(v) ? "pass" : sender_verdict_failed(v) ? "fail" : "none";
}

void verdict_line_append(struct buf *out, const struct sender_verdict *v)
{
    buf_append_str(out, "Sealrelay-Verdict: ");
    if (v->gap != VERDICT_CHECKED) {
        buf_append_str(out, "unchecked");
        if (v->gap != VERDICT_NOT_ASKED)
            buf_printf(out, "; reason=%s", verdict_gap_name(v->gap));
        return;
    }
    buf_printf(out, "%s; dmarc=%s", overall(v), auth_result_name(v->dmarc));
    if (v->policy != DMARC_POLICY_UNKNOWN)
        buf_printf(out, " policy=%s", dmarc_policy_name(v->policy));
    buf_printf(out, " spf=%s dkim=%s", auth_result_name(v->spf), auth_result_name(v->dkim));
    if (v->unclear)
        buf_append_str(out, "; from=unclear");
    else if (v->domain[0])
        buf_printf(out, "; from=%s", v->domain);
}

static double shown(double score)
{
    return score > SCORE_MAX ? SCORE_MAX : score < -SCORE_MAX ? -SCORE_MAX : score;
}

void verdict_spam_line_append(struct buf *out, const struct sender_verdict *v)
{
    buf_printf(out, "Sealrelay-Spam: yes; score=%.2f; required=%.2f", shown(v->score),
               shown(v->required));
}
