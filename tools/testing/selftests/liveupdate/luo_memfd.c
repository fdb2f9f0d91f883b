// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a preserved memfd is in the new kernel: its memory stays where it is
 * until the session is finished, whatever tries to move it, and is ordinary
 * memory after; huge folios stay huge; seals stay what they were.
 *
 *	luo_memfd -s 1 -t TEST		in the old kernel, then kexec
 *	luo_memfd -s 2 -t TEST		in the new one
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/kernel-page-flags.h>
#include <linux/mempolicy.h>
#include <linux/mman.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libliveupdate.h>

#include "lu_access.h"
#include "lu_fail.h"
#include "lu_memstat.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL		0x0008U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC		0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC		0x0020
#endif

#define SESSION			"memfd"
#define SECOND_SESSION		"memfd-second"
#define LEDGER_TOKEN		1000
#define PAGE			4096ul
#define HUGE			0x200000ul
#define MIB			0x100000ul
#define WORDS			(PAGE / sizeof(uint64_t))
#define PAGEMAP_PRESENT		0x8000000000000000ull
#define PAGEMAP_PFN		0x007fffffffffffffull

/* --- the machine ---------------------------------------------------------- */

static long meminfo_kib(const char *key)
{
	return lu_memstat("/proc/meminfo", key);
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool good;

	if (fd < 0)
		return false;
	good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return good;
}

/* Entry @index of a /proc file of 64-bit numbers. */
static uint64_t entry_of(const char *path, uint64_t index)
{
	uint64_t value;
	int fd = open(path, O_RDONLY);

	if (fd < 0 || pread(fd, &value, sizeof(value),
			    index * sizeof(value)) != sizeof(value))
		fail_exit("cannot read %s", path);
	close(fd);
	return value;
}

/* Reads the page in, if need be. */
static uint64_t phys_of(const unsigned char *page)
{
	uint64_t entry;

	(void)lu_load(page);
	entry = entry_of("/proc/self/pagemap", (uintptr_t)page / PAGE);
	if (!(entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_PFN))
		ksft_exit_fail_msg("no physical address: CAP_SYS_ADMIN is needed\n");
	return (entry & PAGEMAP_PFN) * PAGE;
}

/* --- a memfd whose pages are known ---------------------------------------- */

struct area {
	uint64_t token;
	size_t size;
	int fd;
	unsigned char *map;
	uint64_t *phys;			/* of each page, before the kexec */
};

