// SPDX-License-Identifier: GPL-2.0-only
/*
 * Can a kernel take over what the running one has preserved? To be asked before
 * the kexec: afterwards a file or a device that the new kernel does not know is
 * lost.
 *
 * The kernel's file lists the tags and features it knows, and those of its
 * modules do; sysfs says what of them is in use. liveupdate-preflight(8) has the
 * rest.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <getopt.h>
#include <libelf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <sys/utsname.h>
#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/luo/abi.h>

#define TAGS_DIR	"/sys/kernel/liveupdate/tags"

/* Of the first version of struct luo_abi_tag */
#define TAG_MIN		88

enum { READY = 0, MISSING = 1, TROUBLE = 2 };

struct need {
	char name[LUO_ABI_TAG_LENGTH + 1];
	char kind[16];
	unsigned long long features;
	unsigned long long unknown;	/* of them */
	bool known, reads;
};

static struct need *needs;
static size_t nr_needs;
static bool listed;		/* Some file lists tags at all. */
static bool foreign;		/* Some file is for another kind of machine. */

static void __noreturn __printf(1, 2) die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "liveupdate-preflight: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(TROUBLE);
}

static void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		die("out of memory");
	return p;
}

/* --- what the running kernel would need */

static bool read_value(const char *dir, const char *tag, const char *name,
		       char *value, size_t size)
{
	char path[4096];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", dir, tag, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	len = read(fd, value, size - 1);
	close(fd);
	if (len < 0)
		return false;
	value[len] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return true;
}

static void add_need(const char *dir, const char *tag)
{
	char kind[16], used[32], features[32];
	struct need *need;

	if (!read_value(dir, tag, "kind", kind, sizeof(kind)) ||
	    !read_value(dir, tag, "used", used, sizeof(used)) ||
	    !read_value(dir, tag, "needs", features, sizeof(features)))
		die("%s/%s cannot be read: %s", dir, tag, strerror(errno));
	/* What is written but not counted is taken for preserved. */
	if (!strcmp(used, "0") && !strtoull(features, NULL, 0))
		return;

	needs = grow(needs, (nr_needs + 1) * sizeof(*needs));
	need = &needs[nr_needs++];
	memset(need, 0, sizeof(*need));
	snprintf(need->name, sizeof(need->name), "%.48s", tag);
	snprintf(need->kind, sizeof(need->kind), "%s", kind);
	need->features = strtoull(features, NULL, 0);
	need->unknown = need->features;
}

static void read_needs(const char *dir)
{
	struct dirent *e;
	DIR *d = opendir(dir);

	if (!d)
		die("%s: %s. Live update is off: boot this kernel with liveupdate=on and kho=on.",
		    dir, strerror(errno));
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.')
			add_need(dir, e->d_name);
	}
	closedir(d);
}

/* --- what a kernel's file knows */

static bool is_kind(const struct luo_abi_tag *tag, const char *kind)
{
	switch (tag->kind) {
	case LUO_ABI_TAG_FILE:
		return !strcmp(kind, "file");
	case LUO_ABI_TAG_FLB:
		return !strcmp(kind, "flb");
	case LUO_ABI_TAG_SUBTREE:
		return !strcmp(kind, "subtree");
	}
	return false;
}

/* Blobs mean nothing on another architecture, or with another page size. */
static bool is_for_this_machine(const struct luo_abi_tag *tag)
{
	static const struct {
		const char *machine;
		int arch;
	} machines[] = {
		{ "x86_64", LUO_ABI_ARCH_X86_64 },
		{ "aarch64", LUO_ABI_ARCH_AARCH64 },
	};
	struct utsname name;

	if (uname(&name))
		die("uname: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		if (!strcmp(machines[i].machine, name.machine))
			return tag->arch == machines[i].arch &&
			       1L << tag->page_shift == sysconf(_SC_PAGESIZE);
	}
	die("this machine, %s, is not known here", name.machine);
}

/*
 * A tag can be declared more than once, in the kernel and in a module. One of
 * them must know everything by itself: only one will read it.
 */
static void meet(const struct luo_abi_tag *tag)
{
	if (!is_for_this_machine(tag)) {
		foreign = true;
		return;
	}
	for (size_t i = 0; i < nr_needs; i++) {
		struct need *need = &needs[i];

		if (strncmp(need->name, (const char *)tag->name,
			    LUO_ABI_TAG_LENGTH) ||
		    !is_kind(tag, need->kind))
			continue;
		need->known = true;
		if (!(tag->flags & LUO_ABI_TAG_READS))
			continue;
		if (!need->reads || !(need->features & ~tag->incompat))
			need->unknown = need->features & ~tag->incompat;
		need->reads = true;
	}
}

