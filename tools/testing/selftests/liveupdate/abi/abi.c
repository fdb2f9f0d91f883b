// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the serialized data of live updates, as a program.
 *
 *	abi test [COUNT [SEED]]	golden blobs, and COUNT mutants of each; TAP
 *	abi golden DIR		write the newest golden blob of each tag
 *	abi corpus DIR		write all golden blobs as files for libFuzzer
 *	abi reasons		the table of reasons, as in the documentation
 */

#include <time.h>
#include "luo_abi_suite.h"

static int points, failures;

static void point(bool good, const char *what, const char *why)
{
	points++;
	failures += !good;
	printf("%s %d - %s%s%s\n", good ? "ok" : "not ok", points, what,
	       why ? ": " : "", why ?: "");
}

static void load(struct luo_abi_image *image, const u8 *data, size_t size)
{
	if (luo_abi_image_load(image, data, size)) {
		fprintf(stderr, "abi: a golden blob cannot be loaded\n");
		exit(2);
	}
	luo_abi_suite_use(image);
}

static void test_golden(const struct luo_abi_suite *suite,
			const struct luo_abi_golden *golden)
{
	struct luo_abi_image image;
	struct luo_abi_text text;
	enum luo_abi_reason reason;
	char what[128];

	load(&image, golden->data, golden->size);
	reason = luo_abi_suite_read(suite, &image, LUO_ABI_SUITE_PHYS, &text, true);
	luo_abi_image_free(&image);

	snprintf(what, sizeof(what), "%s: accepted", golden->name);
	point(!reason && !strcmp(text.buf, golden->text), what,
	      reason ? luo_abi_reason_text(reason) : NULL);
	if (strcmp(text.buf, golden->text))
		printf("# expected:\n%s# found:\n%s", golden->text, text.buf);
	snprintf(what, sizeof(what), "%s: not more than 12 KiB", golden->name);
	point(golden->size <= 12288, what, NULL);
}

static bool write_state(const struct luo_abi_suite *suite, u8 **data,
			size_t *size)
{
	static u64 mem[LUO_ABI_SUITE_SIZE / sizeof(u64)];
	struct luo_abi_state state;

	/* Whatever was there before must not be seen. */
	memset(mem, 0xaa, sizeof(mem));
	if (luo_abi_suite_write(suite, &state, mem, sizeof(mem)) ||
	    luo_abi_image_save(&state, data, size)) {
		luo_abi_state_free(&state);
		return false;
	}
	luo_abi_state_free(&state);

	return true;
}

static void test_same_bytes(const struct luo_abi_suite *suite)
{
	const struct luo_abi_golden *golden =
		&suite->goldens[suite->nr_goldens - 1];
	enum luo_abi_reason reason;
	struct luo_abi_image image;
	struct luo_abi_text text;
	char what[128];
	size_t size;
	u8 *data;

	if (!write_state(suite, &data, &size)) {
		snprintf(what, sizeof(what), "%s: can be written", suite->name);
		point(false, what, NULL);
		return;
	}
	snprintf(what, sizeof(what), "%s: same state, same bytes", golden->name);
	point(size == golden->size && !memcmp(data, golden->data, size), what,
	      NULL);
	load(&image, data, size);
	reason = luo_abi_suite_read(suite, &image, LUO_ABI_SUITE_PHYS, &text,
				    true);
	snprintf(what, sizeof(what), "%s: what is written is read", suite->name);
	point(!reason && !strcmp(text.buf, golden->text), what,
	      reason ? luo_abi_reason_text(reason) : NULL);
	luo_abi_image_free(&image);
	free(data);
}

/* Returns how many changes to a blob went unnoticed by its checksum. */
static long test_mutants(const struct luo_abi_suite *suite,
			 const struct luo_abi_golden *golden, long count,
			 u64 seed, long *killed)
{
	struct luo_abi_rng rng = { .state = seed };
	enum luo_abi_reason reason;
	struct luo_abi_image image;
	struct luo_abi_text text;
	long unnoticed = 0;
	bool changed;
	u64 phys;

	for (long i = 0; i < count; i++) {
		load(&image, golden->data, golden->size);
		if (!luo_abi_mutate(&image, &rng, &phys)) {
			changed = luo_abi_image_changed(&image, golden->data);
			reason = luo_abi_suite_read(suite, &image, phys, &text,
						    true);
			unnoticed += changed && !reason;
		} else {
			reason = luo_abi_suite_read(suite, &image, phys, &text,
						    true);
		}
		killed[reason]++;
		luo_abi_image_free(&image);
	}

	return unnoticed;
}