static void map_area(struct area *a)
{
	char *room = mmap(NULL, a->size + HUGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t start = ((uintptr_t)room + HUGE - 1) & ~(HUGE - 1);

	if (room == MAP_FAILED)
		fail_exit("no address space");
	a->map = mmap((void *)start, a->size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_FIXED, a->fd, 0);
	if (a->map == MAP_FAILED)
		fail_exit("cannot map memfd %llu", (unsigned long long)a->token);
}

static uint64_t word_of(const struct area *a, size_t page, size_t word)
{
	return (a->token << 48) + (page << 16) + word + 1;
}

static void fill_area(struct area *a)
{
	uint64_t *word = (uint64_t *)a->map;
	size_t i;

	for (i = 0; i < a->size / sizeof(*word); i++)
		word[i] = word_of(a, i / WORDS, i % WORDS);
}

static void create_area(struct area *a, uint64_t token, size_t size, bool huge)
{
	a->token = token;
	a->size = size;
	a->fd = memfd_create("luo_memfd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (a->fd < 0 || ftruncate(a->fd, size))
		fail_exit("cannot create a memfd");
	map_area(a);
	fill_area(a);
	if (huge && madvise(a->map, size, MADV_COLLAPSE))
		fail_exit("cannot have huge pages");
}

static void note_phys(struct area *a)
{
	size_t i, pages = a->size / PAGE;

	a->phys = calloc(pages, sizeof(*a->phys));
	if (!a->phys)
		fail_exit("no memory");
	for (i = 0; i < pages; i++)
		a->phys[i] = phys_of(a->map + i * PAGE);
}

/* The ledger tells the next stage where the pages of all areas were. */
static void preserve_ledger(int session_fd, struct area *areas, size_t nr)
{
	int fd = memfd_create("ledger", MFD_CLOEXEC);
	size_t i, len;
	int err;

	if (fd < 0)
		fail_exit("cannot create the ledger");
	for (i = 0; i < nr; i++) {
		note_phys(&areas[i]);
		len = areas[i].size / PAGE * sizeof(uint64_t);
		if (write(fd, areas[i].phys, len) != (ssize_t)len)
			fail_exit("cannot write the ledger");
	}
	err = luo_session_preserve_fd(session_fd, fd, LEDGER_TOKEN);
	if (err)
		ksft_exit_fail_msg("cannot preserve the ledger: %d\n", err);
}

static void read_ledger(int session_fd, struct area *areas, size_t nr)
{
	int fd = luo_session_retrieve_fd(session_fd, LEDGER_TOKEN);
	size_t i, len;

	if (fd < 0 || lseek(fd, 0, SEEK_SET))
		ksft_exit_fail_msg("cannot retrieve the ledger: %d\n", fd);
	for (i = 0; i < nr; i++) {
		len = areas[i].size / PAGE * sizeof(uint64_t);
		areas[i].phys = malloc(len);
		if (!areas[i].phys || read(fd, areas[i].phys, len) != (ssize_t)len)
			fail_exit("cannot read the ledger");
	}
	close(fd);
}

static int new_session(int luo_fd, const char *name)
{
	int fd = luo_create_session(luo_fd, name);

	if (fd < 0)
		ksft_exit_fail_msg("cannot create session %s: %d\n", name, fd);
	return fd;
}

static int old_session(int luo_fd, const char *name)
{
	int fd = luo_retrieve_session(luo_fd, name);

	if (fd < 0)
		ksft_exit_fail_msg("cannot retrieve session %s: %d\n", name, fd);
	return fd;
}

static void preserve_area(int session_fd, const struct area *a)
{
	int err = luo_session_preserve_fd(session_fd, a->fd, a->token);

	if (err)
		ksft_exit_fail_msg("cannot preserve memfd %llu: %d\n",
				   (unsigned long long)a->token, err);
}

static void retrieve_area(int session_fd, struct area *a, uint64_t token,
			  size_t size)
{
	a->token = token;
	a->size = size;
	a->fd = luo_session_retrieve_fd(session_fd, token);
	if (a->fd < 0)
		ksft_exit_fail_msg("cannot retrieve memfd %llu: %d\n",
				   (unsigned long long)token, a->fd);
	map_area(a);
}

static void drop_area(struct area *a)
{
	munmap(a->map, a->size);
	close(a->fd);
	free(a->phys);
	a->phys = NULL;
}

/* What is no longer as it was. */
struct change {
	bool size;
	size_t absent, moved, damaged;		/* pages */
};

/* A page beyond the file's end would be fatal to touch; it counts as absent. */
static struct change compare(const struct area *a)
{
	size_t i, pages = a->size / PAGE;
	struct change c = { 0 };
	unsigned char *present;
	struct stat st;

	present = calloc(pages, 1);
	if (!present || fstat(a->fd, &st) || mincore(a->map, a->size, present))
		fail_exit("cannot examine memfd %llu",
			  (unsigned long long)a->token);
	c.size = (size_t)st.st_size != a->size;
	for (i = 0; i < pages; i++) {
		const uint64_t *word = (uint64_t *)(a->map + i * PAGE);
		size_t w;

		if (!(present[i] & 1))
			c.absent++;
		if ((i + 1) * PAGE > (size_t)st.st_size)
			continue;
		if (phys_of(a->map + i * PAGE) != a->phys[i])
			c.moved++;
		for (w = 0; w < WORDS && word[w] == word_of(a, i, w); w++)
			;
		if (w < WORDS)
			c.damaged++;
	}
	free(present);
	return c;
}

static bool unchanged(const struct change *c)
{
	return !c->size && !c->absent && !c->moved && !c->damaged;
}

static void say(const struct change *c, const char *after)
{
	ksft_print_msg("%s: size %s, %zu pages absent, %zu moved, %zu damaged\n",
		       after, c->size ? "changed" : "same", c->absent, c->moved,
		       c->damaged);
}

/* --- what takes memory away ----------------------------------------------- */

static int other_node(const struct area *a)
{
	void *page = a->map;
	int node = -1;

	phys_of(a->map);
	if (syscall(SYS_move_pages, 0, 1, &page, NULL, &node, 0) || node < 0)
		fail_exit("cannot tell the node of a page");
	return !node;
}

static void force_move_pages(struct area *a)
{
	size_t i, pages = a->size / PAGE;
	void **page = calloc(pages, sizeof(*page));
	int *node = calloc(pages, sizeof(*node));
	int *status = calloc(pages, sizeof(*status));
	int other = other_node(a);

	if (!page || !node || !status)
		fail_exit("no memory");
	for (i = 0; i < pages; i++) {
		page[i] = a->map + i * PAGE;
		phys_of(page[i]);
		node[i] = other;
	}
	syscall(SYS_move_pages, 0, pages, page, node, status, MPOL_MF_MOVE);
	ksft_print_msg("move_pages: status of the first page %d\n", status[0]);
	free(page);
	free(node);
	free(status);
}

static void force_mbind(struct area *a)
{
	unsigned long nodes = 1ul << other_node(a);

	compare(a);
	if (syscall(SYS_mbind, a->map, a->size, MPOL_BIND, &nodes, 8,
		    MPOL_MF_MOVE))
		ksft_print_msg("mbind: %s\n", strerror(errno));
}

/* Only what is mapped is paged out. */
static void force_pageout(struct area *a)
{
	compare(a);
	if (madvise(a->map, a->size, MADV_PAGEOUT))
		ksft_print_msg("MADV_PAGEOUT: %s\n", strerror(errno));
}

static void force_collapse(struct area *a)
{
	if (madvise(a->map, a->size, MADV_COLLAPSE))
		ksft_print_msg("MADV_COLLAPSE: %s\n", strerror(errno));
}

static void force_hole(struct area *a)
{
	if (fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      a->size / 2))
		ksft_print_msg("fallocate: %s\n", strerror(errno));
}

static void force_remove(struct area *a)
{
	if (madvise(a->map, a->size / 2, MADV_REMOVE))
		ksft_print_msg("MADV_REMOVE: %s\n", strerror(errno));
}

static void force_shrink(struct area *a)
{
	if (ftruncate(a->fd, a->size / 2))
		ksft_print_msg("ftruncate: %s\n", strerror(errno));
}

static void force_grow(struct area *a)
{
	if (ftruncate(a->fd, a->size * 2))
		ksft_print_msg("ftruncate: %s\n", strerror(errno));
}

static void force_allocate(struct area *a)
{
	if (fallocate(a->fd, 0, a->size, a->size))
		ksft_print_msg("fallocate: %s\n", strerror(errno));
}

static void force_append(struct area *a)
{
	if (pwrite(a->fd, "", 1, a->size) != 1)
		ksft_print_msg("pwrite: %s\n", strerror(errno));
}

/* Zero pages take a slot in the swap and no memory on the RAM disk. */
static void dirty_with_zeroes(char *from, size_t size)
{
	size_t i;

	for (i = 0; i < size; i += PAGE) {
		lu_store(from + i, 1);
		lu_store(from + i, 0);
	}
}

/*
 * Takes all free memory but a rest for good, then goes round in more than this
 * rest.
 */
static void hog_memory(void)
{
	size_t rest = 128 * MIB, circle = 192 * MIB, bulk;
	char *mem;
	int i;

	bulk = (size_t)meminfo_kib("MemFree") * 1024;
	bulk = bulk > rest ? (bulk - rest) & ~(HUGE - 1) : 0;
	mem = mmap(NULL, bulk + circle, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		_exit(1);
	madvise(mem, bulk, MADV_HUGEPAGE);
	if (bulk && mlock(mem, bulk))
		_exit(2);
	for (i = 0; i < 2; i++)
		dirty_with_zeroes(mem + bulk, circle);
	_exit(0);
}

static void force_pressure(struct area *a)
{
	long out = lu_memstat("/proc/vmstat", "pswpout");
	pid_t pid;
	int status;

	compare(a);
	if (madvise(a->map, a->size, MADV_COLD))
		fail_exit("MADV_COLD");
	pid = fork();
	if (!pid)
		hog_memory();
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		fail_exit("the memory hog failed: %#x", status);
	ksft_print_msg("memory pressure: %ld pages swapped out\n",
		       lu_memstat("/proc/vmstat", "pswpout") - out);
}

/*
 * The last one touches more than its own memory.  In the order they are in
 * nothing they do is blamed on another.  Compaction is not among them: on an
 * idle machine it does not take these pages even when it could.  What it does
 * with a page is what move_pages() does.
 */
static const struct force {
	const char *name;
	void (*apply)(struct area *a);
} forces[] = {
	{ "move_pages", force_move_pages },
	{ "mbind", force_mbind },
	{ "MADV_PAGEOUT", force_pageout },
	{ "MADV_COLLAPSE", force_collapse },
	{ "punching a hole", force_hole },
	{ "MADV_REMOVE", force_remove },
	{ "shrinking", force_shrink },
	{ "growing", force_grow },
	{ "fallocate", force_allocate },
	{ "write beyond the end", force_append },
	{ "memory pressure", force_pressure },
};

/* --- pinned: nothing moves until finish ----------------------------------- */

#define NR_FORCES	ARRAY_SIZE(forces)
#define NR_AREAS	(NR_FORCES + 2)
#define USED		(NR_FORCES)	/* is used as usual meanwhile */
#define CLOSED		(NR_FORCES + 1)	/* its session is never finished */

static void pinned_stage1(int luo_fd)
{
	int session_fd = new_session(luo_fd, SESSION);
	int second_fd = new_session(luo_fd, SECOND_SESSION);
	static struct area areas[NR_AREAS];
	size_t i;

	for (i = 0; i < NR_AREAS; i++) {
		create_area(&areas[i], i, HUGE, false);
		preserve_area(i == CLOSED ? second_fd : session_fd, &areas[i]);
	}
	/* Preserving may have moved memory; from now on nothing may. */
	preserve_ledger(session_fd, areas, NR_AREAS);
}

/* What the owner of the memory does all the time must work all the time. */
static void use_area(struct area *a)
{
	unsigned char byte = 0, first = a->map[0];
	struct change c;
	int shared;

	a->map[0] = ~first;
	ksft_test_result(pread(a->fd, &byte, 1, 0) == 1 &&
			 byte == (unsigned char)~first,
			 "held: a store is seen by read\n");
	ksft_test_result(pwrite(a->fd, &first, 1, 0) == 1 &&
			 a->map[0] == first,
			 "held: a write is seen in the mapping\n");
	c = compare(a);
	ksft_test_result(unchanged(&c), "held: use moves nothing\n");
	ksft_test_result(!ftruncate(a->fd, a->size),
			 "held: the size can be set to what it is\n");
	ksft_test_result(!fcntl(a->fd, F_ADD_SEALS, F_SEAL_GROW),
			 "held: a seal can be added\n");
	shared = munmap(a->map, a->size);
	ksft_test_result(!shared && fcntl(a->fd, F_ADD_SEALS, F_SEAL_WRITE) &&
			 errno == EBUSY, "held: F_SEAL_WRITE is refused\n");
}

static void force_all(struct area *areas, bool held)
{
	size_t i;

	for (i = 0; i < NR_FORCES; i++) {
		struct change c;

		forces[i].apply(&areas[i]);
		c = compare(&areas[i]);
		say(&c, forces[i].name);
		if (held)
			ksft_test_result(unchanged(&c), "held: %s\n",
					 forces[i].name);
		else
			ksft_test_result(!unchanged(&c), "finished: %s works\n",
					 forces[i].name);
	}
}

static void pinned_stage2(int luo_fd)
{
	int session_fd = old_session(luo_fd, SESSION);
	int second_fd = old_session(luo_fd, SECOND_SESSION);
	long pages = NR_AREAS * HUGE / PAGE;
	static struct area areas[NR_AREAS];
	long pins_before = lu_memstat_pinned();
	int third_fd;
	size_t i;

	ksft_set_plan(2 * NR_FORCES + 16);
	for (i = 0; i < NR_AREAS; i++)
		areas[i].size = HUGE;
	read_ledger(session_fd, areas, NR_AREAS);
	for (i = 0; i < NR_AREAS; i++)
		retrieve_area(i == CLOSED ? second_fd : session_fd, &areas[i],
			      i, HUGE);
	ksft_print_msg("%ld pages pinned\n", lu_memstat_pinned() - pins_before);
	ksft_test_result(lu_memstat_pinned() - pins_before >= pages,
			 "held: all pages are pinned\n");
	for (i = 0; i < NR_AREAS; i++) {
		struct change c = compare(&areas[i]);

		if (!unchanged(&c)) {
			say(&c, "retrieve");
			break;
		}
	}
	ksft_test_result(i == NR_AREAS, "retrieved as it was\n");

	third_fd = new_session(luo_fd, "memfd-third");
	ksft_test_result(luo_session_preserve_fd(third_fd, areas[USED].fd, 1) ==
			 -EBUSY, "held: cannot be preserved again\n");
	use_area(&areas[USED]);
	force_all(areas, true);

	/* A session that is closed is finished. */
	ksft_test_result(fallocate(areas[CLOSED].fd, 0, 0, HUGE) &&
			 errno == EPERM, "held: session still open\n");
	close(second_fd);
	ksft_test_result(!fallocate(areas[CLOSED].fd, 0, 0, HUGE),
			 "finished: session closed\n");

	ksft_test_result(!luo_session_finish(session_fd), "finish\n");
	ksft_print_msg("%ld pages pinned\n", lu_memstat_pinned() - pins_before);
	ksft_test_result(lu_memstat_pinned() == pins_before,
			 "finished: no page is pinned\n");
	force_all(areas, false);
	ksft_test_result(!fcntl(areas[USED].fd, F_ADD_SEALS, F_SEAL_WRITE),
			 "finished: F_SEAL_WRITE can be added\n");
	ksft_test_result(!luo_session_preserve_fd(third_fd, areas[USED].fd, 1),
			 "finished: can be preserved again\n");
	close(third_fd);
	ksft_test_result(lu_memstat_pinned() == pins_before,
			 "finished: no pin is left of that\n");
	close(session_fd);
}

/* --- freed: nothing stays behind ------------------------------------------ */

#define FREED_SIZE	(64 * MIB)

static void freed_stage1(int luo_fd)
{
	int session_fd = new_session(luo_fd, SESSION);
	int second_fd = new_session(luo_fd, SECOND_SESSION);
	struct area areas[3] = { 0 };
	size_t i;

	for (i = 0; i < 3; i++) {
		create_area(&areas[i], i, FREED_SIZE, i == 1);
		preserve_area(i == 2 ? second_fd : session_fd, &areas[i]);
	}
}

static bool within(long kib, unsigned long bytes, long tolerance_kib)
{
	ksft_print_msg("%ld KiB, expected %lu KiB\n", kib, bytes / 1024);
	return labs(kib - (long)(bytes / 1024)) < tolerance_kib;
}

/* Free memory may vary by what the machine does besides. */
static bool about(long kib, unsigned long bytes)
{
	return within(kib, bytes, 4 * 1024);
}

static void freed_stage2(int luo_fd)
{
	int session_fd = old_session(luo_fd, SESSION);
	int second_fd = old_session(luo_fd, SECOND_SESSION);
	long free_before, shmem_before, pins_before = lu_memstat_pinned();
	struct area areas[3] = { 0 };
	long huge_before;

	ksft_set_plan(8);
	shmem_before = meminfo_kib("Shmem");
	huge_before = meminfo_kib("ShmemHugePages");
	free_before = lu_memstat_free_kib();
	close(second_fd);
	ksft_test_result(about(lu_memstat_free_kib() - free_before, FREED_SIZE),
			 "a memfd that was not retrieved is freed by finish\n");

	free_before = lu_memstat_free_kib();
	retrieve_area(session_fd, &areas[0], 0, FREED_SIZE);
	retrieve_area(session_fd, &areas[1], 1, FREED_SIZE);
	ksft_test_result(about(meminfo_kib("Shmem") - shmem_before,
			       2 * FREED_SIZE), "retrieved memory is shmem\n");
	ksft_test_result(about(meminfo_kib("ShmemHugePages") - huge_before,
			       FREED_SIZE), "half of it is huge\n");
	/* The first is closed before finish, the second after. */
	munmap(areas[0].map, areas[0].size);
	close(areas[0].fd);
	ksft_test_result(about(lu_memstat_free_kib() - free_before, 0),
			 "nothing is freed while the session is open\n");
	ksft_test_result(!luo_session_finish(session_fd), "finish\n");
	close(session_fd);
	munmap(areas[1].map, areas[1].size);
	close(areas[1].fd);
	ksft_test_result(about(lu_memstat_free_kib() - free_before,
			       2 * FREED_SIZE), "all memory is freed\n");
	ksft_test_result(about(meminfo_kib("Shmem") - shmem_before, 0) &&
			 about(meminfo_kib("ShmemHugePages") - huge_before, 0),
			 "no shmem is left\n");
	ksft_test_result(lu_memstat_pinned() == pins_before, "no pin is left\n");
}

/* --- failing: a retrieval that fails leaves nothing behind either --------- */

#define FAILING_SIZE	(8 * MIB)
#define NR_FAILING	64

static void failing_stage1(int luo_fd)
{
	int session_fd = new_session(luo_fd, SESSION);
	struct area a;
	size_t i;

	for (i = 0; i < NR_FAILING; i++) {
		create_area(&a, i, FAILING_SIZE, false);
		preserve_area(session_fd, &a);
		munmap(a.map, a.size);
		close(a.fd);
	}
}

/* Fails every allocation of a retrieval in turn, each time with a new memfd. */
static void failing_stage2(int luo_fd)
{
	int session_fd = old_session(luo_fd, SESSION);
	unsigned int nth, failed = 0, lost = 0;
	long pins_before = lu_memstat_pinned();
	long free_before, shmem_before;
	int nth_fd = lu_fail_open();
	bool swept = false;

	ksft_set_plan(6);
	free_before = lu_memstat_free_kib();
	shmem_before = meminfo_kib("Shmem");
	for (nth = 1; nth <= NR_FAILING && !swept; nth++) {
		int fd;

		lu_fail_nth(nth_fd, nth);
		fd = luo_session_retrieve_fd(session_fd, nth - 1);
		swept = fd >= 0 && lu_fail_left(nth_fd);
		lu_fail_nth(nth_fd, 0);
		ksft_print_msg("allocation %u fails: %d\n", nth,
			       fd < 0 ? fd : 0);
		if (fd >= 0)
			close(fd);
		else
			failed++;
		/* The list of the folios itself could not be restored. */
		if (fd == -EINVAL)
			lost++;
	}
	ksft_test_result(swept, "all allocations were failed once\n");
	ksft_test_result(failed > lost, "retrieval failed %u times\n", failed);
	ksft_test_result(!luo_session_finish(session_fd), "finish\n");
	close(session_fd);
	ksft_test_result(about(lu_memstat_free_kib() - free_before,
			       (NR_FAILING - lost) * FAILING_SIZE),
			 "all memory is freed but that of %u\n", lost);
	ksft_test_result(about(meminfo_kib("Shmem") - shmem_before, 0),
			 "no shmem is left\n");
	ksft_test_result(lu_memstat_pinned() == pins_before, "no pin is left\n");
}

/* --- undone: nor does preserving that fails -------------------------------- */

#define UNDONE_SIZE	(16 * PAGE)
#define MAX_UNDONE	2000

static long count_preserved(void)
{
	FILE *f = lu_memstat_open("/sys/kernel/debug/kho/out/preserved_pages",
				  "r");
	long pages;

	if (fscanf(f, "%ld", &pages) != 1)
		fail_exit("cannot read how many pages are preserved");
	fclose(f);
	return pages;
}

/* A preserved file has one size, and no holes. */
static bool is_ordinary(const struct area *a)
{
	return !ftruncate(a->fd, a->size + PAGE) && !ftruncate(a->fd, a->size);
}

/* Fails every allocation of preserving the same file in turn. */
static void undone_stage1(int luo_fd)
{
	long pins = lu_memstat_pinned(), preserved = count_preserved();
	unsigned int nth, failed = 0, frozen = 0, kept = 0, pinned = 0;
	int session_fd, err, nth_fd = lu_fail_open();
	bool swept = false;
	struct area a = { };

	ksft_print_header();
	ksft_set_plan(5);
	create_area(&a, 0, UNDONE_SIZE, false);
	for (nth = 1; nth <= MAX_UNDONE && !swept; nth++) {
		session_fd = new_session(luo_fd, SESSION);
		lu_fail_nth(nth_fd, nth);
		err = luo_session_preserve_fd(session_fd, a.fd, a.token);
		swept = !err && lu_fail_left(nth_fd);
		lu_fail_nth(nth_fd, 0);
		failed += !!err;
		frozen += err && !is_ordinary(&a);
		pinned += err && lu_memstat_pinned() != pins;
		close(session_fd);
		kept += count_preserved() != preserved;
	}
	ksft_test_result(swept && failed, "%u allocations were failed\n", failed);
	ksft_test_result(!frozen, "the file is an ordinary one each time\n");
	ksft_test_result(!pinned, "no pin is left\n");
	ksft_test_result(!kept, "no page stays preserved\n");
	ksft_test_result(is_ordinary(&a) && lu_memstat_pinned() == pins,
			 "nor when its session is closed\n");
	drop_area(&a);
	ksft_finished();
}

/* --- halfway: a retrieval that fails in the middle of the memory ----------- */

#define HALFWAY_SIZE	(64 * MIB)

static void halfway_stage1(int luo_fd)
{
	int session_fd = new_session(luo_fd, SESSION);
	struct area a;

	create_area(&a, 0, HALFWAY_SIZE, false);
	preserve_area(session_fd, &a);
	munmap(a.map, a.size);
	close(a.fd);
}

static void halfway_stage2(int luo_fd)
{
	int session_fd = old_session(luo_fd, SESSION);
	long pins_before = lu_memstat_pinned();
	long free_before, shmem_before;
	char limit[32];
	int fd;

	ksft_set_plan(7);
	free_before = lu_memstat_free_kib();
	shmem_before = meminfo_kib("Shmem");

	/* Half of it may be charged to the file. */
	snprintf(limit, sizeof(limit), "%ld", meminfo_kib("Committed_AS") +
		 (long)(HALFWAY_SIZE / 2 / 1024));
	if (!write_file("/proc/sys/vm/overcommit_kbytes", limit) ||
	    !write_file("/proc/sys/vm/overcommit_memory", "2"))
		fail_exit("cannot limit memory");
	fd = luo_session_retrieve_fd(session_fd, 0);
	if (!write_file("/proc/sys/vm/overcommit_memory", "0"))
		fail_exit("cannot lift the limit");
	ksft_print_msg("retrieve: %d, %ld KiB in the file, %ld KiB freed\n", fd,
		       meminfo_kib("Shmem") - shmem_before,
		       lu_memstat_free_kib() - free_before);
	ksft_test_result(fd < 0, "the retrieval fails\n");
	ksft_test_result(about(lu_memstat_free_kib() - free_before, 0),
			 "held: nothing is freed by that\n");
	/* Each CPU may charge a 512th of the memory before the limit is seen. */
	ksft_test_result(within(meminfo_kib("Shmem") - shmem_before,
				HALFWAY_SIZE / 2, HALFWAY_SIZE / 4 / 1024),
			 "held: half of the memory is in a file\n");
	ksft_test_result(!luo_session_finish(session_fd), "finish\n");
	close(session_fd);
	ksft_test_result(about(lu_memstat_free_kib() - free_before, HALFWAY_SIZE),
			 "finished: all is freed\n");
	ksft_test_result(about(meminfo_kib("Shmem") - shmem_before, 0),
			 "finished: no shmem is left\n");
	ksft_test_result(lu_memstat_pinned() == pins_before,
			 "finished: no pin is left\n");
}

/* --- huge: folios of 2 MiB ------------------------------------------------ */

#define HUGE_AREA	(8 * MIB)
#define NR_HUGE		4

/* Pages that are part of a THP, by what the kernel says of each. */
static size_t thp_pages(const struct area *a)
{
	size_t i, nr = 0;

	for (i = 0; i < a->size / PAGE; i++) {
		uint64_t pfn = phys_of(a->map + i * PAGE) / PAGE;

		if (entry_of("/proc/kpageflags", pfn) & (1ull << KPF_THP))
			nr++;
	}
	return nr;
}

/* Folios of 2 MiB: a head at each such boundary and tails to the next. */
static size_t huge_folios(const struct area *a)
{
	size_t i, nr = 0, good = 0;

	for (i = 0; i < a->size / PAGE; i++) {
		uint64_t phys = phys_of(a->map + i * PAGE);
		uint64_t flags = entry_of("/proc/kpageflags", phys / PAGE);
		bool head = i % (HUGE / PAGE) == 0;
		int want = head ? KPF_COMPOUND_HEAD : KPF_COMPOUND_TAIL;

		if (head)
			good = 0;
		if ((flags & (1ull << want)) && phys % HUGE == i * PAGE % HUGE)
			good++;
		if (good == HUGE / PAGE)
			nr++;
	}
	return nr;
}

static long pmd_mapped_kib(const struct area *a)
{
	FILE *f = lu_memstat_open("/proc/self/smaps", "r");
	bool inside = false;
	long kib = -1;
	char line[512];

	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from == (unsigned long)a->map;
		else if (inside)
			sscanf(line, "ShmemPmdMapped: %ld", &kib);
	}
	fclose(f);
	return kib;
}

static void create_huge(int luo_fd, bool in_cma)
{
	int session_fd = new_session(luo_fd, SESSION);
	static struct area areas[NR_HUGE];
	size_t i, moved = 0;

	for (i = 0; i < NR_HUGE; i++) {
		struct area *a = &areas[i];
		uint64_t before, after;

		create_area(a, i, HUGE_AREA, true);
		before = phys_of(a->map);
		preserve_area(session_fd, a);
		after = phys_of(a->map);
		ksft_print_msg("memfd %zu moved from %#llx to %#llx\n", i,
			       (unsigned long long)before,
			       (unsigned long long)after);
		moved += before != after;
		if (huge_folios(a) != HUGE_AREA / HUGE)
			ksft_exit_fail_msg("preserving split a huge page\n");
	}
	if (in_cma && !moved)
		ksft_exit_fail_msg("no memory was in CMA\n");
	preserve_ledger(session_fd, areas, NR_HUGE);
}

static void huge_stage1(int luo_fd)
{
	create_huge(luo_fd, false);
}

/* Memory in CMA cannot be handed over: preserving moves it. */
static void huge_cma_stage1(int luo_fd)
{
	create_huge(luo_fd, true);
}

static void split_area(struct area *a)
{
	char command[128];

	snprintf(command, sizeof(command), "%d,0x%lx,0x%lx", getpid(),
		 (unsigned long)a->map, (unsigned long)a->map + a->size);
	if (!write_file("/sys/kernel/debug/split_huge_pages", command))
		fail_exit("split_huge_pages");
}

static void huge_stage2(int luo_fd)
{
	int session_fd = old_session(luo_fd, SESSION);
	const size_t folios = HUGE_AREA / HUGE;
	static struct area areas[NR_HUGE];
	struct change c;
	size_t i;

	ksft_set_plan(5 * NR_HUGE + 6);
	for (i = 0; i < NR_HUGE; i++)
		areas[i].size = HUGE_AREA;
	read_ledger(session_fd, areas, NR_HUGE);
	for (i = 0; i < NR_HUGE; i++) {
		struct area *a = &areas[i];

		retrieve_area(session_fd, a, i, HUGE_AREA);
		c = compare(a);
		say(&c, "retrieve");
		ksft_test_result(unchanged(&c), "%zu: retrieved as it was\n", i);
		ksft_test_result(huge_folios(a) == folios,
				 "%zu: still folios of 2 MiB\n", i);
		ksft_test_result(thp_pages(a) == HUGE_AREA / PAGE,
				 "%zu: known as THP\n", i);
		ksft_test_result(pmd_mapped_kib(a) == (long)(HUGE_AREA / 1024),
				 "%zu: mapped as such\n", i);
		split_area(a);
		ksft_test_result(huge_folios(a) == folios,
				 "%zu: held: not split\n", i);
	}
	ksft_test_result(!luo_session_finish(session_fd), "finish\n");

	split_area(&areas[0]);
	c = compare(&areas[0]);
	ksft_test_result(!huge_folios(&areas[0]) && unchanged(&c),
			 "finished: split by request\n");
	force_pageout(&areas[1]);
	c = compare(&areas[1]);
	say(&c, "MADV_PAGEOUT");
	ksft_test_result(c.absent == HUGE_AREA / PAGE && !c.damaged,
			 "finished: swapped out and in\n");
	ksft_test_result(!fallocate(areas[2].fd,
				    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				    3 * PAGE, PAGE), "finished: a hole\n");
	c = compare(&areas[2]);
	say(&c, "punching a hole");
	ksft_test_result(c.absent == 1 && c.damaged == 1,
			 "finished: the hole is one page\n");
	force_move_pages(&areas[3]);
	c = compare(&areas[3]);
	say(&c, "move_pages");
	ksft_test_result(c.moved == HUGE_AREA / PAGE && !c.damaged &&
			 huge_folios(&areas[3]) == folios,
			 "finished: moved in one piece\n");
	for (i = 0; i < NR_HUGE; i++)
		drop_area(&areas[i]);
	close(session_fd);
}

/* --- seals ---------------------------------------------------------------- */

#define READ_ONLY	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | \
			 F_SEAL_FUTURE_WRITE)

