/* SPDX-License-Identifier: GPL-3.0-or-later */
/* form.c - which addresses may be aliases and mailboxes. */
#include "daemon/store/form.h"

#include <string.h>

#define LOCAL_MAX  64 /* bytes, RFC 5321 4.5.3.1.1 */
#define LABEL_MAX  63 /* bytes, RFC 1035 2.3.4 */
#define NAME_MAX_B 64 /* bytes of a user's name */

static const char lower_alnum[] = "abcdefghijklmnopqrstuvwxyz0123456789";

static void lower(char *s)
{
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s + 32);
}

enum err form_lower(const char *s, address_text out)
{
    size_t len = s ? strlen(s) : 0;

    if (len == 0 || len > HSM_ADDRESS_MAX)
        return err_note(ERR_FORMAT, "address", "%zu bytes", len);
    memcpy(out, s, len + 1);
    lower(out);
    return ERR_OK;
}

enum err form_lower_domain(const char *s, address_text out)
{
    size_t len = s ? strlen(s) : 0;
    char *at;

    if (len == 0 || len > HSM_ADDRESS_MAX)
        return err_note(ERR_FORMAT, "address", "%zu bytes", len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return err_note(ERR_FORMAT, "address", "control byte");
    memcpy(out, s, len + 1);
    at = strrchr(out, '@');
    if (at)
        lower(at);
    return ERR_OK;
}

static bool is_host(const char *s)
{
    size_t labels = 0;

    for (;; s++) {
        size_t len = strcspn(s, ".");

        if (len == 0 || len > LABEL_MAX || s[0] == '-' || s[len - 1] == '-')
            return false;
        for (size_t i = 0; i < len; i++)
            if (!strchr(lower_alnum, s[i]) && s[i] != '-')
                return false;
        labels++;
        s += len;
        if (!*s)
            return labels >= 2;
    }
}

static bool is_dot_atom(const char *s, size_t len)
{
    if (len == 0 || len > LOCAL_MAX || s[0] == '.' || s[len - 1] == '.')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '.' && s[i - 1] == '.')
            return false;
        if (s[i] != '.' && !strchr(lower_alnum, s[i]) && !strchr("!#$%&'*+-/=?^_`{|}~", s[i]))
            return false;
    }
    return true;
}

bool form_is_address(const char *s)
{
    const char *at = strrchr(s, '@');

    return at && strlen(s) <= HSM_ADDRESS_MAX && is_dot_atom(s, (size_t)(at - s)) &&
           is_host(at + 1);
}

bool form_is_catch_all(const char *s)
{
    return s[0] == '*' && s[1] == '@' && strlen(s) <= HSM_ADDRESS_MAX && is_host(s + 2);
}

bool form_is_reverse(const char *s)
{
    return s[0] == 'r' && s[1] == '-' &&
           strspn(s + 2, "abcdefghijklmnopqrstuvwxyz234567") == ID_LEN && s[2 + ID_LEN] == '@' &&
           is_host(s + 3 + ID_LEN);
}

bool form_is_reserved(const char *s)
{
    return form_is_reverse(s) || (s[0] == 'b' && s[1] == '-');
}

/* The length of one UTF-8 sequence, 0 when malformed (RFC 3629; overlong forms refused). */
static size_t utf8_len(const unsigned char *s)
{
    size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;

    if (s[0] > 0xf4 || (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

bool form_is_name(const char *s)
{
    size_t len = s ? strlen(s) : 0;

    if (len == 0 || len > NAME_MAX_B || s[0] == ' ' || s[len - 1] == ' ' || id_is_valid(s))
        return false;
    for (const unsigned char *p = (const unsigned char *)s; *p;) {
        size_t step = utf8_len(p);

        /* C0, DEL and, as U+0080 to U+009F, C1 controls */
        if (step == 0 || *p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0))
            return false;
        p += step;
    }
    return true;
}
