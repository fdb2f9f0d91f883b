// SPDX-License-Identifier: GPL-2.0-only
#include <unistd.h>

#include "lu_access.h"
#include "lu_die.h"
#include "lu_igb.h"

/* 82576 datasheet chapter 8; queue 0 by its documented addresses. */
#define CTRL			0x00000
#define CTRL_SLU		0x00000040
#define STATUS_LU		0x00000002
#define CTRL_EXT		0x00018
#define CTRL_EXT_DRV_LOAD	0x10000000
#define MDIC			0x00020
#define MDIC_PHY_1		0x00200000
#define MDIC_OP_WRITE		0x04000000
#define MDIC_READY		0x10000000
#define MDIC_ERROR		0x40000000
#define IMS			0x000d0
#define IMS_RXDW		0x00000080
#define IMC			0x000d8
#define EIMS			0x01524
#define EIMC			0x01528
#define EIAC			0x0152c
#define GPIE			0x01514
#define GPIE_NSICR		0x00000001
#define GPIE_MULTIPLE_MSIX	0x00000010
#define GPIE_PBA		0x80000000
#define IVAR(queue)		(0x01700 + 4 * (queue))
#define IVAR_VALID		0x00000080
#define RCTL			0x00100
#define RCTL_EN			0x00000002
#define RCTL_UPE		0x00000008
#define RCTL_MPE		0x00000010
#define RCTL_BAM		0x00008000
#define RCTL_SECRC		0x04000000
#define RDBAL(queue)		(0x0c000 + 0x40 * (queue))
#define RDBAH(queue)		(0x0c004 + 0x40 * (queue))
#define RDLEN(queue)		(0x0c008 + 0x40 * (queue))
#define SRRCTL(queue)		(0x0c00c + 0x40 * (queue))
#define SRRCTL_ADV_ONE_BUFFER	0x02000000
#define RXDCTL(queue)		(0x0c028 + 0x40 * (queue))
#define RXDCTL_ENABLE		0x02000000
#define RAL(entry)		(0x05400 + 8 * (entry))
#define RAH(entry)		(0x05404 + 8 * (entry))
#define RAH_POOL(queue)		(0x00040000 << (queue))
#define RAH_VALID		0x80000000
#define MRQC			0x05818
#define MRQC_QUEUE_BY_MAC	0x00000003
#define VFRE			0x00c8c
#define TCTL			0x00400
#define TCTL_EN			0x00000002
#define TDBAL0			0x0e000
#define TDBAH0			0x0e004
#define TDLEN0			0x0e008
#define TDH0			0x0e010
#define TDT0			0x0e018
#define TXDCTL0			0x0e028
#define TXDCTL_ENABLE		0x02000000

/* PHY register 0: enable and restart the negotiation of the link. */
#define PHY_CONTROL_ANENABLE	0x00001000
#define PHY_CONTROL_ANRESTART	0x00000200

/*
 * QEMU raises the link only after a negotiation, some 500 ms later; on
 * hardware it does no harm.
 */
static void restart_negotiation(void *bar)
{
	int tries = 1000;

	lu_write_reg(bar, MDIC, PHY_CONTROL_ANENABLE | PHY_CONTROL_ANRESTART |
		     MDIC_PHY_1 | MDIC_OP_WRITE);
	while (!(lu_read_reg(bar, MDIC) & MDIC_READY) && tries--)
		usleep(50);
	if ((lu_read_reg(bar, MDIC) & (MDIC_READY | MDIC_ERROR)) != MDIC_READY)
		lu_die("the PHY did not take the order to negotiate the link: MDIC is %#x",
		       lu_read_reg(bar, MDIC));
}

static void set_ring(void *bar, uint64_t ring, uint32_t queue, uint32_t slots)
{
	ring += queue * slots * sizeof(struct lu_rx_desc);
	lu_write_reg(bar, RDBAL(queue), ring);
	lu_write_reg(bar, RDBAH(queue), ring >> 32);
	lu_write_reg(bar, RDLEN(queue), slots * sizeof(struct lu_rx_desc));
	/* No size in it: buffers are what RCTL says, 2048 bytes. */
	lu_write_reg(bar, SRRCTL(queue), SRRCTL_ADV_ONE_BUFFER);
	lu_write_reg(bar, LU_IGB_RDH(queue), 0);
	lu_write_reg(bar, LU_IGB_RDT(queue), 0);
	lu_write_reg(bar, RXDCTL(queue), RXDCTL_ENABLE);
}

