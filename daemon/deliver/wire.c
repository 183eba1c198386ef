/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wire.c - which reply belongs to which command: the witness beside libesmtp. */
#include "daemon/deliver/wire.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REPLY_CLOSING 421 /* RFC 5321 3.8: may answer anything */

void wire_init(struct wire *w, bool tls_required, struct job_result *results, size_t n_results,
               struct job_summary *summary)
{
    *w = (struct wire){.tls_required = tls_required,
                       .results = results,
                       .n_results = n_results,
                       .summary = summary,
                       .waits = {{STEP_GREETING, 1}},
                       .n_waits = 1};
}

static struct job_result *current(struct wire *w)
{
    return w->n_begun ? &w->results[w->n_begun - 1] : NULL;
}

void wire_fail(struct wire *w, enum job_fault fault)
{
    struct job_result *r = current(w);

    if (w->fault)
        return;
    w->fault = fault;
    if (r && r->stage != STAGE_ANSWERED)
        r->fault = fault;
    if (!w->summary->fault)
        w->summary->fault = fault;
    /* What was said kindly is not why. */
    if (w->summary->code < 400)
        w->summary->text[0] = '\0';
}

/* ---- leaving ---- */

static void expect(struct wire *w, enum wire_step step)
{
    if (w->n_waits && w->waits[w->n_waits - 1].step == step)
        w->waits[w->n_waits - 1].count++;
    else if (w->n_waits < WIRE_STEPS_MAX)
        w->waits[w->n_waits++] = (struct wire_wait){step, 1};
    else
        wire_fail(w, FAULT_LOCAL);
}

static const struct verb {
    const char *name;
    enum wire_step step;
    enum job_stage stage; /* of the current message; STAGE_NONE: not part of one */
} verbs[] = {
    {"EHLO ", STEP_HELLO, STAGE_NONE},       {"HELO ", STEP_HELLO, STAGE_NONE},
    {"STARTTLS", STEP_STARTTLS, STAGE_NONE}, {"MAIL FROM:", STEP_MAIL, STAGE_MAIL},
    {"RCPT TO:", STEP_RCPT, STAGE_RCPT},     {"DATA", STEP_DATA, STAGE_DATA},
    {"BDAT ", STEP_CHUNK, STAGE_DATA},       {"RSET", STEP_OTHER, STAGE_NONE},
    {"QUIT", STEP_OTHER, STAGE_NONE},
};

static const struct verb *verb_find(const char *command)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strncmp(command, verbs[i].name, strlen(verbs[i].name)) == 0)
            return &verbs[i];
    return NULL;
}

static void chunk_begins(struct wire *w)
{
    char *end;

    w->chunk_left = strtoull(w->command + 5, &end, 10);
    w->chunk_last = strstr(end, "LAST") != NULL;
    expect(w, w->chunk_last ? STEP_END : STEP_CHUNK);
    if (w->chunk_left)
        w->phase = PHASE_CHUNK;
}

/* A whole command line is about to leave. */
static void command_leaves(struct wire *w)
{
    const struct verb *verb;

    w->command[w->command_len < sizeof w->command ? w->command_len : sizeof w->command - 1] = '\0';
    verb = verb_find(w->command);
    w->command_len = 0;
    if (!verb) {
        wire_fail(w, FAULT_LOCAL);
        return;
    }
    if (verb->step == STEP_MAIL) {
        if (w->n_begun == w->n_results) {
            wire_fail(w, FAULT_LOCAL);
            return;
        }
        w->n_begun++;
        w->summary->reached = STAGE_MAIL;
    }
    if (verb->stage && current(w))
        current(w)->stage = verb->stage;
    w->quit |= verb->name[0] == 'Q';
    if (verb->step == STEP_CHUNK)
        chunk_begins(w);
    else
        expect(w, verb->step);
    if (w->chunk_last && verb->step == STEP_CHUNK && current(w))
        current(w)->stage = STAGE_DOT;
}

/* Without the TLS that is required, nothing leaves but the way to it, and the way out. The verb is
 * known after its first letter: E(HLO), H(ELO), S(TARTTLS), R(SET), Q(UIT) against M, R(CPT), D, B.
 * RSET is not needed before TLS either, so R is refused. */
static bool clear_text_allowed(const struct wire *w, uint8_t first)
{
    return !w->tls_required || w->in_tls || (first && strchr("EHSQ", first));
}

static void command_byte(struct wire *w, uint8_t c)
{
    if (w->command_len == 0 && !clear_text_allowed(w, c)) {
        wire_fail(w, FAULT_CLEARTEXT);
        return;
    }
    if (w->command_len == 0 && w->closing && c != 'Q') {
        wire_fail(w, FAULT_CLOSING);
        return;
    }
    if (c == '\n' && w->command_cr) {
        w->command_cr = false;
        command_leaves(w);
        return;
    }
    w->command_cr = c == '\r';
    if (w->command_cr)
        return;
    if (w->command_len < sizeof w->command - 1)
        w->command[w->command_len] = (char)c;
    w->command_len++;
}

/* The end is CRLF.CRLF; content begins as if behind a CRLF. */
static void content_byte(struct wire *w, uint8_t c)
{
    static const char end[] = "\r\n.\r\n";

    if (c == (uint8_t)end[w->dot])
        w->dot++;
    else
        w->dot = c == '\r';
    if (end[w->dot])
        return;
    w->phase = PHASE_COMMAND;
    expect(w, STEP_END);
    if (current(w))
        current(w)->stage = STAGE_DOT;
}

