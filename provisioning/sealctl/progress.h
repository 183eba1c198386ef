/* SPDX-License-Identifier: GPL-3.0-or-later */
/* progress.h - a sign of life on standard error while something takes longer than a second. */
#ifndef SEALRELAY_SEALCTL_PROGRESS_H
#define SEALRELAY_SEALCTL_PROGRESS_H

/* progress_begin - what: static words, "making keys". One at a time. */
void progress_begin(const char *what);
void progress_end(void);

#endif