/* VMDq (82576 datasheet 7.10): the MAC address selects the queue. */
static void sort_by_address(void *bar)
{
	uint8_t mac[6];
	uint32_t q;

	for (q = 0; q < LU_QUEUES; q++) {
		lu_queue_address(mac, q);
		lu_write_reg(bar, RAL(q), mac[0] | mac[1] << 8 | mac[2] << 16 |
			     (uint32_t)mac[3] << 24);
		lu_write_reg(bar, RAH(q), mac[4] | mac[5] << 8 | RAH_POOL(q) |
			     RAH_VALID);
	}
	lu_write_reg(bar, VFRE, (1u << LU_QUEUES) - 1);
	lu_write_reg(bar, MRQC, MRQC_QUEUE_BY_MAC);
}

/* 82576 datasheet 7.3: a message for each frame, whose cause is cleared with it. */
static void enable_vectors(void *bar)
{
	uint32_t mask = (1u << LU_QUEUES) - 1, q;

	lu_write_reg(bar, GPIE, GPIE_NSICR | GPIE_MULTIPLE_MSIX | GPIE_PBA);
	for (q = 0; q < LU_QUEUES; q++)
		lu_write_reg(bar, IVAR(q), IVAR_VALID | q);
	lu_write_reg(bar, EIAC, mask);
	lu_write_reg(bar, EIMS, mask);
}

static bool await_bit(void *bar, uint32_t reg, uint32_t bit,
		      int timeout_ms)
{
	while (!(lu_read_reg(bar, reg) & bit)) {
		if (timeout_ms-- <= 0)
			return false;
		usleep(1000);
	}
	return true;
}

bool lu_igb_start_receive(void *bar, uint64_t ring, uint32_t queues, int timeout_ms)
{
	uint32_t slots = LU_SLOTS / queues, q;

	lu_write_reg(bar, IMC, ~0u);
	lu_write_reg(bar, EIMC, ~0u);
	lu_write_reg(bar, CTRL_EXT,
		     lu_read_reg(bar, CTRL_EXT) | CTRL_EXT_DRV_LOAD);
	lu_write_reg(bar, CTRL, lu_read_reg(bar, CTRL) | CTRL_SLU);
	restart_negotiation(bar);
	if (queues > 1)
		sort_by_address(bar);
	for (q = 0; q < queues; q++)
		set_ring(bar, ring, q, slots);
	lu_write_reg(bar, RCTL,
		     RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC);
	for (q = 0; q < queues; q++) {
		if (!await_bit(bar, RXDCTL(q), RXDCTL_ENABLE, 100))
			lu_die("receive queue %u did not start: RXDCTL is %#x", q,
			       lu_read_reg(bar, RXDCTL(q)));
		/* Only a running queue takes descriptors. */
		lu_write_reg(bar, LU_IGB_RDT(q), slots - 1);
	}
	return await_bit(bar, LU_IGB_STATUS, STATUS_LU, timeout_ms);
}

void lu_igb_interrupt(void *bar, enum lu_interrupts mode)
{
	if (mode == LU_MSIX) {
		enable_vectors(bar);
		return;
	}
	lu_write_reg(bar, GPIE, GPIE_NSICR);
	lu_write_reg(bar, IMS, IMS_RXDW);
}

void lu_igb_fetch(void *bar, uint64_t address)
{
	lu_write_reg(bar, TDBAL0, address);
	lu_write_reg(bar, TDBAH0, address >> 32);
	lu_write_reg(bar, TDLEN0, 128);
	lu_write_reg(bar, TDH0, 0);
	lu_write_reg(bar, TDT0, 0);
	lu_write_reg(bar, TCTL, TCTL_EN);
	lu_write_reg(bar, TXDCTL0, TXDCTL_ENABLE);
	if (!await_bit(bar, TXDCTL0, TXDCTL_ENABLE, 100))
		lu_die("the transmit queue did not start: TXDCTL is %#x",
		       lu_read_reg(bar, TXDCTL0));
	lu_write_reg(bar, TDT0, 1);
	usleep(10000);
	lu_write_reg(bar, TXDCTL0, 0);
	lu_write_reg(bar, TCTL, 0);
}

struct lu_igb_regs lu_igb_read(const void *bar, uint16_t command)
{
	struct lu_igb_regs regs = {
		.command = command,
		.status = lu_read_reg(bar, LU_IGB_STATUS),
		.rctl = lu_read_reg(bar, RCTL),
		.causes = lu_read_reg(bar, IMS),
		.vectors = lu_read_reg(bar, EIMS),
	};
	uint32_t q;

	for (q = 0; q < LU_QUEUES; q++) {
		regs.queue[q].ring_address = lu_read_reg(bar, RDBAL(q)) |
					     (uint64_t)lu_read_reg(bar, RDBAH(q)) << 32;
		regs.queue[q].ring_bytes = lu_read_reg(bar, RDLEN(q));
		regs.queue[q].head = lu_read_reg(bar, LU_IGB_RDH(q));
		regs.queue[q].tail = lu_read_reg(bar, LU_IGB_RDT(q));
		regs.queue[q].control = lu_read_reg(bar, RXDCTL(q));
	}
	return regs;
}
