/* SPDX-License-Identifier: GPL-3.0-or-later */
/* token_rate.c - how many signatures a second the token itself makes: the ceiling that sealed
 * throughput is told against.
 *
 * usage: token_rate MODULE URI PIN_FILE STATE_DIR KEY_TYPE THREADS SECONDS */
#include "daemon/base/clock.h"
#include "hsm/token/token.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 16
#define PROFILE     "aaaaaaaaaaaaaaaa"
#define REVERSE     "r-aaaaaaaaaaaaaaaa@relay.example.com"

struct worker {
    pthread_t thread;
    struct token *token;
    struct hsm_key_ref key;
    enum hsm_mechanism mechanism;
    int64_t end_ms;
    unsigned long done;
    enum err result;
};

static void *sign_until_end(void *arg)
{
    struct worker *w = arg;
    uint8_t digest[32];

    memset(digest, 0x5a, sizeof digest);
    while (!w->result && clock_mono_ms() < w->end_ms) {
        CLEANUP(buf_clear) struct buf out = {0};

        w->result = token_sender_use(w->token, &w->key, w->mechanism, "SHA256", NULL,
                                     (struct bytes){digest, sizeof digest}, &out);
        w->done++;
    }
    return NULL;
}

static enum err measure(struct token *t, enum key_type type, unsigned threads, unsigned seconds)
{
    static struct worker workers[THREADS_MAX];
    CLEANUP(buf_clear) struct buf blob = {0};
    EVP_PKEY *public = NULL;
    unsigned long done = 0;
    enum err e = token_init(t);

    if (!e)
        e = token_kek_new(t, PROFILE, 1);
    if (!e)
        e = token_sender_new(t, PROFILE, 1, type, REVERSE, false, &blob, &public);
    EVP_PKEY_free(public);
    for (unsigned i = 0; !e && i < threads; i++) {
        workers[i] = (struct worker){
            .token = t,
            .key = {.profile = PROFILE, .reverse = REVERSE, .blob = buf_bytes(&blob)},
            .mechanism = type == KEY_P256 ? HSM_SIGN_ECDSA : HSM_SIGN_PKCS1,
            .end_ms = clock_mono_ms() + (int64_t)seconds * 1000};
        if (pthread_create(&workers[i].thread, NULL, sign_until_end, &workers[i]) != 0)
            return ERR_NOMEM;
    }
    for (unsigned i = 0; !e && i < threads; i++) {
        (void)pthread_join(workers[i].thread, NULL);
        done += workers[i].done;
        if (workers[i].result)
            return workers[i].result;
    }
    if (!e)
        printf("%lu\n", done / seconds);
    return e;
}

int main(int argc, char **argv)
{
    struct token *token = NULL;
    enum key_type type;
    unsigned long threads, seconds;
    enum err e;

    if (argc != 8) {
        (void)fputs("usage: token_rate MODULE URI PIN_FILE STATE_DIR KEY_TYPE THREADS SECONDS\n",
                    stderr);
        return 64;
    }
    struct token_options options = {.module = argv[1],
                                    .ca_uri = argv[2],
                                    .sender_uri = argv[2],
                                    .pin_file = argv[3],
                                    .state_dir = argv[4],
                                    .pool_size = 1,
                                    .pool_share = 1};
    threads = strtoul(argv[6], NULL, 10);
    seconds = strtoul(argv[7], NULL, 10);
    if (key_type_parse(argv[5], &type) || threads < 1 || threads > THREADS_MAX || seconds < 1)
        return 64;
    e = token_open(&options, &token);
    if (!e)
        e = measure(token, type, (unsigned)threads, (unsigned)seconds);
    if (e)
        (void)fprintf(stderr, "token_rate: %s: %s: %s\n", err_name(e), err_note_get()->action,
                      err_note_get()->detail);
    token_close(token);
    return e ? 1 : 0;
}
