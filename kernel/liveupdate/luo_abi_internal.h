/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_LUO_ABI_INTERNAL_H
#define _LINUX_LUO_ABI_INTERNAL_H

#include <kunit/visibility.h>
#include <linux/types.h>

struct luo_abi_writer;

void luo_tag_add_writer(struct luo_abi_writer *w);
void luo_tag_remove_writer(struct luo_abi_writer *w);
void luo_tags_set_freezing(bool freezing);
bool luo_tag_is_freezing(void);

#if IS_ENABLED(CONFIG_KUNIT)
const void *luo_abi_map(u64 phys, unsigned int *order);
#endif

#endif /* _LINUX_LUO_ABI_INTERNAL_H */