bool wire_sending(struct wire *w, struct bytes data)
{
    for (size_t i = 0; i < data.len && !w->fault; i++) {
        if (w->phase == PHASE_COMMAND)
            command_byte(w, data.data[i]);
        else if (w->phase == PHASE_CONTENT)
            content_byte(w, data.data[i]);
        else if (--w->chunk_left == 0)
            w->phase = PHASE_COMMAND;
    }
    return !w->fault;
}

/* ---- coming ---- */

static void keep_code(struct job_result *r, uint16_t *code_at, uint16_t code, struct bytes text)
{
    bool decided = r->mail_code / 100 > 3 || r->rcpt_code / 100 > 3 || r->data_code != 0;

    *code_at = code;
    if (!decided)
        job_text_set(r->text, text);
}

static void transaction_reply(struct wire *w, enum wire_step step, uint16_t code, struct bytes text)
{
    struct job_result *r = current(w);

    if (!r)
        return;
    if (step == STEP_MAIL)
        keep_code(r, &r->mail_code, code, text);
    if (step == STEP_RCPT)
        keep_code(r, &r->rcpt_code, code, text);
    /* The first refusal counts: 452 to one chunk is followed by 503 to the next. */
    if (step >= STEP_DATA && code / 100 > 3 && !r->data_code)
        keep_code(r, &r->data_code, code, text);
    if (step == STEP_DATA && code / 100 == 3) {
        w->phase = PHASE_CONTENT;
        w->dot = 2;
    }
    if (step == STEP_END) {
        keep_code(r, &r->end_code, code, text);
        r->stage = STAGE_ANSWERED;
    }
}

static void reply_complete(struct wire *w, uint16_t code, struct bytes text)
{
    enum wire_step step = w->waits[0].step;

    if (--w->waits[0].count == 0)
        memmove(w->waits, w->waits + 1, --w->n_waits * sizeof *w->waits);
    w->last_step = step;
    if (step >= STEP_MAIL && step <= STEP_END) {
        transaction_reply(w, step, code, text);
    } else if (step != STEP_OTHER) {
        w->summary->code = code;
        job_text_set(w->summary->text, text);
        if (code / 100 == 2 && w->summary->reached < STAGE_GREETED)
            w->summary->reached = STAGE_GREETED;
        if (step == STEP_STARTTLS && code / 100 != 2)
            wire_fail(w, FAULT_TLS);
    }
    if (code == REPLY_CLOSING) {
        w->closing = true;
        if (!w->summary->fault)
            w->summary->fault = FAULT_CLOSING;
    }
}

/* RFC 5321 4.2: three digits, '-' or blank or nothing, text. */
static bool reply_line_parse(const struct wire *w, uint16_t *code_out, bool *more_out,
                             struct bytes *text_out)
{
    const char *s = w->line;
    size_t len = w->line_len;

    if (len && s[len - 1] == '\r')
        len--;
    if (len < 3 || s[0] < '2' || s[0] > '5' || !isdigit((unsigned char)s[1]) ||
        !isdigit((unsigned char)s[2]) || (len > 3 && s[3] != ' ' && s[3] != '-'))
        return false;
    *code_out = (uint16_t)((s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0'));
    *more_out = len > 3 && s[3] == '-';
    *text_out = (struct bytes){(const uint8_t *)s + (len > 3 ? 4 : 3), len > 3 ? len - 4 : 0};
    return true;
}

static void reply_line(struct wire *w)
{
    struct bytes text;
    uint16_t code;
    bool more;

    if (!reply_line_parse(w, &code, &more, &text) || (w->reply_code && code != w->reply_code)) {
        wire_fail(w, FAULT_BAD_REPLY);
        return;
    }
    w->reply_code = more ? code : 0;
    w->line_len = 0;
    if (more)
        return;
    w->reply_len = 0;
    reply_complete(w, code, text);
}

/* A reply that nothing asked for. Behind the reply to STARTTLS it is an attack: libesmtp keeps what
 * it read in clear and would take it for the replies to EHLO, MAIL and RCPT inside TLS. */
static enum job_fault unasked(const struct wire *w)
{
    return w->last_step == STEP_STARTTLS ? FAULT_INJECTED : FAULT_OUT_OF_STEP;
}

size_t wire_received(struct wire *w, struct bytes data)
{
    size_t good = 0;

    for (size_t i = 0; i < data.len && !w->fault; i++) {
        uint8_t c = data.data[i];

        if (w->n_waits == 0)
            wire_fail(w, unasked(w));
        else if (c == '\n')
            reply_line(w);
        else if (w->line_len == WIRE_LINE_MAX + 1 || ++w->reply_len > WIRE_REPLY_MAX)
            wire_fail(w, FAULT_LONG_REPLY);
        else
            w->line[w->line_len++] = (char)c;
        if (c == '\n' && !w->fault && !w->reply_code)
            good = i + 1;
    }
    return w->fault ? good : data.len;
}

bool wire_owes(const struct wire *w)
{
    for (size_t i = 0; i < w->n_waits; i++)
        if (w->waits[i].step != STEP_OTHER)
            return true;
    return false;
}

bool wire_start_tls(struct wire *w)
{
    if (w->n_waits || w->line_len || w->last_step != STEP_STARTTLS || w->in_tls)
        wire_fail(w, FAULT_INJECTED);
    w->in_tls = !w->fault;
    return !w->fault;
}