static const struct sealed {
	const char *name;
	unsigned int flags;		/* of memfd_create() */
	int add;
	int want;
	bool writable, executable;	/* after the kexec */
} sealed[] = {
	{ "no seal", MFD_EXEC | MFD_ALLOW_SEALING, 0, 0, true, true },
	{ "sealing forbidden", MFD_EXEC, 0, F_SEAL_SEAL, true, true },
	{ "fixed size", MFD_EXEC | MFD_ALLOW_SEALING,
	  F_SEAL_SHRINK | F_SEAL_GROW, F_SEAL_SHRINK | F_SEAL_GROW, true, true },
	{ "MFD_NOEXEC_SEAL", MFD_NOEXEC_SEAL, 0, F_SEAL_EXEC, true, false },
	{ "MFD_NOEXEC_SEAL, fixed size", MFD_NOEXEC_SEAL,
	  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL,
	  F_SEAL_EXEC | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, true, false },
	{ "MFD_NOEXEC_SEAL, read-only", MFD_NOEXEC_SEAL, READ_ONLY,
	  F_SEAL_EXEC | READ_ONLY, false, false },
	{ "executable, F_SEAL_EXEC", MFD_EXEC | MFD_ALLOW_SEALING, F_SEAL_EXEC,
	  F_SEAL_EXEC | READ_ONLY, false, false },
};

