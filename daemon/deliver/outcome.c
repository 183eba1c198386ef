/* SPDX-License-Identifier: GPL-3.0-or-later */
/* outcome.c - from facts to verdicts. */
#include "daemon/deliver/outcome.h"

#include <stdio.h>
#include <string.h>

static bool is_class(uint16_t code, unsigned class)
{
    return code / 100 == class;
}

/* The reply that refused: the first one in the order of the commands. libesmtp keeps the last: 452
 * to one BDAT chunk, 503 to those behind it, and the message would bounce for a full disk. */
static uint16_t refusal(const struct job_result *r)
{
    if (r->mail_code >= 400)
        return r->mail_code;
    if (r->rcpt_code >= 400)
        return r->rcpt_code;
    return r->data_code;
}

/* libesmtp's 250 alone is worth nothing: it stays behind when a reply came out of step, with
 * nothing sent; and a stall mid-message ends in 250 with a hole. */
static bool delivered(const struct job_result *r)
{
    return r->fault == FAULT_NONE && r->stage == STAGE_ANSWERED && !refusal(r) &&
           is_class(r->mail_code, 2) && is_class(r->rcpt_code, 2) && is_class(r->end_code, 2) &&
           is_class(r->message_code, 2) && is_class(r->recipient_code, 2) && r->complete;
}

/* 5xx that say nothing about the message: 503 bad sequence (a session out of step), 530 TLS or
 * authentication wanted, 521 no mail at all here. */
static bool is_about_session(uint16_t code)
{
    return code == 503 || code == 521 || code == 530;
}

static bool refused_for_good(const struct job_result *r)
{
    uint16_t code = refusal(r);

    /* With a session in disorder nobody knows which command a reply belongs to. */
    return is_class(code, 5) && !is_about_session(code) &&
           (r->fault == FAULT_NONE || r->fault == FAULT_DROPPED || r->fault == FAULT_SILENT ||
            r->fault == FAULT_CLOSING);
}

static void describe(const struct job_result *r, struct verdict *out)
{
    if (out->code)
        (void)snprintf(out->text, sizeof out->text, "%u %s", out->code, r->text);
    else if (r->fault)
        (void)snprintf(out->text, sizeof out->text, "no answer (%s, at %s)",
                       job_fault_name(r->fault), job_stage_name(r->stage));
    else
        (void)snprintf(out->text, sizeof out->text, "no answer (at %s)", job_stage_name(r->stage));
}

/* A text that fills its room was cut, perhaps within the queue id at its end. */
static void find_hop_id(const char *text, char out[ANSWER_HOP_ID_MAX + 1])
{
    size_t len = strlen(text);

    if (answer_hop_id(text, out) && len == JOB_TEXT_MAX &&
        strcmp(text + len - strlen(out), out) == 0)
        out[0] = '\0';
}

void outcome_judge(const struct job_result *r, struct verdict *out)
{
    *out = (struct verdict){
        .outcome = OUTCOME_RETRY, .code = refusal(r), .tried = r->stage >= STAGE_MAIL};
    if (delivered(r)) {
        out->outcome = OUTCOME_DONE;
        out->code = r->end_code;
        find_hop_id(r->text, out->hop_id);
    } else if (refused_for_good(r) || (r->fault == FAULT_CONTENT && !out->code)) {
        /* Content that may not leave will never be better. */
        out->outcome = OUTCOME_FAILED;
    }
    out->answered = out->code && out->code != 421 && !is_about_session(out->code);
    answer_status(out->code, r->text, out->status);
    describe(r, out);
}

void outcome_unknown(bool tried, const char *why, struct verdict *out)
{
    *out = (struct verdict){.outcome = OUTCOME_RETRY, .tried = tried};
    (void)snprintf(out->text, sizeof out->text, "no answer (%s)", why);
}

unsigned backoff_s(unsigned failures, unsigned first_s, unsigned max_s, uint32_t random)
{
    uint64_t wait = first_s ? first_s : 1;
    uint64_t spread;

    for (unsigned i = 1; i < failures && wait < max_s; i++)
        wait *= 2;
    if (wait > max_s)
        wait = max_s;
    spread = wait / 2;
    wait = wait - spread / 2 + (spread ? random % (spread + 1) : 0);
    return (unsigned)(wait ? wait : 1);
}
