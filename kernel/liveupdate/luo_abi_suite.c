// SPDX-License-Identifier: GPL-2.0-only
/*
 * The common part of the tests of all tags: blobs in memory of just their size,
 * so that KASAN and ASAN find accesses behind them, and mutants.
 */

#include <linux/align.h>
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/luo_abi.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swab.h>

#include "luo_abi_suite.h"

/* One line for each tag. */
const struct luo_abi_suite *const luo_abi_suites[] = {
	&luo_abi_example_suite,
#if IS_ENABLED(CONFIG_PCI_LIVEUPDATE)
	&luo_abi_pci_suite,
	&luo_abi_pci_registers_suite,
#endif
#if IS_ENABLED(CONFIG_IOMMU_LIVEUPDATE)
	&luo_abi_iommu_suite,
	&luo_abi_iommu_domain_suite,
#endif
#if IS_BUILTIN(CONFIG_VFIO_PCI_CORE) && IS_ENABLED(CONFIG_VFIO_PCI_LIVEUPDATE)
	&luo_abi_vfio_pci_suite,
#endif
};

const unsigned int luo_abi_nr_suites = ARRAY_SIZE(luo_abi_suites);

/* Append to the description of what a reader has read. */
void luo_abi_say(struct luo_abi_text *text, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	text->len += vscnprintf(text->buf + text->len,
				sizeof(text->buf) - text->len, fmt, args);
	va_end(args);
}

/* --- states */

/* Allocate blocks for @count entries; NULL if there is no memory. */
struct kho_block_set *luo_abi_state_array(struct luo_abi_state *state,
					  size_t entry_size, u64 count)
{
	struct kho_block_set *bs = &state->sets[state->nr];

	if (state->nr == LUO_ABI_SUITE_ARRAYS)
		return NULL;

	kho_block_set_init(bs, entry_size);
	if (kho_block_set_grow(bs, count))
		return NULL;
	state->nr++;

	return bs;
}

/* Write @suite's state into @mem. */
int luo_abi_suite_write(const struct luo_abi_suite *suite,
			struct luo_abi_state *state, void *mem, size_t size)
{
	int err;

	memset(state, 0, sizeof(*state));
	luo_abi_begin(&state->w, suite->format, mem, size);
	err = suite->write(state);

	return err ?: luo_abi_seal(&state->w);
}

void luo_abi_state_free(struct luo_abi_state *state)
{
	while (state->nr)
		kho_block_set_destroy(&state->sets[--state->nr]);
	luo_abi_end(&state->w);
}

/* --- images */

static int luo_abi_image_add_block(struct luo_abi_image *image,
				   const void *data, size_t size)
{
	void *block;

	if (image->nr_blocks == LUO_ABI_SUITE_BLOCKS)
		return -ENOSPC;
	block = kzalloc(KHO_BLOCK_SIZE, GFP_KERNEL);
	if (!block)
		return -ENOMEM;

	memcpy(block, data, min_t(size_t, size, KHO_BLOCK_SIZE));
	image->blocks[image->nr_blocks++] = block;

	return 0;
}

/*
 * Load what luo_abi_image_save() has saved: the blob, then the blocks. The last
 * one lacks what is 0 at its end.
 */
int luo_abi_image_load(struct luo_abi_image *image, const u8 *data, size_t size)
{
	const struct luo_abi_header *head = (const void *)data;
	u64 pos = head->total_size;
	int err;

	*image = (struct luo_abi_image) {
		.blob_size = head->total_size,
		.block_phys = LUO_ABI_SUITE_PHYS + ALIGN(pos, KHO_BLOCK_SIZE),
	};
	image->blob = kmalloc(image->blob_size, GFP_KERNEL);
	if (!image->blob)
		return -ENOMEM;
	memcpy(image->blob, data, image->blob_size);

	for (; pos < size; pos += KHO_BLOCK_SIZE) {
		err = luo_abi_image_add_block(image, data + pos, size - pos);
		if (err) {
			luo_abi_image_free(image);
			return err;
		}
	}

	return 0;
}

void luo_abi_image_free(struct luo_abi_image *image)
{
	while (image->nr_blocks)
		kfree(image->blocks[--image->nr_blocks]);
	kfree(image->blob);
	image->blob = NULL;
}

