/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LU_MEMORY_H
#define LU_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fills a memfd with new folios of 2 MiB. */
void lu_memory_make_huge(int fd, size_t size);

/*
 * A sealed memfd of @size bytes with every page present.  @huge: in folios of
 * 2 MiB, and it is an error when the kernel has none to give.
 */
int lu_memory_create(const char *name, size_t size, bool huge);

/* Does a memfd that comes from elsewhere have this size, and is it sealed? */
bool lu_memory_is_whole(int fd, size_t size);

/* Mapped at an address aligned to 2 MiB, so that large folios stay large. */
void *lu_memory_map(int fd, size_t size);

/*
 * Calls @report for every physically contiguous piece, in order.  Needs
 * CAP_SYS_ADMIN.  Returns a digest of the list.
 */
uint64_t lu_memory_pieces(const void *start, size_t size,
			  void (*report)(uint64_t offset, uint64_t phys,
					 uint64_t len));

#endif /* LU_MEMORY_H */
