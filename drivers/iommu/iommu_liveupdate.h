/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the IOMMU core and the drivers of IOMMUs whose translation goes on
 * across a live update.
 */
#ifndef _IOMMU_LIVEUPDATE_H
#define _IOMMU_LIVEUPDATE_H

#ifdef CONFIG_IOMMU_LIVEUPDATE

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/luo_abi.h>
#include <linux/luo/iommu.h>
#include <linux/mutex.h>

struct iommu_liveupdate_attachment;
struct iommu_liveupdate_unit;

/**
 * struct iommu_liveupdate_ops - What the driver of a unit does.
 * @tag:        The driver's tag; in use while one of its devices is preserved.
 * @kind:       enum luo_iommu_kind.
 * @preserve:   Check that a device's translation through @domain can be preserved,
 *              and allocate what @freeze needs. On failure @whyp says why.
 *              Fills in &luo_iommu_unit.base.
 * @unpreserve: Undo @preserve.
 * @freeze:     Serialize a device's entry, and what identifies the unit's tables.
 *              From here until @unfreeze the unit continues to translate when the
 *              driver is shut down. Allocates nothing and does not fail.
 * @unfreeze:   Undo @freeze.
 * @list_tables: Call @fn with the virtual address of each part of @domain's
 *              table; an errno ends it and is returned.
 * @restore:    Make @dev's driver data say that the device translates through the
 *              previous kernel's table, without writing to the hardware.
 *              Return NULL if it does not.
 * @clear:      Remove the entry of an attachment that @restore was not called for.
 * @free_domain: Free a restored domain, but not its table. Return false if a device
 *              is still attached: the table must not be freed.
 * @unit_uses_old_tables: Ask the hardware of a unit, whatever became of it, whether
 *              it translates through the previous kernel's tables. May sleep.
 * @release_unit: Free the previous kernel's tables of a unit, which is not using
 *              them any more.
 *
 * What a driver of IOMMUs implements for live update. The calls of each kernel are
 * serialized; @preserve and @restore are made with the group's mutex held.
 */
struct iommu_liveupdate_ops {
	const struct luo_abi_tag *tag;
	enum luo_iommu_kind kind;

	int (*preserve)(struct device *dev, struct iommu_domain *domain,
			struct luo_iommu_unit *unit, const char **whyp);
	void (*unpreserve)(struct device *dev);
	void (*freeze)(struct device *dev, struct luo_iommu_unit *unit,
		       struct luo_iommu_attachment *attachment);
	void (*unfreeze)(struct device *dev);
	int (*list_tables)(struct iommu_domain *domain,
			   int (*fn)(void *data, void *table), void *data);

	struct iommu_domain *(*restore)(struct device *dev,
					struct iommu_liveupdate_attachment *att);
	void (*clear)(struct iommu_liveupdate_attachment *att);
	bool (*free_domain)(struct iommu_domain *domain);
	bool (*unit_uses_old_tables)(struct iommu_liveupdate_unit *unit);
	void (*release_unit)(struct iommu_liveupdate_unit *unit);
};

/**
 * enum iommu_liveupdate_unit_state - What became of a unit in this kernel.
 * @IOMMU_LIVEUPDATE_EXPECTED: Its driver has not found it. It may translate through
 *                             the previous kernel's tables.
 * @IOMMU_LIVEUPDATE_TAKEN:    It translates, through tables of this kernel.
 * @IOMMU_LIVEUPDATE_STOPPED:  Its devices were stopped; it uses nothing of the
 *                             previous kernel's any more.
 */
enum iommu_liveupdate_unit_state {
	IOMMU_LIVEUPDATE_EXPECTED,
	IOMMU_LIVEUPDATE_TAKEN,
	IOMMU_LIVEUPDATE_STOPPED,
};

/**
 * struct iommu_liveupdate_unit - A unit that the previous kernel left translating.
 * @list:   Among all.
 * @wire:   What was handed over.
 * @number: Its number, from 1.
 * @found:  It exists.
 * @state:  What became of it.
 * @ops:    Its driver, since that took it over.
 * @driver: The driver's.
 */
struct iommu_liveupdate_unit {
	struct list_head list;
	struct luo_iommu_unit wire;
	u32 number;
	bool found;
	enum iommu_liveupdate_unit_state state;
	const struct iommu_liveupdate_ops *ops;
	void *driver;
};

/**
 * struct iommu_liveupdate_domain - A table of the previous kernel.
 * @list:     Among all.
 * @data:     Where its pages and areas are described.
 * @number:   Its number, from 1.
 * @restored: The domain that stands for it, allocated by the driver.
 * @ops:      That driver.
 * @lock:     Protects what follows, until @opened is set.
 * @reader:   What is at @data, if @opened.
 * @opened:   It was looked at.
 * @err:      With what result.
 */
struct iommu_liveupdate_domain {
	struct list_head list;
	u64 data;
	u32 number;
	struct iommu_domain *restored;
	const struct iommu_liveupdate_ops *ops;
	struct mutex lock;
	struct luo_abi_reader reader;
	bool opened;
	int err;
};

/**
 * struct iommu_liveupdate_attachment - A requester whose translation was preserved.
 * @list:   Among all.
 * @wire:   What was handed over.
 * @unit:   The unit.
 * @domain: The table.
 * @dev:    The device, while it is known to the IOMMU core.
 * @group:  Its group, referenced; until the attachment is ended.
 * @taken:  The driver has put its entry into this kernel's tables.
 */
struct iommu_liveupdate_attachment {
	struct list_head list;
	struct luo_iommu_attachment wire;
	struct iommu_liveupdate_unit *unit;
	struct iommu_liveupdate_domain *domain;
	struct device *dev;
	struct iommu_group *group;
	bool taken;
};

/* For the drivers of IOMMUs, when they initialize their units. */
int iommu_liveupdate_early(void);
struct iommu_liveupdate_unit *iommu_liveupdate_find_unit(u64 base);
void iommu_liveupdate_found(const struct iommu_liveupdate_ops *ops, u64 base);
void iommu_liveupdate_stop_others(bool (*is_translated)(struct device *dev));
bool iommu_liveupdate_stop_unit(const struct iommu_liveupdate_ops *ops, u64 base,
				const char *why);
bool iommu_liveupdate_stop_all(const struct iommu_liveupdate_ops *ops,
			       const char *why);
bool iommu_liveupdate_stop(struct iommu_liveupdate_attachment *att,
			   const char *why);
struct list_head *iommu_liveupdate_attachments(void);
phys_addr_t iommu_liveupdate_iova_to_phys(struct iommu_domain *domain,
					  dma_addr_t iova);

/* For the IOMMU core. */
struct iommu_domain *iommu_liveupdate_restore(struct device *dev,
					      struct iommu_domain *domain);
bool iommu_liveupdate_is_listed(struct device *dev);
void iommu_liveupdate_device_gone(struct device *dev);

/* Of the IOMMU core. */
void iommu_group_end_restored(struct iommu_group *group);
bool iommu_group_is_restored(struct device *dev);

#else /* CONFIG_IOMMU_LIVEUPDATE */

#include <linux/types.h>

struct device;
struct iommu_domain;

static inline struct iommu_domain *
iommu_liveupdate_restore(struct device *dev, struct iommu_domain *domain)
{
	return NULL;
}

static inline bool iommu_liveupdate_is_listed(struct device *dev)
{
	return false;
}

static inline void iommu_liveupdate_device_gone(struct device *dev)
{
}

#endif /* CONFIG_IOMMU_LIVEUPDATE */
#endif /* _IOMMU_LIVEUPDATE_H */
