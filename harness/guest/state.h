/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef STATE_H
#define STATE_H

typedef void (*state_line)(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

void state_settle(void);
void state_report(const char *when, state_line line);

#endif /* STATE_H */
