/* SPDX-License-Identifier: GPL-3.0-or-later */
/* rspamd_reply.c - rspamd's symbols and actions as results; tables, and nothing guessed.
 *
 * Of several symbols of one kind the one that stands first in its table counts: a failure before a
 * pass for SPF and DMARC, which give one result each; a pass first for DKIM, where one good
 * signature is enough (RFC 6376 6.1). */
#include "daemon/verdict/rspamd_reply.h"
#include "daemon/verdict/domain.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

struct symbol {
    const char *name;
    enum auth_result result;
    enum dmarc_policy policy; /* what a DMARC symbol says of the policy in effect */
};

static const struct symbol spf_symbols[] = {
    {"R_SPF_FAIL", AUTH_FAIL, DMARC_POLICY_UNKNOWN},
    {"R_SPF_SOFTFAIL", AUTH_SOFTFAIL, DMARC_POLICY_UNKNOWN},
    {"R_SPF_PERMFAIL", AUTH_PERMERROR, DMARC_POLICY_UNKNOWN},
    {"R_SPF_DNSFAIL", AUTH_TEMPERROR, DMARC_POLICY_UNKNOWN},
    {"R_SPF_NEUTRAL", AUTH_NEUTRAL, DMARC_POLICY_UNKNOWN},
    {"R_SPF_ALLOW", AUTH_PASS, DMARC_POLICY_UNKNOWN},
    {"R_SPF_NA", AUTH_NONE, DMARC_POLICY_UNKNOWN},
};

static const struct symbol dkim_symbols[] = {
    {"R_DKIM_ALLOW", AUTH_PASS, DMARC_POLICY_UNKNOWN},
    {"R_DKIM_REJECT", AUTH_FAIL, DMARC_POLICY_UNKNOWN},
    {"R_DKIM_TEMPFAIL", AUTH_TEMPERROR, DMARC_POLICY_UNKNOWN},
    {"R_DKIM_PERMFAIL", AUTH_PERMERROR, DMARC_POLICY_UNKNOWN},
    {"R_DKIM_NA", AUTH_NONE, DMARC_POLICY_UNKNOWN},
};

static const struct symbol dmarc_symbols[] = {
    {"DMARC_POLICY_REJECT", AUTH_FAIL, DMARC_POLICY_REJECT},
    {"DMARC_POLICY_QUARANTINE", AUTH_FAIL, DMARC_POLICY_QUARANTINE},
    {"DMARC_POLICY_SOFTFAIL", AUTH_FAIL, DMARC_POLICY_NONE},
    {"DMARC_BAD_POLICY", AUTH_PERMERROR, DMARC_POLICY_UNKNOWN},
    {"DMARC_DNSFAIL", AUTH_TEMPERROR, DMARC_POLICY_UNKNOWN},
    {"DMARC_POLICY_ALLOW", AUTH_PASS, DMARC_POLICY_UNKNOWN},
    {"DMARC_NA", AUTH_NONE, DMARC_POLICY_UNKNOWN},
};

/* "greylist" is a score, not a delay: rspamd's own greylisting says "soft reject" while it wants
 * one, and who delays for the score alone delays for ever. */
static const struct {
    const char *name;
    enum spam_action action;
} actions[] = {
    {"no action", SPAM_NO},    {"greylist", SPAM_NO},          {"soft reject", SPAM_DEFER},
    {"add header", SPAM_MARK}, {"rewrite subject", SPAM_MARK}, {"quarantine", SPAM_MARK},
    {"reject", SPAM_REJECT},   {"discard", SPAM_REJECT},
};

#define N(table) (sizeof(table) / sizeof *(table))

static const cJSON *symbol_find(const cJSON *symbols, const struct symbol *table, size_t n,
                                const struct symbol **out)
{
    for (size_t i = 0; i < n; i++) {
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(symbols, table[i].name);

        if (found) {
            *out = &table[i];
            return found;
        }
    }
    return NULL;
}

static enum auth_result result_find(const cJSON *symbols, const struct symbol *table, size_t n)
{
    const struct symbol *symbol;

    return symbol_find(symbols, table, n, &symbol) ? symbol->result : AUTH_NONE;
}

/* The nth option of a symbol; no bytes when there is none. */
static struct bytes option(const cJSON *symbol, int n)
{
    const cJSON *options = cJSON_GetObjectItemCaseSensitive(symbol, "options");
    const char *text =
        cJSON_IsArray(options) ? cJSON_GetStringValue(cJSON_GetArrayItem(options, n)) : NULL;

    return text ? bytes_of(text) : (struct bytes){0};
}

static enum dmarc_policy policy_of(struct bytes text)
{
    for (enum dmarc_policy p = DMARC_POLICY_NONE; p <= DMARC_POLICY_REJECT; p++)
        if (bytes_equal_nocase(text, dmarc_policy_name(p)))
            return p;
    return DMARC_POLICY_UNKNOWN;
}

/* Its first option says whom a DMARC symbol is about: "domain", "domain : reason", or, where From
 * names several or none, a sentence. */
static struct bytes judged_domain(const cJSON *symbol)
{
    struct bytes text = option(symbol, 0);
    size_t len = 0;

    while (len < text.len && text.data[len] != ' ' && text.data[len] != ':')
        len++;
    return (struct bytes){text.data, len};
}

/* A pass has the options "domain", "policy". */
static void dmarc_read(const cJSON *symbols, struct sender_verdict *v)
{
    const struct symbol *symbol;
    const cJSON *found = symbol_find(symbols, dmarc_symbols, N(dmarc_symbols), &symbol);

    if (!found)
        return;
    v->dmarc = symbol->result;
    v->policy = symbol->policy;
    if (v->dmarc == AUTH_PASS)
        v->policy = policy_of(option(found, 1));
    verdict_dmarc_settle(v, judged_domain(found));
}

static enum spam_action action_of(const char *name)
{
    for (size_t i = 0; i < N(actions); i++)
        if (strcmp(actions[i].name, name) == 0)
            return actions[i].action;
    return SPAM_MARK;
}

static enum err score_read(const cJSON *answer, const char *name, double *out)
{
    const cJSON *score = cJSON_GetObjectItemCaseSensitive(answer, name);

    if (!cJSON_IsNumber(score) || !isfinite(score->valuedouble))
        return err_note(ERR_FORMAT, "rspamd", "%s is no number", name);
    *out = score->valuedouble;
    return ERR_OK;
}

static enum err answer_read(const cJSON *answer, struct sender_verdict *v)
{
    const char *action = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(answer, "action"));
    const cJSON *symbols = cJSON_GetObjectItemCaseSensitive(answer, "symbols");
    enum err e;

    if (!action || !cJSON_IsObject(symbols))
        return err_note(ERR_FORMAT, "rspamd", "answer without action or symbols");
    e = score_read(answer, "score", &v->score);
    if (!e)
        e = score_read(answer, "required_score", &v->required);
    if (e)
        return e;
    v->spam = action_of(action);
    v->spf = result_find(symbols, spf_symbols, N(spf_symbols));
    v->dkim = result_find(symbols, dkim_symbols, N(dkim_symbols));
    dmarc_read(symbols, v);
    return ERR_OK;
}

enum err rspamd_reply_parse(struct bytes json, struct sender_verdict *out)
{
    struct sender_verdict v = *out;
    cJSON *answer = cJSON_ParseWithLength((const char *)json.data, json.len);
    enum err e = answer ? answer_read(answer, &v) : err_note(ERR_FORMAT, "rspamd", "not JSON");

    cJSON_Delete(answer);
    if (!e)
        *out = v;
    return e;
}
