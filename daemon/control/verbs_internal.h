/* SPDX-License-Identifier: GPL-3.0-or-later */
/* verbs_internal.h - the verbs' functions by file; the table in verbs.c names them. */
#ifndef SEALRELAY_CONTROL_VERBS_INTERNAL_H
#define SEALRELAY_CONTROL_VERBS_INTERNAL_H

#include "daemon/control/page.h"
#include "daemon/control/verbs.h"

/* verbs_people.c: users, aliases, correspondents */
enum err verb_user_add(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_user_list(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_alias_add(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_alias_remove(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_alias_list(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_correspondent_list(void *ctx, const cJSON *request, cJSON *answer);

/* verbs_correspondent.c */
enum err verb_correspondent_show(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_correspondent_import(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_correspondent_forget(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_correspondent_add(void *ctx, const cJSON *request, cJSON *answer);

/* verbs_bounce.c: what failed, what came back about it, and whom it suspended */
enum err add_bounces(const struct relay_verbs *v, cJSON *answer);
enum err verb_profile_suspension(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_profile_resumed(void *ctx, const cJSON *request, cJSON *answer);

/* verbs_queue.c */
enum err verb_queue_list(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_queue_show(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_queue_hold(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_queue_release(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_queue_retry(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_queue_flush(void *ctx, const cJSON *request, cJSON *answer);
enum err verb_queue_drop(void *ctx, const cJSON *request, cJSON *answer);

/* verbs_policy.c */
enum err verb_profile_policy(void *ctx, const cJSON *request, cJSON *answer);

/* verb_need_profile - the id of a profile that the request names. Errors: ERR_USAGE. */
enum err verb_need_profile(const cJSON *request, const char **out);

/* verbs_message.c */
enum err verb_message_test(void *ctx, const cJSON *request, cJSON *answer);

#endif