/* Return: true if the blob differs from @data, from which it was loaded. */
bool luo_abi_image_changed(const struct luo_abi_image *image, const u8 *data)
{
	const struct luo_abi_header *head = (const void *)data;

	return image->blob_size != head->total_size ||
	       memcmp(image->blob, data, image->blob_size);
}

static int luo_abi_image_index(const struct luo_abi_image *image, u64 phys)
{
	u64 i;

	if (phys < image->block_phys || !IS_ALIGNED(phys, KHO_BLOCK_SIZE))
		return -1;
	i = (phys - image->block_phys) / KHO_BLOCK_SIZE;

	return i < image->nr_blocks ? (int)i : -1;
}

/* Find what is at @phys as if the image were preserved memory; or NULL. */
const void *luo_abi_image_map(const struct luo_abi_image *image, u64 phys,
			      unsigned int *order)
{
	int i = luo_abi_image_index(image, phys);

	/* Larger than a page, so that it is not taken for a block. */
	*order = 1;
	if (phys == LUO_ABI_SUITE_PHYS)
		return image->blob;
	*order = 0;
	if (i < 0 || (image->taken & BIT(i)))
		return NULL;

	return image->blocks[i];
}

/* Take over the block at @phys. Return: false if it was taken over before. */
bool luo_abi_image_take(struct luo_abi_image *image, u64 phys)
{
	int i = luo_abi_image_index(image, phys);

	if (i < 0 || (image->taken & BIT(i)))
		return false;
	image->taken |= BIT(i);

	return true;
}

/* The record behind @record, or the first; NULL behind the last one. */
static struct luo_abi_record *luo_abi_image_next(struct luo_abi_image *image,
						 struct luo_abi_record *record)
{
	struct luo_abi_header *head = image->blob;
	void *end = image->blob + image->blob_size;
	void *pos;

	if (image->blob_size < sizeof(*head))
		return NULL;

	pos = record ? (void *)record + record->size :
		       image->blob + min_t(u64, head->size, image->blob_size);

	if (pos < image->blob + sizeof(*head) ||
	    pos + sizeof(*record) > end || !IS_ALIGNED((uintptr_t)pos, 8))
		return NULL;
	record = pos;
	if (record->size < sizeof(*record) || record->size > end - pos)
		return NULL;

	return record;
}

static struct luo_abi_array *luo_abi_image_array(struct luo_abi_record *record)
{
	if (!(record->type & LUO_ABI_RECORD_ARRAY) ||
	    record->size < sizeof(*record) + sizeof(struct luo_abi_array))
		return NULL;

	return (void *)(record + 1);
}

static void luo_abi_image_seal_array(struct luo_abi_image *image,
				     struct luo_abi_array *array)
{
	const struct kho_block_header_ser *block;
	u64 phys = array->head, size;
	unsigned int order;
	u32 crc = ~0;

	for (int i = 0; phys && i < 2 * LUO_ABI_SUITE_BLOCKS; i++) {
		block = luo_abi_image_map(image, phys, &order);
		if (!block || order || !block->count ||
		    block->count > KHO_BLOCK_SIZE)
			break;
		size = block->count * array->stride;
		if (size > KHO_BLOCK_SIZE - sizeof(*block))
			break;
		crc = crc32c(crc, block + 1, size);
		phys = block->next;
	}
	array->crc = ~crc;
}

static void luo_abi_image_seal_blob(struct luo_abi_image *image)
{
	struct luo_abi_header *head = image->blob;

	if (image->blob_size < sizeof(*head))
		return;

	head->crc = 0;
	head->crc = ~crc32c(~0, head, min_t(u64, head->total_size,
					    image->blob_size));
}

/* Make all checksums right, as far as their extent is valid. */
void luo_abi_image_seal(struct luo_abi_image *image)
{
	struct luo_abi_record *record = NULL;
	struct luo_abi_array *array;

	while ((record = luo_abi_image_next(image, record))) {
		array = luo_abi_image_array(record);
		if (array)
			luo_abi_image_seal_array(image, array);
	}
	luo_abi_image_seal_blob(image);
}

static struct kho_block_set *luo_abi_state_set(struct luo_abi_state *state,
					       u64 head_pa)
{
	for (unsigned int i = 0; i < state->nr; i++) {
		if (kho_block_set_head_pa(&state->sets[i]) == head_pa)
			return &state->sets[i];
	}

	return NULL;
}