/*
 * The number of the suite, whether to seal, the image. The blob's size is what
 * it says itself, if that is possible.
 */
static bool fuzz(const u8 *data, size_t size)
{
	enum luo_abi_reason reason = LUO_REASON_TOTAL_SIZE;
	const struct luo_abi_suite *suite;
	struct luo_abi_header head;
	struct luo_abi_image image;
	struct luo_abi_text text;
	u8 *copy;

	if (size < 2 + sizeof(head))
		return false;
	suite = luo_abi_suites[data[0] % luo_abi_nr_suites];
	memcpy(&head, data + 2, sizeof(head));
	copy = malloc(size - 2);
	if (!copy)
		return false;
	memcpy(copy, data + 2, size - 2);
	if (head.total_size < sizeof(head) || head.total_size > size - 2) {
		head.total_size = size - 2;
		memcpy(copy, &head, sizeof(head));
	}
	if (!luo_abi_image_load(&image, copy, size - 2)) {
		if (data[1] & 1)
			luo_abi_image_seal(&image);
		luo_abi_suite_use(&image);
		reason = luo_abi_suite_read(suite, &image, LUO_ABI_SUITE_PHYS,
					    &text, true);
		luo_abi_image_free(&image);
	}
	free(copy);

	return !reason;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	fuzz(data, size);

	return 0;
}

/* libFuzzer begins with these: they must get through. */
static void test_fuzz(const struct luo_abi_golden *golden, unsigned int suite)
{
	u8 *data = malloc(golden->size + 2);
	char what[128];

	if (!data)
		exit(2);
	data[0] = suite;
	data[1] = 1;
	memcpy(data + 2, golden->data, golden->size);
	snprintf(what, sizeof(what), "%s: libFuzzer's entry understands it",
		 golden->name);
	point(fuzz(data, golden->size + 2), what, NULL);
	free(data);
}

static void test_suite(unsigned int nr, long count, u64 seed)
{
	const struct luo_abi_suite *suite = luo_abi_suites[nr];
	long killed[LUO_ABI_REASONS] = {}, all = 0, unnoticed = 0;
	char what[128];

	for (unsigned int i = 0; i < suite->nr_goldens; i++) {
		test_golden(suite, &suite->goldens[i]);
		test_fuzz(&suite->goldens[i], nr);
	}
	test_same_bytes(suite);

	for (unsigned int i = 0; i < suite->nr_goldens; i++)
		unnoticed += test_mutants(suite, &suite->goldens[i], count,
					  seed + i, killed);
	for (int i = 0; i < LUO_ABI_REASONS; i++) {
		printf("# %8ld %s\n", killed[i],
		       i ? luo_abi_reason_text(i) : "survived");
		all += killed[i];
	}
	snprintf(what, sizeof(what),
		 "%s: %ld mutants, no change behind the checksum's back",
		 suite->name, all);
	point(!unnoticed, what, NULL);
	for (int i = 1; i < LUO_ABI_REASONS; i++) {
		if (killed[i] || !luo_abi_suite_expects(suite, i))
			continue;
		snprintf(what, sizeof(what), "%s: a mutant is refused as '%s'",
			 suite->name, luo_abi_reason_text(i));
		point(false, what, NULL);
	}
	snprintf(what, sizeof(what), "%s: some survive", suite->name);
	point(killed[0], what, NULL);
}

static int test(long count, u64 seed)
{
	seed = seed ?: (u64)time(NULL);
	printf("TAP version 13\n# seed %llu\n", (unsigned long long)seed);
	for (unsigned int i = 0; i < luo_abi_nr_cases; i++) {
		const char *why;

		luo_abi_suite_use(NULL);
		why = luo_abi_run_case(&luo_abi_cases[i]);
		point(!why, luo_abi_cases[i].name, why);
	}
	for (unsigned int i = 0; i < luo_abi_nr_suites; i++)
		test_suite(i, count, seed);
	printf("1..%d\n", points);

	return failures != 0;
}

static FILE *create(const char *dir, const char *name, const char *suffix)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix);
	for (char *p = path + strlen(dir); *p; p++) {
		if (*p == '_')
			*p = '-';
	}
	file = fopen(path, "w");
	if (!file) {
		fprintf(stderr, "abi: cannot write %s: %s\n", path,
			strerror(errno));
		exit(2);
	}
	return file;
}

static void print_text(FILE *out, const char *text)
{
	while (*text) {
		fprintf(out, "\n\t\"");
		for (; *text && *text != '\n'; text++)
			fputc(*text, out);
		fprintf(out, *text ? "\\n\"" : "\"");
		text += !!*text;
	}
}

