/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests that are the same for each tag: golden blobs, "same state, same bytes",
 * and mutants. A tag needs a struct luo_abi_suite of its own and one line in
 * luo_abi_suite.c. Both the KUnit tests and the program in
 * tools/testing/selftests/liveupdate/abi/ run them, from the same source.
 */
#ifndef _LINUX_LUO_ABI_SUITE_H
#define _LINUX_LUO_ABI_SUITE_H

#include <linux/luo_abi.h>

/* Address of a golden blob. Its arrays' blocks are in the pages behind it. */
#define LUO_ABI_SUITE_PHYS	0x100000ULL

/* The largest a blob may be, without its blocks. */
#define LUO_ABI_SUITE_SIZE	(2 * PAGE_SIZE)
#define LUO_ABI_SUITE_ARRAYS	4
#define LUO_ABI_SUITE_BLOCKS	8
#define LUO_ABI_SUITE_TEXT	2048

#define LUO_ABI_REASONS		(LUO_REASON_VALUE + 1)

/**
 * struct luo_abi_text - Description of what a reader has read.
 * @buf: Lines of text.
 * @len: Their length.
 */
struct luo_abi_text {
	char buf[LUO_ABI_SUITE_TEXT];
	size_t len;
};

__printf(2, 3)
void luo_abi_say(struct luo_abi_text *text, const char *fmt, ...);

/**
 * struct luo_abi_state - State of a writer.
 * @w:      The blob.
 * @sets:   The blocks of its arrays, see luo_abi_state_array().
 * @nr:     The number of @sets.
 */
struct luo_abi_state {
	struct luo_abi_writer w;
	struct kho_block_set sets[LUO_ABI_SUITE_ARRAYS];
	unsigned int nr;
};

struct kho_block_set *luo_abi_state_array(struct luo_abi_state *state,
					  size_t entry_size, u64 count);

/**
 * struct luo_abi_golden - A blob as a version of the kernel wrote it.
 * @name: The tag and its version.
 * @data: The output of luo_abi_image_save().
 * @size: Size of @data in bytes, 12 KiB at most.
 * @text: What a reader reads, see &luo_abi_suite.read.
 */
struct luo_abi_golden {
	const char *name;
	const u8 *data;
	size_t size;
	const char *text;
};

/* The golden blob that golden/NAME.h declares, with "_" for each "-". */
#define LUO_ABI_GOLDEN(name_) {						\
	.name = #name_,							\
	.data = golden_##name_,						\
	.size = sizeof(golden_##name_),					\
	.text = golden_##name_##_text,					\
}

/**
 * struct luo_abi_suite - Description of a tag for the tests.
 * @name:      The tag's name in C.
 * @format:    Declaration of its contents.
 * @write:     Write a state that uses everything the tag has; always the same.
 *             Return 0, or an errno if there is no memory.
 * @read:      Check the values and describe them.
 *             Return 0, or the return value of luo_abi_refuse().
 * @goldens:   The golden blobs, the newest last: @write writes that one.
 * @nr_goldens: Their number.
 */
struct luo_abi_suite {
	const char *name;
	const struct luo_abi_format *format;
	int (*write)(struct luo_abi_state *state);
	int (*read)(struct luo_abi_reader *r, struct luo_abi_text *text);
	const struct luo_abi_golden *goldens;
	unsigned int nr_goldens;
};

extern const struct luo_abi_suite luo_abi_example_suite;
extern const struct luo_abi_suite luo_abi_pci_suite;
extern const struct luo_abi_suite luo_abi_pci_registers_suite;
extern const struct luo_abi_suite luo_abi_iommu_suite;
extern const struct luo_abi_suite luo_abi_iommu_domain_suite;
extern const struct luo_abi_suite luo_abi_vfio_pci_suite;

extern const struct luo_abi_suite *const luo_abi_suites[];
extern const unsigned int luo_abi_nr_suites;

/**
 * struct luo_abi_image - A blob and its blocks, each in memory of just its size.
 * @blob:      The blob.
 * @blob_size: Size of its memory in bytes.
 * @block_phys: Physical address of the first block; the blob is at
 *             %LUO_ABI_SUITE_PHYS.
 * @blocks:    The blocks.
 * @nr_blocks: Their number.
 * @taken:     Bit N is set if block N was taken over.
 */
struct luo_abi_image {
	void *blob;
	size_t blob_size;
	u64 block_phys;
	struct kho_block_header_ser *blocks[LUO_ABI_SUITE_BLOCKS];
	unsigned int nr_blocks;
	unsigned long taken;
};

int luo_abi_image_load(struct luo_abi_image *image, const u8 *data, size_t size);
int luo_abi_image_save(struct luo_abi_state *state, u8 **data, size_t *size);
void luo_abi_image_free(struct luo_abi_image *image);
bool luo_abi_image_changed(const struct luo_abi_image *image, const u8 *data);
const void *luo_abi_image_map(const struct luo_abi_image *image, u64 phys,
			      unsigned int *order);
bool luo_abi_image_take(struct luo_abi_image *image, u64 phys);
void luo_abi_image_seal(struct luo_abi_image *image);

/**
 * struct luo_abi_rng - Random numbers that can be repeated.
 * @state: The seed, not 0.
 */
struct luo_abi_rng {
	u64 state;
};

bool luo_abi_mutate(struct luo_abi_image *image, struct luo_abi_rng *rng,
		    u64 *phys);

int luo_abi_suite_write(const struct luo_abi_suite *suite,
			struct luo_abi_state *state, void *mem, size_t size);
void luo_abi_state_free(struct luo_abi_state *state);
enum luo_abi_reason luo_abi_suite_read(const struct luo_abi_suite *suite,
				       const struct luo_abi_image *image,
				       u64 phys, struct luo_abi_text *text,
				       bool release);

/* Replace luo_abi_map(): the memory of @image is preserved memory. */
void luo_abi_suite_use(struct luo_abi_image *image);
const void *luo_abi_suite_map(u64 phys, unsigned int *order);
bool luo_abi_suite_take(u64 phys);

/* Replace luo_tag_is_freezing(). */
void luo_abi_suite_freeze(bool freezing);
bool luo_abi_suite_is_freezing(void);

/* True unless the tag has nothing that @reason applies to, such as an array. */
bool luo_abi_suite_expects(const struct luo_abi_suite *suite,
			   enum luo_abi_reason reason);

/**
 * struct luo_abi_case - A test of a rule.
 * @name: The rule.
 * @run:  Test it, see luo_abi_run_case().
 */
struct luo_abi_case {
	const char *name;
	void (*run)(void);
};

extern const struct luo_abi_case luo_abi_cases[];
extern const unsigned int luo_abi_nr_cases;

/* Return NULL, or the condition that failed. */
const char *luo_abi_run_case(const struct luo_abi_case *c);

#endif /* _LINUX_LUO_ABI_SUITE_H */
