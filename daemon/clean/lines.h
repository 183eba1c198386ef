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

/* lines_unfold - text with folds taken out and LF alone at line ends, at the end of out. */
void lines_unfold(struct bytes text, struct buf *out);
/* line_folded_append - a line and its end, folded. */
void line_folded_append(struct buf *out, struct bytes line);

/* line_next - the first line of the rest, without its end, and what is behind it; false: none. */
bool line_next(struct bytes *rest, struct bytes *line);
/* line_split - false: it is no content line. */
bool line_split(struct bytes line, struct content_line *out);
/* parameter_next - the first of the parameters, and what is behind it; false: none. */
bool parameter_next(struct bytes *parameters, struct parameter *out);

#endif
