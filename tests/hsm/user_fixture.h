/* SPDX-License-Identifier: GPL-3.0-or-later */
/* user_fixture.h - the user's side of enrolment for tests: a root, a user key, an enrolment file.
 *
 * Written apart from the user's tool, so that the two can disagree. */
#ifndef SEALRELAY_TESTS_USER_FIXTURE_H
#define SEALRELAY_TESTS_USER_FIXTURE_H

#include "daemon/base/buf.h"

#include <openssl/types.h>

struct user_fixture {
    EVP_PKEY *key; /* the first user key */
    X509 *root;
    X509 *intermediate;
};

/* user_fixture_enrol - answer a "sealrelay-request 1" file by a "sealrelay-enrolment 1" file. */
enum err user_fixture_enrol(struct user_fixture *u, struct bytes request_json,
                            struct buf *enrolment_out);
void user_fixture_clear(struct user_fixture *u);

#endif
