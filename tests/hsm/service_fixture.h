/* SPDX-License-Identifier: GPL-3.0-or-later */
/* service_fixture.h - sealhsmd itself, running on a private SoftHSM, for tests of its clients.
 *
 * The service is a process of its own, as in life: tests may stop it, kill it and start it again.
 * All of a fixture lies in its token's folder. */
#ifndef SEALRELAY_TESTS_SERVICE_FIXTURE_H
#define SEALRELAY_TESTS_SERVICE_FIXTURE_H

#include "hsm/hsm_admin.h"
#include "tests/hsm/softhsm_fixture.h"

#include <sys/types.h>

#define SERVICE_DOMAIN  "relay.example"
#define SERVICE_MAILBOX "user@mailbox.example"

struct service_fixture {
    struct softhsm_fixture softhsm;
    char conf[96];
    char relay_socket[96];
    char admin_socket[96];
    char web_socket[96];
    pid_t pid; /* 0: not running */
};

/* service_fixture_new - token, configuration, service started, service keys made.
 *   limits  lines of the [limits] section, or "" */
enum err service_fixture_new(struct service_fixture *f, const char *limits);
/* service_fixture_free - end the service by SIGTERM and remove everything. False: it did not end
 * with exit code 0 (which includes a sanitizer's complaint). */
bool service_fixture_free(struct service_fixture *f);

/* service_fixture_start - start, and wait until it answers. */
enum err service_fixture_start(struct service_fixture *f);
/* service_fixture_end - send a signal, wait for the end; the wait status. */
int service_fixture_end(struct service_fixture *f, int signal);
/* service_fixture_spawn - run the program with these arguments behind its name (NULL-ended), its
 * standard error to a file or, if NULL, inherited. */
enum err service_fixture_spawn(const char *const *arguments, const char *stderr_path,
                               pid_t *pid_out);

/* service_fixture_open - a client of one socket. */
struct hsm *service_fixture_open(const char *socket, unsigned timeout_ms);

/* service_fixture_profile - an active profile of a new user: made, enrolled by a test user with a
 * root and a key of its own, activated with its code. */
enum err service_fixture_profile(const struct service_fixture *f, enum key_type type,
                                 id_text profile_out);

#endif
