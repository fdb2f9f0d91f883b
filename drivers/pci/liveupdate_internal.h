/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of PCI's live update know of each other. */
#ifndef DRIVERS_PCI_LIVEUPDATE_INTERNAL_H
#define DRIVERS_PCI_LIVEUPDATE_INTERNAL_H

#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/luo_abi.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/luo/pci.h>

/* Registers of a function with bits that are cleared by writing 1. */
#define PCI_SHIELD_MAX_STATUS	16

/**
 * struct pci_shield_status - A status register: some of its bits are W1C.
 * @offset: Of its dword in configuration space.
 * @w1c:    The bits that are cleared by writing 1.
 * @status: These and all others of the register; the others are read-only, so
 *          what is written there changes nothing.
 */
struct pci_shield_status {
	u16 offset;
	u32 w1c;
	u32 status;
};

/**
 * struct pci_shield - Keeps config writes away from one function or bridge.
 * @node:      Where it is found by its place.
 * @place:     See pci_liveupdate_place().
 * @status:    Where bits are cleared by writing 1.
 * @nr_status: Their number.
 * @dropped:   Writes that would have changed something.
 * @swallowed: Writes that would have written what is there.
 * @kept:      Writes that would have cleared status bits and nothing else.
 * @lets_status: These are sent, and not counted: an interrupt handler may not end
 *             before its status is clear.
 * @msi:       Where the MSI capability of a function is that its owner has taken
 *             over, 0 before: whoever moves its interrupt writes there.
 * @msi_size:  Its size.
 *
 * All is protected by the shield's lock.
 */
struct pci_shield {
	struct hlist_node node;
	u64 place;
	struct pci_shield_status status[PCI_SHIELD_MAX_STATUS];
	unsigned int nr_status;
	unsigned long dropped;
	unsigned long swallowed;
	unsigned long kept;
	bool lets_status;
	u16 msi;
	u16 msi_size;
};

/**
 * enum pci_liveupdate_state - What became of a preserved device.
 * @PCI_LIVEUPDATE_OUTGOING:    Preserved for the next kernel.
 * @PCI_LIVEUPDATE_FROZEN:      The same, and the kexec is about to happen.
 * @PCI_LIVEUPDATE_EXPECTED:    The previous kernel has preserved it, it was not
 *                              found yet.
 * @PCI_LIVEUPDATE_INCOMING:    It was found as it was, and runs.
 * @PCI_LIVEUPDATE_QUARANTINED: It was not, and was stopped.
 */
enum pci_liveupdate_state {
	PCI_LIVEUPDATE_OUTGOING,
	PCI_LIVEUPDATE_FROZEN,
	PCI_LIVEUPDATE_EXPECTED,
	PCI_LIVEUPDATE_INCOMING,
	PCI_LIVEUPDATE_QUARANTINED,
};

/**
 * struct pci_liveupdate - A function that is preserved, or a bridge above it.
 * @list:      Among the outgoing or the incoming, in the order of their places.
 * @wire:      What crosses the kexec; outgoing: as it was when it was preserved.
 * @bars:      Its BARs.
 * @nr_bars:   Their number.
 * @registers: What it is reset to.
 * @nr_registers: Their number.
 * @parent:    The bridge above, NULL on a root bus.
 * @dev:       The device; NULL if there is none.
 * @added:     There is a reference to @dev, and it can be used.
 * @number:    Outgoing: its number in the wire's array.
 * @users:     Functions that need it, itself included.
 * @state:     What became of it.
 * @reason:    Why it is quarantined.
 * @errors:    Incoming: what errors there are that there were not at the freeze, as
 *             in &luo_pci_device.errors; saved before anybody clears them.
 * @stopped:   Its bus mastering was found off, or switched off, for that.
 * @pinned:    It is kept in D0.
 * @enabled:   It counts as enabled though nobody has enabled it.
 * @fixed:     Which of its resources must not be moved.
 * @shield:    Keeps writes away.
 */
struct pci_liveupdate {
	struct list_head list;
	struct luo_pci_device wire;
	struct luo_pci_bar *bars;
	unsigned int nr_bars;
	struct luo_pci_register *registers;
	unsigned int nr_registers;
	struct pci_liveupdate *parent;
	struct pci_dev *dev;
	bool added;
	u32 number;
	unsigned int users;
	enum pci_liveupdate_state state;
	const char *reason;
	u32 errors[LUO_PCI_ERRORS];
	bool stopped;
	bool pinned;
	bool enabled;
	u32 fixed;
	struct pci_shield shield;
};

