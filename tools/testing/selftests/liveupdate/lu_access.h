/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Access to memory that is written concurrently, by the guest, the device or
 * another thread.  Compiles for the guest as well, so it uses no library.
 */
#ifndef LU_ACCESS_H
#define LU_ACCESS_H

#include <stdint.h>

/* One access, made here and not combined with another. */
#define lu_load(p)	__atomic_load_n(p, __ATOMIC_RELAXED)
#define lu_store(p, v)	__atomic_store_n(p, v, __ATOMIC_RELAXED)

static inline void lu_inc(uint32_t *p)
{
	lu_store(p, lu_load(p) + 1);
}

/* The processor keeps the order of loads and of stores, the compiler may not. */
static inline void lu_barrier(void)
{
	__asm__ __volatile__("" ::: "memory");
}

/*
 * A device's register: always this one instruction, which KVM can emulate for
 * a guest whose device is not there.
 */
static inline uint32_t lu_read_reg(const void *bar, uint32_t reg)
{
	const uint32_t *p = (const void *)((const char *)bar + reg);
	uint32_t value;

	__asm__ __volatile__("movl %1, %0" : "=r" (value) : "m" (*p) : "memory");
	return value;
}

static inline void lu_write_reg(void *bar, uint32_t reg, uint32_t value)
{
	uint32_t *p = (void *)((char *)bar + reg);

	__asm__ __volatile__("movl %1, %0" : "=m" (*p) : "r" (value) : "memory");
}

#endif /* LU_ACCESS_H */
