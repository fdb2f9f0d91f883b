// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Tags
 *
 * Each piece of serialized state has a tag: the compatible string of a kind of
 * file, of shared state (FLB), or of a KHO subtree. The next kernel must know
 * each tag that is in use, and each feature in use under it. This can be checked
 * before the kexec, and not afterwards:
 *
 * - LUO_TAG() declares a tag. All declarations together are the section
 *   ``.luo_tags`` of vmlinux and of modules: an array of &struct luo_abi_tag. It
 *   can be read from the file of a kernel that is not running.
 * - ``/sys/kernel/liveupdate/tags`` lists the tags of the running kernel, and
 *   what of them is in use.
 * - liveupdate-preflight(8) compares the one with the other.
 *
 * Features must be set before the freeze: luo_abi_seal() refuses a feature that
 * is set after the freeze began, as it was not part of the check.
 *
 * A handler or FLB without a declaration is also in the list while it is
 * registered. No kernel's file lists it, so while it is in use the check fails.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/luo_abi.h>
#include <linux/luo_tag.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "luo_abi_internal.h"
#include "luo_internal.h"

/**
 * struct luo_tag - A tag that this kernel knows.
 * @kobj:    Its directory in sysfs.
 * @list:    In the list of all tags.
 * @info:    Its declaration, or what is known without one.
 * @users:   Number of handlers that refer to it, and of declarations of this
 *           kernel.
 * @used:    Number of files that are preserved under it; for a subtree 1 if it
 *           is preserved.
 * @writers: The blobs that are written under it.
 *
 * It is freed when all of @users, @used and @writers are gone.
 */
struct luo_tag {
	struct kobject kobj;
	struct list_head list;
	struct luo_abi_tag info;
	int users;
	long used;
	struct list_head writers;
};

static LIST_HEAD(luo_tags);
static DEFINE_MUTEX(luo_tags_lock);	/* protects the list and all in it */
/*
 * Also protects the lists of writers, for readers of sysfs files: luo_tag_put()
 * waits for them with luo_tags_lock held.
 */
static DEFINE_SPINLOCK(luo_tag_writers_lock);
static struct kset *luo_tags_kset;

/* /sys/kernel/liveupdate, or NULL */
struct kobject *luo_kobj;

struct luo_tag_attribute {
	struct attribute attr;
	ssize_t (*show)(const struct luo_tag *tag, char *buf);
};

static ssize_t kind_show(const struct luo_tag *tag, char *buf)
{
	static const char * const kinds[] = {
		[LUO_ABI_TAG_FILE] = "file",
		[LUO_ABI_TAG_FLB] = "flb",
		[LUO_ABI_TAG_SUBTREE] = "subtree",
		[LUO_ABI_TAG_PART] = "part",
	};

	return sysfs_emit(buf, "%s\n", kinds[tag->info.kind]);
}

static ssize_t reads_show(const struct luo_tag *tag, char *buf)
{
	return sysfs_emit(buf, "%d\n", !!(tag->info.flags & LUO_ABI_TAG_READS));
}

static ssize_t writes_show(const struct luo_tag *tag, char *buf)
{
	return sysfs_emit(buf, "%d\n", !!(tag->info.flags & LUO_ABI_TAG_WRITES));
}

static ssize_t incompat_show(const struct luo_tag *tag, char *buf)
{
	return sysfs_emit(buf, "%#llx\n", tag->info.incompat);
}

static ssize_t compat_show(const struct luo_tag *tag, char *buf)
{
	return sysfs_emit(buf, "%#llx\n", tag->info.compat);
}

static ssize_t used_show(const struct luo_tag *tag, char *buf)
{
	return sysfs_emit(buf, "%ld\n", READ_ONCE(tag->used));
}

static ssize_t needs_show(const struct luo_tag *tag, char *buf)
{
	struct luo_abi_writer *w;
	u64 needs = 0;

	scoped_guard(spinlock, &luo_tag_writers_lock) {
		list_for_each_entry(w, &tag->writers, list)
			needs |= READ_ONCE(w->incompat);
	}

	return sysfs_emit(buf, "%#llx\n", needs);
}

#define LUO_TAG_ATTR(name_)						\
	static struct luo_tag_attribute name_##_attr = {		\
		.attr = { .name = #name_, .mode = 0444 },		\
		.show = name_##_show,					\
	}

LUO_TAG_ATTR(kind);
LUO_TAG_ATTR(reads);
LUO_TAG_ATTR(writes);
LUO_TAG_ATTR(incompat);
LUO_TAG_ATTR(compat);
LUO_TAG_ATTR(used);
LUO_TAG_ATTR(needs);

