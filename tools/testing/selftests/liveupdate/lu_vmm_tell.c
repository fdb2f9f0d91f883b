// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "lu_channel.h"
#include "lu_die.h"
#include "lu_memory.h"
#include "lu_vmm.h"

#define SYNC_PATIENCE_MS	30000

int lu_channel_fd = -1;

void await_observer(const char *word)
{
	if (lu_channel_sync(word, SYNC_PATIENCE_MS))
		lu_die_errno("the observer did not answer 'sync %s'", word);
}

static void tell_config(const char *bdf)
{
	uint8_t config[LU_PCI_CONFIG_SIZE];
	char line[LU_PCI_CONFIG_SIZE * 2 + 64];
	size_t size = lu_pci_read_config(bdf, config), i;
	int len = sprintf(line, "config %s ", bdf);

	for (i = 0; i < size; i++)
		len += sprintf(line + len, "%02x", config[i]);
	line[len++] = '\n';
	if (lu_channel_write(line, len))
		lu_die_errno("cannot write to the channel");
}

void tell_all_configs(struct vmm *v)
{
	int i;

	tell_config(v->bdf);
	for (i = 0; i < v->bridges; i++)
		tell_config(v->path[i]);
}

void tell_watch(struct vmm *v)
{
	int i;

	tell("watch %s device", v->bdf);
	for (i = 0; i < v->bridges; i++)
		tell("watch %s path", v->path[i]);
}

static void tell_piece(uint64_t offset, uint64_t phys, uint64_t len)
{
	tell("memory %#llx %#llx %#llx", (unsigned long long)offset,
	     (unsigned long long)phys, (unsigned long long)len);
}

uint64_t tell_memory(struct vmm *v)
{
	uint64_t digest = lu_memory_pieces(v->ram, LU_RAM_SIZE, tell_piece);

	tell("memory end");
	tell("ring %u %u %#x %u", LU_SLOTS, LU_SLOT_SIZE, LU_BUFFERS_OFFSET, LU_QUEUES);
	tell("control %#x", LU_CONTROL_OFFSET);
	return digest;
}
