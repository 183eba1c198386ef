/* SPDX-License-Identifier: GPL-3.0-or-later */
/* passphrase.c - makes, reads and asks for passphrases; they lie in locked memory. */
#include "provisioning/enroll/passphrase.h"
#include "daemon/base/fdio.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define GROUPS    4
#define GROUP_LEN 7
#define NEW_LEN   (GROUPS * GROUP_LEN + GROUPS - 1)
#define READ_MAX  128

_Static_assert(NEW_LEN >= PASSPHRASE_MIN && NEW_LEN <= PASSPHRASE_MAX,
               "a passphrase made here must be accepted here");

enum err passphrase_new(struct secret *out)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t random[NEW_LEN];
    struct secret s;
    enum err e;

    if (RAND_priv_bytes(random, sizeof random) != 1)
        return err_note_openssl(ERR_IO, "RAND_priv_bytes");
    e = secret_new(NEW_LEN + 1, &s);
    for (size_t i = 0; !e && i < NEW_LEN; i++)
        s.data[i] = (uint8_t)(i % (GROUP_LEN + 1) == GROUP_LEN ? '-' : digits[random[i] & 31]);
    OPENSSL_cleanse(random, sizeof random);
    if (e)
        return e;
    s.len = NEW_LEN;
    *out = s;
    return ERR_OK;
}

/* Copy line, checked, with a NUL behind it. */
static enum err accept_line(const uint8_t *line, size_t len, struct secret *out)
{
    struct secret s;
    enum err e;

    if (len < PASSPHRASE_MIN || len > PASSPHRASE_MAX)
        return err_note(ERR_CONFIG, "passphrase", "must have 26 to 31 characters");
    for (size_t i = 0; i < len; i++)
        if (line[i] < 0x20 || line[i] > 0x7e)
            return err_note(ERR_CONFIG, "passphrase", "must be printable ASCII");
    e = secret_new(len + 1, &s);
    if (e)
        return e;
    memcpy(s.data, line, len);
    s.len = len;
    *out = s;
    return ERR_OK;
}

enum err passphrase_read(const char *path, struct secret *out)
{
    struct secret whole;
    enum err e = secret_read_file(path, READ_MAX, &whole);

    if (e)
        return e;
    e = accept_line(whole.data, whole.len, out);
    secret_free(&whole);
    return e;
}

/* One line from the terminal into a locked buffer; the LF is not counted. */
static size_t read_line(int fd, struct secret *into)
{
    size_t len = 0;

    while (len < into->len && read_some(fd, into->data + len, 1) == 1 && into->data[len] != '\n')
        len++;
    return len;
}

enum err passphrase_ask(struct secret *out)
{
    static const char prompt[] = "Passphrase of the user key: ";
    CLEANUP(fd_close) int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios saved;
    struct termios quiet;
    struct secret line;
    enum err e;

    if (fd < 0 || tcgetattr(fd, &saved) != 0)
        return err_note(ERR_CONFIG, "passphrase", "no terminal; name a --passphrase-file");
    e = secret_new(READ_MAX, &line);
    if (e)
        return e;
    quiet = saved;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    (void)tcsetattr(fd, TCSAFLUSH, &quiet);
    e = write_all(fd, prompt, sizeof prompt - 1);
    if (!e)
        e = accept_line(line.data, read_line(fd, &line), out);
    (void)tcsetattr(fd, TCSAFLUSH, &saved);
    (void)write_all(fd, "\n", 1);
    secret_free(&line);
    return e;
}
