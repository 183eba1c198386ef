/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verify.c - the journal's chain of hashes and its signed checkpoints. */
#include "hsm/journal/verify.h"

#include "daemon/base/codec.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

/* A checkpoint's signature is its last field and covers the line up to the blank before it. */
static bool journal_checkpoint_check(const struct journal_line *line, struct bytes text,
                                     EVP_PKEY *key)
{
    struct bytes encoded = journal_line_field(line, "sig");
    CLEANUP(buf_clear) struct buf signature = {0};
    EVP_MD_CTX *ctx;
    bool good;

    if (!encoded.data || encoded.data + encoded.len != text.data + text.len - 1 ||
        base64_decode(encoded, &signature))
        return false;
    ctx = EVP_MD_CTX_new();
    good = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
           EVP_DigestVerify(ctx, signature.data, signature.len, text.data,
                            (size_t)(encoded.data - text.data) - strlen(" sig=")) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

static void verdict_bad(struct journal_verdict *v, const char *reason)
{
    v->good = false;
    v->bad_line = v->entries + 1;
    (void)snprintf(v->reason, sizeof v->reason, "%s", reason);
}

/* One whole line: false when it breaks the chain. */
static bool line_check(struct bytes text, EVP_PKEY *key, struct journal_verdict *v,
                       struct journal_line *line)
{
    const char *reason = NULL;

    if (journal_line_parse(text, line))
        reason = "not a journal line";
    else if (strcmp(line->previous, v->head) != 0)
        reason = "hash of the preceding line differs";
    else if (line->sequence != v->entries + 1)
        reason = "sequence broken";
    else if (key && strcmp(line->kind, JOURNAL_CHECKPOINT) == 0 &&
             !journal_checkpoint_check(line, text, key))
        reason = "checkpoint signature wrong";
    if (reason)
        verdict_bad(v, reason);
    return !reason;
}

static void line_count(const struct journal_line *line, struct bytes text,
                       struct journal_verdict *v)
{
    v->entries++;
    v->end += (int64_t)text.len;
    v->last_time_s = line->time_s;
    if (strcmp(line->kind, JOURNAL_CHECKPOINT) == 0) {
        v->checkpoints++;
        v->checkpoint_at = line->sequence;
    }
    journal_hash_of(text, v->head);
}

enum err journal_verify(FILE *file, EVP_PKEY *key, journal_visit visit, void *context,
                        struct journal_verdict *out)
{
    struct journal_verdict v = {.good = true};
    CLEANUP(str_free) char *text = NULL;
    struct journal_line line;
    size_t size = 0;
    ssize_t len;
    enum err e;

    (void)snprintf(v.head, sizeof v.head, "%064d", 0); /* before the first line */
    while (v.good && (len = getline(&text, &size, file)) > 0) {
        struct bytes whole = {(const uint8_t *)text, (size_t)len};

        if (text[len - 1] != '\n') {
            v.torn = true;
            break;
        }
        if (!line_check(whole, key, &v, &line))
            break;
        e = visit ? visit(context, &line, whole) : ERR_OK;
        if (e)
            return e;
        line_count(&line, whole, &v);
    }
    if (ferror(file))
        return err_note(ERR_IO, "journal", "cannot be read");
    err_note_clear();
    *out = v;
    return ERR_OK;
}
