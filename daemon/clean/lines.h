/* SPDX-License-Identifier: GPL-3.0-or-later */
/* lines.h - content lines of calendar entries and vCards: "group.NAME;PARAMETER=value:value",
 * folded.
 *
 * What older programs write is read too: blanks around names, parameters without a name.
 * RFC 5545 3.1, RFC 6350 3.2, 3.3. */
#ifndef SEALRELAY_CLEAN_LINES_H
#define SEALRELAY_CLEAN_LINES_H

#include "daemon/base/buf.h"

struct content_line {
    struct bytes group;      /* "item1.", mostly empty */
    struct bytes name;       /* without blanks */
    struct bytes parameters; /* ";A=b;C=d" */
    struct bytes value;
};

struct parameter {
    struct bytes whole; /* "A=b" */
    struct bytes name;
    struct bytes value; /* without quotes; empty where the parameter is a bare word */
};

/* lines_unfold - text with folds taken out and LF alone at line ends, at the end of out. vCard 2.1
 * and vCalendar 1.0 fold encoded values as their encodings do. */
void lines_unfold(struct bytes text, struct buf *out);
/* line_folded_append - a line and its end, folded. */
void line_folded_append(struct buf *out, struct bytes line);

/* line_next - the first line of the rest, without its end, and what is behind it; false: none. */
bool line_next(struct bytes *rest, struct bytes *line);
/* line_split - false: it is no content line. */
bool line_split(struct bytes line, struct content_line *out);
/* parameter_next - the first of the parameters, and what is behind it; false: none. */
bool parameter_next(struct bytes *parameters, struct parameter *out);

/* Is the value quoted-printable, is it base64 (a data: link too)? */
bool line_is_quoted(const struct content_line *l);
bool line_is_base64(const struct content_line *l);
/* quoted_append, quoted_decode - quoted-printable without line breaks, and back, at the end of out.
 */
void quoted_append(struct buf *out, struct bytes text);
void quoted_decode(struct bytes text, struct buf *out);
/* line_decode - the value of a line that is base64, at the end of out; what is none is passed by.
 */
void line_decode(const struct content_line *l, struct buf *out);

#endif
