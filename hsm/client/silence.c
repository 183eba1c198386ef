/* SPDX-License-Identifier: GPL-3.0-or-later */
/* silence.c - what is known of whether the service answers, shared by all calls of a handle. */
#include "hsm/client/silence.h"

#define ASK_EVERY_MS 500 /* between the end of one question and the next */

enum silence_advice silence_advise(struct silence *s, int64_t now_ms)
{
    enum silence_advice advice = SILENCE_NONE;

    (void)pthread_mutex_lock(&s->lock);
    if (s->silent && (s->asking || now_ms - s->asked_ms < ASK_EVERY_MS)) {
        advice = SILENCE_WAIT;
    } else if (s->silent) {
        advice = SILENCE_ASK;
        s->asking = true;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return advice;
}

void silence_answered(struct silence *s, int64_t now_ms)
{
    (void)pthread_mutex_lock(&s->lock);
    s->answered_ms = now_ms;
    s->silent = false;
    s->asking = false;
    (void)pthread_mutex_unlock(&s->lock);
}

bool silence_missed(struct silence *s, int64_t began_ms)
{
    bool silent;

    (void)pthread_mutex_lock(&s->lock);
    if (s->answered_ms < began_ms)
        s->silent = true;
    silent = s->silent;
    (void)pthread_mutex_unlock(&s->lock);
    return silent;
}

void silence_unanswered(struct silence *s, int64_t now_ms)
{
    (void)pthread_mutex_lock(&s->lock);
    s->asking = false;
    s->asked_ms = now_ms;
    (void)pthread_mutex_unlock(&s->lock);
}

bool silence_is(struct silence *s)
{
    bool silent;

    (void)pthread_mutex_lock(&s->lock);
    silent = s->silent;
    (void)pthread_mutex_unlock(&s->lock);
    return silent;
}
