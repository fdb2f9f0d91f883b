/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of preserved devices have in common. */
#ifndef LU_UPDATE_H
#define LU_UPDATE_H

#include <stdbool.h>
#include <string.h>

#include "kselftest.h"

/*
 * A test result: 0, or a negative errno, as it has to be. Each file counts its
 * own results, so this has to be in the one that reports them.
 */
static inline void lu_result_is(int got, int want, const char *what)
{
	if (got != want)
		ksft_print_msg("%s: %s and not %s\n", what,
			       got ? strerror(-got) : "success",
			       want ? strerror(-want) : "success");
	ksft_test_result(got == want, "%s\n", what);
}

/* Returns 0 or a negative errno. */
int lu_write_text(const char *bdf, const char *attribute, const char *text);

/* What the kernel says became of a function or bridge; "none" is nothing. */
bool lu_state_is(const char *bdf, const char *want);

int lu_new_session(int luo, const char *name);

/* A session of the previous kernel, and the file with @token of it. */
int lu_old_session(int luo, const char *name);
int lu_retrieve(int session, int token);

/* Exits with @status; a child stays, with all files open. */
void __noreturn lu_stay_behind(int status);

/*
 * Loads the image that is in $NEXT_KERNEL and $NEXT_INITRD, with the command line
 * in $NEXT_CMDLINE and @more.
 */
void lu_load_next(const char *more);

/* Loads what carries no handover, and must not be started. */
void lu_load_stranger(void);

/* Jumps to the image that is loaded, or returns a negative errno. */
int lu_try_kexec(void);

/*
 * A file that calls every update off with EIO, when it is preserved. Needs the
 * module liveupdate_file.
 */
int lu_refuser(void);

#endif /* LU_UPDATE_H */