static void seals_stage1(int luo_fd)
{
	int session_fd = new_session(luo_fd, SESSION);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sealed); i++) {
		int fd = memfd_create("sealed", sealed[i].flags);

		if (fd < 0 || write(fd, sealed[i].name, PAGE / 64) < 0 ||
		    ftruncate(fd, PAGE) ||
		    (sealed[i].add && fcntl(fd, F_ADD_SEALS, sealed[i].add)))
			fail_exit("cannot make '%s'", sealed[i].name);
		if (fcntl(fd, F_GET_SEALS) != sealed[i].want)
			ksft_exit_fail_msg("'%s' has the seals %#x\n",
					   sealed[i].name,
					   fcntl(fd, F_GET_SEALS));
		if (luo_session_preserve_fd(session_fd, fd, i))
			ksft_exit_fail_msg("cannot preserve '%s'\n",
					   sealed[i].name);
	}
}

static bool can_be_written(int fd)
{
	void *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return false;
	munmap(map, PAGE);
	return pwrite(fd, "x", 1, 0) == 1;
}

static void seals_stage2(int luo_fd)
{
	int session_fd = old_session(luo_fd, SESSION);
	size_t i;

	ksft_set_plan(4 * ARRAY_SIZE(sealed) + 1);
	for (i = 0; i < ARRAY_SIZE(sealed); i++) {
		const struct sealed *s = &sealed[i];
		int fd = luo_session_retrieve_fd(session_fd, i);
		struct stat st;
		int seals;

		if (fd < 0 || fstat(fd, &st))
			ksft_exit_fail_msg("cannot retrieve '%s': %d\n",
					   s->name, fd);
		seals = fcntl(fd, F_GET_SEALS);
		ksft_print_msg("%s: seals %#x, mode %#o\n", s->name, seals,
			       st.st_mode & 07777);
		ksft_test_result(seals == s->want, "%s: seals\n", s->name);
		ksft_test_result(can_be_written(fd) == s->writable,
				 "%s: %s\n", s->name,
				 s->writable ? "writable" : "read-only");
		ksft_test_result(!!(st.st_mode & 0111) == s->executable,
				 "%s: %s\n", s->name, s->executable ?
				 "executable" : "not executable");
		ksft_test_result(!!fchmod(fd, st.st_mode ^ 0111) ==
				 !!(s->want & F_SEAL_EXEC),
				 "%s: changing that is %s\n", s->name,
				 s->want & F_SEAL_EXEC ? "refused" : "allowed");
		close(fd);
	}
	ksft_test_result(!luo_session_finish(session_fd), "finish\n");
	close(session_fd);
}

