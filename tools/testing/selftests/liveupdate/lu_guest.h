/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the three parties of a measured live update agree on: the sender of
 * the frames (outside the machine), the guest that checks them (inside a VM
 * inside the machine) and the VMM between them.
 *
 * Freestanding: the guest is compiled for 32-bit protected mode without a
 * library, the other two as ordinary programs.  Little endian only.
 */
#ifndef LU_GUEST_H
#define LU_GUEST_H

#include <stdint.h>

/*
 * The VM's memory: one memfd.  It begins at a guest-physical address that is
 * also the I/O virtual address of the device and, in the test machine, a
 * host-physical range kept free ("canary"): a device write that is not
 * translated lands there and is seen.
 *
 * A device whose DMA nobody translates is told physical addresses.  So the
 * guest asks a table what the device calls a page.
 */
#define LU_RAM_BASE		0x40000000u
#define LU_RAM_SIZE		0x01000000u	/* 16 MiB */
#define LU_CODE_OFFSET		0x00001000u
#define LU_STACK_OFFSET		0x00004000u	/* grows down */
#define LU_IDT_OFFSET		0x00005000u	/* 2 KiB */
#define LU_GDT_OFFSET		0x00005800u
#define LU_CONTROL_OFFSET	0x00008000u
#define LU_RING_OFFSET		0x00010000u	/* 64 KiB, a part for each queue */
#define LU_DMA_OFFSET		0x00020000u	/* 32 KiB, see lu_dma_address() */
#define LU_BUFFERS_OFFSET	0x00100000u	/* 8 MiB */
#define LU_SLOTS		4096u
#define LU_SLOT_SIZE		2048u

/*
 * The device's receive queues. Each has its part of the slots, its interrupt and its
 * MAC address, so that an event in one never wakes up the guest for another.
 */
#define LU_QUEUES		4u
#define LU_QUEUE_SLOTS		(LU_SLOTS / LU_QUEUES)

/* How the device interrupts the guest. */
enum lu_interrupts {
	LU_MSIX,		/* one vector for each queue */
	LU_MSI,			/* one for all, as the device has no more */
	LU_INTX,		/* level-triggered, for all */
	LU_INTERRUPTS
};

/* Of the I/O APIC that KVM emulates. */
#define LU_INTX_PIN		16u

/* What the guest calls its interrupts; those of the queues follow each other. */
#define LU_VECTOR_TIMER		0x40u
#define LU_VECTOR_QUEUE		0x50u

static inline void lu_queue_address(uint8_t mac[6], uint32_t queue)
{
	mac[0] = 0x02;		/* locally administered */
	mac[1] = 0x4c;
	mac[2] = 0x55;
	mac[3] = 0;
	mac[4] = 0;
	mac[5] = queue;
}

/* The device's BAR 0 in the guest-physical address space. */
#define LU_BAR_BASE		0xfe000000u
#define LU_BAR_SIZE		0x00020000u

/* igb (82576) registers the guest itself uses, datasheet chapter 8. */
#define LU_IGB_STATUS		0x00008u
#define LU_IGB_ICR		0x000c0u	/* read to clear */
#define LU_IGB_RDH(queue)	(0x0c010u + 0x40u * (queue))
#define LU_IGB_RDT(queue)	(0x0c018u + 0x40u * (queue))

/* Advanced receive descriptor, 82576 datasheet section 7.1.5. */
struct lu_rx_desc {
	union {
		struct {
			uint64_t addr;
			uint64_t header;
		} read;
		struct {
			uint32_t info;
			uint32_t rss;
			uint32_t status;	/* bit 0: descriptor done */
			uint16_t length;
			uint16_t vlan;
		} wb;
	};
};

#define LU_PAGE_SIZE		0x1000u
#define LU_PAGES		(LU_RAM_SIZE / LU_PAGE_SIZE)

/* What the device calls the byte at @offset in the VM's memory. */
static inline uint64_t lu_dma_address(const void *ram, uint32_t offset)
{
	const uint64_t *pages =
		(const uint64_t *)((const char *)ram + LU_DMA_OFFSET);

	return pages[offset / LU_PAGE_SIZE] + offset % LU_PAGE_SIZE;
}

/* A frame is 14 bytes of Ethernet header, followed by this. */
#define LU_ETHERTYPE		0x88b5u		/* IEEE 802 local experimental 1 */
#define LU_FRAME_MAGIC		0x5246554cu	/* "LUFR" */
#define LU_FRAME_WORDS		48u

