/* SPDX-License-Identifier: GPL-3.0-or-later */
/* line.h - one journal entry as text: pure parsing and composing, no file, no token.
 *
 * A line is printable ASCII and ends in LF:
 *   <hex SHA-256 of the preceding line, LF included> <sequence> <time> <kind> <profile or ->
 *   [ <key>=<value>]...
 * The first line's hash is 64 zeros. Keys and values hold no blank. The last field is an HMAC by
 * the token over what precedes it (mac=), of a checkpoint a signature (sig=). */
#ifndef SEALRELAY_HSM_JOURNAL_LINE_H
#define SEALRELAY_HSM_JOURNAL_LINE_H

#include "daemon/base/buf.h"
#include "daemon/base/id.h"

#define JOURNAL_LINE_MAX 2048 /* bytes, LF included */
#define JOURNAL_KIND_MAX 16
#define JOURNAL_HASH_HEX 64

typedef char journal_hash[JOURNAL_HASH_HEX + 1]; /* lower-case hex SHA-256 */

struct journal_line {
    journal_hash previous;
    uint64_t sequence; /* from 1 */
    int64_t time_s;
    char kind[JOURNAL_KIND_MAX + 1];
    id_text profile;     /* empty for "-" */
    struct bytes fields; /* borrowed from the text: "key=value key=value", may be empty */
};

/* journal_line_parse - text includes its LF. Errors: ERR_FORMAT. */
enum err journal_line_parse(struct bytes text, struct journal_line *out);

/* journal_line_field - the value of a key, borrowed; data is NULL when there is none. */
struct bytes journal_line_field(const struct journal_line *line, const char *key);
/* journal_line_number - a decimal field. Errors: ERR_FORMAT. */
enum err journal_line_number(const struct journal_line *line, const char *key, int64_t *out);

/* journal_line_append - everything before the LF, appended to out. profile: NULL or "" for "-".
 * Errors: ERR_BUG (a field holds anything but printable ASCII, or the line is too long). */
enum err journal_line_append(struct buf *out, const struct journal_line *line, const char *fields);

/* journal_hash_of - hex SHA-256 of one or more whole bytes. */
void journal_hash_of(struct bytes text, journal_hash out);

#endif