static inline u64 pci_liveupdate_place(u32 segment, u8 bus, u8 devfn)
{
	return (u64)segment << 16 | bus << 8 | devfn;
}

/**
 * struct pci_liveupdate_incoming - What comes from the previous kernel.
 * @devices:  &struct pci_liveupdate, in the order of their places.
 * @reader:   Of the blob.
 * @stop_all: Why nothing can be left running, or NULL.
 * @unread:   Something was preserved, nobody knows what.
 * @scanned:  All that is there at boot was found.
 */
struct pci_liveupdate_incoming {
	struct list_head devices;
	struct luo_abi_reader reader;
	const char *stop_all;
	bool unread;
	bool scanned;
};

/* liveupdate.c */
extern struct mutex pci_liveupdate_lock;
extern spinlock_t pci_liveupdate_pointers;
extern struct liveupdate_flb pci_liveupdate_flb;

u64 pci_liveupdate_place_of(const struct luo_pci_device *wire);
u64 pci_liveupdate_place_of_dev(struct pci_dev *dev);
void pci_liveupdate_set_incoming(struct pci_dev *dev, struct pci_liveupdate *lu);
void pci_liveupdate_set_outgoing(struct pci_dev *dev, struct pci_liveupdate *lu);
void pci_liveupdate_free(struct pci_liveupdate *lu);
void pci_liveupdate_pin(struct pci_liveupdate *lu);
void pci_liveupdate_unpin(struct pci_liveupdate *lu);

/* liveupdate_outgoing.c */
struct pci_liveupdate_refusal {
	int err;
	const char *why;
};

bool pci_liveupdate_can_keep(struct pci_dev *dev,
			     struct pci_liveupdate_refusal *refusal);
int pci_liveupdate_flb_preserve(struct liveupdate_flb_op_args *args);
void pci_liveupdate_flb_unpreserve(struct liveupdate_flb_op_args *args);
int pci_liveupdate_flb_freeze(struct liveupdate_flb_op_args *args);
void pci_liveupdate_flb_unfreeze(struct liveupdate_flb_op_args *args);

/* liveupdate_incoming.c */
extern struct pci_liveupdate_incoming pci_incoming;

int pci_liveupdate_flb_retrieve(struct liveupdate_flb_op_args *args);
void pci_liveupdate_flb_finish(struct liveupdate_flb_op_args *args);
struct pci_liveupdate *pci_liveupdate_find(u64 place);
bool pci_liveupdate_stop(struct pci_liveupdate *lu, struct pci_dev *dev);
bool pci_liveupdate_stop_above(struct pci_liveupdate *lu);
void pci_liveupdate_let_go(struct pci_liveupdate *lu);
void pci_liveupdate_part(struct pci_liveupdate *lu);
void pci_liveupdate_leave_path(struct pci_liveupdate *lu);
void pci_liveupdate_release(struct pci_dev *dev);

/* liveupdate_shield.c */
void pci_shield_init(struct pci_shield *shield, u64 place);
void pci_shield_learn(struct pci_shield *shield, struct pci_dev *dev);
void pci_shield_raise(struct pci_shield *shield);
void pci_shield_lower(struct pci_shield *shield);
void pci_shield_let_msi(struct pci_shield *shield, struct pci_dev *dev);
void pci_shield_let(const struct pci_shield *shield,
		    struct pci_liveupdate_bypass *bypass);
void pci_shield_unlet(struct pci_liveupdate_bypass *bypass);
bool pci_shield_is_let(const struct pci_shield *shield);

/* liveupdate_sysfs.c */
void pci_liveupdate_show(struct pci_dev *dev);

/* liveupdate_state.c */
int pci_liveupdate_read(struct pci_dev *dev, struct luo_pci_device *wire);
bool pci_liveupdate_read_errors(struct pci_dev *dev, u32 *errors);
const char *pci_liveupdate_differs(struct pci_dev *dev,
				   const struct pci_liveupdate *lu);
int pci_liveupdate_read_bars(struct pci_dev *dev, struct luo_pci_bar *bars);
unsigned int pci_liveupdate_pristine(struct pci_dev *dev,
				     const struct pci_saved_state *state,
				     struct luo_pci_register *registers);
struct pci_saved_state *
pci_liveupdate_make_pristine(struct pci_dev *dev,
			     const struct luo_pci_register *registers,
			     unsigned int nr);

/* BAR 0 to 5, the ROM, and as many VF BARs */
#define PCI_LIVEUPDATE_MAX_BARS		13
#define PCI_LIVEUPDATE_MAX_REGISTERS	48

#endif /* DRIVERS_PCI_LIVEUPDATE_INTERNAL_H */
