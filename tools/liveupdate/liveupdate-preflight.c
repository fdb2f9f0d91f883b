// SPDX-License-Identifier: GPL-2.0-only
/*
 * Check whether a kernel can take over what the running one has preserved. To be
 * run before the kexec: afterwards a file or a device that the new kernel does
 * not know, or that its command line destroys, is lost.
 *
 * The kernel's file lists the tags and features it knows, and those of its
 * modules do; sysfs says what of them is in use, and what the loaded image's
 * command line is. liveupdate-preflight(8) has the rest.
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

#define LIVEUPDATE	"/sys/kernel/liveupdate"
#define NOIOMMU		"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

/* Of the first version of struct luo_abi_tag */
#define TAG_MIN		88

enum { READY = 0, MISSING = 1, TROUBLE = 2 };

struct need {
	char name[LUO_ABI_TAG_LENGTH + 1];
	char kind[16];
	unsigned long long features;
	unsigned long long unknown;	/* of them */
	bool known, reads;
	bool builtin;			/* known to the image, without modules */
	bool default_on;		/* LUO_ABI_TAG_DEFAULT_ON */
};

struct list {
	char **lines;
	size_t nr;
};

/* The tag that is in use while a function is preserved in VT-d's scalable mode. */
#define SCALABLE	"vtd-scalable-v"

static const char *root = "";	/* of /proc and /sys */
static bool scalable_by_default; /* in the next kernel */
static struct need *needs;
static size_t nr_needs;
static struct list problems;	/* Why the kernel must not be started. */
static struct list notes;
static bool in_image;		/* Read the image, else its modules. */
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

static void __printf(2, 3) add_line(struct list *list, const char *fmt, ...)
{
	va_list ap;
	char *line;

	va_start(ap, fmt);
	if (vasprintf(&line, fmt, ap) < 0)
		die("out of memory");
	va_end(ap);
	list->lines = grow(list->lines, (list->nr + 1) * sizeof(line));
	list->lines[list->nr++] = line;
}

/* --- what the running kernel would need */

/* The first line of a file below @root. */
static bool __printf(3, 4) read_value(char *value, size_t size,
				      const char *fmt, ...)
{
	char path[4096];
	size_t at = 0;
	ssize_t len;
	va_list ap;
	int fd;

	va_start(ap, fmt);
	len = snprintf(path, sizeof(path), "%s", root);
	vsnprintf(path + len, sizeof(path) - len, fmt, ap);
	va_end(ap);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	while ((len = read(fd, value + at, size - 1 - at)) > 0)
		at += len;
	close(fd);
	if (len < 0)
		return false;
	value[at] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return true;
}