/**
 * luo_abi_image_save - Save a sealed blob and its blocks.
 * @state: The blob.
 * @data:  Where the memory is put, for kfree().
 * @size:  Where its size is put.
 *
 * Addresses become those of the golden blobs, so that the same state has the
 * same bytes wherever its memory was.
 *
 * Return: 0, or -ENOMEM.
 */
int luo_abi_image_save(struct luo_abi_state *state, u8 **data, size_t *size)
{
	struct luo_abi_header *head = state->w.blob;
	struct luo_abi_record *record = NULL;
	struct kho_block_header_ser *ser;
	struct luo_abi_image image;
	struct luo_abi_array *array;
	struct kho_block_set *bs;
	struct kho_block *block;
	u64 phys;
	int err;

	err = luo_abi_image_load(&image, (u8 *)head, head->total_size);
	if (err)
		return err;

	phys = image.block_phys;
	while ((record = luo_abi_image_next(&image, record))) {
		array = luo_abi_image_array(record);
		/* An array without entries has no block. */
		bs = array && array->head ?
		     luo_abi_state_set(state, array->head) : NULL;
		if (!bs)
			continue;
		array->head = phys;
		list_for_each_entry(block, &bs->blocks, list) {
			err = luo_abi_image_add_block(&image, block->ser,
						      KHO_BLOCK_SIZE);
			if (err)
				goto out;
			phys += KHO_BLOCK_SIZE;
			ser = image.blocks[image.nr_blocks - 1];
			if (ser->next)
				ser->next = phys;
		}
	}
	luo_abi_image_seal(&image);

	*size = image.blob_size + image.nr_blocks * KHO_BLOCK_SIZE;
	*data = kzalloc(*size, GFP_KERNEL);
	err = *data ? 0 : -ENOMEM;
	if (err)
		goto out;
	memcpy(*data, image.blob, image.blob_size);
	for (unsigned int i = 0; i < image.nr_blocks; i++)
		memcpy(*data + image.blob_size + i * KHO_BLOCK_SIZE,
		       image.blocks[i], KHO_BLOCK_SIZE);
	while (*size > image.blob_size && !(*data)[*size - 1])
		(*size)--;
out:
	luo_abi_image_free(&image);
	return err;
}

/* --- mutants */

static u64 luo_abi_random(struct luo_abi_rng *rng)
{
	rng->state ^= rng->state >> 12;
	rng->state ^= rng->state << 25;
	rng->state ^= rng->state >> 27;

	return rng->state * 0x2545f4914f6cdd1dULL;
}

static u32 luo_abi_below(struct luo_abi_rng *rng, u32 limit)
{
	return (luo_abi_random(rng) >> 33) % limit;
}

/* Return an unusual number, or one close to @right. */
static u64 luo_abi_odd_number(struct luo_abi_rng *rng, u64 right)
{
	static const u64 odd[] = {
		0, 1, 7, 8, 15, 16, 24, 32, 40, 0x7f, 0x80, 0xff, 0x7fff,
		0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff,
		0x7fffffffffffffff, 0x8000000000000000, 0xfffffffffffffff8,
		0xffffffffffffffff,
	};

	switch (luo_abi_below(rng, 5)) {
	case 0:
		return right + 8;
	case 1:
		return right - 8;
	case 2:
		return right + luo_abi_below(rng, 3) - 1;
	case 3:
		return right ^ (1ULL << luo_abi_below(rng, 64));
	default:
		return odd[luo_abi_below(rng, ARRAY_SIZE(odd))];
	}
}

static bool luo_abi_image_resize(struct luo_abi_image *image, size_t size)
{
	void *blob = kzalloc(max_t(size_t, size, 1), GFP_KERNEL);

	if (!blob)
		return false;
	memcpy(blob, image->blob, min(size, image->blob_size));
	kfree(image->blob);
	image->blob = blob;
	image->blob_size = size;

	return true;
}

static struct luo_abi_record *luo_abi_any_record(struct luo_abi_image *image,
						 struct luo_abi_rng *rng)
{
	struct luo_abi_record *record = NULL, *any = NULL;
	u32 nr = 0;

	while ((record = luo_abi_image_next(image, record))) {
		if (!luo_abi_below(rng, ++nr))
			any = record;
	}

	return any;
}

