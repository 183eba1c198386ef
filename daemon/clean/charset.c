/* SPDX-License-Identifier: GPL-3.0-or-later */
/* charset.c - iconv over a whole text, with something for every byte. RFC 2046 4.1.2.
 *
 * Mail is labelled with the standard's name where it means a vendor's superset, and with names that
 * no standard knows: they are read as browsers and mail clients do (WHATWG Encoding 4.2). */
#include "daemon/clean/charset.h"
#include "daemon/base/utf8.h"

#include <errno.h>
#include <glib.h>
#include <iconv.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_BYTES     4096u
#define LABEL_MAX_BYTES 63u

/* iconv knows no vendor's characters in it: see jis_to_cp932. */
#define ISO_2022_JP "ISO-2022-JP"
#define UTF_8       "UTF-8"
#define US_ASCII    "US-ASCII" /* or UTF-8, or windows-1252: no label, or one that is often wrong */

#define NO_CONVERTER ((iconv_t)-1)

static void converter_close(iconv_t *cd)
{
    if (*cd != NO_CONVERTER)
        (void)iconv_close(*cd);
}

/* All of in, or up to a byte that cannot be converted; false at such a byte. */
static bool run(iconv_t cd, char **in, size_t *left, struct buf *out)
{
    char chunk[CHUNK_BYTES];

    for (;;) {
        char *to = chunk;
        size_t room = sizeof chunk;
        size_t done = iconv(cd, left ? in : NULL, left, &to, &room);

        buf_append(out, chunk, sizeof chunk - room);
        if (done != (size_t)-1)
            return true;
        if (errno != E2BIG)
            return false;
    }
}

static void convert(iconv_t cd, struct bytes text, struct buf *out)
{
    char *in = (char *)(uintptr_t)text.data; /* iconv's type; it only reads */
    size_t left = text.len;

    while (left && !out->failed && !run(cd, &in, &left, out)) {
        buf_append_str(out, "\xef\xbf\xbd");
        in++;
        left--;
    }
    (void)run(cd, NULL, NULL, out);
}

/* Labels without case, without "x-" and but for letters and digits; what is not here is iconv's. */
static const struct {
    const char *label, *charset;
} labels[] = {
    {"ascii", US_ASCII},
    {"usascii", US_ASCII},
    {"ansix341968", US_ASCII},
    {"cp65001", UTF_8},
    {"unicode11utf8", UTF_8},
    {"unicode11utf7", "UTF-7"},
    {"csunicode11utf7", "UTF-7"},
    {"unicode20utf7", "UTF-7"},
    {"iso88591", "WINDOWS-1252"},
    {"iso885911987", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"l1", "WINDOWS-1252"},
    {"ibm819", "WINDOWS-1252"},
    {"cp819", "WINDOWS-1252"},
    {"csisolatin1", "WINDOWS-1252"},
    {"ansi", "WINDOWS-1252"},
    {"iso88599", "WINDOWS-1254"},
    {"iso885991989", "WINDOWS-1254"},
    {"latin5", "WINDOWS-1254"},
    {"csisolatin5", "WINDOWS-1254"},
    {"iso885911", "WINDOWS-874"},
    {"tis620", "WINDOWS-874"},
    {"dos874", "WINDOWS-874"},
    {"iso88596e", "ISO-8859-6"},
    {"iso88596i", "ISO-8859-6"},
    {"iso88598e", "ISO-8859-8"},
    {"iso88598i", "ISO-8859-8"},
    {"logical", "ISO-8859-8"},
    {"visual", "ISO-8859-8"},
    {"gb2312", "GB18030"},
    {"gb23121980", "GB18030"},
    {"gb231280", "GB18030"},
    {"csgb2312", "GB18030"},
    {"euccn", "GB18030"},
    {"gbk", "GB18030"},
    {"cp936", "GB18030"},
    {"ms936", "GB18030"},
    {"chinese", "GB18030"},
    {"big5", "CP950"},
    {"csbig5", "CP950"},
    {"cnbig5", "CP950"},
    {"shiftjis", "CP932"},
    {"sjis", "CP932"},
    {"mskanji", "CP932"},
    {"csshiftjis", "CP932"},
    {"cp943", "CP932"},
    {"windows31j", "CP932"},
    {"eucjp", "EUC-JP-MS"},
    {"cp51932", "EUC-JP-MS"},
    {"cseucpkdfmtjapanese", "EUC-JP-MS"},
    {"csiso2022jp", ISO_2022_JP},
    {"iso2022jp", ISO_2022_JP},
    {"iso2022jpms", ISO_2022_JP},
    {"cp50220", ISO_2022_JP},
    {"cp50221", ISO_2022_JP},
    {"cp50222", ISO_2022_JP},
    {"ksc56011987", "CP949"},
    {"ksc56011989", "CP949"},
    {"ksc5601", "CP949"},
    {"csksc56011987", "CP949"},
    {"euckr", "CP949"},
    {"cseuckr", "CP949"},
    {"korean", "CP949"},
    {"isoir149", "CP949"},
    {"macroman", "MACINTOSH"},
    {"maccyrillic", "MAC-CYRILLIC"},
    {"macukrainian", "MAC-CYRILLIC"},
};