/* The layout must not depend on the compiler. */
#pragma pack(push, 4)
struct lu_frame {
	uint8_t dst[6];
	uint8_t src[6];
	uint8_t ethertype[2];		/* big endian */
	uint8_t pad[2];			/* 0; aligns what follows */
	uint32_t magic;			/* LU_FRAME_MAGIC */
	uint32_t seq;			/* from 1, never reused in a run */
	uint64_t sent_ns;		/* sender's CLOCK_REALTIME */
	uint32_t body[LU_FRAME_WORDS];	/* lu_frame_word(seq, i) */
	uint32_t sum;			/* lu_frame_sum() */
};

#pragma pack(pop)

static inline uint32_t lu_frame_word(uint32_t seq, uint32_t i)
{
	uint32_t x = seq * 0x9e3779b1u + i * 0x85ebca77u;

	x ^= x >> 15;
	x *= 0x2c1b3c6du;
	return x ^ (x >> 13);
}

/* The same bytes are written as other types and summed as words. */
typedef uint32_t __attribute__((may_alias)) lu_word;

/* Covers everything from @magic to the end of @body. */
static inline uint32_t lu_frame_sum(const struct lu_frame *f)
{
	const char *start = (const char *)f;
	const lu_word *p, *end;
	uint32_t h = 0x811c9dc5u;

	p = (const lu_word *)(start + __builtin_offsetof(struct lu_frame, magic));
	end = (const lu_word *)(start + __builtin_offsetof(struct lu_frame, sum));
	while (p < end)
		h = (h ^ *p++) * 0x01000193u;
	return h;
}

enum lu_frame_verdict {
	LU_FRAME_GOOD,
	LU_FRAME_OTHER,		/* other traffic */
	LU_FRAME_BAD,		/* ours and damaged */
	LU_FRAME_OLD,		/* undamaged, but its turn was before @last_seq's */
};

/* @length: the length that the device reports, without the Ethernet FCS. */
static inline enum lu_frame_verdict
lu_frame_check(const struct lu_frame *f, uint32_t length, uint32_t last_seq)
{
	uint32_t i;

	if (length != sizeof(*f) || f->magic != LU_FRAME_MAGIC ||
	    f->ethertype[0] != LU_ETHERTYPE >> 8 ||
	    f->ethertype[1] != (LU_ETHERTYPE & 0xff))
		return LU_FRAME_OTHER;
	for (i = 0; i < LU_FRAME_WORDS; i++)
		if (f->body[i] != lu_frame_word(f->seq, i))
			return LU_FRAME_BAD;
	if (f->sum != lu_frame_sum(f))
		return LU_FRAME_BAD;
	return f->seq > last_seq ? LU_FRAME_GOOD : LU_FRAME_OLD;
}

/*
 * The guest's diary: every frame it accepted extends the chain of its queue, so equal
 * chains mean the same frames in the same order since the guest was born.
 */
static inline uint32_t lu_chain(uint32_t chain, uint32_t seq, uint32_t sum)
{
	return (((chain << 5) | (chain >> 27)) ^ sum) * 0x9e3779b1u + seq;
}

#define LU_CONTROL_MAGIC	0x4c544355u	/* "UCTL" */

struct lu_guest_queue {
	uint32_t frames;	/* accepted since birth */
	uint32_t last_seq;
	uint32_t chain;		/* over all accepted frames; 0 at birth */
	uint32_t next_slot;	/* of the queue's, looked at next */
	uint32_t interrupts;	/* taken since birth; not under the lock. All count
				 * for the first queue when they share one
				 */
	uint32_t reserved[3];
};

/* Written by the guest, read by the VMM and the observer. */
struct lu_guest_control {
	uint32_t magic;		/* set by the VMM at birth, once */
	uint32_t heartbeat;	/* one more each time the guest wakes up */
	uint32_t lock;		/* odd while the queues or the pause change */
	uint32_t ticks;		/* interrupts of the local APIC's timer */
	uint32_t bad_content;	/* checksum or body wrong */
	uint32_t not_a_frame;	/* other traffic, or another queue's */
	uint32_t out_of_order;	/* seq not larger than the one before */
	uint32_t status_reg;	/* last LU_IGB_STATUS read through the BAR */
	uint32_t head_reg;	/* last LU_IGB_RDH(0) read through the BAR */
	uint32_t head_moves;	/* how often head_reg was seen to change */
	uint64_t pause_begin;	/* TSC at the last heartbeat before the longest pause */
	uint64_t pause_end;	/* TSC at the first heartbeat after it */
	uint32_t mode;		/* enum lu_interrupts, set by the VMM at birth */
	uint32_t hold;		/* set by the VMM: handlers wait while it is not 0 */
	uint32_t held;		/* handlers that did */
	uint32_t reserved[3];
	struct lu_guest_queue queue[LU_QUEUES];
};

#endif /* LU_GUEST_H */
