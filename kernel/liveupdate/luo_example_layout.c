// SPDX-License-Identifier: GPL-2.0-only
/*
 * The layout of linux/luo/example.h.
 *
 * If one of these fails, the serialized data of live updates has changed. Do not
 * change the assertion: undo the change, and read in
 * Documentation/core-api/liveupdate-abi.rst how a struct can grow.
 */

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/luo/example.h>

static_assert(!__builtin_strcmp(LUO_EXAMPLE_TAG, "luo-example-v1"));

static_assert(LUO_EXAMPLE_INCOMPAT_SIGNED == 1);
static_assert(LUO_EXAMPLE_INCOMPAT_DOWN == 2);
static_assert(LUO_EXAMPLE_INCOMPAT_LIMIT == 4);
static_assert(LUO_EXAMPLE_INCOMPAT_ERROR == 8);

static_assert(LUO_EXAMPLE_COMPAT_NOTES == 1);

static_assert(LUO_EXAMPLE_COUNTER == 0x8001);
static_assert(LUO_EXAMPLE_SAMPLES == 0xc002);
static_assert(LUO_EXAMPLE_NOTE == 3);

static_assert(LUO_EXAMPLE_COUNTER_DOWN == 1);

static_assert(sizeof(struct luo_example_counter) == 24);
static_assert(offsetof(struct luo_example_counter, id) == 0);
static_assert(sizeof_field(struct luo_example_counter, id) == 4);
static_assert(offsetof(struct luo_example_counter, reserved) == 4);
static_assert(sizeof_field(struct luo_example_counter, reserved) == 4);
static_assert(offsetof(struct luo_example_counter, value) == 8);
static_assert(sizeof_field(struct luo_example_counter, value) == 8);
static_assert(offsetof(struct luo_example_counter, limit) == 16);
static_assert(sizeof_field(struct luo_example_counter, limit) == 8);

static_assert(sizeof(struct luo_example_sample) == 32);
static_assert(offsetof(struct luo_example_sample, id) == 0);
static_assert(sizeof_field(struct luo_example_sample, id) == 4);
static_assert(offsetof(struct luo_example_sample, reserved) == 4);
static_assert(sizeof_field(struct luo_example_sample, reserved) == 4);
static_assert(offsetof(struct luo_example_sample, value) == 8);
static_assert(sizeof_field(struct luo_example_sample, value) == 8);
static_assert(offsetof(struct luo_example_sample, time) == 16);
static_assert(sizeof_field(struct luo_example_sample, time) == 8);
static_assert(offsetof(struct luo_example_sample, error) == 24);
static_assert(sizeof_field(struct luo_example_sample, error) == 8);

static_assert(LUO_EXAMPLE_NOTE_LENGTH == 0x18);

static_assert(sizeof(struct luo_example_note) == 32);
static_assert(offsetof(struct luo_example_note, id) == 0);
static_assert(sizeof_field(struct luo_example_note, id) == 4);
static_assert(offsetof(struct luo_example_note, reserved) == 4);
static_assert(sizeof_field(struct luo_example_note, reserved) == 4);
static_assert(offsetof(struct luo_example_note, text) == 8);
static_assert(sizeof_field(struct luo_example_note, text) == 24);
