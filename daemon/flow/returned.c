/* SPDX-License-Identifier: GPL-3.0-or-later */
/* returned.c - reports are told from answers by their sender first: a report has none (RFC 3464 2,
 * RFC 5321 4.5.5). */
#include "daemon/flow/returned.h"
#include "daemon/base/clock.h"
#include "daemon/base/failpoint.h"
#include "daemon/base/log.h"
#include "daemon/flow/blob.h"
#include "daemon/flow/bounce.h"
#include "daemon/flow/origin.h"
#include "daemon/message/report.h"

#include <string.h>

_Static_assert(QUEUE_STATUS_MAX >= REPORT_STATUS_MAX, "a status of a report fits the queue");

static void count(struct forward *f, enum forward_counter counter)
{
    atomic_fetch_add(&f->counters[counter].n, 1);
}

/* Failed deliveries become so in the history, once. */
static enum err failure_take(struct forward *f, const char *about, const struct report *report)
{
    CLEANUP(buf_clear) struct buf sealed = {0};
    struct queue_report r = {.now_s = clock_now_s()};
    bool changed = false;
    enum err e =
        blob_seal(f->store, BOUNCE_REPORT_PURPOSE, about, bytes_of(report->diagnostic), &sealed);

    if (e)
        return e;
    memcpy(r.id, about, sizeof r.id);
    memcpy(r.status, report->status, sizeof report->status);
    r.sealed = buf_bytes(&sealed);
    e = queue_report(f->queue, &r, &changed);
    if (!e)
        (void)failpoint("bounce.reported");
    if (!e && changed)
        count(f, FORWARD_REPORT_FAILED);
    return e;
}

static enum err report_take(struct forward *f, const char *about, const struct report *report)
{
    switch (report->kind) {
    case REPORT_NONE:
    case REPORT_OTHER:
        count(f, FORWARD_AUTO_REPLY);
        return ERR_OK;
    case REPORT_PASSED:
        count(f, FORWARD_REPORT_PASSED);
        return ERR_OK;
    case REPORT_DELAYED:
        count(f, FORWARD_REPORT_DELAYED);
        return ERR_OK;
    case REPORT_FAILED:
        return failure_take(f, about, report);
    case REPORT_UNPARSED:
        count(f, FORWARD_REPORT_UNPARSED);
        return ERR_OK;
    }
    return ERR_BUG;
}

enum err returned_take(struct forward *f, const struct receive_transaction *t, const char *about,
                       struct bytes data)
{
    CLEANUP(message_clear) struct message m = {0};
    struct report report = {.kind = REPORT_NONE};
    enum err e = message_parse(data, &m);

    if (!e && !t->mail_from[0])
        report_read(&m, &report);
    if (!e && (!t->mail_from[0] || report_is_automatic(&m)))
        e = report_take(f, about, &report);
    else if (!e)
        e = ERR_NOT_REPORT;
    if (e == ERR_NOT_REPORT)
        count(f, FORWARD_NOT_REPORT);
    log_event(e || report.kind == REPORT_UNPARSED ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
              "flow.returned", t->id, e, -1, "about=%s report=%s status=%s", about,
              report_kind_name(report.kind), report.status[0] ? report.status : "-");
    return e;
}

static bool is_report(struct bytes data)
{
    CLEANUP(message_clear) struct message m = {0};
    struct report report = {.kind = REPORT_UNPARSED};

    if (!message_parse(data, &m))
        report_read(&m, &report);
    err_note_clear();
    return report.kind != REPORT_NONE;
}

/* The alias that a reply left under, if it is still that of the same user: then it knows whom the
 * reply was for. */
static enum err replied_alias(struct forward *f, const char *id, address_text out)
{
    CLEANUP(buf_clear) struct buf sealed = {0};
    enum queue_direction direction = QUEUE_NOTICE;
    struct store_correspondent to;
    struct store_alias alias;
    struct origin o;
    enum err e = queue_origin(f->queue, id, &direction, &sealed);

    if (!e && direction != QUEUE_REPLY)
        return ERR_NOT_FOUND;
    e = e ? e : origin_open(f->store, id, buf_bytes(&sealed), &o);
    if (e == ERR_TAMPERED)
        e = ERR_NOT_FOUND;
    e = e ? e : store_correspondent_by_reverse(f->store, o.sender, &to);
    e = e ? e : store_alias_get(f->store, to.alias, &alias);
    if (!e)
        memcpy(out, alias.address, sizeof alias.address);
    return e;
}

enum err returned_answer(struct forward *f, struct bytes data, struct policy_route *route)
{
    struct policy_route to;
    address_text alias;
    enum err e = is_report(data) ? ERR_NOT_FOUND : replied_alias(f, route->returned, alias);

    e = e ? e : policy_recipient(&f->policy, alias, clock_now_s(), &to);
    if (e == ERR_NO_ALIAS || (!e && to.kind != POLICY_ALIAS))
        e = ERR_NOT_FOUND;
    if (e)
        return e;
    memcpy(to.return_path, route->address, sizeof to.return_path);
    *route = to;
    return ERR_OK;
}
