/* SPDX-License-Identifier: GPL-2.0-only */
/* An honest guest on a port of its own, beside those that are hostile. */
#ifndef FUZZ_HONEST_H
#define FUZZ_HONEST_H

#include <stdbool.h>
#include <vhx/vhx.h>

void fuzz_honest_open(struct vhx_session *session);
void fuzz_honest_ask(void);
void fuzz_honest_turn(void);
bool fuzz_honest_is_waiting(void);

#endif /* FUZZ_HONEST_H */
