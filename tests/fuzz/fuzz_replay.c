/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fuzz_replay.c - runs a fuzz target over its seeds without a fuzzer, so that CTest can.
 *
 * Each file of the folders named is given whole, then cut off at every length, then with each byte
 * inverted (for the first REPLAY_MUTATED bytes). Every input lies in memory of exactly its size, so
 * that a sanitizer sees the first byte read too far. An empty or missing folder is a failure. */
#include "daemon/base/fdio.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_SEED_MAX ((size_t)4 * 1024 * 1024) /* bytes of a seed */
#define REPLAY_MUTATED  2048u                     /* leading bytes that are cut and inverted */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay_bytes(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);

    if (!exact)
        return false;
    if (len)
        memcpy(exact, data, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return true;
}

static bool replay_seed(struct buf *seed)
{
    size_t n = seed->len < REPLAY_MUTATED ? seed->len : REPLAY_MUTATED;

    if (!replay_bytes(seed->data, seed->len))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!replay_bytes(seed->data, i))
            return false;
        seed->data[i] ^= 0xff;
        if (!replay_bytes(seed->data, seed->len))
            return false;
        seed->data[i] ^= 0xff;
    }
    return true;
}

static bool replay_file(const char *path)
{
    CLEANUP(buf_clear) struct buf seed = {0};

    if (file_read(path, REPLAY_SEED_MAX, &seed)) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        return false;
    }
    return replay_seed(&seed);
}

/* The number of seeds run, or -1. */
static int replay_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int n = 0;

    if (!dir) {
        (void)fprintf(stderr, "%s: no such folder\n", folder);
        return -1;
    }
    while (n >= 0 && (entry = readdir(dir))) {
        char path[PATH_MAX];

        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path ||
            !replay_file(path))
            n = -1;
        else
            n++;
    }
    (void)closedir(dir);
    return n;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int n = replay_folder(argv[i]);

        if (n <= 0) {
            (void)fprintf(stderr, "%s: no seeds were run\n", argv[i]);
            return EXIT_FAILURE;
        }
        (void)printf("%s: %d seeds\n", argv[i], n);
    }
    return argc > 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
