/* SPDX-License-Identifier: GPL-2.0-only */
/* Mutual exclusion of device removals and the start of the next kernel. */
#ifndef _LINUX_DEVICE_REMOVAL_H
#define _LINUX_DEVICE_REMOVAL_H

#include <linux/types.h>

struct notifier_block;

#ifdef CONFIG_LIVEUPDATE

bool device_removal_begin(void);
bool device_removal_wait(void);
void device_removal_end(void);
bool device_removals_blocked(void);
int device_block_removals(void);
void device_unblock_removals(void);
int device_unbind_notifier_register(struct notifier_block *nb);

#else /* CONFIG_LIVEUPDATE */

static inline bool device_removal_begin(void)
{
	return true;
}

static inline bool device_removal_wait(void)
{
	return true;
}

static inline void device_removal_end(void)
{
}

static inline bool device_removals_blocked(void)
{
	return false;
}

#endif /* CONFIG_LIVEUPDATE */
#endif /* _LINUX_DEVICE_REMOVAL_H */