static void add_need(const char *tag)
{
	char kind[16], used[32], features[32];
	struct need *need;

	if (!read_value(kind, sizeof(kind), LIVEUPDATE "/tags/%s/kind", tag) ||
	    !read_value(used, sizeof(used), LIVEUPDATE "/tags/%s/used", tag) ||
	    !read_value(features, sizeof(features), LIVEUPDATE "/tags/%s/needs",
			tag))
		die("the tag %s cannot be read: %s", tag, strerror(errno));
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

static void read_needs(void)
{
	struct dirent *e;
	char dir[4096];
	DIR *d;

	snprintf(dir, sizeof(dir), "%s" LIVEUPDATE "/tags", root);
	d = opendir(dir);
	if (!d)
		die("%s: %s. Live update is off: boot this kernel with liveupdate=on and kho=on.",
		    dir, strerror(errno));
	while ((e = readdir(d))) {
		if (e->d_name[0] != '.')
			add_need(e->d_name);
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
	case LUO_ABI_TAG_PART:
		return !strcmp(kind, "part");
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
 * A tag can be declared more than once, in the kernel and in a module. One of them
 * must know all features: only one will read the state.
 */
static void meet(const struct luo_abi_tag *tag)
{
	if (!is_for_this_machine(tag)) {
		foreign = true;
		return;
	}
	if (!strncmp((const char *)tag->name, SCALABLE, strlen(SCALABLE)))
		scalable_by_default |= !!(tag->flags & LUO_ABI_TAG_DEFAULT_ON);
	for (size_t i = 0; i < nr_needs; i++) {
		struct need *need = &needs[i];

		if (strncmp(need->name, (const char *)tag->name,
			    LUO_ABI_TAG_LENGTH) ||
		    !is_kind(tag, need->kind))
			continue;
		need->known = true;
		need->builtin |= in_image;
		need->default_on |= !!(tag->flags & LUO_ABI_TAG_DEFAULT_ON);
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

/* --- what its command line does */

struct word {
	char *name;
	char *value;		/* or NULL */
};

struct cmdline {
	struct word *words;
	size_t nr;
};

/*
 * Split a command line as the kernel's next_arg() does: quotes keep spaces
 * together and are dropped around a value, and a name may have '-' for '_'. What
 * follows "--" is for init.
 */
static struct cmdline split_cmdline(const char *text)
{
	struct cmdline cmdline = { };
	char *at = strdup(text);
	bool quoted = false;

	if (!at)
		die("out of memory");
	while (*(at += strspn(at, " \t\n"))) {
		struct word word = { .name = at };
		bool whole = *at == '"';

		if (whole) {
			word.name++;
			at++;
			quoted = true;
		}
		for (; *at && (quoted || !strchr(" \t\n", *at)); at++) {
			if (*at == '"')
				quoted = !quoted;
			if (*at == '=' && !word.value) {
				*at = '\0';
				word.value = at + 1;
			}
		}
		if (*at)
			*at++ = '\0';
		quoted = false;
		if (word.value && *word.value == '"') {
			word.value++;
			whole = true;
		}
		if (whole && word.value)
			word.value[strcspn(word.value, "\"")] = '\0';
		if (!strcmp(word.name, "--") && !word.value)
			break;
		for (char *c = word.name; *c; c++)
			*c = *c == '-' ? '_' : *c;
		cmdline.words = grow(cmdline.words,
				     (cmdline.nr + 1) * sizeof(word));
		cmdline.words[cmdline.nr++] = word;
	}
	return cmdline;
}

static bool has_word(const struct cmdline *cmdline, const struct word *word)
{
	for (size_t i = 0; i < cmdline->nr; i++) {
		const struct word *w = &cmdline->words[i];

		if (!strcmp(w->name, word->name) && w->value &&
		    !strcmp(w->value, word->value ?: ""))
			return true;
	}
	return false;
}

/* The kernel's kstrtobool(); a value that is none leaves @on as it is. */
static void parse_bool(const char *value, bool *on)
{
	if (!value)
		return;
	if (strchr("yYtT1", value[0] ?: 'x') || !strncasecmp(value, "on", 2))
		*on = true;
	else if (strchr("nNfF0", value[0] ?: 'x') ||
		 !strncasecmp(value, "of", 2))
		*on = false;
}

/* The need whose tag is @prefix and a version, or NULL. */
static const struct need *find_need(const char *prefix)
{
	size_t len = strlen(prefix);

	for (size_t i = 0; i < nr_needs; i++) {
		if (!strncmp(needs[i].name, prefix, len) &&
		    isdigit(needs[i].name[len]))
			return &needs[i];
	}
	return NULL;
}

/* Parameter @name enables the readers of the tags that begin with @prefix. */
static void check_switch(const struct cmdline *next, const char *name,
			 const char *prefix)
{
	const struct need *need = find_need(prefix);
	bool on, said = false;

	if (!need)
		return;
	on = need->default_on;
	for (size_t i = 0; i < next->nr; i++) {
		if (strcmp(next->words[i].name, name))
			continue;
		said = true;
		parse_bool(next->words[i].value, &on);
	}
	if (!on)
		add_line(&problems, said ?
			 "its command line disables %s" :
			 "its command line has no %s=on, and the kernel was built with it off",
			 name);
}

/*
 * A parameter that this kernel was started with, too, changes nothing: what this
 * kernel cannot use it has not preserved.
 */
static void check_memory(const struct cmdline *next,
			 const struct cmdline *running)
{
	for (size_t i = 0; i < next->nr; i++) {
		const struct word *word = &next->words[i];
		const char *value = word->value ?: "";

		if (!strcmp(word->name, "memtest") && strcmp(value, "0"))
			add_line(&problems,
				 "memtest on its command line overwrites preserved memory");
		if ((!strcmp(word->name, "mem") ||
		     !strcmp(word->name, "memmap")) &&
		    !has_word(running, word))
			add_line(&problems,
				 "%s=%s on its command line takes memory away that may be preserved",
				 word->name, value);
	}
}

/* These leave nothing, or only half of configuration space, within reach. */
static void check_pci_word(const struct word *word)
{
	static const char *const bad[] = {
		"off", "noacpi", "conf1", "conf2", "bios", "nommconf",
	};
	char *copy = strdup(word->value), *save, *option;

	for (option = strtok_r(copy, ",", &save); option;
	     option = strtok_r(NULL, ",", &save)) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			if (!strcmp(option, bad[i]))
				add_line(&problems,
					 "pci=%s on its command line: preserved functions cannot be recognized",
					 option);
		}
	}
	free(copy);
}

static bool dir_is_empty(const char *path)
{
	struct dirent *e;
	char name[4096];
	DIR *d;

	snprintf(name, sizeof(name), "%s%s", root, path);
	d = opendir(name);
	if (!d)
		return true;
	while ((e = readdir(d)) && e->d_name[0] == '.')
		;
	closedir(d);
	return !e;
}

/* Functions that run untranslated: the next kernel must not translate their DMA. */
static void check_untranslated(const struct cmdline *next)
{
	static const char *const tables[] = { "DMAR", "IVRS" };
	bool off = false;
	char path[4096];

	if (!dir_is_empty("/sys/class/iommu"))
		return;
	for (size_t i = 0; i < next->nr; i++) {
		const struct word *word = &next->words[i];
		const char *value = word->value ?: "";

		if (!strcmp(word->name, "intel_iommu") ||
		    !strcmp(word->name, "amd_iommu") ||
		    !strcmp(word->name, "iommu"))
			off |= !!strstr(value, "off");
		if (!strcmp(word->name, "intel_iommu") && strstr(value, "on"))
			add_line(&problems,
				 "intel_iommu=%s on its command line: functions that run untranslated would be cut off",
				 value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(tables) && !off; i++) {
		snprintf(path, sizeof(path), "%s/sys/firmware/acpi/tables/%s",
			 root, tables[i]);
		if (!access(path, F_OK))
			add_line(&notes,
				 "this machine has an IOMMU that is off: say so to the next kernel (intel_iommu=off or amd_iommu=off), in case it was built with it on");
	}
}

/* DMAR_UNITS_SUPPORTED of the kernel */
#define MAX_UNITS	1024

/* Bit 43 of the extended capabilities of a VT-d unit, SMTS (VT-d 11.4.3). */
static bool has_scalable_mode(void)
{
	char value[32];

	/* Units that are not in use have no file. */
	for (int i = 0; i < MAX_UNITS; i++) {
		if (read_value(value, sizeof(value),
			       "/sys/class/iommu/dmar%d/intel-iommu/ecap", i) &&
		    strtoull(value, NULL, 16) >> 43 & 1)
			return true;
	}
	return false;
}

struct vtd_options {
	bool on;
	bool on_said;
	bool never;		/* iommu=off, whatever else is said */
	bool scalable;
};

/* As the kernel's intel_iommu_setup(): a word begins with the option's name. */
static void parse_vtd_option(const char *option, struct vtd_options *vtd)
{
	static const struct {
		const char *name;
		bool scalable, value;
	} known[] = {
		{ "on", false, true }, { "off", false, false },
		{ "sm_on", true, true }, { "sm_off", true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strncmp(option, known[i].name, strlen(known[i].name)))
			continue;
		if (known[i].scalable) {
			vtd->scalable = known[i].value;
		} else {
			vtd->on = known[i].value;
			vtd->on_said = true;
		}
		return;
	}
}

static void parse_vtd_word(const struct word *word, struct vtd_options *vtd)
{
	char *copy = strdup(word->value), *save, *option;
	bool all = !strcmp(word->name, "iommu");

	if (!copy)
		die("out of memory");
	for (option = strtok_r(copy, ",", &save); option;
	     option = strtok_r(NULL, ",", &save)) {
		if (!all)
			parse_vtd_option(option, vtd);
		else if (!strncmp(option, "off", 3))
			vtd->never = true;
	}
	free(copy);
}

static struct vtd_options parse_vtd(const struct cmdline *cmdline, bool on,
				    bool scalable)
{
	struct vtd_options vtd = { .on = on, .scalable = scalable };

	for (size_t i = 0; i < cmdline->nr; i++) {
		const struct word *word = &cmdline->words[i];

		if (word->value && (!strcmp(word->name, "intel_iommu") ||
				    !strcmp(word->name, "iommu")))
			parse_vtd_word(word, &vtd);
	}
	if (vtd.never) {
		vtd.on = false;
		vtd.on_said = true;
	}
	return vtd;
}

/* Functions behind VT-d: the next kernel must translate, in the same mode. */
static void check_vtd(const struct cmdline *next)
{
	const struct need *need = find_need("vtd-v");
	bool scalable = find_need(SCALABLE);
	struct vtd_options vtd;

	if (!need)
		return;
	vtd = parse_vtd(next, need->default_on, scalable_by_default);

	if (!vtd.on && vtd.on_said)
		add_line(&problems,
			 "its command line switches VT-d off: preserved functions would be stopped");
	else if (!vtd.on)
		add_line(&problems,
			 "its command line has no intel_iommu=on, and the kernel was built with it off: preserved functions would be stopped");
	if (has_scalable_mode() && vtd.scalable != scalable)
		add_line(&problems,
			 "it would use the IOMMU in %s mode, which is in %s mode now: preserved functions would be stopped, add intel_iommu=%s to its command line",
			 scalable ? "legacy" : "scalable",
			 scalable ? "scalable" : "legacy",
			 scalable ? "sm_on" : "sm_off");
}

static bool has_option(const struct cmdline *cmdline, const char *name,
		       const char *option)
{
	bool found = false;

	for (size_t i = 0; i < cmdline->nr; i++) {
		const struct word *word = &cmdline->words[i];

		if (!strcmp(word->name, name))
			found |= !option ||
				 (word->value && strstr(word->value, option));
	}
	return found;
}

/* Whether interrupts have addresses of x2APIC: the next kernel must do the same. */
static void check_x2apic(const struct cmdline *next, const struct cmdline *running,
			 const char *name, const char *option)
{
	bool now = has_option(running, name, option);

	if (now != has_option(next, name, option))
		add_line(&problems,
			 "%s%s%s is on %s command line only: interrupts would have another format, preserved functions would be stopped",
			 name, option ? "=" : "", option ?: "",
			 now ? "the running kernel's" : "its");
}

/* Functions behind a unit that remaps interrupts. */
static void check_intremap(const struct cmdline *next,
			   const struct cmdline *running)
{
	static const char *const off[] = {
		"noapic", "nolapic", "disableapic", "nosmp",
	};

	if (!find_need("vtd-intremap-v"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(off); i++) {
		if (has_option(next, off[i], NULL))
			add_line(&problems,
				 "%s on its command line: interrupts would not be remapped",
				 off[i]);
	}
	if (has_option(next, "intremap", "off"))
		add_line(&problems,
			 "intremap=off on its command line: interrupts are remapped now, and would not arrive");
	check_x2apic(next, running, "nox2apic", NULL);
	check_x2apic(next, running, "intremap", "no_x2apic_optout");
}

/*
 * Without this parameter vfio does not take a device that has no IOMMU. It can be
 * set later, and for a module elsewhere.
 */
static void check_noiommu(const struct cmdline *next, const struct need *need)
{
	bool on = false;
	char value[16];

	if (!read_value(value, sizeof(value), NOIOMMU) || value[0] != 'Y')
		return;
	for (size_t i = 0; i < next->nr; i++) {
		if (!strcmp(next->words[i].name,
			    "vfio.enable_unsafe_noiommu_mode"))
			parse_bool(next->words[i].value ?: "1", &on);
	}
	/* Behind VT-d they are no noiommu devices, or not all of them. */
	if (!on)
		add_line(need->builtin && !find_need("vtd-v") ? &problems : &notes,
			 "its command line has no vfio.enable_unsafe_noiommu_mode=1: noiommu devices can be retrieved only when that is set");
}

static void check_pci(const struct cmdline *next, const struct cmdline *running)
{
	const struct need *vfio = find_need("vfio-pci-v");

	if (!find_need("pci-v"))
		return;
	for (size_t i = 0; i < next->nr; i++) {
		const struct word *word = &next->words[i];

		if (!word->value || has_word(running, word))
			continue;
		if (!strcmp(word->name, "pci"))
			check_pci_word(word);
		if (!strcmp(word->name, "acpi") &&
		    (!strcmp(word->value, "off") || !strcmp(word->value, "ht")))
			add_line(&problems,
				 "acpi=%s on its command line: preserved functions cannot be recognized",
				 word->value);
	}
	check_untranslated(next);
	check_vtd(next);
	check_intremap(next, running);
	if (vfio)
		check_noiommu(next, vfio);
}

static void check_cmdline(const char *given)
{
	static char next[65536], running[65536];
	struct cmdline next_words, running_words;
	char handover[16] = "";

	if (!given && !read_value(handover, sizeof(handover),
				  LIVEUPDATE "/next_handover"))
		die("no image is loaded (%s): load it first, or use --cmdline",
		    strerror(errno));
	if (!strcmp(handover, "0"))
		add_line(&problems,
			 "the loaded image does not carry the preserved state: see the kernel log");
	if (given) {
		snprintf(next, sizeof(next), "%s", given);
	} else if (!read_value(next, sizeof(next), LIVEUPDATE "/next_cmdline")) {
		if (!problems.nr)
			die("the command line of the loaded image cannot be read: %s",
			    strerror(errno));
		return;
	}
	if (!read_value(running, sizeof(running), "/proc/cmdline"))
		die("/proc/cmdline: %s", strerror(errno));
	next_words = split_cmdline(next);
	running_words = split_cmdline(running);

	check_switch(&next_words, "kho", "kho-v");
	check_switch(&next_words, "liveupdate", "luo-v");
	check_memory(&next_words, &running_words);
	check_pci(&next_words, &running_words);
}

/* --- what else the kexec does */

static void check_unfinished(bool discard)
{
	char value[32];

	if (!read_value(value, sizeof(value), LIVEUPDATE "/unfinished") ||
	    !strcmp(value, "0"))
		return;
	add_line(discard ? &notes : &problems,
		 "%s sessions of the previous kernel are not finished, and are discarded with their devices: finish them, or say --discard",
		 value);
}

static unsigned long long read_meminfo(const char *name)
{
	unsigned long long kib = 0;
	char path[4096], line[256];
	size_t len = strlen(name);
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/meminfo", root);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, len) && line[len] == ':')
			kib = strtoull(line + len + 1, NULL, 10);
	}
	if (f)
		fclose(f);
	return kib << 10;
}

static unsigned long long scratch_size(void)
{
	char value[32];

	return read_value(value, sizeof(value), LIVEUPDATE "/scratch") ?
		strtoull(value, NULL, 10) : 0;
}

/*
 * The scratch memory is CMA: it counts as available, and nothing that is pinned
 * can be there. The next kernel has the same scratch, and keeps what is preserved.
 */
static unsigned long long pinnable(void)
{
	unsigned long long available = read_meminfo("MemAvailable");
	unsigned long long cma = read_meminfo("CmaFree");

	return available > cma ? available - cma : 0;
}

/*
 * What the page tables of IOMMUs take: as much again is needed from when a VMM has
 * mapped its memory until its session is finished.
 */
static unsigned long long iommu_tables(void)
{
	unsigned long long pages = 0;
	char path[4096], line[256];
	FILE *f;

	if (!find_need("iommu-v"))
		return 0;
	snprintf(path, sizeof(path), "%s/proc/vmstat", root);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "nr_iommu_pages %llu", &pages);
	if (f)
		fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
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

static void print_list(const char *name, const struct list *list)
{
	printf(", \"%s\": [", name);
	for (size_t i = 0; i < list->nr; i++) {
		printf(i ? ", " : "");
		print_string(list->lines[i]);
	}
	putchar(']');
}

static int status_of(void)
{
	if (foreign || problems.nr)
		return MISSING;
	for (size_t i = 0; i < nr_needs; i++) {
		if (is_missing(&needs[i]))
			return MISSING;
	}
	return READY;
}

static int answer_json(const char *image)
{
	int status = status_of();

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
	}
	printf("\n]");
	print_list("problems", &problems);
	print_list("notes", &notes);
	printf(", \"scratch\": %llu, \"pinnable\": %llu, \"iommu_tables\": %llu, \"ready\": %s}\n",
	       scratch_size(), pinnable(), iommu_tables(),
	       status ? "false" : "true");
	return status;
}

static void answer_tags(const char *image)
{
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
}

static int answer(const char *image)
{
	int status = status_of();

	answer_tags(image);
	for (size_t i = 0; i < problems.nr; i++)
		printf("problem: %s\n", problems.lines[i]);
	for (size_t i = 0; i < notes.nr; i++)
		printf("note: %s\n", notes.lines[i]);
	printf("scratch memory: %llu of %llu MiB (kho_scratch=); ",
	       scratch_size() >> 20, read_meminfo("MemTotal") >> 20);
	printf("about %llu MiB more can be pinned or preserved, now and afterwards\n",
	       pinnable() >> 20);
	if (iommu_tables()) {
		printf("IOMMU page tables: up to %llu KiB more are needed ",
		       iommu_tables() >> 10);
		printf("until all sessions are finished\n");
	}
	if (status)
		printf("NOT READY: %s\n", image);
	else
		printf("READY: %s knows all %zu tags in use\n", image, nr_needs);
	return status;
}

static void __noreturn explain(int status)
{
	fprintf(status ? stderr : stdout,
		"usage: liveupdate-preflight [OPTION]... IMAGE [MODULE.ko]...\n"
		"IMAGE is the next kernel, vmlinux or bzImage; MODULEs are those of its modules\n"
		"that will be loaded when the sessions are retrieved.\n"
		"  --json          print an object\n"
		"  --cmdline LINE  its command line, in place of that of the loaded image\n"
		"  --discard       accept that unfinished sessions are discarded\n"
		"  --root DIR      where proc/ and sys/ are, in place of /\n"
		"Exit status: 0 ready, 1 state would be lost, 2 error.\n");
	exit(status);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "cmdline", required_argument, NULL, 'c' },
		{ "discard", no_argument, NULL, 'd' },
		{ "root", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	bool json = false, discard = false;
	const char *cmdline = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "jc:dr:h", options, NULL)) != -1) {
		if (c == 'j')
			json = true;
		else if (c == 'c')
			cmdline = optarg;
		else if (c == 'd')
			discard = true;
		else if (c == 'r')
			root = optarg;
		else
			explain(c == 'h' ? READY : TROUBLE);
	}
	if (optind == argc)
		explain(TROUBLE);

	read_needs();
	for (int i = optind; i < argc; i++) {
		in_image = i == optind;
		read_kernel(argv[i]);
	}
	check_cmdline(cmdline);
	check_unfinished(discard);

	return json ? answer_json(argv[optind]) : answer(argv[optind]);
}