static struct luo_abi_array *
luo_abi_any_array(struct luo_abi_image *image, struct luo_abi_rng *rng)
{
	struct luo_abi_array *array, *any = NULL;
	struct luo_abi_record *record = NULL;
	u32 nr = 0;

	while ((record = luo_abi_image_next(image, record))) {
		array = luo_abi_image_array(record);
		if (array && !luo_abi_below(rng, ++nr))
			any = array;
	}

	return any;
}

static void luo_abi_mutate_bits(struct luo_abi_image *image,
				struct luo_abi_rng *rng)
{
	u32 n = 1 + luo_abi_below(rng, 3), block;
	u8 *mem = image->blob;
	size_t size = image->blob_size;

	block = luo_abi_below(rng, 4 + image->nr_blocks);
	if (block < image->nr_blocks) {
		mem = (u8 *)image->blocks[block];
		size = KHO_BLOCK_SIZE;
	}
	while (n--)
		mem[luo_abi_below(rng, size)] ^= 1 << luo_abi_below(rng, 8);
}

static void luo_abi_mutate_header(struct luo_abi_image *image,
				  struct luo_abi_rng *rng)
{
	struct luo_abi_header *head = image->blob;

	switch (luo_abi_below(rng, 12)) {
	case 0:
		head->magic = 0;
		break;
	case 1:
		head->magic = swab32(head->magic);
		break;
	case 2:
		head->magic = luo_abi_odd_number(rng, head->magic);
		break;
	case 3:
		head->size = luo_abi_odd_number(rng, head->size);
		break;
	case 4:
		head->total_size = luo_abi_odd_number(rng, head->total_size);
		break;
	case 5:
		head->incompat |= 1ULL << luo_abi_below(rng, 64);
		break;
	case 6:
		head->compat |= 1ULL << luo_abi_below(rng, 64);
		break;
	case 7:
		head->arch = luo_abi_odd_number(rng, head->arch);
		break;
	case 8:
		head->page_shift = luo_abi_odd_number(rng, head->page_shift);
		break;
	case 9:
		head->reserved = luo_abi_random(rng);
		break;
	default:
		head->crc = luo_abi_random(rng);
		break;
	}
}

static void luo_abi_mutate_record(struct luo_abi_image *image,
				  struct luo_abi_rng *rng)
{
	struct luo_abi_record *record = luo_abi_any_record(image, rng);

	if (!record)
		return;

	switch (luo_abi_below(rng, 6)) {
	case 0:
		record->type = luo_abi_random(rng) | LUO_ABI_RECORD_MANDATORY;
		break;
	case 1:
		record->type = luo_abi_random(rng) & ~LUO_ABI_RECORD_MANDATORY;
		break;
	case 2:
		record->size = luo_abi_odd_number(rng, record->size);
		break;
	case 3:
		record->incompat |= 1U << luo_abi_below(rng, 32);
		break;
	case 4:
		record->compat |= 1U << luo_abi_below(rng, 32);
		break;
	default:
		record->reserved = luo_abi_random(rng);
		break;
	}
}

/* Remove a record, repeat it, make it shorter or longer. */
static void luo_abi_mutate_extent(struct luo_abi_image *image,
				  struct luo_abi_rng *rng)
{
	struct luo_abi_record *record = luo_abi_any_record(image, rng);
	u32 op = luo_abi_below(rng, 5), more = 8 + 8 * luo_abi_below(rng, 4);
	struct luo_abi_header *head;
	size_t offset, size, room, old = image->blob_size;
	bool noise = op == 4;
	void *pos;

	if (!record)
		return;
	offset = (void *)record - image->blob;
	size = record->size;

	switch (op) {
	case 0:
		memmove(record, (void *)record + size, old - offset - size);
		if (!luo_abi_image_resize(image, old - size))
			return;
		break;
	case 1:
		/* Up to more often than allowed. */
		more = 1 + luo_abi_below(rng, 20);
		if (!luo_abi_image_resize(image, old + more * size))
			return;
		pos = image->blob + offset;
		memmove(pos + (more + 1) * size, pos + size,
			old - offset - size);
		for (u32 i = 1; i <= more; i++)
			memcpy(pos + i * size, pos, size);
		break;
	case 2:
		room = size - sizeof(*record);
		more = min_t(u32, more, room);
		pos = (void *)record + size;
		record->size -= more;
		memmove(pos - more, pos, old - offset - size);
		if (!luo_abi_image_resize(image, old - more))
			return;
		break;
	default:
		if (!luo_abi_image_resize(image, old + more))
			return;
		record = image->blob + offset;
		pos = (void *)record + size;
		record->size += more;
		memmove(pos + more, pos, old - offset - size);
		memset(pos, 0, more);
		if (noise)
			*(u8 *)(pos + luo_abi_below(rng, more)) =
				1 + luo_abi_below(rng, 255);
		break;
	}

