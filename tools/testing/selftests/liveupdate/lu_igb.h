/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The receive path of an 82576 ("igb"), as far as this test needs it.  The
 * base tree's libvfio driver loops frames back; here they come from outside.
 */
#ifndef LU_IGB_H
#define LU_IGB_H

#include <stdbool.h>
#include <stdint.h>

#include "lu_state.h"

#define LU_IGB_VENDOR	0x8086
#define LU_IGB_DEVICE	0x10c9

/*
 * Brings up the link and lets the device fill the rings in the VM's memory, all but
 * one slot of each.  They must be prepared, bus mastering be on; @ring is what the
 * device calls the address of the first.
 *
 * With one of @queues it has all slots and takes every frame. With LU_QUEUES each has
 * its part of the slots and takes the frames to its MAC address.
 *
 * False when the link does not come up within @timeout_ms.
 */
bool lu_igb_start_receive(void *bar, uint64_t ring, uint32_t queues, int timeout_ms);

/* Has it interrupt for each frame; what @mode says must have been enabled. */
void lu_igb_interrupt(void *bar, enum lu_interrupts mode);

/* Has the device read one transmit descriptor of zeroes, or none, at @address. */
void lu_igb_fetch(void *bar, uint64_t address);

/* Reads registers that have no side effect; @command is passed through. */
struct lu_igb_regs lu_igb_read(const void *bar, uint16_t command);

#endif /* LU_IGB_H */