/* What the first line of every file says; not about this one. */
#define SPDX	"SPDX-License\x2dIdentifier"

/* As C, without the rows that are 0. */
static void print_golden(FILE *out, const char *name, const u8 *data,
			 size_t size, const char *text)
{
	fprintf(out,
		"/* %s: GPL-2.0-only */\n"
		"/* Made by \"make golden\" when this was the newest. It never changes. */\n"
		"static const u8 golden_%s[%zu] = {\n",
		SPDX, name, size);
	for (size_t i = 0; i < size; i += 8) {
		size_t n = size - i < 8 ? size - i : 8;

		if (!memchr_inv(data + i, 0, n))
			continue;
		fprintf(out, "\t[%zu] =", i);
		for (size_t j = 0; j < n; j++)
			fprintf(out, " 0x%02x,", data[i + j]);
		fputc('\n', out);
	}
	fprintf(out, "};\n\nstatic const char golden_%s_text[] =", name);
	print_text(out, text);
	fprintf(out, ";\n");
}

/* A golden blob never changes: an existing one must be the same. */
static bool is_golden(const struct luo_abi_suite *suite, const u8 *data,
		      size_t size)
{
	const struct luo_abi_golden *newest =
		&suite->goldens[suite->nr_goldens - 1];

	return newest->size == size && !memcmp(newest->data, data, size);
}

static int write_goldens(const char *dir)
{
	for (unsigned int i = 0; i < luo_abi_nr_suites; i++) {
		const struct luo_abi_suite *suite = luo_abi_suites[i];
		struct luo_abi_image image;
		struct luo_abi_text text;
		size_t size;
		FILE *out;
		u8 *data;

		if (!write_state(suite, &data, &size)) {
			fprintf(stderr, "abi: %s is not written\n", suite->name);
			return 2;
		}
		load(&image, data, size);
		if (luo_abi_suite_read(suite, &image, LUO_ABI_SUITE_PHYS, &text, true)) {
			fprintf(stderr, "abi: %s is not read\n", suite->name);
			return 2;
		}
		if (is_golden(suite, data, size)) {
			luo_abi_image_free(&image);
			free(data);
			continue;
		}
		if (suite->goldens[suite->nr_goldens - 1].size > 8) {
			fprintf(stderr,
				"abi: %s is no longer written as it was. Old blobs must stay readable:\n"
				"keep its golden blob under another name, and begin the new one with\n"
				"\"static const u8 golden_%s[8];\".\n",
				suite->name, suite->name);
			return 1;
		}
		out = create(dir, suite->name, ".h");
		print_golden(out, suite->name, data, size, text.buf);
		fclose(out);
		luo_abi_image_free(&image);
		free(data);
	}

	return 0;
}

static int corpus(const char *dir)
{
	for (unsigned int i = 0; i < luo_abi_nr_suites; i++) {
		const struct luo_abi_suite *suite = luo_abi_suites[i];

		for (unsigned int j = 0; j < suite->nr_goldens; j++) {
			const struct luo_abi_golden *g = &suite->goldens[j];
			FILE *out = create(dir, g->name, "");

			fputc(i, out);
			fputc(1, out);
			fwrite(g->data, 1, g->size, out);
			fclose(out);
		}
	}

	return 0;
}

static const char *errno_name(int err)
{
	switch (err) {
	case -EFAULT:
		return "-EFAULT";
	case -ENODATA:
		return "-ENODATA";
	case -EBADMSG:
		return "-EBADMSG";
	case -EOPNOTSUPP:
		return "-EOPNOTSUPP";
	default:
		return "?";
	}
}

static int reasons(void)
{
	for (int i = 1; i < LUO_ABI_REASONS; i++)
		printf("%d|%s|%s\n", i, errno_name(luo_abi_reason_errno(i)),
		       luo_abi_reason_text(i));

	return 0;
}

#ifndef FUZZ
int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (!strcmp(verb, "test"))
		return test(argc > 2 ? atol(argv[2]) : 100000,
			    argc > 3 ? strtoull(argv[3], NULL, 0) : 0);
	if (!strcmp(verb, "golden") && argc == 3)
		return write_goldens(argv[2]);
	if (!strcmp(verb, "corpus") && argc == 3)
		return corpus(argv[2]);
	if (!strcmp(verb, "reasons"))
		return reasons();
	fprintf(stderr,
		"usage: abi test [COUNT [SEED]] | golden DIR | corpus DIR | reasons\n");
	return 2;
}
#endif
