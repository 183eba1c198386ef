/* SPDX-License-Identifier: GPL-3.0-or-later */
/* field_text.c - text and display names as ASCII field bodies: RFC 2047 words and folding.
 *
 * Written by hand because the lines must keep to the column already reached, foreign encoded words
 * must stay as they came, and nothing a stranger writes may end a line. RFC 2047, RFC 5322 2.2.3.
 */
#include "daemon/base/codec.h"
#include "daemon/message/address.h"
#include "daemon/message/message.h"

#include <glib.h>
#include <string.h>

#define LINE_WANTED_COLUMNS 78u
#define WORD_MAX_BYTES      200u /* a longer word is encoded, so that it can be folded */
#define FOREIGN_WORD_MAX    900u /* an RFC 2047 word of a stranger's, over-long ones included */
#define QUOTED_MAX_BYTES    256u /* a longer name is encoded, so that it can be folded */
#define BLANKS_MAX          40u  /* a longer run of blanks becomes one */
#define CHUNK_MAX_BYTES     42u  /* in one encoded word: 56 characters of base64, 75 in all */
#define CHUNK_MIN_BYTES     9u

static size_t column(const struct buf *out)
{
    size_t n = 0;

    while (n < out->len && out->data[out->len - 1 - n] != '\n')
        n++;
    return n;
}

/* Cut a text at max bytes, not inside a UTF-8 character. */
static struct bytes text_cut(struct bytes text, size_t max)
{
    if (text.len <= max)
        return text;
    while (max && (text.data[max] & 0xc0) == 0x80)
        max--;
    return (struct bytes){text.data, max};
}

static bool is_utf8(struct bytes text)
{
    return g_utf8_validate_len((const char *)text.data, text.len, NULL);
}

static void encoded_word_append(struct buf *out, struct bytes chunk, bool utf8)
{
    buf_append_str(out, utf8 ? "=?utf-8?B?" : "=?windows-1252?B?");
    base64_append(out, chunk);
    buf_append_str(out, "?=");
}

static size_t encoded_word_len(size_t chunk_len, bool utf8)
{
    return (utf8 ? 12 : 19) + (chunk_len + 2) / 3 * 4;
}

/* How many bytes of text one encoded word takes without leaving the line. */
static size_t chunk_room(const struct buf *out, bool utf8)
{
    size_t used = column(out) + encoded_word_len(0, utf8);
    size_t room = used < LINE_WANTED_COLUMNS ? (LINE_WANTED_COLUMNS - used) / 4 * 3 : 0;

    return room >= CHUNK_MIN_BYTES && room < CHUNK_MAX_BYTES ? room : CHUNK_MAX_BYTES;
}

/* A text as a chain of encoded words; blanks between them are not part of it (RFC 2047 6.2). */
static void encoded_append(struct buf *out, struct bytes text, bool utf8)
{
    while (text.len) {
        size_t room = chunk_room(out, utf8);
        struct bytes chunk = {text.data, text.len < room ? text.len : room};

        if (utf8)
            chunk = text_cut(text, room);
        encoded_word_append(out, chunk, utf8);
        text.data += chunk.len;
        text.len -= chunk.len;
        if (text.len)
            buf_append_str(out, "\r\n ");
    }
}

/* A piece of unstructured text: blanks, then the word behind them. */
struct piece {
    struct bytes blanks;
    struct bytes word;
    bool encode;
    bool is_encoded; /* looks like an RFC 2047 word already */
};

static bool is_encoded_word(struct bytes word)
{
    return word.len > 6 && word.len <= FOREIGN_WORD_MAX && memcmp(word.data, "=?", 2) == 0 &&
           memcmp(word.data + word.len - 2, "?=", 2) == 0;
}

static bool needs_encoding(struct bytes word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.data[i] < 0x20 || word.data[i] > 0x7e)
            return true;
    return word.len > WORD_MAX_BYTES && !is_encoded_word(word);
}

static bool piece_next(struct bytes *rest, struct piece *out)
{
    size_t blanks = 0;
    size_t len;

    while (blanks < rest->len && rest->data[blanks] == ' ')
        blanks++;
    len = blanks;
    while (len < rest->len && rest->data[len] != ' ')
        len++;
    if (len == blanks)
        return false;
    out->blanks = (struct bytes){rest->data, blanks > BLANKS_MAX ? 1 : blanks};
    out->word = (struct bytes){rest->data + blanks, len - blanks};
    out->encode = needs_encoding(out->word);
    out->is_encoded = is_encoded_word(out->word);
    rest->data += len;
    rest->len -= len;
    return true;
}

