/* SPDX-License-Identifier: GPL-3.0-or-later */
/* line.c - the text form of a journal entry. */
#include "hsm/journal/line.h"

#include "daemon/base/codec.h"

#include <inttypes.h>
#include <openssl/sha.h>
#include <string.h>

void journal_hash_of(struct bytes text, journal_hash out)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t md[SHA256_DIGEST_LENGTH];

    (void)SHA256(text.data, text.len, md);
    for (size_t i = 0; i < sizeof md; i++) {
        out[2 * i] = digits[md[i] >> 4];
        out[2 * i + 1] = digits[md[i] & 15];
    }
    out[JOURNAL_HASH_HEX] = '\0';
}

/* The next word up to a blank or the end; false when there is none. */
static bool word_next(struct bytes *rest, struct bytes *word)
{
    size_t n = 0;

    while (n < rest->len && rest->data[n] != ' ')
        n++;
    *word = (struct bytes){rest->data, n};
    if (n == 0)
        return false;
    if (n < rest->len)
        n++;
    rest->data += n;
    rest->len -= n;
    return true;
}

static bool word_copy(struct bytes word, char *out, size_t size)
{
    if (word.len >= size)
        return false;
    memcpy(out, word.data, word.len);
    out[word.len] = '\0';
    return true;
}

/* Canonical decimal without sign, at most 18 digits. */
static bool decimal_parse(struct bytes word, int64_t *out)
{
    int64_t value = 0;

    if (word.len == 0 || word.len > 18 || (word.len > 1 && word.data[0] == '0'))
        return false;
    for (size_t i = 0; i < word.len; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
        value = value * 10 + (word.data[i] - '0');
    }
    *out = value;
    return true;
}

static bool is_hash(const char *s)
{
    return strlen(s) == JOURNAL_HASH_HEX && strspn(s, "0123456789abcdef") == JOURNAL_HASH_HEX;
}

static bool is_kind(const char *s)
{
    return s[0] && strspn(s, "abcdefghijklmnopqrstuvwxyz-") == strlen(s);
}

static bool is_printable(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return false;
    return true;
}

enum err journal_line_parse(struct bytes text, struct journal_line *out)
{
    struct journal_line line = {0};
    struct bytes rest = text, hash, sequence, time, kind, profile;
    int64_t number = 0;
    char name[ID_LEN + 1];

    if (text.len < 2 || text.len > JOURNAL_LINE_MAX || text.data[text.len - 1] != '\n')
        return err_note(ERR_FORMAT, "journal line", "no LF, or too long");
    rest.len--;
    if (!is_printable(rest) || rest.data[rest.len - 1] == ' ')
        return err_note(ERR_FORMAT, "journal line", "not printable ASCII");
    if (!word_next(&rest, &hash) || !word_next(&rest, &sequence) || !word_next(&rest, &time) ||
        !word_next(&rest, &kind) || !word_next(&rest, &profile))
        return err_note(ERR_FORMAT, "journal line", "words missing");
    if (!word_copy(hash, line.previous, sizeof line.previous) || !is_hash(line.previous) ||
        !word_copy(kind, line.kind, sizeof line.kind) || !is_kind(line.kind))
        return err_note(ERR_FORMAT, "journal line", "hash or kind malformed");
    if (!decimal_parse(sequence, &number) || number == 0 || !decimal_parse(time, &line.time_s))
        return err_note(ERR_FORMAT, "journal line", "sequence or time malformed");
    line.sequence = (uint64_t)number;
    if (!bytes_equal(profile, bytes_of("-"))) {
        if (!word_copy(profile, name, sizeof name) || !id_is_valid(name))
            return err_note(ERR_FORMAT, "journal line", "profile malformed");
        memcpy(line.profile, name, sizeof name);
    }
    line.fields = rest;
    *out = line;
    return ERR_OK;
}

struct bytes journal_line_field(const struct journal_line *line, const char *key)
{
    struct bytes rest = line->fields, word;
    size_t len = strlen(key);

    while (word_next(&rest, &word))
        if (word.len > len && memcmp(word.data, key, len) == 0 && word.data[len] == '=')
            return (struct bytes){word.data + len + 1, word.len - len - 1};
    return (struct bytes){0};
}

enum err journal_line_number(const struct journal_line *line, const char *key, int64_t *out)
{
    if (!decimal_parse(journal_line_field(line, key), out))
        return err_note(ERR_FORMAT, "journal line", "%s is no number", key);
    return ERR_OK;
}

enum err journal_line_append(struct buf *out, const struct journal_line *line, const char *fields)
{
    size_t start = out->len;

    buf_printf(out, "%s %" PRIu64 " %" PRId64 " %s %s", line->previous, line->sequence,
               line->time_s, line->kind, line->profile[0] ? line->profile : "-");
    if (fields[0])
        buf_printf(out, " %s", fields);
    if (buf_error(out))
        return ERR_NOMEM;
    if (out->len - start + 1 > JOURNAL_LINE_MAX ||
        !is_printable((struct bytes){out->data + start, out->len - start}))
        return err_note(ERR_BUG, "journal line", "not fit for the journal");
    return ERR_OK;
}
