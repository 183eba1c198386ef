/* SPDX-License-Identifier: GPL-3.0-or-later */
/* journal_line_test.c - what is a line of the journal, and what is not. */
#include "hsm/journal/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void malformed_lines_are_refused(void **state)
{
#define H "0000000000000000000000000000000000000000000000000000000000000000"
    static const struct {
        const char *text;
        enum err wanted;
    } cases[] = {
        {H " 1 0 profile aaaaaaaaaaaaaaaa user=x\n", ERR_OK},
        {H " 1 0 checkpoint -\n", ERR_OK},
        {"", ERR_FORMAT},
        {"\n", ERR_FORMAT},
        {H " 1 0 profile aaaaaaaaaaaaaaaa user=x", ERR_FORMAT},
        {H " 0 0 profile -\n", ERR_FORMAT},
        {H " 01 0 profile -\n", ERR_FORMAT},
        {H " 1 -1 profile -\n", ERR_FORMAT},
        {H " 1 0 PROFILE -\n", ERR_FORMAT},
        {H " 1 0 averyveryverylongkind -\n", ERR_FORMAT},
        {H " 1 0 profile aaaa\n", ERR_FORMAT},
        {H " 1 0 profile\n", ERR_FORMAT},
        {H " 1 0 profile - \n", ERR_FORMAT},
        {H " 1 0 profile - a=\x7f\n", ERR_FORMAT},
        {H " 1 0 profile - a=b\r\n", ERR_FORMAT},
        {"000000000000000000000000000000000000000000000000000000000000000G 1 0 profile -\n",
         ERR_FORMAT},
        {H " 9999999999999999999 0 profile -\n", ERR_FORMAT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct journal_line line;

        if (journal_line_parse(bytes_of(cases[i].text), &line) != cases[i].wanted)
            fail_msg("%s", cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_lines_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
