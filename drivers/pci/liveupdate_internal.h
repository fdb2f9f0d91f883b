/* SPDX-License-Identifier: GPL-2.0-only */
/* Declarations shared by the files drivers/pci/liveupdate*.c. */
#ifndef DRIVERS_PCI_LIVEUPDATE_INTERNAL_H
#define DRIVERS_PCI_LIVEUPDATE_INTERNAL_H

#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/luo_abi.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pci_liveupdate.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/luo/pci.h>

/* Maximum number of dwords of a device that have status or service bits. */
#define PCI_WRITE_BLOCK_MAX_STATUS	20

/**
 * struct pci_write_block_status - A dword with write-1-to-clear or service bits
 * @offset:  Its offset in configuration space.
 * @w1c:     Mask of the bits that are cleared by writing 1.
 * @status:  Mask of all bits of the status register. Those not in @w1c are read-only.
 * @service: Mask of the bits that only the services of a port write.
 */
struct pci_write_block_status {
	u16 offset;
	u32 w1c;
	u32 status;
	u32 service;
};

/**
 * struct pci_write_block - Blocks config writes to one function or bridge
 * @node:       Entry of the hash table, by @sbdf.
 * @sbdf:       Segment, bus, device and function, see pci_liveupdate_sbdf().
 * @status:     Its status registers.
 * @nr_status:  Number of entries of @status.
 * @dropped:    Count of dropped writes that would have changed a register.
 * @redundant:  Count of dropped writes of the value that the register has.
 * @suppressed: Count of dropped writes that would only have cleared status bits.
 * @firmware:   Count of writes of AML that changed a register.
 * @allow_services: Writes that only clear status bits, or change service bits, are
 *              not blocked and not counted. The interrupt handler of a port loops
 *              until its status is clear, and after an aborted freeze its interrupts
 *              must be enabled.
 * @msi:        Offset of the MSI capability, once the owner has adopted the
 *              function; otherwise 0. Writes to it are not blocked: the kernel
 *              writes it when the affinity of the interrupt changes.
 * @msi_size:   Size of the MSI capability.
 *
 * Protected by pci_write_block_lock; found with RCU.
 */
struct pci_write_block {
	struct hlist_node node;
	u64 sbdf;
	struct pci_write_block_status status[PCI_WRITE_BLOCK_MAX_STATUS];
	unsigned int nr_status;
	unsigned long dropped;
	unsigned long redundant;
	unsigned long suppressed;
	unsigned long firmware;
	bool allow_services;
	u16 msi;
	u16 msi_size;
};

/**
 * enum pci_liveupdate_state - State of a preserved device
 * @PCI_LIVEUPDATE_OUTGOING:    Preserved for the next kernel.
 * @PCI_LIVEUPDATE_FROZEN:      Preserved, and frozen for the kexec.
 * @PCI_LIVEUPDATE_EXPECTED:    Preserved by the previous kernel, not found yet.
 * @PCI_LIVEUPDATE_INCOMING:    Preserved by the previous kernel, unchanged, and
 *                              running.
 * @PCI_LIVEUPDATE_QUARANTINED: Preserved by the previous kernel, but changed or
 *                              absent; stopped.
 */
enum pci_liveupdate_state {
	PCI_LIVEUPDATE_OUTGOING,
	PCI_LIVEUPDATE_FROZEN,
	PCI_LIVEUPDATE_EXPECTED,
	PCI_LIVEUPDATE_INCOMING,
	PCI_LIVEUPDATE_QUARANTINED,
};

