/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wire_fuzz.c - a next hop that says anything at all, to the witness and to what is made of it.
 *
 * The first byte chooses TLS, pipelining and chunking; the rest is what the next hop says, a piece
 * behind each of our steps, pieces ended by 0xff. libesmtp is taken to believe in success always.
 * What must hold: a message counts as delivered only with a 2xx to its end and without a fault, no
 * envelope leaves without the TLS that is required, nothing is recorded behind a fault, and texts
 * are printable, bounded and without addresses. */
#include "daemon/deliver/outcome.h"
#include "daemon/deliver/wire.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGES 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct talk {
    struct wire wire;
    struct job_result results[MESSAGES];
    struct job_summary summary;
    struct bytes said; /* by the next hop, what is left of it */
    bool tls, pipelining, chunking;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool say(struct talk *t, const char *line)
{
    return wire_sending(&t->wire, bytes_of(line));
}

/* One piece; behind a fault nothing may change any more. */
static void hear(struct talk *t)
{
    const uint8_t *end = t->said.len ? memchr(t->said.data, 0xff, t->said.len) : NULL;
    struct bytes piece = {t->said.data, end ? (size_t)(end - t->said.data) : t->said.len};
    struct job_result before[MESSAGES];
    bool was_faulty = t->wire.fault != FAULT_NONE;
    size_t good;

    memcpy(before, t->results, sizeof before);
    good = wire_received(&t->wire, piece);
    check(good <= piece.len && (t->wire.fault || good == piece.len));
    if (was_faulty)
        check(memcmp(before, t->results, sizeof before) == 0 && good == 0);
    t->said.data += piece.len + (end != NULL);
    t->said.len -= piece.len + (end != NULL);
}

static void turn(struct talk *t, const char *line)
{
    if (say(t, line))
        hear(t);
}

static void send_content(struct talk *t)
{
    if (t->chunking) {
        turn(t, "BDAT 7\r\na: b\r\n\r");
        turn(t, "BDAT 4 LAST\r\n\nc\r\n");
        return;
    }
    turn(t, "DATA\r\n");
    if (t->wire.phase == PHASE_CONTENT)
        turn(t, "a: b\r\n\r\n..\r\n.c\r\n.\r\n");
}

static void send_message(struct talk *t, unsigned number)
{
    bool allowed = say(t, "MAIL FROM:<b-x@relay.example>\r\n");

    check(!allowed || !t->tls || t->wire.in_tls);
    if (!allowed)
        return;
    check(t->wire.n_begun == number + 1);
    hear(t);
    if (t->pipelining && say(t, "RCPT TO:<u@user.example>\r\nDATA\r\n")) {
        hear(t);
        if (t->wire.phase == PHASE_CONTENT)
            turn(t, "a: b\r\n.\r\n");
        return;
    }
    turn(t, "RCPT TO:<u@user.example>\r\n");
    send_content(t);
}

static void begin(struct talk *t)
{
    hear(t);
    turn(t, "EHLO relay.example\r\n");
    if (!t->tls)
        return;
    turn(t, "STARTTLS\r\n");
    if (wire_start_tls(&t->wire))
        turn(t, "EHLO relay.example\r\n");
}

static void check_text(const char *text)
{
    for (const char *c = text; *c; c++)
        check(*c >= 0x20 && *c < 0x7f && *c != '@');
}

static void check_result(struct job_result *r)
{
    CLEANUP(buf_clear) struct buf payload = {0};
    struct job_result back;
    struct verdict v;

    r->message_code = r->recipient_code = 250;
    r->complete = true;
    check(!job_encode_result(r, &payload) && !job_decode_result(buf_bytes(&payload), &back));
    outcome_judge(&back, &v);
    if (v.outcome == OUTCOME_DONE)
        check(r->mail_code / 100 == 2 && r->rcpt_code / 100 == 2 && r->end_code / 100 == 2 &&
              r->fault == FAULT_NONE);
    check_text(v.text);
    check_text(v.status);
    check(strlen(v.hop_id) <= ANSWER_HOP_ID_MAX);
    for (const char *c = v.hop_id; *c; c++)
        check(isalnum((unsigned char)*c) || *c == '.' || *c == '-');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct talk t = {.said = {data + 1, size - 1}};

    if (size == 0)
        return 0;
    t.tls = data[0] & 1;
    t.pipelining = data[0] & 2;
    t.chunking = data[0] & 4;
    wire_init(&t.wire, t.tls, t.results, MESSAGES, &t.summary);
    begin(&t);
    for (unsigned i = 0; i < MESSAGES; i++)
        send_message(&t, i);
    turn(&t, "QUIT\r\n");
    while (t.said.len)
        hear(&t);
    for (size_t i = 0; i < MESSAGES; i++)
        check_result(&t.results[i]);
    check_text(t.summary.text);
    return 0;
}
