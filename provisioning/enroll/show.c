/* SPDX-License-Identifier: GPL-3.0-or-later */
/* show.c - the fourth command: what a folder holds, and what comes next. */
#include "provisioning/enroll/transcript.h"

#include <stdio.h>

#define DAY_S 86400

static const char *next_step(const struct material *m, int64_t now_s)
{
    struct cert_dates dates;

    if (!m->user)
        return "hand " FILE_ENROLMENT " to the relay; run finish with its answer";
    if (cert_time(m->user, &dates) != ERR_OK || dates.not_after_s < now_s)
        return "your certificate has expired; ask for a new one with request add-key";
    if (dates.not_after_s < now_s + (int64_t)30 * DAY_S)
        return "your certificate expires within 30 days; ask for a new one with request add-key";
    return "nothing to do";
}

enum err command_show(const struct options *o)
{
    CLEANUP(material_clear) struct material m = {0};
    CLEANUP(buf_clear) struct buf text = {0};
    enum err e = material_read(&o->folder, &m);

    if (e)
        return e;
    transcript_names(&text, &m.request);
    e = transcript_cert(&text, "root", m.root);
    if (!e)
        e = transcript_cert(&text, "intermediate", m.intermediate);
    if (!e && m.user)
        e = transcript_cert(&text, "your certificate", m.user);
    buf_printf(&text, "  %-18s %s\n", "next", next_step(&m, o->now_s));
    if (!e)
        e = buf_error(&text);
    if (!e)
        (void)fputs(buf_str(&text), stdout);
    return e;
}