static struct attribute *luo_tag_attrs[] = {
	&kind_attr.attr,
	&reads_attr.attr,
	&writes_attr.attr,
	&incompat_attr.attr,
	&compat_attr.attr,
	&used_attr.attr,
	&needs_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(luo_tag);

static ssize_t luo_tag_show(struct kobject *kobj, struct attribute *attr,
			    char *buf)
{
	const struct luo_tag_attribute *tag_attr =
		container_of(attr, struct luo_tag_attribute, attr);

	return tag_attr->show(container_of(kobj, struct luo_tag, kobj), buf);
}

static const struct sysfs_ops luo_tag_sysfs_ops = {
	.show = luo_tag_show,
};

static void luo_tag_free(struct kobject *kobj)
{
	kfree(container_of(kobj, struct luo_tag, kobj));
}

static const struct kobj_type luo_tag_ktype = {
	.sysfs_ops = &luo_tag_sysfs_ops,
	.default_groups = luo_tag_groups,
	.release = luo_tag_free,
};

static struct luo_tag *luo_tag_find(const char *name)
{
	struct luo_tag *tag;

	list_for_each_entry(tag, &luo_tags, list) {
		if (!strncmp((char *)tag->info.name, name,
			     sizeof(tag->info.name)))
			return tag;
	}

	return NULL;
}

static int luo_tag_publish(struct luo_tag *tag)
{
	/* Before sysfs is initialized; luo_tags_init() does it later. */
	if (!luo_tags_kset)
		return 0;

	tag->kobj.kset = luo_tags_kset;
	return kobject_add(&tag->kobj, NULL, "%.*s",
			   (int)sizeof(tag->info.name), tag->info.name);
}

static struct luo_tag *luo_tag_add(enum luo_abi_tag_kind kind, const char *name,
				   const struct luo_abi_tag *decl)
{
	struct luo_tag *tag;
	int err;

	if (kind < LUO_ABI_TAG_FILE || kind > LUO_ABI_TAG_PART)
		return ERR_PTR(-EINVAL);

	tag = kzalloc_obj(*tag);
	if (!tag)
		return ERR_PTR(-ENOMEM);

	if (decl) {
		tag->info = *decl;
	} else {
		tag->info.kind = kind;
		strscpy((char *)tag->info.name, name, sizeof(tag->info.name));
		tag->info.flags = LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES;
	}
	INIT_LIST_HEAD(&tag->writers);
	kobject_init(&tag->kobj, &luo_tag_ktype);

	err = luo_tag_publish(tag);
	if (err) {
		kobject_put(&tag->kobj);
		return ERR_PTR(err);
	}
	list_add_tail(&tag->list, &luo_tags);

	return tag;
}

/* Free a tag that is not used any more. */
static void luo_tag_put(struct luo_tag *tag)
{
	lockdep_assert_held(&luo_tags_lock);

	if (tag->users || tag->used || !list_empty(&tag->writers))
		return;

	list_del(&tag->list);
	/* Before the lock is released: the name can be registered again then. */
	if (tag->kobj.state_in_sysfs)
		kobject_del(&tag->kobj);
	kobject_put(&tag->kobj);
}

/* Add the tag if it is not registered, as that of a module without a handler. */
static struct luo_tag *luo_tag_of(const struct luo_abi_tag *decl)
{
	struct luo_tag *tag = luo_tag_find((char *)decl->name);

	lockdep_assert_held(&luo_tags_lock);

	if (!tag)
		tag = luo_tag_add(decl->kind, (char *)decl->name, decl);
	if (IS_ERR(tag)) {
		pr_err("tag '%s' cannot be listed, so the next kernel is not asked for it: %pe\n",
		       decl->name, tag);
		return NULL;
	}