/* --- more than fits outside of KHO's scratch memory ------------------------ */

#define LARGE			(700 * MIB)
#define SMALL			(16 * MIB)

static bool lives(pid_t pid)
{
	return !waitpid(pid, NULL, WNOHANG);
}

/* The OOM killer would take the bystander first. */
/* It would be open for writing in the next kernel. */
static bool refuses_read_only(int session_fd)
{
	int fd = memfd_create("read-only", 0), only, err;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	only = open(path, O_RDONLY);
	err = luo_session_preserve_fd(session_fd, only, 100);
	close(only);
	close(fd);
	return err == -EACCES;
}

static void large_stage1(int luo_fd)
{
	int session_fd = new_session(luo_fd, SESSION);
	struct area large = { }, small = { };
	pid_t bystander = fork();
	int sparse, err;

	if (bystander < 0)
		fail_exit("fork");
	while (!bystander)
		pause();
	if (!write_file("/proc/self/oom_score_adj", "-1000"))
		fail_exit("cannot be spared");

	ksft_print_header();
	ksft_set_plan(6);
	ksft_test_result(refuses_read_only(session_fd),
			 "a file that is open for reading only is refused\n");
	create_area(&large, 1, LARGE, false);
	ksft_print_msg("%ld MiB are free\n", lu_memstat_free_kib() / 1024);
	err = luo_session_preserve_fd(session_fd, large.fd, large.token);
	ksft_test_result(err == -ENOMEM, "what fits nowhere else is refused\n");
	ksft_test_result(lives(bystander), "the bystander lives\n");
	drop_area(&large);

	sparse = memfd_create("sparse", MFD_CLOEXEC);
	if (sparse < 0 || ftruncate(sparse, LARGE))
		fail_exit("cannot create a memfd");
	err = luo_session_preserve_fd(session_fd, sparse, 2);
	ksft_test_result(err == -ENOMEM, "a file whose pages are missing is refused\n");
	ksft_test_result(lives(bystander), "the bystander lives, still\n");
	close(sparse);

	create_area(&small, 3, SMALL, false);
	err = luo_session_preserve_fd(session_fd, small.fd, small.token);
	ksft_test_result(!err, "what fits is preserved\n");
	kill(bystander, SIGKILL);
	ksft_finished();
}

