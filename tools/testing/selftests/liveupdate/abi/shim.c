// SPDX-License-Identifier: GPL-2.0-only
/* See shim.h. */

#include <linux/kho_block.h>
#include "luo_abi_suite.h"

int vscnprintf(char *buf, size_t size, const char *fmt, va_list args)
{
	int len = vsnprintf(buf, size, fmt, args);

	return len < 0 ? 0 : min_t(size_t, len, size - !!size);
}

void *memchr_inv(const void *p, int c, size_t size)
{
	const unsigned char *byte = p;

	for (; size; size--, byte++) {
		if (*byte != (unsigned char)c)
			return (void *)byte;
	}

	return NULL;
}

#ifdef __SSE4_2__
u32 crc32c(u32 crc, const void *p, size_t size)
{
	const unsigned char *byte = p;
	u64 word;

	for (; size >= 8; size -= 8, byte += 8) {
		memcpy(&word, byte, 8);
		crc = __builtin_ia32_crc32di(crc, word);
	}
	for (; size; size--)
		crc = __builtin_ia32_crc32qi(crc, *byte++);

	return crc;
}
#else
u32 crc32c(u32 crc, const void *p, size_t size)
{
	const unsigned char *byte = p;

	for (; size; size--) {
		crc ^= *byte++;
		for (int i = 0; i < 8; i++)
			crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
	}

	return crc;
}
#endif

void *phys_to_virt(u64 phys)
{
	unsigned int order;

	return (void *)luo_abi_suite_map(phys, &order);
}

int kho_incoming_order(phys_addr_t phys)
{
	unsigned int order;

	return luo_abi_suite_map(phys, &order) ? (int)order : -ENOENT;
}

void *kho_alloc_preserve(size_t size)
{
	return calloc(1, ALIGN(size, PAGE_SIZE));
}

void kho_unpreserve_free(void *p)
{
	free(p);
}

/* An image is freed by its loader. */
void kho_restore_free(void *p)
{
}

/* Memory that was not preserved, or was restored already, must not be restored. */
struct folio *kho_restore_folio(u64 phys)
{
	struct folio *folio = phys_to_virt(phys);

	if (!luo_abi_suite_take(phys))
		abort();

	return folio;
}

struct folio *virt_to_folio(const void *p)
{
	return (struct folio *)p;
}

void folio_put(struct folio *folio)
{
}

int get_order(size_t size)
{
	return 0;
}

void luo_tag_add_writer(struct luo_abi_writer *w)
{
}

void luo_tag_remove_writer(struct luo_abi_writer *w)
{
}

bool luo_tag_is_freezing(void)
{
	return luo_abi_suite_is_freezing();
}
