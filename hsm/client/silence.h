/* SPDX-License-Identifier: GPL-3.0-or-later */
/* silence.h - is the service silent? Then one caller asks for all, and nobody else waits.
 *
 * A service that hangs costs the first callers their whole time. Once one of them has waited in
 * vain, and nobody was answered since it began, the others fail at once; a short question about
 * once a second finds out when the service is back. */
#ifndef SEALRELAY_HSM_SILENCE_H
#define SEALRELAY_HSM_SILENCE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SILENCE_ASK_MS 1000 /* what the question may take */

struct silence {
    pthread_mutex_t lock;
    bool silent;
    bool asking;
    int64_t answered_ms; /* when anybody was answered last */
    int64_t asked_ms;
};

enum silence_advice {
    SILENCE_NONE, /* go on */
    SILENCE_ASK,  /* ask first, and report by silence_answered or silence_unanswered */
    SILENCE_WAIT  /* fail at once: somebody asks, or asked a moment ago */
};

/* silence_advise - before a call. Times are of clock_mono_ms(). */
enum silence_advice silence_advise(struct silence *s, int64_t now_ms);
/* silence_answered - any answer came, whatever it says. */
void silence_answered(struct silence *s, int64_t now_ms);
/* silence_missed - a call that began at began_ms had its whole time and got no answer. True: the
 * service is silent from now on, as nobody was answered since. */
bool silence_missed(struct silence *s, int64_t began_ms);
/* silence_unanswered - the question got no answer. */
void silence_unanswered(struct silence *s, int64_t now_ms);
bool silence_is(struct silence *s);

#endif