	head = image->blob;
	head->total_size = image->blob_size;
}

/* Make the header longer than any reader knows. */
static void luo_abi_mutate_longer_header(struct luo_abi_image *image,
					 struct luo_abi_rng *rng)
{
	size_t old = image->blob_size, more = 8 + 8 * luo_abi_below(rng, 4);
	struct luo_abi_header *head;

	if (!luo_abi_image_resize(image, old + more))
		return;
	head = image->blob;
	memmove((void *)(head + 1) + more, head + 1, old - sizeof(*head));
	memset(head + 1, 0, more);
	if (luo_abi_below(rng, 2))
		*((u8 *)(head + 1) + luo_abi_below(rng, more)) = 1;
	head->size += more;
	head->total_size += more;
}

/* An array that no reader knows, whose chain has no end. */
static void luo_abi_mutate_endless(struct luo_abi_image *image,
				   struct luo_abi_rng *rng)
{
	struct luo_abi_array *array = luo_abi_any_array(image, rng);
	u32 last = luo_abi_below(rng, image->nr_blocks);

	if (!array)
		return;
	luo_abi_record_of(array)->type = LUO_ABI_RECORD_ARRAY |
					 (0x1000 + luo_abi_below(rng, 0x1000));
	array->head = image->block_phys;
	array->count = luo_abi_odd_number(rng, ~0ULL);
	image->blocks[last]->next = image->block_phys;
	for (u32 i = 0; i < last; i++)
		image->blocks[i]->next = image->block_phys +
					 (i + 1) * KHO_BLOCK_SIZE;
}

/* Change a word of an entry, which the owner of the tag has to check. */
static void luo_abi_mutate_entry(struct kho_block_header_ser *block, u64 stride,
				 struct luo_abi_rng *rng)
{
	u64 *words = (u64 *)(block + 1);
	u64 used = block->count * stride / sizeof(*words);
	u64 limit = (KHO_BLOCK_SIZE - sizeof(*block)) / sizeof(*words);
	u32 i;

	if (!used)
		return;
	i = luo_abi_below(rng, min(used, limit));
	words[i] = luo_abi_odd_number(rng, words[i]);
}

static void luo_abi_mutate_array(struct luo_abi_image *image,
				 struct luo_abi_rng *rng)
{
	struct luo_abi_array *array = luo_abi_any_array(image, rng);
	struct kho_block_header_ser *block;
	u64 any_block = image->block_phys +
			luo_abi_below(rng, image->nr_blocks + 1) *
			KHO_BLOCK_SIZE;

	if (!array || !image->nr_blocks)
		return;
	block = image->blocks[luo_abi_below(rng, image->nr_blocks)];

	switch (luo_abi_below(rng, 16)) {
	case 0:
		array->head = luo_abi_odd_number(rng, array->head);
		break;
	case 1:
		array->head = any_block;
		break;
	case 2:
		array->count = luo_abi_odd_number(rng, array->count);
		break;
	case 3:
		array->stride = luo_abi_odd_number(rng, array->stride);
		break;
	case 4:
		/* What was an entry becomes the unknown part of one. */
		array->stride *= 2;
		block->count /= 2;
		break;
	case 5:
		block->next = any_block;
		break;
	case 6:
		block->next = luo_abi_odd_number(rng, block->next);
		break;
	case 7:
		block->count = luo_abi_odd_number(rng, block->count);
		break;
	case 8:
		luo_abi_mutate_endless(image, rng);
		break;
	case 9 ... 12:
		luo_abi_mutate_entry(block, array->stride, rng);
		break;
	default:
		array->crc ^= 1U << luo_abi_below(rng, 32);
		break;
	}
}

/* Damage the checksum of an array in a blob that is sealed. */
static void luo_abi_mutate_array_crc(struct luo_abi_image *image,
				     struct luo_abi_rng *rng)
{
	struct luo_abi_array *array = luo_abi_any_array(image, rng);

	if (!array)
		return;
	array->crc ^= 1U << luo_abi_below(rng, 32);
	luo_abi_image_seal_blob(image);
}

