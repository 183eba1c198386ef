/* SPDX-License-Identifier: GPL-3.0-or-later */
/* reply_tell.c - notices about replies. They name reverse aliases, which the user writes to, and
 * nothing of what was written. RFC 3834: each is a notice of ours, with the null return path. */
#include "daemon/flow/reply_tell.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/dsn.h"
#include "daemon/flow/introduce.h"
#include "daemon/flow/notice.h"
#include "daemon/flow/origin.h"
#include "daemon/message/date.h"
#include "daemon/store/bounce.h"

/* ERR_LIMIT: enough for today. */
static enum err may_tell(struct forward *f, const char *kind, const char *profile, const char *id,
                         unsigned per_day)
{
    CLEANUP(buf_clear) struct buf who = {0};
    enum err e;

    buf_printf(&who, "%s %s", kind, profile);
    e = buf_error(&who);
    return e ? e : store_told_add(f->store, buf_str(&who), id, per_day, clock_now_s());
}

enum err reply_tell_refused(struct forward *f, const struct reply_refused *refused)
{
    CLEANUP(buf_clear) struct buf text = {0};
    enum err may =
        may_tell(f, "reply-refused", refused->profile, refused->blob, REPLY_REFUSALS_PER_DAY);
    enum err e;

    buf_printf(&text,
               "Your message to <%s> was not sent on, and nothing of it has left.\r\n\r\n%s.\r\n",
               refused->reverse, refused->reason);
    if (refused->part[0])
        buf_printf(&text, "\r\nThis is about part %s of the message.\r\n", refused->part);
    e = may ? may : buf_error(&text);
    if (!e)
        e = notice_send(f, refused->profile, "Your message was not sent", buf_str(&text),
                        refused->now_s);
    if (e)
        log_event(LOG_LEVEL_WARNING, "reply.tell", refused->id, e, -1, "kind=refused");
    return !may && (e == ERR_LIMIT || err_class(e) == CLASS_PERM) ? ERR_BUSY : e;
}

static const char *warning_text(enum clean_warning_kind kind)
{
    switch (kind) {
    case CLEAN_WARN_ADDRESS:
        return "an attached file holds your mailbox address";
    case CLEAN_WARN_METADATA:
        return "a document or picture may name its author, place or device";
    case CLEAN_WARN_DROPPED:
        return "a key or signature was left out";
    case CLEAN_WARN_CARD:
        return "your business card was reduced to the alias";
    case CLEAN_WARN_OPAQUE:
        return "it is encrypted, so what is inside was not looked at";
    }
    return "";
}

void reply_tell_warnings(struct forward *f, const struct reply_made *made)
{
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e =
        may_tell(f, "reply-warnings", made->profile, made->claim.entry, REPLY_WARNINGS_PER_DAY);

    buf_printf(&text,
               "Your message to <%s> was sent. Its recipient may learn more of you than you "
               "want, or less than you sent:\r\n\r\n",
               made->claim.reverse);
    for (size_t i = 0; i < made->n_warnings; i++)
        buf_printf(&text, "    part %s: %s\r\n", made->warnings[i].part,
                   warning_text(made->warnings[i].kind));
    e = e ? e : buf_error(&text);
    if (!e)
        e = notice_send(f, made->profile, "About a message you sent", buf_str(&text),
                        clock_now_s());
    if (e)
        log_event(LOG_LEVEL_WARNING, "reply.tell", made->claim.entry, e, -1, "kind=warnings");
    err_note_clear();
}

void reply_tell_first(struct forward *f, const struct reply_made *made)
{
    struct store_correspondent who;
    enum err e = introduce(f, made->first->alias.address, made->first->correspondent.address,
                           clock_now_s(), &who);

    if (e)
        log_event(LOG_LEVEL_WARNING, "reply.tell", made->claim.entry, e, -1, "kind=first");
    err_note_clear();
}

/* Somebody must be able to read it, and a key to sign it with must be usable. */
static enum err can_read(struct forward *f, const char *profile)
{
    CLEANUP(hsm_profile_clear) struct hsm_profile p = {.n_certs = 0};
    enum err e = hsm_profile_get(f->hsm, profile, &p);

    if (e)
        return e;
    if (p.state == PROFILE_SUSPENDED)
        return err_note(ERR_NOT_ACTIVE, "profile", "it is suspended");
    return (p.state == PROFILE_ACTIVE || p.state == PROFILE_READY) && p.n_certs && p.n_domains
               ? ERR_OK
               : ERR_NOT_FOUND;
}

enum err reply_tell_bounced(struct forward *f, const struct queue_failure *failure,
                            const char *diagnostic, int64_t now_s)
{
    CLEANUP(buf_clear) struct buf text = {0};
    CLEANUP(buf_clear) struct buf said = {0};
    struct origin o;
    enum err e = origin_open(f->store, failure->id, buf_bytes(&failure->origin), &o);

    if (e == ERR_TAMPERED)
        e = ERR_NOT_FOUND;
    e = e ? e : can_read(f, failure->profile);
    if (e)
        return e;
    if (failpoint("reply.bounced"))
        return ERR_BUSY;
    dsn_diagnostic_append(&said, diagnostic);
    buf_printf(&text, "Your message to <%s> of ", o.sender);
    date_append(&text, &(struct date){.time_s = failure->created_s});
    buf_printf(&text, "\r\nwas not delivered: %s.\r\n\r\nStatus: %s\r\n",
               dsn_reason(failure->status), failure->status[0] ? failure->status : "5.0.0");
    if (said.len)
        buf_printf(&text, "Answer: %s\r\n", buf_str(&said));
    if (o.message_id[0])
        buf_printf(&text, "Message-ID: %s\r\n", o.message_id);
    buf_append_str(&text, "\r\nIt will not be tried again.\r\n");
    e = buf_error(&said) ? ERR_NOMEM : buf_error(&text);
    return e ? e
             : notice_send_closing(f, failure->profile, "A message of yours was not delivered",
                                   buf_str(&text), failure->id, now_s);
}
