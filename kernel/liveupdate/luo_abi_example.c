// SPDX-License-Identifier: GPL-2.0-only
/*
 * The writer and the reader of linux/luo/example.h, which the tests of the
 * rules use, and which show what those of a subsystem look like.
 */

#include <linux/array_size.h>
#include <linux/errno.h>
#include <linux/luo_abi.h>
#include <linux/luo_tag.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/luo/example.h>

#include "luo_abi_suite.h"
#include "golden/luo-example-v1.h"
#include "golden/luo-example-v1-first.h"

static LUO_TAG(example_tag,
	       .name = LUO_EXAMPLE_TAG,
	       .kind = LUO_ABI_TAG_SUBTREE,
	       .magic = LUO_ABI_MAGIC_EXAMPLE,
	       .flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES,
	       .incompat = LUO_EXAMPLE_INCOMPAT_SIGNED |
			   LUO_EXAMPLE_INCOMPAT_DOWN |
			   LUO_EXAMPLE_INCOMPAT_LIMIT |
			   LUO_EXAMPLE_INCOMPAT_ERROR,
	       .compat = LUO_EXAMPLE_COMPAT_NOTES);

#define EXAMPLE_MAX_COUNTERS	16

static const struct luo_abi_field example_counter_fields[] = {
	LUO_ABI_FIELDS(struct luo_example_counter, id, id),
	LUO_ABI_RESERVED(struct luo_example_counter, reserved),
	LUO_ABI_FIELDS(struct luo_example_counter, value, value),
	LUO_ABI_APPENDED(struct luo_example_counter, limit,
			 LUO_EXAMPLE_INCOMPAT_LIMIT),
};

static const struct luo_abi_feature example_counter_features[] = {
	{ LUO_EXAMPLE_COUNTER_DOWN, LUO_EXAMPLE_INCOMPAT_DOWN },
};

static const struct luo_abi_field example_sample_fields[] = {
	LUO_ABI_FIELDS(struct luo_example_sample, id, id),
	LUO_ABI_RESERVED(struct luo_example_sample, reserved),
	LUO_ABI_FIELDS(struct luo_example_sample, value, time),
	LUO_ABI_APPENDED(struct luo_example_sample, error,
			 LUO_EXAMPLE_INCOMPAT_ERROR),
};

static const struct luo_abi_field example_note_fields[] = {
	LUO_ABI_FIELDS(struct luo_example_note, id, id),
	LUO_ABI_RESERVED(struct luo_example_note, reserved),
	LUO_ABI_FIELDS(struct luo_example_note, text, text),
};

static const struct luo_abi_type example_types[] = {
	{
		LUO_ABI_TYPE(LUO_EXAMPLE_COUNTER, struct luo_example_counter,
			     16, example_counter_fields),
		.features = example_counter_features,
		.nr_features = ARRAY_SIZE(example_counter_features),
		.needs = LUO_ABI_ALWAYS,
		.max = EXAMPLE_MAX_COUNTERS,
	},
	{
		LUO_ABI_TYPE(LUO_EXAMPLE_SAMPLES, struct luo_example_sample,
			     24, example_sample_fields),
		.needs = LUO_ABI_ALWAYS,
		.min = 1,
		.max = 2,
		.max_entries = 1000,
	},
	{
		LUO_ABI_TYPE(LUO_EXAMPLE_NOTE, struct luo_example_note,
			     32, example_note_fields),
		.needs = LUO_ABI_ALWAYS,
		.max = EXAMPLE_MAX_COUNTERS,
	},
};

static const struct luo_abi_format example_format = {
	.tag = &example_tag,
	.types = example_types,
	.nr_types = ARRAY_SIZE(example_types),
};

#define EXAMPLE_SAMPLES		130	/* in two blocks */

static int example_write(struct luo_abi_state *state)
{
	struct luo_abi_writer *w = &state->w;
	struct luo_example_counter *counter;
	struct luo_example_sample *sample;
	struct luo_example_note *note;
	struct kho_block_set_it it;
	struct kho_block_set *bs;

	luo_abi_set_features(w, LUO_EXAMPLE_INCOMPAT_SIGNED |
				LUO_EXAMPLE_INCOMPAT_DOWN |
				LUO_EXAMPLE_INCOMPAT_LIMIT |
				LUO_EXAMPLE_INCOMPAT_ERROR,
			     LUO_EXAMPLE_COMPAT_NOTES);

	for (u32 id = 1; id <= 3; id++) {
		counter = luo_abi_append(w, LUO_EXAMPLE_COUNTER,
					 sizeof(*counter));
		if (!counter)
			return -ENOSPC;
		counter->id = id;
		counter->value = 1000 * id;
		counter->limit = 5000 * (id - 1);
	}
	luo_abi_record_of(counter)->incompat |= LUO_EXAMPLE_COUNTER_DOWN;

	bs = luo_abi_state_array(state, sizeof(*sample), EXAMPLE_SAMPLES);
	if (!bs)
		return -ENOMEM;
	kho_block_set_it_init(&it, bs);
	for (u64 i = 0; i < EXAMPLE_SAMPLES; i++) {
		sample = kho_block_set_it_reserve_entry(&it);
		sample->id = 1 + i % 3;
		sample->value = 10 * i;
		sample->time = 1000 + i;
		sample->error = i % 2;
	}
	luo_abi_append_array(w, LUO_EXAMPLE_SAMPLES, bs);

	note = luo_abi_append(w, LUO_EXAMPLE_NOTE, sizeof(*note));
	if (!note)
		return -ENOSPC;
	note->id = 2;
	memcpy(note->text, "the second one", 14);

	return 0;
}

