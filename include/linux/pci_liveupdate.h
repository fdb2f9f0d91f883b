/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI functions that keep running while the kernel is replaced. For drivers
 * whose files are preserved by the live update orchestrator (LUO).
 */
#ifndef _LINUX_PCI_LIVEUPDATE_H
#define _LINUX_PCI_LIVEUPDATE_H

#include <linux/errno.h>
#include <linux/list.h>
#include <linux/types.h>

struct device;
struct liveupdate_file_handler;
struct pci_bus;
struct pci_dev;
struct pci_saved_state;
struct task_struct;

/**
 * struct pci_liveupdate_bypass - A task whose config writes are not blocked
 * @list: Entry of the list of all bypasses.
 * @task: The task, or NULL if writes to the function are not blocked.
 * @sbdf: Address of the function.
 *
 * On the stack between pci_liveupdate_owner_begin() and pci_liveupdate_owner_end().
 */
struct pci_liveupdate_bypass {
	struct list_head list;
	struct task_struct *task;
	u64 sbdf;
};

/* Returns why a function cannot keep running, or NULL. */
typedef const char *(*pci_liveupdate_check_fn)(struct pci_dev *dev, void *data);

#ifdef CONFIG_PCI_LIVEUPDATE

void pci_liveupdate_firmware_write(u32 segment, u8 bus, unsigned int devfn, int pos,
				   int len, u32 val);
bool pci_liveupdate_any_running(void);
int pci_liveupdate_root_veto(struct pci_bus *bus);
bool pci_liveupdate_fail(u32 segment, u16 rid, const char *why);
void pci_liveupdate_fail_some(pci_liveupdate_check_fn check, void *data);
void pci_liveupdate_fail_all(const char *why);

int pci_liveupdate_register(struct liveupdate_file_handler *fh);
void pci_liveupdate_unregister(struct liveupdate_file_handler *fh);

int pci_liveupdate_preserve(struct pci_dev *dev,
			    const struct liveupdate_file_handler *fh,
			    u64 handle, struct pci_saved_state *pristine,
			    u64 *tokenp);
void pci_liveupdate_unpreserve(struct pci_dev *dev);

bool pci_liveupdate_is_on_path(struct pci_dev *dev, struct device *other);
bool pci_liveupdate_is_outgoing(struct pci_dev *dev);
bool pci_liveupdate_has_failed(struct pci_dev *dev);
bool pci_liveupdate_is_incoming(struct pci_dev *dev);
bool pci_liveupdate_is_running(struct pci_dev *dev);
u64 pci_liveupdate_token_of(u64 handle);
struct pci_dev *pci_liveupdate_get(u64 token);
int pci_liveupdate_adopt(struct pci_dev *dev, struct pci_saved_state **pristinep);
void pci_liveupdate_abandon(struct pci_dev *dev,
			    struct pci_saved_state **pristinep);
int pci_liveupdate_quiesce(u64 token);
void pci_liveupdate_finish(u64 token);
bool pci_liveupdate_settle(struct pci_dev *dev);
void pci_liveupdate_reset_later(struct pci_dev *dev);

void pci_liveupdate_owner_begin(struct pci_dev *dev,
				struct pci_liveupdate_bypass *bypass);
void pci_liveupdate_owner_end(struct pci_dev *dev,
			      struct pci_liveupdate_bypass *bypass);

#else /* CONFIG_PCI_LIVEUPDATE */

static inline void pci_liveupdate_firmware_write(u32 segment, u8 bus,
						 unsigned int devfn, int pos,
						 int len, u32 val)
{
}

static inline bool pci_liveupdate_any_running(void)
{
	return false;
}

static inline int pci_liveupdate_root_veto(struct pci_bus *bus)
{
	return 0;
}

static inline bool pci_liveupdate_fail(u32 segment, u16 rid, const char *why)
{
	return true;
}

static inline void pci_liveupdate_fail_some(pci_liveupdate_check_fn check,
					    void *data)
{
}

static inline void pci_liveupdate_fail_all(const char *why)
{
}

static inline bool pci_liveupdate_is_outgoing(struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_is_incoming(struct pci_dev *dev)
{
	return false;
}

static inline bool pci_liveupdate_settle(struct pci_dev *dev)
{
	return true;
}

static inline void pci_liveupdate_reset_later(struct pci_dev *dev)
{
}

static inline void
pci_liveupdate_owner_begin(struct pci_dev *dev,
			   struct pci_liveupdate_bypass *bypass)
{
}

static inline void
pci_liveupdate_owner_end(struct pci_dev *dev,
			 struct pci_liveupdate_bypass *bypass)
{
}

#endif /* CONFIG_PCI_LIVEUPDATE */
#endif /* _LINUX_PCI_LIVEUPDATE_H */