/* -------------------------------------------------------------------------- */

static const struct test {
	const char *name;
	void (*stage[2])(int luo_fd);
} tests[] = {
	{ "pinned", { pinned_stage1, pinned_stage2 } },
	{ "freed", { freed_stage1, freed_stage2 } },
	{ "failing", { failing_stage1, failing_stage2 } },
	{ "undone", { undone_stage1, undone_stage1 } },
	{ "halfway", { halfway_stage1, halfway_stage2 } },
	{ "huge", { huge_stage1, huge_stage2 } },
	{ "huge-cma", { huge_cma_stage1, huge_stage2 } },
	{ "seals", { seals_stage1, seals_stage2 } },
	{ "large", { large_stage1, large_stage1 } },
};

int main(int argc, char *argv[])
{
	const char *name = "";
	int opt, luo_fd, stage = 0;
	size_t i;

	while ((opt = getopt(argc, argv, "s:t:")) != -1) {
		if (opt == 's')
			stage = atoi(optarg);
		else if (opt == 't')
			name = optarg;
	}
	for (i = 0; i < ARRAY_SIZE(tests) && strcmp(tests[i].name, name); i++)
		;
	if (i == ARRAY_SIZE(tests) || stage < 1 || stage > 2)
		ksft_exit_fail_msg("usage: luo_memfd -s 1|2 -t TEST\n");
	luo_fd = luo_open_device();
	if (luo_fd < 0)
		fail_exit("cannot open %s", LUO_DEVICE);
	if (stage == 2)
		ksft_print_header();
	tests[i].stage[stage - 1](luo_fd);
	close(luo_fd);
	if (stage == 1)
		daemonize_and_wait();
	ksft_finished();
}
