/* SPDX-License-Identifier: GPL-3.0-or-later */
/* session_fuzz.c - the whole protocol machine: any bytes, cut in any way.
 *
 * The first byte chooses protocol, trust and cuts. What must hold: replies are well-formed lines,
 * what reaches the handler is clean, every transaction ends once, and no memory stays charged. */
#include "daemon/base/utf8.h"
#include "daemon/receive/path.h"
#include "daemon/receive/session.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_MESSAGE_MAX    300u
#define FUZZ_RECIPIENTS_MAX 3u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the handler saw. */
struct seen {
    unsigned open; /* transactions with a recipient asked for and not yet ended */
    char last[ID_LEN + 1];
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_address(const struct receive_transaction *t, const char *address)
{
    check(strlen(address) <= PATH_ADDRESS_MAX_BYTES);
    check(utf8_is_text(bytes_of(address)));
    for (const char *c = address; *c && !t->smtputf8; c++)
        check((unsigned char)*c < 0x80);
}

/* What a front says of its client goes into logs and to the sender's judge. */
static void check_client(const struct receive_client *c)
{
    const char *const texts[] = {c->address, c->name, c->helo, c->ident};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (const char *p = texts[i]; *p; p++)
            check(*p > ' ' && *p < 0x7F && *p != '=' && *p != '<');
    check(c->forwarded || strcmp(c->address, "192.0.2.1") == 0);
}

static struct reply judge_rcpt(void *ctx, struct receive_transaction *t, const char *address)
{
    struct seen *seen = ctx;

    check(*address && t->n_rcpts < FUZZ_RECIPIENTS_MAX && id_is_valid(t->id));
    check_address(t, t->mail_from);
    check_client(&t->client);
    check_address(t, address);
    memcpy(seen->last, t->id, sizeof seen->last);
    seen->open = 1;
    return reply_of(address[0] == 'b' ? ERR_NO_ALIAS : ERR_OK);
}

static void check_content(struct bytes data)
{
    check(data.data && data.len <= FUZZ_MESSAGE_MAX);
    check(data.len == 0 || (data.len >= 2 && memcmp(data.data + data.len - 2, "\r\n", 2) == 0));
    for (size_t i = 0; i < data.len; i++) {
        check(data.data[i] != '\0');
        check(data.data[i] != '\n' || (i && data.data[i - 1] == '\r'));
        check(data.data[i] != '\r' || (i + 1 < data.len && data.data[i + 1] == '\n'));
    }
}

static void take_message(void *ctx, struct receive_transaction *t, struct bytes data,
                         int64_t deadline, struct reply *replies)
{
    (void)ctx;
    (void)deadline;
    check(t->n_rcpts >= 1 && t->n_rcpts <= FUZZ_RECIPIENTS_MAX &&
          (t->client.forwarded || t->client.helo[0]));
    check_content(data);
    for (size_t i = 0; i < t->n_rcpts; i++)
        replies[i] = reply_of((enum err)(data.len % ERR_COUNT));
}

static void end_transaction(void *ctx, struct receive_transaction *t)
{
    struct seen *seen = ctx;

    if (seen->open)
        check(memcmp(seen->last, t->id, sizeof seen->last) == 0);
    seen->open = 0;
}

static void check_replies(struct buf *out)
{
    size_t at = 0;

    check(!out->failed);
    while (at < out->len) {
        const uint8_t *line = out->data + at;
        const uint8_t *end = memchr(line, '\n', out->len - at);

        check(end && end - line >= 6 && end[-1] == '\r');
        for (const uint8_t *c = line; c < end - 1; c++)
            check(*c >= 0x20 && *c < 0x7F);
        check(line[0] >= '2' && line[0] <= '5' && (line[3] == ' ' || line[3] == '-'));
        at += (size_t)(end - line) + 1;
    }
    buf_reset(out);
}

/* Feed one read's worth; false when the session is over. */
static bool feed(struct session *s, struct bytes in)
{
    struct session_outcome outcome;

    for (;;) {
        enum session_event event = session_feed(s, &in);

        check_replies(session_output(s));
        switch (event) {
        case SESSION_EVENT_NONE:
            check(in.len == 0);
            return true;
        case SESSION_EVENT_CLOSE:
            return false;
        case SESSION_EVENT_STARTTLS:
            check(in.len == 0);
            session_tls_started(s);
            return true;
        case SESSION_EVENT_MESSAGE:
            session_finish(s, 0, &outcome);
            check(outcome.accepted + outcome.refused_perm + outcome.refused_temp >= 1);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_budget memory = {.max = 1u << 20};
    struct seen seen = {0};
    struct receive_handler handler = {
        .ctx = &seen, .rcpt = judge_rcpt, .message = take_message, .end = end_transaction};
    struct session_options options = {.hostname = "relay.test",
                                      .peer = "192.0.2.1",
                                      .address = "192.0.2.1",
                                      .tls_offered = true,
                                      .recipients_max = FUZZ_RECIPIENTS_MAX,
                                      .message_max_bytes = FUZZ_MESSAGE_MAX,
                                      .memory = &memory,
                                      .handler = &handler};
    struct session *s = NULL;
    bool going = true;
    size_t piece;

    if (size == 0)
        return 0;
    options.protocol = data[0] & 1 ? RECEIVE_LMTP : RECEIVE_SMTP;
    options.xforward = data[0] & 0x80;
    piece = data[0] & 2 ? SIZE_MAX : (size_t)(data[0] >> 2) + 1;
    check(session_new(&options, &s) == ERR_OK);
    for (size_t at = 1; at < size && going;) {
        size_t len = piece < size - at ? piece : size - at;

        going = feed(s, (struct bytes){data + at, len});
        at += len;
    }
    session_free(s);
    check(seen.open == 0 && memory_used(&memory) == 0);
    return 0;
}
