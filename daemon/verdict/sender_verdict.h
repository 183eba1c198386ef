/* SPDX-License-Identifier: GPL-3.0-or-later */
/* sender_verdict.h - may one believe that a message comes from whom its From field names?
 *
 * Asked once a message, before anything is made for its sender: of rspamd over HTTP, or read from
 * an Authentication-Results field of the mail system in front. Invariant: what was not checked is
 * never claimed; every value comes from a closed set or was checked for its syntax, so nothing a
 * stranger wrote gets from here into a header. RFC 7208, 6376, 7489, 8601. */
#ifndef SEALRELAY_VERDICT_SENDER_VERDICT_H
#define SEALRELAY_VERDICT_SENDER_VERDICT_H

#include "daemon/base/buf.h"
#include "daemon/message/message.h"

#include <stdint.h>

#define VERDICT_DOMAIN_MAX 253 /* bytes of a domain name, RFC 1035 3.1 */

enum verdict_source { VERDICT_SOURCE_NONE, VERDICT_SOURCE_RSPAMD, VERDICT_SOURCE_FIELD };

/* Why nothing is known of a sender. */
enum verdict_gap {
    VERDICT_CHECKED,   /* something is */
    VERDICT_NOT_ASKED, /* the relay is configured to ask nobody */
    VERDICT_AWAY,      /* rspamd does not answer, or refuses to */
    VERDICT_SLOW,      /* rspamd answers too late */
    VERDICT_GARBLED,   /* the answer, or the field, makes no sense */
    VERDICT_NO_FIELD,  /* no field of the mail system in front */
};

/* Results of SPF, DKIM and DMARC; NONE: not checked, not published, or not said. */
enum auth_result {
    AUTH_NONE,
    AUTH_PASS,
    AUTH_FAIL,
    AUTH_SOFTFAIL,
    AUTH_NEUTRAL,
    AUTH_TEMPERROR,
    AUTH_PERMERROR
};

/* What the domain asks to be done with mail that fails. */
enum dmarc_policy {
    DMARC_POLICY_UNKNOWN,
    DMARC_POLICY_NONE,
    DMARC_POLICY_QUARANTINE,
    DMARC_POLICY_REJECT
};

enum spam_action { SPAM_NO, SPAM_MARK, SPAM_DEFER, SPAM_REJECT };

struct sender_verdict {
    enum verdict_source source;
    enum verdict_gap gap;
    enum auth_result spf, dkim, dmarc;
    enum dmarc_policy policy;
    enum spam_action spam;
    double score, required; /* of the spam filter; 0 where there is none */
    /* The user is shown a sender whom nobody judged: From names several or none, or the source read
     * another domain in it than we do. Else anybody could forge past DMARC with an odd From. */
    bool unclear;
    /* The domain of From: at least two labels of letters, digits, '-' and '_'; or "" */
    char domain[VERDICT_DOMAIN_MAX + 1];
};

/* sender_verdict_aligned - is the sender's domain proven? True for a DMARC pass only. */
bool sender_verdict_aligned(const struct sender_verdict *v);
/* sender_verdict_failed - does the message fail DMARC, or is it one that DMARC cannot be judged
 * for?
 */
bool sender_verdict_failed(const struct sender_verdict *v);

const char *auth_result_name(enum auth_result r);       /* "none", "pass", ... as in RFC 8601 */
const char *dmarc_policy_name(enum dmarc_policy p);     /* "unknown", "none", "quarantine", ... */
const char *verdict_gap_name(enum verdict_gap g);       /* "checked", "rspamd-away", ... */
const char *spam_action_name(enum spam_action a);       /* "no", "mark", "defer", "reject" */
const char *verdict_source_name(enum verdict_source s); /* as in the configuration */
/* verdict_source_parse - Errors: ERR_CONFIG. */
enum err verdict_source_parse(const char *s, enum verdict_source *out);

/* verdict_line_append - "Sealrelay-Verdict: ..." without CRLF. Grammar:
 *   value   = "unchecked" [ "; reason=" reason ]
 *           / overall "; dmarc=" result [ " policy=" policy ] " spf=" result " dkim=" result
 *             [ "; from=" ( domain / "unclear" ) ]
 *   overall = "pass" / "fail" / "none"     ; of DMARC; from=unclear is a fail too
 *   reason  = "rspamd-away" / "rspamd-slow" / "garbled" / "no-field"
 *   result  = "none" / "pass" / "fail" / "softfail" / "neutral" / "temperror" / "permerror"
 *   policy  = "none" / "quarantine" / "reject" */
void verdict_line_append(struct buf *out, const struct sender_verdict *v);
/* verdict_spam_line_append - "Sealrelay-Spam: yes; score=7.30; required=15.00", no CRLF. */
void verdict_spam_line_append(struct buf *out, const struct sender_verdict *v);

/* What is known of a message and of the session that brought it; all borrowed. */
struct verdict_request {
    const char *id;      /* of the message, for logs and rspamd's log */
    const char *address; /* of the client; "" unknown */
    const char *name;    /* its reverse name, or "" */
    const char *helo;
    const char *mail_from; /* "" is the null sender */
    char *const *rcpts;
    size_t n_rcpts;
    const struct message *message;
    const char *from; /* the mailbox of From that will be shown; NULL: mail_from will be */
    bool from_many;   /* From names others besides */
    int64_t deadline_mono_ms;
};

struct verdict_options {
    enum verdict_source source;
    const char *rspamd;        /* http://host:port; of VERDICT_SOURCE_RSPAMD */
    unsigned timeout_s;        /* for one message, waiting included */
    const char *password_file; /* rspamd's, or NULL */
    const char *authserv_id;   /* of VERDICT_SOURCE_FIELD */
};

/* Whoever is asked; shared by all threads. */
struct verdict_checker;

/* verdict_open - Errors: ERR_CONFIG (password file, URL), ERR_NOMEM. rspamd need not be there. */
enum err verdict_open(const struct verdict_options *options, struct verdict_checker **out);
void verdict_close(struct verdict_checker *c);

/* verdict_check - judge a message. Whatever goes wrong is a verdict too: out->gap says it.
 *   c  NULL: asks nobody */
void verdict_check(struct verdict_checker *c, const struct verdict_request *r,
                   struct sender_verdict *out);

/* What became of the questions since the start; for the operator. */
struct verdict_stats {
    enum verdict_source source;
    uint64_t checked, unchecked; /* messages */
    enum verdict_gap last;       /* of the last message */
};
void verdict_stats_get(struct verdict_checker *c, struct verdict_stats *out);

/* verdict_ping - does whoever is asked answer? For --check-config.
 * Errors: ERR_NET, ERR_TIMEOUT, ERR_FORMAT (answers, but not as rspamd does). */
enum err verdict_ping(struct verdict_checker *c);

#endif
