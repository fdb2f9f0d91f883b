// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine's memory as a file: what the device writes is seen here at
 * once.  The machine has less than 2816 MiB, so a physical address is an offset.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "observe.h"

#define UNKNOWN	(~0ull)

/* QEMU gives the file its size, so this must wait for QEMU to be up. */
bool memory_open(struct memory *m)
{
	struct stat st;
	void *map;
	int fd;

	if (m->map)
		return true;
	if (!m->path)
		return false;
	fd = open(m->path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (fstat(fd, &st) || !st.st_size) {
		close(fd);
		return false;
	}
	map = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return false;
	m->map = map;
	m->size = st.st_size;
	return true;
}

static void set_page(struct memory *m, uint64_t index, uint64_t phys)
{
	while (m->pages <= index) {
		m->page = grow(m->page, m->pages, &m->cap, sizeof(*m->page));
		m->page[m->pages++] = UNKNOWN;
	}
	/* A later list only confirms: what moved is a finding, not a fact. */
	if (m->complete && m->page[index] != phys)
		m->moved++;
	else
		m->page[index] = phys;
	m->heard++;
}

/* Returns what is wrong, NULL when nothing is. */
const char *memory_add(struct memory *m, uint64_t offset, uint64_t phys,
		       uint64_t len)
{
	uint64_t i;

	if (!memory_open(m))
		return "the machine's memory file cannot be opened: give its path with --memory";
	if ((offset | phys | len) % PAGE_BYTES || !len)
		return "a 'memory' line is not in whole pages";
	if (phys >= m->size || len > m->size - phys)
		return "a 'memory' line lies outside the machine's memory";
	if (offset > m->size || len > m->size)
		return "a 'memory' line has an absurd offset";
	for (i = 0; i < len; i += PAGE_BYTES)
		set_page(m, (offset + i) / PAGE_BYTES, phys + i);
	return NULL;
}

void memory_end(struct memory *m, uint64_t now)
{
	if (m->complete && m->heard < m->pages)
		m->moved += m->pages - m->heard;
	if (m->complete)
		m->compared_ns = now;
	m->complete = true;
	m->heard = 0;
}

volatile void *memory_at(const struct memory *m, uint64_t offset, size_t len)
{
	uint64_t index = offset / PAGE_BYTES, in = offset % PAGE_BYTES;

	if (index >= m->pages || m->page[index] == UNKNOWN ||
	    in + len > PAGE_BYTES)
		return NULL;
	return m->map + m->page[index] + in;
}

static uint64_t canary_word(uint64_t phys)
{
	return (phys ^ 0xca9a12caull) * 0x9e3779b97f4a7c15ull;
}

const char *memory_canary_fill(struct memory *m, uint64_t phys, uint64_t len)
{
	uint64_t at;

	if (!memory_open(m))
		return "the machine's memory file cannot be opened: give its path with --memory";
	if ((phys | len) % PAGE_BYTES || phys >= m->size || len > m->size - phys)
		return "the 'canary' is not in whole pages of the machine's memory";
	if (m->canaries == ARRAY_SIZE(m->canary))
		return "there are more than 8 canaries";
	for (at = phys; at < phys + len; at += sizeof(at))
		*(uint64_t *)(m->map + at) = canary_word(at);
	m->canary[m->canaries].phys = phys;
	m->canary[m->canaries++].len = len;
	return NULL;
}

static bool page_damaged(const struct memory *m, uint64_t phys)
{
	uint64_t at;

	for (at = phys; at < phys + PAGE_BYTES; at += sizeof(at))
		if (*(uint64_t *)(m->map + at) != canary_word(at))
			return true;
	return false;
}

/* In pages. */
unsigned int memory_canary_damaged(const struct memory *m)
{
	unsigned int i, damaged = 0;
	uint64_t at;

	for (i = 0; i < m->canaries; i++)
		for (at = 0; at < m->canary[i].len; at += PAGE_BYTES)
			damaged += page_damaged(m, m->canary[i].phys + at);
	return damaged;
}