/* What may stand before the number of a code page, and stands before it in labels and in iconv. */
static const char *const code_pages[] = {"windows", "win", "ibm", "dos", "cp"};

/* As labels has it; a code page is "cp" and its number. */
static void label_fold(const char *label, char folded[LABEL_MAX_BYTES + 1])
{
    char plain[LABEL_MAX_BYTES + 1] = "";
    size_t len = 0;

    for (const char *p = label; *p && len < LABEL_MAX_BYTES; p++) {
        if (*p == '-' && len == 1 && plain[0] == 'x')
            len = 0;
        else if (g_ascii_isalnum(*p))
            plain[len++] = g_ascii_tolower(*p);
    }
    plain[len] = '\0';
    (void)snprintf(folded, LABEL_MAX_BYTES + 1, "%s", plain);
    for (size_t i = 0; i < sizeof code_pages / sizeof code_pages[0]; i++) {
        size_t skip = strlen(code_pages[i]);

        if (strncmp(plain, code_pages[i], skip) == 0 && len > skip &&
            strspn(plain + skip, "0123456789") == len - skip)
            (void)snprintf(folded, LABEL_MAX_BYTES + 1, "cp%.20s", plain + skip);
    }
}

/* The label's first word: some have blanks, quotes or a parameter's rest around it. */
static void label_word(const char *label, char word[LABEL_MAX_BYTES + 1])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-_.:+()";
    size_t len;

    label += strspn(label, " \t\r\n\"'");
    len = strspn(label, letters);
    (void)snprintf(word, LABEL_MAX_BYTES + 1, "%.*s", (int)(len < LABEL_MAX_BYTES ? len : 0),
                   label);
}

/* The name in the table; NULL: ask iconv, by the word or as it is folded. */
static const char *charset_name(const char *word, char folded[LABEL_MAX_BYTES + 1])
{
    label_fold(word, folded);
    if (strncmp(folded, "utf8", 4) == 0)
        return UTF_8;
    for (size_t i = 0; i < sizeof labels / sizeof labels[0]; i++)
        if (strcmp(folded, labels[i].label) == 0)
            return labels[i].charset;
    return NULL;
}

/* The character set that an escape sequence begins; false: another one than CP932 can hold. */
enum jis_set { JIS_ASCII, JIS_KANA, JIS_KANJI };

static bool jis_set_find(const uint8_t *sequence, enum jis_set *set)
{
    static const struct {
        char sequence[3];
        enum jis_set set;
    } sets[] = {{"(B", JIS_ASCII},
                {"(J", JIS_ASCII},
                {"(I", JIS_KANA},
                {"$@", JIS_KANJI},
                {"$B", JIS_KANJI}};

    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if (memcmp(sequence, sets[i].sequence, 2) == 0) {
            *set = sets[i].set;
            return true;
        }
    return false;
}

static bool is_jis(uint8_t c)
{
    return c > 0x20 && c < 0x7f;
}

/* JIS X 0208 Appendix 1: two rows of 94 in one of 188. */
static void kanji_append(uint8_t row, uint8_t cell, struct buf *out)
{
    const uint8_t pair[2] = {
        (uint8_t)((row + 1) / 2 + (row < 0x5f ? 0x70 : 0xb0)),
        (uint8_t)(row % 2 ? cell + (cell < 0x60 ? 0x1f : 0x20) : cell + 0x7e),
    };

    buf_append(out, pair, sizeof pair);
}

/* ISO-2022-JP as Windows writes it: the rows that JIS X 0208 leaves free are those of CP932. RFC
 * 1468; false when it holds what that does not name. */
