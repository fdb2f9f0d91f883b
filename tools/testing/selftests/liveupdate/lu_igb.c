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
#define IMC			0x000d8
#define EIMC			0x01528
#define RCTL			0x00100
#define RCTL_EN			0x00000002
#define RCTL_UPE		0x00000008
#define RCTL_MPE		0x00000010
#define RCTL_BAM		0x00008000
#define RCTL_SECRC		0x04000000
#define RDBAL0			0x0c000
#define RDBAH0			0x0c004
#define RDLEN0			0x0c008
#define SRRCTL0			0x0c00c
#define SRRCTL_ADV_ONE_BUFFER	0x02000000
#define RXDCTL0			0x0c028
#define RXDCTL_ENABLE		0x02000000
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

static void set_ring(void *bar, uint64_t ring)
{
	lu_write_reg(bar, RDBAL0, ring);
	lu_write_reg(bar, RDBAH0, ring >> 32);
	lu_write_reg(bar, RDLEN0, LU_SLOTS * sizeof(struct lu_rx_desc));
	/* No size in it: buffers are what RCTL says, 2048 bytes. */
	lu_write_reg(bar, SRRCTL0, SRRCTL_ADV_ONE_BUFFER);
	lu_write_reg(bar, LU_IGB_RDH0, 0);
	lu_write_reg(bar, LU_IGB_RDT0, 0);
	lu_write_reg(bar, RXDCTL0, RXDCTL_ENABLE);
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

bool lu_igb_start_receive(void *bar, uint64_t ring, int timeout_ms)
{
	lu_write_reg(bar, IMC, ~0u);
	lu_write_reg(bar, EIMC, ~0u);
	lu_write_reg(bar, CTRL_EXT,
		     lu_read_reg(bar, CTRL_EXT) | CTRL_EXT_DRV_LOAD);
	lu_write_reg(bar, CTRL, lu_read_reg(bar, CTRL) | CTRL_SLU);
	restart_negotiation(bar);
	set_ring(bar, ring);
	lu_write_reg(bar, RCTL,
		     RCTL_EN | RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_SECRC);
	if (!await_bit(bar, RXDCTL0, RXDCTL_ENABLE, 100))
		lu_die("the receive queue did not start: RXDCTL is %#x",
		       lu_read_reg(bar, RXDCTL0));
	/* Only a running queue takes descriptors. */
	lu_write_reg(bar, LU_IGB_RDT0, LU_SLOTS - 1);
	return await_bit(bar, LU_IGB_STATUS, STATUS_LU, timeout_ms);
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
		.ring_address = lu_read_reg(bar, RDBAL0) |
				(uint64_t)lu_read_reg(bar, RDBAH0) << 32,
		.ring_bytes = lu_read_reg(bar, RDLEN0),
		.head = lu_read_reg(bar, LU_IGB_RDH0),
		.tail = lu_read_reg(bar, LU_IGB_RDT0),
		.queue_control = lu_read_reg(bar, RXDCTL0),
	};

	return regs;
}
