// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lu_access.h"
#include "lu_die.h"
#include "lu_memory.h"

#define HUGE_SIZE		0x200000ul
#define SEALS			(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define PAGEMAP_PRESENT		0x8000000000000000ull
#define PAGEMAP_PFN		0x007fffffffffffffull

/* Only for a new file, whose content is zero. */
static void populate(void *ram, size_t size)
{
	size_t page = getpagesize(), i;

	for (i = 0; i < size; i += page)
		lu_store((char *)ram + i, 0);
}

/*
 * Collapsing needs no system-wide setting, and it is all or nothing: folios
 * that merely lie side by side do not count.
 */
static void make_huge(void *ram, size_t size)
{
	int tries = 10;

	while (madvise(ram, size, MADV_COLLAPSE)) {
		if (errno != EAGAIN || !--tries)
			lu_die_errno("no folios of 2 MiB: free memory or drop --huge");
		usleep(10000);
	}
}

void *lu_memory_map(int fd, size_t size)
{
	char *area = mmap(NULL, size + HUGE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uintptr_t start = ((uintptr_t)area + HUGE_SIZE - 1) & ~(HUGE_SIZE - 1);
	void *ram;

	if (area == MAP_FAILED)
		lu_die_errno("cannot reserve address space for the VM's memory");
	ram = mmap((void *)start, size, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, fd, 0);
	if (ram == MAP_FAILED)
		lu_die_errno("cannot map a memfd of %zu bytes", size);
	return ram;
}

void lu_memory_make_huge(int fd, size_t size)
{
	void *ram = lu_memory_map(fd, size);

	populate(ram, size);
	make_huge(ram, size);
	munmap(ram, size);
}

int lu_memory_create(const char *name, size_t size, bool huge)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *ram;

	if (fd < 0 || ftruncate(fd, size))
		lu_die_errno("cannot create a memfd of %zu bytes", size);
	ram = lu_memory_map(fd, size);
	populate(ram, size);
	if (huge)
		make_huge(ram, size);
	munmap(ram, size);
	if (fcntl(fd, F_ADD_SEALS, SEALS))
		lu_die_errno("cannot seal the memfd %s", name);
	return fd;
}

bool lu_memory_is_whole(int fd, size_t size)
{
	struct stat st;

	return !fstat(fd, &st) && (size_t)st.st_size == size &&
	       (fcntl(fd, F_GET_SEALS) & SEALS) == SEALS;
}

/* FNV-1a, a word at a time. */
static uint64_t mix(uint64_t digest, uint64_t word)
{
	return (digest ^ word) * 0x100000001b3ull;
}

static uint64_t physical_address(int pagemap, const char *virt)
{
	size_t page = getpagesize();
	uint64_t entry;

	/* A mapping of the file need not have an entry for a page in it. */
	(void)lu_load(virt);
	if (pread(pagemap, &entry, sizeof(entry),
		  (uintptr_t)virt / page * sizeof(entry)) != sizeof(entry))
		lu_die_errno("cannot read /proc/self/pagemap");
	if (!(entry & PAGEMAP_PRESENT) || !(entry & PAGEMAP_PFN))
		lu_die("/proc/self/pagemap hides the physical addresses: run as root");
	return (entry & PAGEMAP_PFN) * page;
}

uint64_t lu_memory_pieces(const void *start, size_t size,
			  void (*report)(uint64_t offset, uint64_t phys,
					 uint64_t len))
{
	uint64_t digest = 0xcbf29ce484222325ull, offset = 0, begin, phys;
	int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	size_t page = getpagesize();

	if (pagemap < 0)
		lu_die_errno("cannot open /proc/self/pagemap");
	while (offset < size) {
		begin = offset;
		phys = physical_address(pagemap, (const char *)start + begin);
		do {
			offset += page;
		} while (offset < size &&
			 physical_address(pagemap, (const char *)start + offset) ==
			 phys + offset - begin);
		if (report)
			report(begin, phys, offset - begin);
		digest = mix(mix(mix(digest, begin), phys), offset - begin);
	}
	close(pagemap);
	return digest;
}
