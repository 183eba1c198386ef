/* SPDX-License-Identifier: GPL-3.0-or-later */
/* authority_fuzz.c - every text the key service reads from outside its own memory: enrolments and
 * user requests (JSON), the signed line, journal lines, records. The first byte chooses. */
#include "hsm/issue/enrolment.h"
#include "hsm/issue/request.h"
#include "hsm/journal/line.h"
#include "hsm/record/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void enrolment(struct bytes text)
{
    CLEANUP(enrolment_clear) struct enrolment e = {0};

    (void)enrolment_parse(text, &e);
}

static void user_request(struct bytes text)
{
    CLEANUP(user_request_clear) struct user_request r = {0};

    (void)user_request_parse(text, &r);
}

static void signed_line(struct bytes text)
{
    struct signed_line line;

    (void)signed_line_parse(text, &line);
}

static void journal_line(struct bytes text)
{
    struct journal_line line;
    int64_t number;

    if (!journal_line_parse(text, &line))
        (void)journal_line_number(&line, "version", &number);
}

static void record(struct bytes text)
{
    CLEANUP(record_drop) struct record *r = NULL;

    (void)record_read(text, &r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const readers[])(struct bytes) = {enrolment, user_request, signed_line,
                                                    journal_line, record};
    size_t which = size ? data[0] % (sizeof readers / sizeof *readers) : 0;

    if (size)
        readers[which]((struct bytes){data + 1, size - 1});
    err_note_clear();
    return 0;
}
