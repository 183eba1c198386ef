/* SPDX-License-Identifier: GPL-3.0-or-later */
/* hsm_double.h - the key service's data keys without a key service: software wrap keys, the same in
 * every process, and failures on demand. Link it instead of the client library. */
#ifndef SEALRELAY_TESTS_HSM_DOUBLE_H
#define SEALRELAY_TESTS_HSM_DOUBLE_H

#include "hsm/hsm.h"

struct hsm *hsm_double_new(void);
void hsm_double_free(struct hsm *h);

/* hsm_double_fail - every call answers e until it is ERR_OK again. */
void hsm_double_fail(struct hsm *h, enum err e);
/* hsm_double_generation - the generation new spool keys are wrapped under; 1 at first. */
void hsm_double_generation(struct hsm *h, uint32_t generation);

unsigned hsm_double_made(struct hsm *h);     /* data keys made */
unsigned hsm_double_opened(struct hsm *h);   /* data keys opened */
uint32_t hsm_double_retired(struct hsm *h);  /* the last oldest_in_use told; 0: none */
unsigned hsm_double_attempts(struct hsm *h); /* calls, failed ones included */

#endif
