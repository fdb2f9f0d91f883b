/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * An example of serialized data, without a device. It uses each feature of
 * linux/luo/abi.h, and has grown as described in
 * Documentation/core-api/liveupdate-abi.rst. The tests of the rules use it.
 */
#ifndef _UAPI_LINUX_LUO_EXAMPLE_H
#define _UAPI_LINUX_LUO_EXAMPLE_H

#include <linux/luo/abi.h>

/* A set of counters. */
#define LUO_EXAMPLE_TAG		"luo-example-v1"

/**
 * enum luo_example_incompat - bits of &luo_abi_header.incompat
 *
 * @LUO_EXAMPLE_INCOMPAT_SIGNED: Values are signed. A reader that takes -1 for
 *                               18446744073709551615 would continue from that.
 * @LUO_EXAMPLE_INCOMPAT_DOWN: Some counter has %LUO_EXAMPLE_COUNTER_DOWN.
 * @LUO_EXAMPLE_INCOMPAT_LIMIT: Some &luo_example_counter.limit is not 0.
 * @LUO_EXAMPLE_INCOMPAT_ERROR: Some &luo_example_sample.error is not 0.
 */
enum luo_example_incompat {
	LUO_EXAMPLE_INCOMPAT_SIGNED	= 1 << 0,
	LUO_EXAMPLE_INCOMPAT_DOWN	= 1 << 1,
	LUO_EXAMPLE_INCOMPAT_LIMIT	= 1 << 2,
	LUO_EXAMPLE_INCOMPAT_ERROR	= 1 << 3,
};

/**
 * enum luo_example_compat - bits of &luo_abi_header.compat
 *
 * @LUO_EXAMPLE_COMPAT_NOTES: Whatever has a note has a record for it. Without
 *                            the bit there may be notes that were not recorded.
 */
enum luo_example_compat {
	LUO_EXAMPLE_COMPAT_NOTES	= 1 << 0,
};

/**
 * enum luo_example_record - types of records
 *
 * @LUO_EXAMPLE_COUNTER: &struct luo_example_counter, one for each counter.
 * @LUO_EXAMPLE_SAMPLES: &struct luo_abi_array of &struct luo_example_sample:
 *                       samples, in the order of their time. There is one, and
 *                       may be another.
 * @LUO_EXAMPLE_NOTE: &struct luo_example_note. Added later and not mandatory: a
 *                    reader that does not know it loses notes, but no count.
 */
enum luo_example_record {
	LUO_EXAMPLE_COUNTER		= LUO_ABI_RECORD_MANDATORY | 1,
	LUO_EXAMPLE_SAMPLES		= LUO_ABI_RECORD_MANDATORY |
					  LUO_ABI_RECORD_ARRAY | 2,
	LUO_EXAMPLE_NOTE		= 3,
};

/**
 * enum luo_example_counter_incompat - &luo_abi_record.incompat of a counter
 *
 * @LUO_EXAMPLE_COUNTER_DOWN: It counts down. A reader that does not know this
 *                            would count upwards.
 */
enum luo_example_counter_incompat {
	LUO_EXAMPLE_COUNTER_DOWN	= 1 << 0,
};

/**
 * struct luo_example_counter - a counter
 *
 * @id: Number of the counter, unique, not 0. Samples and notes refer to it. The
 *      reader refuses 0 and a number that is used twice.
 * @reserved: 0. The reader refuses anything else, so that it can be used.
 * @value: The current value. Without it counting would restart.
 * @limit: The value at which it restarts from 0; 0 if it does not. Added later:
 *         older counters have no limit. The reader refuses a @value that is not
 *         below it.
 */
struct luo_example_counter {
	__u32	id;
	__u32	reserved;
	__u64	value;
	__u64	limit;
} __attribute__((packed));

/**
 * struct luo_example_sample - a value that was read at some time
 *
 * @id: &luo_example_counter.id. The reader refuses one that there is not.
 * @reserved: 0. The reader refuses anything else, so that it can be used.
 * @value: The value that was read.
 * @time: Time of reading, in nanoseconds of CLOCK_BOOTTIME. Needed to compute a
 *        rate.
 * @error: Maximum error of @value, 0 if it is exact. Added later: older samples
 *         are exact.
 */
struct luo_example_sample {
	__u32	id;
	__u32	reserved;
	__u64	value;
	__u64	time;
	__u64	error;
} __attribute__((packed));

#define LUO_EXAMPLE_NOTE_LENGTH	24

/**
 * struct luo_example_note - a text about a counter
 *
 * @id: &luo_example_counter.id. The reader refuses one that there is not.
 * @reserved: 0. The reader refuses anything else, so that it can be used.
 * @text: The text, padded with 0. For humans: the reader does not interpret it.
 */
struct luo_example_note {
	__u32	id;
	__u32	reserved;
	__u8	text[LUO_EXAMPLE_NOTE_LENGTH];
} __attribute__((packed));

#endif /* _UAPI_LINUX_LUO_EXAMPLE_H */
