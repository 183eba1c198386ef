/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clean_fuzz.c - any bytes as a user's reply: what leaves is 7-bit lines that servers take, a
 * header of the fields that are allowed, and holds no mailbox address of the user in clear. */
#include "tests/clean/cleaning.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void lines_check(struct bytes b)
{
    size_t column = 0;

    for (size_t i = 0; i < b.len; i++) {
        uint8_t c = b.data[i];

        require(c && c < 0x80);
        require((c == '\n') == (i > 0 && b.data[i - 1] == '\r'));
        column = c == '\n' ? 0 : column + 1;
        require(column <= 999); /* with the CR */
    }
    require(b.len > 2 && b.data[b.len - 1] == '\n');
}

static void header_check(struct bytes header)
{
    static const char *const allowed[] = {
        "From",        "To",         "Cc",           "Subject",    "Date",     "Message-ID",
        "In-Reply-To", "References", "MIME-Version", "Importance", "Priority", "Auto-Submitted"};
    CLEANUP(message_clear) struct message m = {0};

    require(message_parse(header, &m) == ERR_OK && m.body.len == 0);
    for (size_t i = 0; i < m.n_fields; i++) {
        bool known = false;

        for (size_t k = 0; k < sizeof allowed / sizeof allowed[0]; k++)
            known = known || bytes_equal_nocase(m.fields[i].name, allowed[k]);
        require(known && message_count(&m, allowed[0]) == 1);
    }
    require(message_count(&m, "Date") == 1 && message_count(&m, "Message-ID") == 1);
}

static bool continues(int c)
{
    return isalnum(c) || (c && strchr(".-_+", c));
}

/* A user's address with nothing around it that makes it another's. */
static void address_check(struct bytes b)
{
    static const char address[] = CLEANING_MAILBOX;
    size_t len = sizeof address - 1;

    for (size_t i = 0; i + len <= b.len; i++) {
        size_t before = i;

        if (strncasecmp((const char *)b.data + i, address, len) != 0)
            continue;
        if (i > 3 && memcmp(b.data + i - 3, "=\r\n", 3) == 0)
            before = i - 3; /* a soft line break of quoted-printable */
        require((before > 0 && continues(b.data[before - 1])) ||
                (i + len < b.len && (continues(b.data[i + len]) || b.data[i + len] == '=')));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_clear) struct buf raw = {0};
    CLEANUP(clean_output_clear) struct clean_output out = {0};
    struct clean_refusal refusal = {0};
    enum err e;

    for (size_t i = 0; i < size; i++)
        buf_append(&raw, data[i] == '\n' ? (const void *)"\r\n" : &data[i],
                   data[i] == '\n' ? 2 : 1);
    if (!raw.len)
        return 0;
    e = clean_message(buf_bytes(&raw), &out, &refusal);
    require((e == ERR_REFUSED) == (refusal.reason != CLEAN_NOT_REFUSED));
    if (!e) {
        lines_check(buf_bytes(&out.header));
        lines_check(buf_bytes(&out.entity));
        header_check(buf_bytes(&out.header));
        address_check(buf_bytes(&out.header));
        address_check(buf_bytes(&out.entity));
    }
    require(!e || !out.header.data);
    err_note_clear();
    return 0;
}
