/* SPDX-License-Identifier: GPL-3.0-or-later */
/* domain.c - does a result speak of the domain the user will be shown? RFC 7489 3.1, 6.6.3. */
#include "daemon/verdict/domain.h"
#include "daemon/message/address.h"

#include <string.h>
#include <strings.h>

static bool is_domain(const char *s)
{
    size_t len = strlen(s);

    for (size_t i = 0; i < len; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '-' ||
              s[i] == '_' || (s[i] == '.' && i > 0 && s[i - 1] != '.')))
            return false;
    return len > 0 && len <= VERDICT_DOMAIN_MAX && s[len - 1] != '.' && strchr(s, '.');
}

void verdict_domain_set(struct sender_verdict *out, const char *address)
{
    const char *domain = address ? address_domain(address) : "";

    out->domain[0] = '\0';
    if (is_domain(domain))
        memcpy(out->domain, domain, strlen(domain) + 1);
}

static bool is_judged(const struct sender_verdict *v, struct bytes judged)
{
    size_t len = strlen(v->domain);

    if (judged.len == 0 || judged.len > len || !memchr(judged.data, '.', judged.len) ||
        strncasecmp(v->domain + len - judged.len, (const char *)judged.data, judged.len) != 0)
        return false;
    return judged.len == len || v->domain[len - judged.len - 1] == '.';
}

void verdict_doubt(struct sender_verdict *v)
{
    v->unclear = true;
    if (v->dmarc != AUTH_PASS)
        return;
    v->dmarc = AUTH_NONE;
    v->policy = DMARC_POLICY_UNKNOWN;
}

void verdict_dmarc_settle(struct sender_verdict *v, struct bytes judged)
{
    if (!is_judged(v, judged))
        verdict_doubt(v);
}
