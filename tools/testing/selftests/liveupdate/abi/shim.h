/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * As much of the kernel as kernel/liveupdate/luo_abi*.c and kho_block.c need to
 * be built as a program. What they include and tools/include does not have is
 * an empty file, made by the Makefile; this one comes before everything else.
 */
#ifndef _LUO_ABI_SHIM_H
#define _LUO_ABI_SHIM_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/compiler.h>
#include <linux/align.h>
#include <linux/bits.h>
#include <linux/types.h>
#include <linux/kconfig.h>
#include <linux/kernel.h>
#include <asm/barrier.h>

#define CONFIG_X86_64		1
#define CONFIG_LIVEUPDATE	1
#define CONFIG_PCI_LIVEUPDATE	1
#define CONFIG_IOMMU_LIVEUPDATE	1
#define CONFIG_VFIO_PCI_CORE	1
#define CONFIG_VFIO_PCI_LIVEUPDATE 1
#define PAGE_SHIFT		12
#define PAGE_SIZE		4096UL
#define __private
static inline bool WARN_ON_ONCE(bool bad) { return bad; }
#define VISIBLE_IF_KUNIT
#define KUNIT_STATIC_STUB_REDIRECT(...) do { } while (0)
#define KBUILD_MODNAME		"abi"
#define pr_err(...)		do { if (0) printf(__VA_ARGS__); } while (0)

static inline void *ERR_PTR(long err) { return (void *)err; }
static inline long PTR_ERR(const void *p) { return (long)p; }
static inline bool IS_ERR(const void *p)
{
	return (unsigned long)p >= -4095UL;
}

static inline bool IS_ERR_OR_NULL(const void *p) { return !p || IS_ERR(p); }

static inline void *kmalloc(size_t size, gfp_t gfp)
{
	return malloc(size);
}

static inline void *kzalloc(size_t size, gfp_t gfp)
{
	return calloc(1, size);
}

#define kzalloc_obj(obj)	((typeof(obj) *)calloc(1, sizeof(obj)))
#define kfree(p)		free(p)

int vscnprintf(char *buf, size_t size, const char *fmt, va_list args);
void *memchr_inv(const void *p, int c, size_t size);
u32 crc32c(u32 crc, const void *p, size_t size);

/* Memory that was handed over is what luo_abi_suite_use() says. */
void *phys_to_virt(u64 phys);
static inline u64 virt_to_phys(const void *p) { return (uintptr_t)p; }

/* What is to be handed over is ordinary memory. */
void *kho_alloc_preserve(size_t size);
void kho_unpreserve_free(void *p);
void kho_restore_free(void *p);

struct folio;
int kho_incoming_order(phys_addr_t phys);
struct folio *kho_restore_folio(u64 phys);
struct folio *virt_to_folio(const void *p);
void folio_put(struct folio *folio);
int get_order(size_t size);

#endif /* _LUO_ABI_SHIM_H */