/**
 * struct pci_liveupdate - A preserved function, or a bridge above one
 * @list:      Entry of the list of outgoing or incoming devices, sorted by SBDF.
 * @wire:      Its serialized state. Outgoing: read when it was preserved, and
 *             again at the freeze.
 * @bars:      Its BARs.
 * @nr_bars:   Number of entries of @bars.
 * @registers: The register values that a reset restores.
 * @nr_registers: Number of entries of @registers.
 * @parent:    The bridge above, NULL on a root bus.
 * @dev:       The device; NULL if it is absent.
 * @added:     @dev was added to its bus, and this holds a reference to it.
 * @number:    Its number in the serialized array of devices, from 1.
 * @users:     Number of preserved functions that need it, including itself.
 * @state:     Its state.
 * @reason:    Why it is quarantined. Outgoing: why its preservation has failed, so
 *             that it cannot be frozen.
 * @invalid:   Incoming: which of its preserved values is invalid, or NULL.
 * @errors:    Incoming: errors logged since the freeze, as in
 *             &luo_pci_device.errors; saved before they can be cleared.
 * @scan_errors: Bits of @errors[0] that scanning below a bridge has set.
 * @ptm:       Outgoing: PTM had users when it was frozen.
 * @stopped:   Bus mastering is disabled, here or at a bridge above.
 * @pinned:    This holds a runtime PM reference that keeps it in D0.
 * @enabled:   This holds a count of &pci_dev.enable_cnt.
 * @fixed:     Mask of the resources that this has marked as fixed.
 * @block:     Blocks config writes.
 * @rcu:       Frees this when no config write refers to @block.
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
	const char *invalid;
	u32 errors[LUO_PCI_ERRORS];
	u32 scan_errors;
	bool ptm;
	bool stopped;
	bool pinned;
	bool enabled;
	u32 fixed;
	struct pci_write_block block;
	struct rcu_head rcu;
};

static inline u64 pci_liveupdate_sbdf(u32 segment, u8 bus, u8 devfn)
{
	return (u64)segment << 16 | bus << 8 | devfn;
}

/**
 * struct pci_liveupdate_incoming - State preserved by the previous kernel
 * @devices:  List of &struct pci_liveupdate, sorted by SBDF.
 * @reader:   Reader of the blob.
 * @stop_all: Why all preserved devices must be stopped, or NULL.
 * @unread:   Devices were preserved, but the blob cannot be read.
 * @scanned:  The buses that are present at boot were scanned.
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

u64 pci_liveupdate_wire_sbdf(const struct luo_pci_device *wire);
u64 pci_liveupdate_dev_sbdf(struct pci_dev *dev);
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

bool pci_liveupdate_check_device(struct pci_dev *dev,
				 struct pci_liveupdate_refusal *refusal);
int pci_liveupdate_flb_preserve(struct liveupdate_flb_op_args *args);
void pci_liveupdate_flb_unpreserve(struct liveupdate_flb_op_args *args);
int pci_liveupdate_flb_freeze(struct liveupdate_flb_op_args *args);
void pci_liveupdate_flb_unfreeze(struct liveupdate_flb_op_args *args);

/* liveupdate_incoming.c */
extern struct pci_liveupdate_incoming pci_incoming;

int pci_liveupdate_flb_retrieve(struct liveupdate_flb_op_args *args);
void pci_liveupdate_flb_finish(struct liveupdate_flb_op_args *args);
struct pci_liveupdate *pci_liveupdate_find(u64 sbdf);
bool pci_liveupdate_is_below(struct pci_dev *dev, struct pci_dev *bridge);
bool pci_liveupdate_stop(struct pci_liveupdate *lu, struct pci_dev *dev);
void pci_liveupdate_fail_below(struct pci_dev *bridge, const char *why);
bool pci_liveupdate_stop_above(struct pci_liveupdate *lu);
void pci_liveupdate_release(struct pci_liveupdate *lu);
void pci_liveupdate_detach(struct pci_liveupdate *lu);
void pci_liveupdate_put_upstream(struct pci_liveupdate *lu);
void pci_liveupdate_end(struct pci_dev *dev);

/* liveupdate_write_block.c */
void pci_write_block_init(struct pci_write_block *block, u64 sbdf);
void pci_write_block_find_status(struct pci_write_block *block, struct pci_dev *dev);
void pci_write_blocks_begin(void);
void pci_write_blocks_end(void);
void pci_block_writes(struct pci_write_block *block);
void pci_unblock_writes(struct pci_write_block *block);
void pci_allow_msi_writes(struct pci_write_block *block, struct pci_dev *dev);
void pci_allow_writes(const struct pci_write_block *block,
		      struct pci_liveupdate_bypass *bypass);
void pci_disallow_writes(struct pci_liveupdate_bypass *bypass);
bool pci_writes_allowed(const struct pci_write_block *block);

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
