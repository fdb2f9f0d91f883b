/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LU_DIE_H
#define LU_DIE_H

#include "kselftest.h"

/* One sentence on what failed and what to do, then the end; KTAP's way. */
void __noreturn __printf(1, 2) lu_die(const char *fmt, ...);

/* The same with the text of errno after it. */
void __noreturn __printf(1, 2) lu_die_errno(const char *fmt, ...);

#endif /* LU_DIE_H */
