/* SPDX-License-Identifier: GPL-3.0-or-later */
/* issue_case.h - what the tests of the authority's rules share: the kit their cases run on, and an
 * assertion that tells the cause. */
#ifndef SEALRELAY_TESTS_ISSUE_CASE_H
#define SEALRELAY_TESTS_ISSUE_CASE_H

#include "tests/hsm/issue_kit.h"

extern struct kit kit;

/* case_group_start, case_group_end - set-up and tear-down of a group: kit with the usual limits. */
int case_group_start(void **state);
int case_group_end(void **state);
/* case_group_start_roomy - a hundred profiles a user. */
int case_group_start_roomy(void **state);

/* state_of, certs_of - a profile's state, and how many certificates it is sealed to. */
enum profile_state state_of(const char *profile);
size_t certs_of(const char *profile);

/* assert_err - call ends so; otherwise its note is printed. */
#define assert_err(call, wanted)                                                                   \
    do {                                                                                           \
        err_note_clear();                                                                          \
        enum err got_ = (call);                                                                    \
        if (got_ != (wanted))                                                                      \
            print_error("%s: got %s (%s: %s)\n", #call, err_name(got_), err_note_get()->action,    \
                        err_note_get()->detail);                                                   \
        assert_int_equal(got_, (wanted));                                                          \
    } while (0)

#endif