/* Blanks before what comes next; the line is broken before them when it would get too long. */
static void separator_append(struct buf *out, struct bytes blanks, size_t next_len)
{
    if (blanks.len && column(out) + blanks.len + next_len > LINE_WANTED_COLUMNS)
        buf_append_str(out, "\r\n");
    buf_append_bytes(out, blanks);
}

/* From piece on, as many pieces as need encoding, as one text with the blanks between them. Blanks
 * that touch a foreign encoded word would vanish in reading, so they are encoded too. */
static bool run_append(struct buf *out, struct piece *piece, struct bytes *rest, bool after_encoded,
                       bool utf8)
{
    const uint8_t *start = after_encoded ? piece->blanks.data : piece->word.data;
    const uint8_t *end = piece->word.data + piece->word.len;
    struct bytes blanks = piece->blanks;
    struct bytes text;
    bool more;

    while ((more = piece_next(rest, piece)) && piece->encode)
        end = piece->word.data + piece->word.len;
    if (more && piece->is_encoded)
        end = piece->word.data;
    text = (struct bytes){start, (size_t)(end - start)};
    if (after_encoded)
        blanks.len = 1;
    separator_append(
        out, blanks,
        encoded_word_len(text.len < CHUNK_MAX_BYTES ? text.len : CHUNK_MAX_BYTES, utf8));
    encoded_append(out, text, utf8);
    return more;
}

enum err unstructured_append(struct buf *out, struct bytes value)
{
    CLEANUP(buf_clear) struct buf text = {0};
    bool after_encoded = false;
    struct piece piece = {0};
    struct bytes rest;
    bool more;
    bool utf8;
    enum err e = message_unfold(value, &text);

    if (e)
        return e;
    utf8 = is_utf8(buf_bytes(&text));
    rest = buf_bytes(&text);
    if (rest.len > UNSTRUCTURED_MAX_BYTES)
        rest = utf8 ? text_cut(rest, UNSTRUCTURED_MAX_BYTES)
                    : (struct bytes){rest.data, UNSTRUCTURED_MAX_BYTES};
    more = piece_next(&rest, &piece);
    while (more) {
        if (piece.encode) {
            more = run_append(out, &piece, &rest, after_encoded, utf8);
            after_encoded = false; /* a foreign word next has its blanks inside our text */
            continue;
        }
        separator_append(out, piece.blanks, piece.word.len);
        buf_append_bytes(out, piece.word);
        after_encoded = piece.is_encoded;
        more = piece_next(&rest, &piece);
    }
    return buf_error(out);
}

static bool name_needs_encoding(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.data[i] < 0x20 || name.data[i] > 0x7e ||
            (name.data[i] == '=' && i + 1 < name.len && name.data[i + 1] == '?'))
            return true;
    return false;
}

static void quoted_append(struct buf *out, struct bytes name)
{
    buf_append_str(out, "\"");
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            buf_append_str(out, "\\");
        buf_append(out, &name.data[i], 1);
    }
    buf_append_str(out, "\"");
}

/* Bytes that are not UTF-8 or control a terminal are no part of a name. */
static void name_clean(struct buf *out, const char *name)
{
    char *valid = g_utf8_make_valid(name, -1);

    for (char *s = valid; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = ' ';
    buf_append_bytes(out, text_cut(bytes_of(valid), ADDRESS_NAME_MAX_BYTES));
    g_free(valid);
}

enum err mailbox_append(struct buf *out, const char *name, const char *addr)
{
    CLEANUP(buf_clear) struct buf clean = {0};
    size_t addr_len = strlen(addr) + 2;

    if (!address_is_ascii(addr))
        return err_note(ERR_FORMAT, "mailbox_append", "address is not ASCII");
    if (name && *name)
        name_clean(&clean, name);
    if (buf_error(&clean))
        return ERR_NOMEM;
    if (!clean.len) {
        buf_append_str(out, addr);
        return buf_error(out);
    }
    if (clean.len > QUOTED_MAX_BYTES || name_needs_encoding(buf_bytes(&clean)))
        encoded_append(out, buf_bytes(&clean), true);
    else
        quoted_append(out, buf_bytes(&clean));
    buf_append_str(out, column(out) + 1 + addr_len > LINE_WANTED_COLUMNS ? "\r\n <" : " <");
    buf_append_str(out, addr);
    buf_append_str(out, ">");
    return buf_error(out);
}
