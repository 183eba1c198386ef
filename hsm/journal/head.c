/* SPDX-License-Identifier: GPL-3.0-or-later */
/* head.c - the journal's acknowledged head. */
#include "hsm/journal/head.h"

#include "daemon/base/codec.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <string.h>
#include <unistd.h>

/* Fixed width, so that a newer head covers an older one wholly and lies in one sector. */
#define HEAD_LEN   (20 + 1 + JOURNAL_HASH_HEX)
#define HEAD_TOTAL (HEAD_LEN + 1 + 64 + 1)

enum err journal_head_text(struct token *t, const struct journal_head *head, struct buf *out)
{
    uint8_t mac[32];
    enum err e;

    buf_printf(out, "%020" PRIu64 " %s", head->sequence, head->hash);
    e = buf_error(out);
    if (!e)
        e = token_hmac(t, "journal-head", buf_bytes(out), mac);
    if (e)
        return e;
    buf_append_str(out, " ");
    hex_append(out, (struct bytes){mac, sizeof mac});
    buf_append_str(out, "\n");
    return buf_error(out);
}

/* The first words of a text whose HMAC is good. */
static enum err head_parse(const uint8_t *text, struct journal_head *out)
{
    struct journal_head head = {0};

    for (size_t i = 0; i < 20; i++) {
        if (text[i] < '0' || text[i] > '9')
            return err_note(ERR_TAMPERED, "journal.head", "malformed");
        head.sequence = head.sequence * 10 + (uint64_t)(text[i] - '0');
    }
    memcpy(head.hash, text + 21, JOURNAL_HASH_HEX);
    *out = head;
    return ERR_OK;
}

enum err journal_head_read(struct token *t, int fd, struct journal_head *out)
{
    uint8_t text[HEAD_TOTAL + 1];
    uint8_t mac[32];
    CLEANUP(buf_clear) struct buf told = {0};
    ssize_t got = pread(fd, text, sizeof text, 0);
    enum err e;

    if (got < 0)
        return err_note(ERR_IO, "journal.head", "%s", strerror(errno));
    if (got == 0)
        return ERR_NOT_FOUND;
    if (got != HEAD_TOTAL || text[HEAD_LEN] != ' ' || text[HEAD_TOTAL - 1] != '\n' ||
        hex_decode((struct bytes){text + HEAD_LEN + 1, 64}, &told))
        return err_note(ERR_TAMPERED, "journal.head", "malformed");
    e = token_hmac(t, "journal-head", (struct bytes){text, HEAD_LEN}, mac);
    if (e)
        return e;
    if (CRYPTO_memcmp(mac, told.data, sizeof mac) != 0)
        return err_note(ERR_TAMPERED, "journal.head", "not authentic");
    return head_parse(text, out);
}

enum err journal_head_write(int fd, const struct buf *text)
{
    ssize_t put;

    do
        put = pwrite(fd, text->data, text->len, 0);
    while (put < 0 && errno == EINTR);
    if (put != (ssize_t)text->len)
        return err_note(ERR_IO, "journal.head", "%s", put < 0 ? strerror(errno) : "short write");
    return ERR_OK;
}
