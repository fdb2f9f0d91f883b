/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_LUO_TAG_H
#define _LINUX_LUO_TAG_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <linux/luo/abi.h>
#include <asm/page.h>

struct luo_abi_writer;

#ifdef CONFIG_LIVEUPDATE

#if defined(CONFIG_X86_64)
#define LUO_ABI_ARCH	LUO_ABI_ARCH_X86_64
#elif defined(CONFIG_ARM64)
#define LUO_ABI_ARCH	LUO_ABI_ARCH_AARCH64
#else
#error "this architecture needs a number in enum luo_abi_arch"
#endif

/**
 * LUO_TAG - Declare a tag.
 * @tag: Name of the variable, a &struct luo_abi_tag.
 * @...: Its members but for those that are the same for all of a kernel's.
 *
 * The one place where a subsystem says what it reads and writes under a tag. It
 * goes into the section .luo_tags of vmlinux or of the module, for the kernel
 * before, and into /sys/kernel/liveupdate/tags for this one::
 *
 *	static LUO_TAG(my_tag, .name = "my-v1", .kind = LUO_ABI_TAG_FILE,
 *		       .flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES);
 *
 * A file handler or FLB names it in its member "tag". A tag that is only read,
 * that of an older version, needs a handler of its own.
 */
#define LUO_TAG(tag, ...)						\
	const struct luo_abi_tag tag __used __aligned(8)		\
	__section(LUO_ABI_TAG_SECTION) = {				\
		.size = sizeof(struct luo_abi_tag),			\
		.arch = LUO_ABI_ARCH,					\
		.page_shift = PAGE_SHIFT,				\
		__VA_ARGS__						\
	}

void liveupdate_tag_use(const struct luo_abi_tag *decl);
void liveupdate_tag_unuse(const struct luo_abi_tag *decl);

#else /* CONFIG_LIVEUPDATE */

#define LUO_TAG(tag, ...)						\
	const struct luo_abi_tag tag __maybe_unused = {			\
		.size = sizeof(struct luo_abi_tag),			\
		__VA_ARGS__						\
	}

static inline void liveupdate_tag_use(const struct luo_abi_tag *decl)
{
}

static inline void liveupdate_tag_unuse(const struct luo_abi_tag *decl)
{
}

#endif /* CONFIG_LIVEUPDATE */
#endif /* _LINUX_LUO_TAG_H */