static bool jis_to_cp932(struct bytes text, struct buf *out)
{
    enum jis_set set = JIS_ASCII;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if (c == 0x1b) {
            if (text.len - i < 3 || !jis_set_find(text.data + i + 1, &set))
                return false;
            i += 2;
        } else if (set == JIS_KANJI && is_jis(c) && i + 1 < text.len && is_jis(text.data[i + 1])) {
            kanji_append(c, text.data[++i], out);
        } else {
            c = (uint8_t)(set == JIS_KANA && c > 0x20 && c < 0x60 ? c | 0x80 : c);
            buf_append(out, &c, 1);
        }
    }
    return true;
}

static iconv_t converter_open(const char *name)
{
    return iconv_open("UTF-8", name);
}

/* NO_CONVERTER for a label that nobody knows. text: put into a form that iconv reads. */
static iconv_t converter_find(const char *word, struct bytes *text, struct buf *translated)
{
    char folded[LABEL_MAX_BYTES + 1];
    const char *name = charset_name(word, folded);
    iconv_t cd = NO_CONVERTER;

    if (name && strcmp(name, ISO_2022_JP) == 0) {
        if (!jis_to_cp932(*text, translated))
            return converter_open("ISO-2022-JP-2");
        *text = buf_bytes(translated);
        return converter_open("CP932");
    }
    if (name)
        return converter_open(strcmp(name, US_ASCII) == 0 ? "WINDOWS-1252" : name);
    if (*word)
        cd = converter_open(word);
    return cd == NO_CONVERTER && *folded ? converter_open(folded) : cd;
}

/* Does the label leave it to the text whether it is UTF-8? */
static bool is_open_label(const char *word)
{
    char folded[LABEL_MAX_BYTES + 1];
    const char *name = charset_name(word, folded);

    return name && (strcmp(name, UTF_8) == 0 || strcmp(name, US_ASCII) == 0);
}

enum err charset_to_utf8(struct bytes text, const char *charset, struct buf *out, bool *guessed)
{
    CLEANUP(converter_close) iconv_t cd = NO_CONVERTER;
    CLEANUP(buf_wipe) struct buf translated = {0};
    char word[LABEL_MAX_BYTES + 1];

    *guessed = false;
    if (!charset || !charset[strspn(charset, " \t\r\n")])
        charset = US_ASCII;
    label_word(charset, word);
    if (!is_open_label(word) || !utf8_is_valid(text))
        cd = converter_find(word, &text, &translated);
    if (translated.failed)
        return ERR_NOMEM;
    if (cd == NO_CONVERTER && utf8_is_valid(text)) {
        buf_append_bytes(out, text);
        return buf_error(out);
    }
    *guessed = cd == NO_CONVERTER;
    if (*guessed)
        cd = converter_open("WINDOWS-1252");
    if (cd == NO_CONVERTER)
        return err_note(ERR_NOMEM, "iconv_open", "no converter");
    convert(cd, text, out);
    return buf_error(out);
}

/* How long the label is that begins the text, up to what follows one in an encoded word; 0: none.
 */
static size_t word_label_len(struct bytes text)
{
    size_t len = 0;

    while (len < text.len && len <= LABEL_MAX_BYTES &&
           (g_ascii_isalnum((char)text.data[len]) || strchr("-_.:+()", text.data[len])) &&
           text.data[len])
        len++;
    return len && len <= LABEL_MAX_BYTES && len < text.len && strchr("?*", text.data[len]) ? len
                                                                                           : 0;
}

/* A label as GMime knows it; what a converter alone does not do is left to it. */
static void label_append(struct bytes label, struct buf *out)
{
    char word[LABEL_MAX_BYTES + 1];
    char folded[LABEL_MAX_BYTES + 1];
    const char *name;

    (void)snprintf(word, sizeof word, "%.*s", (int)label.len, (const char *)label.data);
    name = charset_name(word, folded);
    if (!name && strncmp(folded, "cp", 2) == 0)
        name = folded;
    if (!name || strcmp(name, ISO_2022_JP) == 0 || strcmp(name, US_ASCII) == 0)
        buf_append_bytes(out, label);
    else
        buf_append_str(out, name);
}

enum err charset_words_name(struct bytes value, struct buf *out)
{
    while (value.len) {
        const uint8_t *found = memmem(value.data, value.len, "=?", 2);
        size_t n = found ? (size_t)(found - value.data) + 2 : value.len;
        struct bytes label;

        buf_append(out, value.data, n);
        value = (struct bytes){value.data + n, value.len - n};
        label = (struct bytes){value.data, word_label_len(value)};
        label_append(label, out);
        value = (struct bytes){value.data + label.len, value.len - label.len};
    }
    return buf_error(out);
}