static void read_tags(const char *path, const unsigned char *data, size_t size)
{
	struct luo_abi_tag tag;
	uint32_t stride;

	while (size) {
		if (size < TAG_MIN)
			die("%s: the section %s ends within a tag", path,
			    LUO_ABI_TAG_SECTION);
		memcpy(&stride, data, sizeof(stride));
		if (stride < TAG_MIN || stride > size)
			die("%s: the section %s has a tag of %u bytes", path,
			    LUO_ABI_TAG_SECTION, stride);
		memset(&tag, 0, sizeof(tag));
		memcpy(&tag, data, stride < sizeof(tag) ? stride : sizeof(tag));
		meet(&tag);
		data += stride;
		size -= stride;
	}
}

static void read_elf(const char *path, char *file, size_t size)
{
	size_t strings;
	GElf_Shdr shdr;
	Elf_Scn *scn = NULL;
	GElf_Ehdr ehdr;
	Elf_Data *data;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_memory(file, size);
	if (!elf || elf_kind(elf) != ELF_K_ELF || elf_getshdrstrndx(elf, &strings))
		die("%s: %s", path, elf && elf_kind(elf) != ELF_K_ELF ?
		    "neither a kernel nor a module" : elf_errmsg(-1));

	/* libelf finds no sections in a file that was cut off, and no fault. */
	if (!gelf_getehdr(elf, &ehdr) || !ehdr.e_shoff || ehdr.e_shoff > size ||
	    (uint64_t)ehdr.e_shnum * ehdr.e_shentsize > size - ehdr.e_shoff)
		die("%s: its sections are missing, was it cut off?", path);

	while ((scn = elf_nextscn(elf, scn))) {
		const char *name;

		if (!gelf_getshdr(scn, &shdr))
			die("%s: %s", path, elf_errmsg(-1));
		name = elf_strptr(elf, strings, shdr.sh_name);
		if (!name || strcmp(name, LUO_ABI_TAG_SECTION))
			continue;
		data = elf_rawdata(scn, NULL);
		if (!data || shdr.sh_type == SHT_NOBITS)
			die("%s: the section %s cannot be read", path, name);
		listed = true;
		read_tags(path, data->d_buf, data->d_size);
	}
	elf_end(elf);
}

/* --- bzImage: see Documentation/arch/x86/boot.rst */

static uint32_t le32(const unsigned char *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool is_bzimage(const unsigned char *file, size_t size)
{
	return size > 0x250 && !memcmp(file + 0x202, "HdrS", 4);
}

static const struct {
	const char *magic;
	size_t len;
	const char *command[3];
} packers[] = {
	{ "\x1f\x8b", 2, { "gzip", "-dc" } },
	{ "BZh", 3, { "bzip2", "-dc" } },
	{ "\3757zXZ", 5, { "xz", "-dc" } },
	{ "\x5d\0\0", 3, { "xz", "-dcFlzma" } },
	{ "\x89LZO", 4, { "lzop", "-dc" } },
	{ "\x02\x21\x4c\x18", 4, { "lz4", "-dc" } },
	{ "\x28\xb5\x2f\xfd", 4, { "zstd", "-dc" } },
};

/* @in, packed, comes out of the pipe that is returned. */
static FILE *start_unpacking(const char *const *command, int in, pid_t *pid)
{
	int out[2], null;

	if (pipe(out))
		die("pipe: %s", strerror(errno));
	*pid = fork();
	if (*pid < 0)
		die("fork: %s", strerror(errno));
	if (!*pid) {
		/* Most packed kernels have their size behind them; never mind. */
		null = open("/dev/null", O_WRONLY);
		dup2(in, 0);
		dup2(out[1], 1);
		dup2(null, 2);
		close(out[0]);
		close(out[1]);
		execvp(command[0], (char *const *)command);
		_exit(127);
	}
	close(out[1]);
	return fdopen(out[0], "r");
}

static char *unpack(const char *path, const char *const *command, int in,
		    size_t *size)
{
	size_t room = 0, got;
	char *file = NULL;
	int status;
	pid_t pid;
	FILE *out = start_unpacking(command, in, &pid);

	if (!out)
		die("out of memory");
	*size = 0;
	do {
		if (*size == room) {
			room = room ? 2 * room : 1 << 24;
			file = grow(file, room);
		}
		got = fread(file + *size, 1, room - *size, out);
		*size += got;
	} while (got);
	fclose(out);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		die("%s is packed with %s, which is not installed", path,
		    command[0]);
	return file;
}

static char *unpack_bzimage(const char *path, const unsigned char *file,
			    size_t *size)
{
	uint64_t start = (file[0x1f1] ?: 4) + 1, len = le32(file + 0x24c);
	const unsigned char *packed;
	char *unpacked;
	int in;

	start = start * 512 + le32(file + 0x248);
	if (start + 8 > *size || len > *size - start)
		die("%s: its kernel is not where its header says", path);
	packed = file + start;

	/* Not packed at all */
	if (!memcmp(packed, ELFMAG, SELFMAG)) {
		unpacked = memcpy(grow(NULL, len), packed, len);
		*size = len;
		return unpacked;
	}

	in = memfd_create("kernel", 0);
	if (in < 0 || write(in, packed, len) != (ssize_t)len ||
	    lseek(in, 0, SEEK_SET))
		die("memfd: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		if (memcmp(packed, packers[i].magic, packers[i].len))
			continue;
		unpacked = unpack(path, packers[i].command, in, size);
		close(in);
		return unpacked;
	}
	die("%s: packed in an unknown way", path);
}

static void read_kernel(const char *path)
{
	unsigned char *file;
	struct stat st;
	char *unpacked;
	size_t size;
	int fd;

	fd = open(path, O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		die("%s: %s", path, strerror(errno));
	size = st.st_size;
	file = size ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd,
			   0) : MAP_FAILED;
	if (file == MAP_FAILED)
		die("%s: %s", path, size ? strerror(errno) : "empty");
	close(fd);

	if (is_bzimage(file, size)) {
		size_t packed = size;

		unpacked = unpack_bzimage(path, file, &size);
		read_elf(path, unpacked, size);
		free(unpacked);
		size = packed;
	} else {
		read_elf(path, (char *)file, size);
	}
	munmap(file, size);
}

/* --- the answer */

static bool is_missing(const struct need *need)
{
	return !need->known || !need->reads || need->unknown;
}

static void print_string(const char *s)
{
	putchar('"');
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if ((unsigned char)*s < 0x20)
			printf("\\u%04x", *s);
		else
			putchar(*s);
	}
	putchar('"');
}

