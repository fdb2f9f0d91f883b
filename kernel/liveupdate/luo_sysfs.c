// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be known of an update before the kexec: the files beside tags/ in
 * /sys/kernel/liveupdate, which liveupdate-preflight(8) reads. See
 * Documentation/ABI/testing/sysfs-kernel-liveupdate.
 */

#include <linux/init.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/kobject.h>
#include <linux/liveupdate.h>
#include <linux/sysfs.h>

#include "../kexec_internal.h"
#include "kexec_handover_internal.h"
#include "luo_internal.h"

static ssize_t next_cmdline_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	ssize_t ret = -ENODATA;

	if (!kexec_trylock())
		return -EBUSY;
	if (kexec_image && kexec_image->file_mode)
		ret = sysfs_emit(buf, "%s\n", kexec_image->kho.cmdline ?: "");
	kexec_unlock();

	return ret;
}

static ssize_t next_handover_show(struct kobject *kobj,
				  struct kobj_attribute *attr, char *buf)
{
	ssize_t ret = -ENODATA;

	if (!kexec_trylock())
		return -EBUSY;
	if (kexec_image)
		ret = sysfs_emit(buf, "%d\n",
				 luo_image_carries_handover(kexec_image));
	kexec_unlock();

	return ret;
}

static ssize_t unfinished_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", luo_session_unfinished());
}

static ssize_t scratch_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	u64 size = 0;

	for (unsigned int i = 0; i < kho_scratch_cnt; i++)
		size += kho_scratch[i].size;

	return sysfs_emit(buf, "%llu\n", size);
}

/*
 * A command line may have secrets in it. And reading these takes the kexec lock, so
 * that an update or the load of a kernel fails meanwhile.
 */
static struct kobj_attribute next_cmdline_attr =
	__ATTR(next_cmdline, 0400, next_cmdline_show, NULL);
static struct kobj_attribute next_handover_attr =
	__ATTR(next_handover, 0400, next_handover_show, NULL);
static struct kobj_attribute unfinished_attr = __ATTR_RO(unfinished);
static struct kobj_attribute scratch_attr = __ATTR_RO(scratch);

static const struct attribute *luo_attrs[] = {
	&next_cmdline_attr.attr,
	&next_handover_attr.attr,
	&unfinished_attr.attr,
	&scratch_attr.attr,
	NULL
};

/* After luo_tags_init() */
static int __init luo_sysfs_init(void)
{
	return luo_kobj ? sysfs_create_files(luo_kobj, luo_attrs) : 0;
}
fs_initcall(luo_sysfs_init);