	return tag;
}

/**
 * luo_tag_register - Register a handler of a tag.
 * @kind: What the tag names.
 * @name: The tag.
 * @decl: Its declaration, or NULL.
 *
 * Context: May sleep.
 * Return: the tag, or an error pointer: -EINVAL if @decl is another tag's,
 * -EEXIST if the tag names something of another kind already, -ENOMEM.
 */
struct luo_tag *luo_tag_register(enum luo_abi_tag_kind kind, const char *name,
				 const struct luo_abi_tag *decl)
{
	struct luo_tag *tag;

	if (decl && (decl->kind != kind ||
		     strncmp((char *)decl->name, name, sizeof(decl->name)))) {
		pr_err("'%s' is declared as another tag, or another kind\n",
		       name);
		return ERR_PTR(-EINVAL);
	}

	guard(mutex)(&luo_tags_lock);

	tag = luo_tag_find(name) ?: luo_tag_add(kind, name, decl);
	if (IS_ERR(tag))
		return tag;
	if (tag->info.kind != kind) {
		pr_err("'%s' names something of another kind already\n", name);
		return ERR_PTR(-EEXIST);
	}
	tag->users++;

	return tag;
}

/**
 * luo_tag_unregister - Undo luo_tag_register().
 * @tag: The tag.
 *
 * The tag stays in the list while a blob is written under it.
 *
 * Context: May sleep.
 */
void luo_tag_unregister(struct luo_tag *tag)
{
	guard(mutex)(&luo_tags_lock);

	tag->users--;
	luo_tag_put(tag);
}

/**
 * luo_tag_count - Count something that is preserved under a tag, or no longer.
 * @tag:   The tag.
 * @count: 1 or -1.
 */
void luo_tag_count(struct luo_tag *tag, int count)
{
	guard(mutex)(&luo_tags_lock);
	WRITE_ONCE(tag->used, tag->used + count);
}

/**
 * liveupdate_tag_use - Mark a tag as in use.
 * @decl: Its declaration, of a KHO subtree. Files and FLBs are counted by LUO.
 *
 * Context: May sleep.
 */
void liveupdate_tag_use(const struct luo_abi_tag *decl)
{
	struct luo_tag *tag;

	if (!liveupdate_enabled())
		return;

	guard(mutex)(&luo_tags_lock);

	tag = luo_tag_of(decl);
	if (tag)
		WRITE_ONCE(tag->used, tag->used + 1);
}
EXPORT_SYMBOL_GPL(liveupdate_tag_use);

/**
 * liveupdate_tag_unuse - Undo liveupdate_tag_use().
 * @decl: The declaration.
 *
 * Context: May sleep.
 */
void liveupdate_tag_unuse(const struct luo_abi_tag *decl)
{
	struct luo_tag *tag;

	guard(mutex)(&luo_tags_lock);

	tag = luo_tag_find((char *)decl->name);
	/* If it could not be listed it was not counted either. */
	if (!tag || !tag->used)
		return;
	WRITE_ONCE(tag->used, tag->used - 1);
	luo_tag_put(tag);
}
EXPORT_SYMBOL_GPL(liveupdate_tag_unuse);

/* List the features that @w uses as needed. */
void luo_tag_add_writer(struct luo_abi_writer *w)
{
	struct luo_tag *tag;

	guard(mutex)(&luo_tags_lock);

	tag = luo_tag_of(w->format->tag);
	if (!tag)
		return;
	scoped_guard(spinlock, &luo_tag_writers_lock)
		list_add_tail(&w->list, &tag->writers);
}

void luo_tag_remove_writer(struct luo_abi_writer *w)
{
	struct luo_tag *tag;

	guard(mutex)(&luo_tags_lock);

	if (list_empty(&w->list))
		return;
	scoped_guard(spinlock, &luo_tag_writers_lock)
		list_del_init(&w->list);
	tag = luo_tag_find((char *)w->format->tag->name);
	if (tag)
		luo_tag_put(tag);
}

static bool luo_tags_freezing;

/*
 * Called when the freeze begins, and when it has failed. In between no feature may
 * come into use.
 */
void luo_tags_set_freezing(bool freezing)
{
	struct luo_abi_writer *w;
	struct luo_tag *tag;

	WRITE_ONCE(luo_tags_freezing, freezing);
	if (freezing)
		return;

	/* The next check of the next kernel includes them. */
	guard(mutex)(&luo_tags_lock);
	list_for_each_entry(tag, &luo_tags, list) {
		list_for_each_entry(w, &tag->writers, list)
			w->late = 0;
	}
}

/* True if it is too late to check whether the next kernel knows a feature. */
bool luo_tag_is_freezing(void)
{
	KUNIT_STATIC_STUB_REDIRECT(luo_tag_is_freezing);

	return READ_ONCE(luo_tags_freezing);
}
EXPORT_SYMBOL_IF_KUNIT(luo_tag_is_freezing);

static int __init luo_tags_init(void)
{
	const struct luo_abi_tag *decl;
	struct luo_tag *tag;

	if (!liveupdate_enabled())
		return 0;

	for (decl = __start_luo_tags; decl < __stop_luo_tags; decl++) {
		tag = luo_tag_register(decl->kind, (char *)decl->name, decl);
		if (IS_ERR(tag))
			pr_err("tag '%s' cannot be listed: %pe\n", decl->name,
			       tag);
	}

	luo_kobj = kobject_create_and_add("liveupdate", kernel_kobj);
	if (!luo_kobj)
		return -ENOMEM;

	guard(mutex)(&luo_tags_lock);
	luo_tags_kset = kset_create_and_add("tags", NULL, luo_kobj);
	if (!luo_tags_kset) {
		kobject_put(luo_kobj);
		luo_kobj = NULL;
		return -ENOMEM;
	}

	list_for_each_entry(tag, &luo_tags, list) {
		int err = luo_tag_publish(tag);

		if (err)
			pr_err("tag '%s' cannot be listed: %pe\n",
			       tag->info.name, ERR_PTR(err));
	}

	return 0;
}
subsys_initcall(luo_tags_init);
