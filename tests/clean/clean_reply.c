/* SPDX-License-Identifier: GPL-3.0-or-later */
/* clean_reply.c - for tests in other languages: messages on standard input, each as a line with its
 * length in bytes and then the bytes; for each on standard output a line "STATUS LENGTH", STATUS
 * being "ok" or the name of an error with reason and part, warnings behind LENGTH, then the
 * message.
 */
#include "tests/clean/cleaning.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_MAX_BYTES ((size_t)256 * 1024 * 1024)

static void result_print(enum err e, const struct clean_output *o, const struct clean_refusal *r)
{
    if (e) {
        (void)printf("%s:%d:%s 0\n", err_name(e), (int)r->reason, r->part);
        return;
    }
    (void)printf("ok %zu", o->header.len + o->entity.len);
    for (size_t i = 0; i < o->n_warnings; i++)
        (void)printf(" %d:%s", (int)o->warnings[i].kind, o->warnings[i].part);
    (void)printf("\n");
    (void)fwrite(o->header.data, 1, o->header.len, stdout);
    (void)fwrite(o->entity.data, 1, o->entity.len, stdout);
}

static bool one_clean(size_t len)
{
    struct bytes raw = {0};
    struct clean_output out = {0};
    struct clean_refusal refusal = {0};
    uint8_t *data = malloc(len + 1);
    enum err e;

    if (!data || fread(data, 1, len, stdin) != len) {
        free(data);
        return false;
    }
    raw = (struct bytes){data, len};
    e = clean_message(raw, &out, &refusal);
    result_print(e, &out, &refusal);
    (void)fflush(stdout);
    clean_output_clear(&out);
    free(data);
    err_note_clear();
    return true;
}

int main(void)
{
    char line[32];

    while (fgets(line, sizeof line, stdin)) {
        unsigned long len = strtoul(line, NULL, 10);

        if (len > MESSAGE_MAX_BYTES || !one_clean(len))
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