static int answer_json(const char *image)
{
	int status = foreign ? MISSING : READY;

	printf("{\"image\": ");
	print_string(image);
	printf(", \"lists_tags\": %s, \"this_machine\": %s, \"tags\": [",
	       listed ? "true" : "false", foreign ? "false" : "true");
	for (size_t i = 0; i < nr_needs; i++) {
		printf("%s\n  {\"tag\": ", i ? "," : "");
		print_string(needs[i].name);
		printf(", \"kind\": ");
		print_string(needs[i].kind);
		printf(", \"known\": %s, \"reads\": %s, ",
		       needs[i].known ? "true" : "false",
		       needs[i].reads ? "true" : "false");
		printf("\"needs\": \"%#llx\", \"missing_features\": \"%#llx\"}",
		       needs[i].features, needs[i].unknown);
		if (is_missing(&needs[i]))
			status = MISSING;
	}
	printf("\n], \"ready\": %s}\n", status ? "false" : "true");
	return status;
}

static int answer(const char *image)
{
	int status = foreign ? MISSING : READY;

	if (foreign)
		printf("%s is for another architecture, or another page size\n",
		       image);
	else if (!listed && nr_needs)
		printf("%s lists no tags: it is too old, or built without CONFIG_LIVEUPDATE\n",
		       image);
	for (size_t i = 0; i < nr_needs; i++) {
		const struct need *need = &needs[i];

		if (!is_missing(need))
			continue;
		status = MISSING;
		if (!need->known)
			printf("missing: %s (%s): not known\n", need->name,
			       need->kind);
		else if (!need->reads)
			printf("missing: %s (%s): known, but no longer read\n",
			       need->name, need->kind);
		else
			printf("missing: %s (%s): features %#llx\n", need->name,
			       need->kind, need->unknown);
	}
	if (!status)
		printf("%s knows all %zu tags in use\n", image, nr_needs);
	return status;
}

static void __noreturn explain(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: liveupdate-preflight [--json] [--tags DIR] IMAGE [MODULE.ko]...\n"
		"IMAGE is the next kernel, vmlinux or bzImage; MODULEs are those of its modules\n"
		"that will be loaded when the sessions are retrieved.\n"
		"Exit status: 0 it knows everything in use, 1 something is missing, 2 trouble.\n");
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "tags", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *dir = TAGS_DIR;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "jt:h", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (c == 't')
			dir = optarg;
		else
			explain(c == 'h' ? READY : TROUBLE);
	}
	if (optind == argc)
		explain(TROUBLE);

	read_needs(dir);
	for (int i = optind; i < argc; i++)
		read_kernel(argv[i]);

	return json ? answer_json(argv[optind]) : answer(argv[optind]);
}