static bool example_has_counter(struct luo_abi_reader *r, u32 id,
				const struct luo_abi_record *before)
{
	const struct luo_abi_record *record = NULL;
	struct luo_example_counter counter;

	while ((record = luo_abi_next(r, record, LUO_EXAMPLE_COUNTER))) {
		if (record == before)
			break;
		luo_abi_get(record, &counter, sizeof(counter));
		if (counter.id == id)
			return true;
	}

	return false;
}

static int example_read_counters(struct luo_abi_reader *r,
				 struct luo_abi_text *text)
{
	const struct luo_abi_record *record = NULL;
	struct luo_example_counter counter;

	while ((record = luo_abi_next(r, record, LUO_EXAMPLE_COUNTER))) {
		luo_abi_get(record, &counter, sizeof(counter));
		if (!counter.id || example_has_counter(r, counter.id, record))
			return luo_abi_refuse(r, record,
					      offsetof(struct luo_example_counter, id),
					      1, counter.id);
		if (counter.limit && counter.value >= counter.limit)
			return luo_abi_refuse(r, record,
					      offsetof(struct luo_example_counter, value),
					      counter.limit, counter.value);

		luo_abi_say(text, "counter %u: %llu of %llu%s\n", counter.id,
			    counter.value, counter.limit,
			    record->incompat & LUO_EXAMPLE_COUNTER_DOWN ?
			    ", down" : "");
	}

	return 0;
}

static int example_read_samples(struct luo_abi_reader *r,
				struct luo_abi_text *text)
{
	u64 count = 0, values = 0, times = 0, errors = 0;
	const struct luo_abi_record *record = NULL;
	struct luo_example_sample sample;
	struct luo_abi_array_it it;

	while ((record = luo_abi_next(r, record, LUO_EXAMPLE_SAMPLES))) {
		luo_abi_array_begin(&it, record);
		while (luo_abi_array_next(&it, &sample, sizeof(sample))) {
			if (!example_has_counter(r, sample.id, NULL))
				return luo_abi_refuse(r, record, 0, 1,
						      sample.id);
			count++;
			values += sample.value;
			times += sample.time;
			errors += sample.error;
		}
	}
	luo_abi_say(text, "%llu samples: values %llu, times %llu, errors %llu\n",
		    count, values, times, errors);

	return 0;
}

static int example_read_notes(struct luo_abi_reader *r,
			      struct luo_abi_text *text)
{
	const struct luo_abi_record *record = NULL;
	struct luo_example_note note;

	while ((record = luo_abi_next(r, record, LUO_EXAMPLE_NOTE))) {
		luo_abi_get(record, &note, sizeof(note));
		if (!example_has_counter(r, note.id, NULL))
			return luo_abi_refuse(r, record,
					      offsetof(struct luo_example_note, id),
					      1, note.id);
		luo_abi_say(text, "note on %u: %.*s\n", note.id,
			    (int)sizeof(note.text), note.text);
	}

	return 0;
}

static int example_read(struct luo_abi_reader *r, struct luo_abi_text *text)
{
	int err;

	luo_abi_say(text, "values are %s, notes are %s\n",
		    r->header.incompat & LUO_EXAMPLE_INCOMPAT_SIGNED ?
		    "signed" : "unsigned",
		    r->header.compat & LUO_EXAMPLE_COMPAT_NOTES ?
		    "recorded" : "not all recorded");

	err = example_read_counters(r, text);
	if (err)
		return err;
	err = example_read_samples(r, text);
	if (err)
		return err;

	return example_read_notes(r, text);
}

static const struct luo_abi_golden example_goldens[] = {
	LUO_ABI_GOLDEN(luo_example_v1_first),
	LUO_ABI_GOLDEN(luo_example_v1),
};

const struct luo_abi_suite luo_abi_example_suite = {
	.name = "luo_example_v1",
	.format = &example_format,
	.write = example_write,
	.read = example_read,
	.goldens = example_goldens,
	.nr_goldens = ARRAY_SIZE(example_goldens),
};
