/* SPDX-License-Identifier: GPL-3.0-or-later */
/* statement.c - the enrolment statement's text: what the root key signs before it is dropped, so
 * that the key service knows the user meant this intermediate, these names and this first key. */
#include "hsm/issue/certificate.h"

#include <stdlib.h>
#include <string.h>

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_word(const char *s)
{
    if (!*s)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s <= 0x20 || (unsigned char)*s > 0x7e)
            return false;
    return true;
}

/* One line of words, sorted by byte value and joined by one space. */
static enum err append_sorted(struct buf *out, const char *const *words, size_t n)
{
    const char **sorted = malloc((n ? n : 1) * sizeof *sorted);
    enum err e = ERR_OK;

    if (!sorted)
        return ERR_NOMEM;
    for (size_t i = 0; i < n; i++)
        sorted[i] = words[i];
    qsort(sorted, n, sizeof *sorted, compare_text);
    for (size_t i = 0; !e && i < n; i++) {
        if (!is_word(sorted[i]))
            e = err_note(ERR_FORMAT, "enrolment statement", "not a plain word");
        else
            buf_printf(out, "%s%s", i ? " " : "", sorted[i]);
    }
    buf_append_str(out, "\n");
    free(sorted);
    return e;
}

enum err enrolment_statement_text(const char *profile, const struct cert_values *values,
                                  const char *intermediate_spki, const char *user_spki,
                                  struct buf *out)
{
    enum err e;

    if (!is_word(profile) || !is_word(intermediate_spki) || !is_word(user_spki))
        return err_note(ERR_FORMAT, "enrolment statement", "not a plain word");
    buf_printf(out, "sealrelay-enrolment 1\n%s\n", profile);
    e = append_sorted(out, values->domains, values->n_domains);
    if (!e)
        e = append_sorted(out, values->addresses, values->n_addresses);
    buf_printf(out, "%s\n%s\n", intermediate_spki, user_spki);
    return e ? e : buf_error(out);
}
