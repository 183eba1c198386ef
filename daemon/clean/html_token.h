/* SPDX-License-Identifier: GPL-3.0-or-later */
/* html_token.h - HTML as a browser's tokenizer cuts it: tags, text, comments (HTML 13.2.5). */
#ifndef SEALRELAY_CLEAN_HTML_TOKEN_H
#define SEALRELAY_CLEAN_HTML_TOKEN_H

#include "daemon/base/buf.h"

enum html_kind { HTML_TEXT, HTML_OPEN, HTML_CLOSE, HTML_DOCTYPE, HTML_COMMENT };

struct html_token {
    enum html_kind kind;
    struct bytes text;       /* of text and doctype: all of it */
    struct bytes name;       /* of tags, as written */
    struct bytes attributes; /* of an opening tag: all between name and ">" */
};

struct html_attribute {
    struct bytes name;
    struct bytes value; /* without quotes, references not undone */
    bool has_value;
};

/* html_next - the next token of rest, which moves behind it; false at the end. Unclosed comments
 * and tags reach to the end of the text, as in browsers. */
bool html_next(struct bytes *rest, struct html_token *out);
/* html_attribute_next - the next attribute of a token's attributes, which move behind it. */
bool html_attribute_next(struct bytes *attributes, struct html_attribute *out);
/* html_raw_text - what stands before the closing tag of an element whose content is no markup
 * (style, script); rest moves to that tag. */
struct bytes html_raw_text(struct bytes *rest, const char *name);

#endif