/**
 * luo_abi_mutate - Damage an image.
 * @image: The image.
 * @rng:   Selects the damage.
 * @phys:  The address to read the blob from.
 *
 * Nine of ten images are sealed again, as the reader looks at nothing else if
 * the checksum does not match.
 *
 * Return: true if it was sealed again. If not, each change to the blob must be
 * detected.
 */
bool luo_abi_mutate(struct luo_abi_image *image, struct luo_abi_rng *rng,
		    u64 *phys)
{
	u32 rounds = luo_abi_below(rng, 4) ? 1 : 2;

	*phys = LUO_ABI_SUITE_PHYS;
	while (rounds--) {
		/* What is left may be too small for anything but bits. */
		if (image->blob_size < sizeof(struct luo_abi_header))
			break;
		switch (luo_abi_below(rng, 16)) {
		case 0 ... 2:
			luo_abi_mutate_bits(image, rng);
			break;
		case 3 ... 5:
			luo_abi_mutate_header(image, rng);
			break;
		case 6 ... 8:
			luo_abi_mutate_record(image, rng);
			break;
		case 9 ... 10:
			luo_abi_mutate_extent(image, rng);
			break;
		case 11:
			luo_abi_mutate_longer_header(image, rng);
			break;
		case 12:
			luo_abi_image_resize(image,
					     luo_abi_below(rng,
							   image->blob_size));
			break;
		case 13 ... 14:
			luo_abi_mutate_array(image, rng);
			break;
		default:
			*phys = luo_abi_odd_number(rng, LUO_ABI_SUITE_PHYS);
			return true;
		}
	}

	if (!luo_abi_below(rng, 10))
		return false;
	luo_abi_image_seal(image);
	if (!luo_abi_below(rng, 40))
		luo_abi_mutate_array_crc(image, rng);

	return true;
}

/**
 * luo_abi_suite_expects - Check whether a mutant can be refused for a reason.
 * @suite:  The suite.
 * @reason: The reason.
 *
 * Return: true unless the tag has nothing that the reason applies to.
 */
bool luo_abi_suite_expects(const struct luo_abi_suite *suite,
			   enum luo_abi_reason reason)
{
	bool array = false, least = false;

	for (unsigned int i = 0; i < suite->format->nr_types; i++) {
		array |= suite->format->types[i].type & LUO_ABI_RECORD_ARRAY;
		least |= suite->format->types[i].min > 0;
	}

	switch (reason) {
	case LUO_REASON_ARRAY_STRIDE ... LUO_REASON_ARRAY_TAIL:
		return array;
	case LUO_REASON_RECORD_MISSING:
		return least;
	default:
		return true;
	}
}

/*
 * Open the blob at @phys and read it, as its owner would. With @release, release
 * it too: only the program can do that, where no memory is really freed.
 */
enum luo_abi_reason luo_abi_suite_read(const struct luo_abi_suite *suite,
				       const struct luo_abi_image *image,
				       u64 phys, struct luo_abi_text *text,
				       bool release)
{
	struct luo_abi_reader r;
	int err;

	text->len = 0;
	text->buf[0] = '\0';
	/* The blob of an image is shorter than a page. */
	if (phys == LUO_ABI_SUITE_PHYS)
		err = luo_abi_check(&r, suite->format, image->blob,
				    image->blob_size);
	else
		err = luo_abi_open(&r, suite->format, phys);
	if (!err)
		suite->read(&r, text);
	if (release)
		luo_abi_release(&r);

	return r.fault.reason;
}

/* --- replacements of luo_abi_map() and luo_tag_is_freezing() */

static struct luo_abi_image *luo_abi_suite_image;

void luo_abi_suite_use(struct luo_abi_image *image)
{
	luo_abi_suite_image = image;
}

const void *luo_abi_suite_map(u64 phys, unsigned int *order)
{
	if (!luo_abi_suite_image)
		return NULL;

	return luo_abi_image_map(luo_abi_suite_image, phys, order);
}

static bool luo_abi_suite_freezing;

void luo_abi_suite_freeze(bool freezing)
{
	luo_abi_suite_freezing = freezing;
}

bool luo_abi_suite_is_freezing(void)
{
	return luo_abi_suite_freezing;
}

bool luo_abi_suite_take(u64 phys)
{
	return luo_abi_suite_image &&
	       luo_abi_image_take(luo_abi_suite_image, phys);
}
