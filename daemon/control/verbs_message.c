/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs_message.c - message.test: what would become of this message?
 *
 * The message comes and goes in files that the caller opened, so that it passes through no other
 * file and fits no packet. Nothing is queued. The caller's files are never waited for: only
 * regular ones are taken. */
#include "daemon/base/clock.h"
#include "daemon/base/fdio.h"
#include "daemon/control/verbs_internal.h"
#include "daemon/flow/trial.h"

#include <sys/stat.h>
#include <unistd.h>

#define TRIAL_DEADLINE_MS 20000 /* as long as a stranger's message may take */

struct trial_walk {
    int out_fd;
    uint64_t written;
    cJSON *steps;
};

static enum err sink_to_file(void *ctx, const uint8_t *data, size_t len)
{
    struct trial_walk *w = ctx;

    w->written += len;
    return write_all(w->out_fd, data, len);
}

static void step_row(void *ctx, const char *name, enum err result, int64_t ms)
{
    const struct trial_walk *w = ctx;
    cJSON *row = cJSON_CreateObject();

    add_text(row, "step", name);
    add_text(row, "result", err_name(result));
    add_number(row, "ms", (double)ms);
    (void)cJSON_AddItemToArray(w->steps, row);
}

static enum err need_file(size_t nth, int *fd_out, uint64_t *size_out)
{
    struct stat st;

    *fd_out = control_file(nth);
    if (*fd_out < 0 || fstat(*fd_out, &st) != 0 || !S_ISREG(st.st_mode))
        return err_note(ERR_USAGE, "message.test",
                        "needs two regular files: the message, and one "
                        "for what it becomes");
    *size_out = (uint64_t)st.st_size;
    return ERR_OK;
}

static enum err read_message(int fd, uint64_t size, uint64_t max, struct buf *out)
{
    uint64_t at = 0;

    if (size > max)
        return err_note(ERR_TOO_BIG, "message.test", "over message_size");
    buf_reserve(out, (size_t)size);
    while (at < size) {
        uint8_t chunk[16384];
        ssize_t got = pread(fd, chunk, sizeof chunk, (off_t)at);

        if (got <= 0 || (uint64_t)got > size - at)
            return err_note(ERR_IO, "message.test", "the message changes while it is read");
        buf_append(out, chunk, (size_t)got);
        at += (uint64_t)got;
    }
    return buf_error(out);
}

/* The result goes into the answer, a refusal too: the verb has done what was asked. */
static void add_result(cJSON *answer, enum err e, const struct reply *reply)
{
    const struct err_note *note = err_note_get();

    add_text(answer, "result", err_name(e));
    if (reply->code) {
        add_number(answer, "code", reply->code);
        add_text(answer, "status", reply->status);
        add_text(answer, "text", reply->text);
    }
    if (note->action[0]) {
        CLEANUP(buf_clear) struct buf both = {0};

        buf_printf(&both, "%s: %s", note->action, note->detail);
        add_text(answer, "note", buf_str(&both));
    }
    err_note_clear();
}

enum err verb_message_test(void *ctx, const cJSON *request, cJSON *answer)
{
    const struct relay_verbs *v = ctx;
    struct trial_walk walk = {.steps = cJSON_AddArrayToObject(answer, "steps")};
    struct forward_trial outlet = {
        .make = verb_flag(request, "make"), .sink = sink_to_file, .step = step_row, .ctx = &walk};
    struct trial trial = {.mail_from = verb_text(request, "mail_from"),
                          .max_bytes = v->message_max_bytes,
                          .outlet = &outlet,
                          .now_s = clock_now_s(),
                          .deadline_mono_ms = clock_mono_ms() + TRIAL_DEADLINE_MS};
    CLEANUP(buf_wipe) struct buf message = {0};
    struct reply reply = {0};
    uint64_t size = 0;
    int in_fd = -1;
    enum err e = verb_need(request, "alias", &trial.alias);

    if (!e && !v->message_try)
        e = err_note(ERR_WRONG_STATE, "message.test", "this relay takes no mail");
    if (!e)
        e = need_file(1, &walk.out_fd, &size);
    if (!e)
        e = need_file(0, &in_fd, &size);
    if (!e)
        e = read_message(in_fd, size, v->message_max_bytes, &message);
    if (e)
        return e;
    trial.message = buf_bytes(&message);
    trial.mail_from = trial.mail_from ? trial.mail_from : "";
    add_result(answer, v->message_try(v->flow, &trial, &reply), &reply);
    add_number(answer, "sealed_bytes", (double)walk.written);
    return ERR_OK;
}
