// SPDX-License-Identifier: GPL-2.0
/*
 * A file that can be preserved across a live update and does as it is told.
 *
 * Tests of the Live Update Orchestrator need a handler that fails, hesitates or
 * depends on another file at a moment they choose, and need to see in which
 * order handlers and shared state are called. Each open of /dev/liveupdate-test
 * gives such a file. Writing to it tells it what to do, one command a write:
 *
 *	name NAME		how the file calls itself in the log
 *	fail OP ERRNO		OP (preserve, freeze, retrieve) returns -ERRNO
 *	hold			freeze waits until "go"
 *	go			it may continue
 *	defer			retrieve waits for the parameter ready=1
 *	busy			once retrieved, can not finish until "take"
 *	take			the file is taken over
 *	need FD			depends on the file FD of the same session
 *	need-token TOKEN	the same, by token
 *	flb-get, flb-put	hold the first shared object, as this kernel sees it
 *	blob			write a blob under the second one's tag, until the module
 *				has unregistered everything
 *
 * Reading from the start gives the log of all callbacks since the module was
 * loaded. "fail", "busy", "need" and "name" reach the next kernel.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>
#include <linux/luo_abi.h>
#include <linux/luo_tag.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#define LUT_NAME_LEN	16
#define LUT_LOG_SIZE	SZ_16K
#define LUT_CMD_LEN	64
#define LUT_NFLBS	3

#define LUT_COMPATIBLE		"liveupdate-test-file"
#define LUT_FLB_COMPATIBLE(i)	"liveupdate-test-shared-" #i

static bool ready;
module_param(ready, bool, 0644);
MODULE_PARM_DESC(ready, "deferred files can be retrieved");

static int quiesce_err;
module_param(quiesce_err, int, 0644);
MODULE_PARM_DESC(quiesce_err, "errno that quiescing returns");

static int nflbs = 2;
module_param(nflbs, int, 0444);
MODULE_PARM_DESC(nflbs, "how many shared objects the handler depends on");

static int flb_freeze_err;
module_param(flb_freeze_err, int, 0644);
MODULE_PARM_DESC(flb_freeze_err, "errno that freezing the second shared object returns");

static bool late_feature;
module_param(late_feature, bool, 0644);
MODULE_PARM_DESC(late_feature, "a feature comes into use when the second shared object is frozen");

static int flb_retrieve_err;
module_param(flb_retrieve_err, int, 0644);
MODULE_PARM_DESC(flb_retrieve_err, "errno that retrieving the second shared object returns");

/**
 * struct lut_ser - What the next kernel is told. For tests, without a version.
 * @name:         How the file calls itself.
 * @preserve_err: 0 or the errno to fail with; likewise the next two.
 * @freeze_err:   See @preserve_err.
 * @retrieve_err: See @preserve_err.
 * @defer:        Retrieve waits.
 * @busy:         Cannot finish until it is taken over.
 * @has_need:     @need is valid.
 * @need:         Token of the file this one depends on.
 */
struct lut_ser {
	char name[LUT_NAME_LEN];
	s32 preserve_err;
	s32 freeze_err;
	s32 retrieve_err;
	u8 defer;
	u8 busy;
	u8 has_need;
	u64 need;
};

/**
 * struct lut_file - One open file.
 * @lock:   Protects the other fields.
 * @told:   What it was told, or what the previous kernel handed over.
 * @needed: The file it depends on. Before the update with a reference.
 * @taken:  It is taken over.
 * @hold:   Freeze waits. Not protected by @lock, which freeze takes after that.
 */
struct lut_file {
	struct mutex lock;	/* protects what follows */
	struct lut_ser told;
	struct file *needed;
	bool taken;
	bool hold;
};

static DECLARE_WAIT_QUEUE_HEAD(lut_held);
static DEFINE_MUTEX(lut_log_lock);
static char lut_log[LUT_LOG_SIZE];
static size_t lut_log_len;

static __printf(1, 2) void lut_say(const char *fmt, ...)
{
	va_list ap;

	guard(mutex)(&lut_log_lock);
	va_start(ap, fmt);
	lut_log_len += vscnprintf(lut_log + lut_log_len,
				  LUT_LOG_SIZE - lut_log_len, fmt, ap);
	va_end(ap);
}

/* Shared objects */

static const struct liveupdate_flb_ops lut_flb_ops;

#define LUT_FLAGS	(LUO_ABI_TAG_READS | LUO_ABI_TAG_WRITES)

static LUO_TAG(lut_flb_tag0, .name = LUT_FLB_COMPATIBLE(0),
	       .kind = LUO_ABI_TAG_FLB, .flags = LUT_FLAGS);
static LUO_TAG(lut_flb_tag1, .name = LUT_FLB_COMPATIBLE(1),
	       .kind = LUO_ABI_TAG_FLB, .flags = LUT_FLAGS, .incompat = 1);
static LUO_TAG(lut_flb_tag2, .name = LUT_FLB_COMPATIBLE(2),
	       .kind = LUO_ABI_TAG_FLB, .flags = LUT_FLAGS);

#define LUT_FLB(i) {							\
	.ops = &lut_flb_ops,						\
	.compatible = LUT_FLB_COMPATIBLE(i),				\
	.tag = &lut_flb_tag##i,						\
}

static struct liveupdate_flb lut_flbs[LUT_NFLBS] = {
	LUT_FLB(0), LUT_FLB(1), LUT_FLB(2),
};

/* The second one writes a blob without records, which nothing reads. */
static const struct luo_abi_format lut_format = { .tag = &lut_flb_tag1 };
static struct luo_abi_header lut_blob __aligned(8);
static struct luo_abi_writer lut_writer;

/* Another one, see "blob". */
static struct luo_abi_header lut_late_blob __aligned(8);
static struct luo_abi_writer lut_late_writer;
static bool lut_late;

static long lut_flb_nr(struct liveupdate_flb_op_args *args)
{
	return args->flb - lut_flbs;
}

/* Only the second one fails, so that there is one to undo. */
static int lut_flb_err(struct liveupdate_flb_op_args *args, int err)
{
	return lut_flb_nr(args) == 1 ? -err : 0;
}

static int lut_flb_preserve(struct liveupdate_flb_op_args *args)
{
	args->data = lut_flb_nr(args);
	args->obj = args->flb;
	if (lut_flb_nr(args) == 1)
		luo_abi_begin(&lut_writer, &lut_format, &lut_blob,
			      sizeof(lut_blob));
	lut_say("preserve shared%ld\n", lut_flb_nr(args));
	return 0;
}

static void lut_flb_unpreserve(struct liveupdate_flb_op_args *args)
{
	if (lut_flb_nr(args) == 1)
		luo_abi_end(&lut_writer);
	lut_say("unpreserve shared%ld\n", lut_flb_nr(args));
}

static int lut_flb_freeze(struct liveupdate_flb_op_args *args)
{
	int err = lut_flb_err(args, flb_freeze_err);

	if (lut_flb_nr(args) == 1 && !err) {
		luo_abi_set_features(&lut_writer, late_feature, 0);
		err = luo_abi_seal(&lut_writer);
		if (err)
			luo_abi_rewind(&lut_writer);
	}
	lut_say("freeze shared%ld %d\n", lut_flb_nr(args), err);
	if (err)
		return err;
	/* What the next kernel must see, and unfreeze must put back. */
	args->data += 100;
	return 0;
}

static void lut_flb_unfreeze(struct liveupdate_flb_op_args *args)
{
	if (lut_flb_nr(args) == 1)
		luo_abi_rewind(&lut_writer);
	lut_say("unfreeze shared%ld %llu\n", lut_flb_nr(args), args->data);
	args->data -= 100;
}

static int lut_flb_retrieve(struct liveupdate_flb_op_args *args)
{
	int err = lut_flb_err(args, flb_retrieve_err);

	args->obj = args->flb;
	lut_say("retrieve shared%ld %llu %d\n", lut_flb_nr(args), args->data,
		err);
	return err;
}

static void lut_flb_finish(struct liveupdate_flb_op_args *args)
{
	lut_say("finish shared%ld\n", lut_flb_nr(args));
}

static const struct liveupdate_flb_ops lut_flb_ops = {
	.preserve	= lut_flb_preserve,
	.unpreserve	= lut_flb_unpreserve,
	.freeze		= lut_flb_freeze,
	.unfreeze	= lut_flb_unfreeze,
	.retrieve	= lut_flb_retrieve,
	.finish		= lut_flb_finish,
	.owner		= THIS_MODULE,
};

/* Files: commands and log */

static struct lut_file *lut_alloc(void)
{
	struct lut_file *lf = kzalloc_obj(*lf);

	if (lf)
		mutex_init(&lf->lock);
	return lf;
}

static void lut_free(struct lut_file *lf)
{
	if (lf->needed)
		fput(lf->needed);
	kfree(lf);
}

static int lut_open(struct inode *inode, struct file *file)
{
	file->private_data = lut_alloc();
	return file->private_data ? 0 : -ENOMEM;
}

static int lut_release(struct inode *inode, struct file *file)
{
	lut_free(file->private_data);
	return 0;
}

static ssize_t lut_read(struct file *file, char __user *buf, size_t size,
			loff_t *pos)
{
	guard(mutex)(&lut_log_lock);
	return simple_read_from_buffer(buf, size, pos, lut_log, lut_log_len);
}

static int lut_cmd_fail(struct lut_file *lf, const char *arg)
{
	char op[LUT_NAME_LEN];
	int err;

	if (sscanf(arg, "%15s %d", op, &err) != 2)
		return -EINVAL;
	if (!strcmp(op, "preserve"))
		lf->told.preserve_err = err;
	else if (!strcmp(op, "freeze"))
		lf->told.freeze_err = err;
	else if (!strcmp(op, "retrieve"))
		lf->told.retrieve_err = err;
	else
		return -EINVAL;
	return 0;
}

static int lut_cmd_need(struct lut_file *lf, const char *arg)
{
	int fd, err;

	err = kstrtoint(arg, 10, &fd);
	if (err)
		return err;
	if (lf->needed)
		fput(lf->needed);
	lf->needed = fget(fd);
	return lf->needed ? 0 : -EBADF;
}

static int lut_cmd_need_token(struct lut_file *lf, const char *arg)
{
	int err = kstrtou64(arg, 0, &lf->told.need);

	lf->told.has_need = !err;
	return err;
}

static int lut_cmd_flb_get(void)
{
	void *obj;
	int err;

	err = liveupdate_flb_get_incoming(&lut_flbs[0], &obj);
	if (err == -ENODATA || err == -ENOENT)
		err = liveupdate_flb_get_outgoing(&lut_flbs[0], &obj);
	if (!err && obj != &lut_flbs[0])
		err = -EBADMSG;
	return err;
}

/* Release the reference of lut_cmd_flb_get() in this kernel. */
static int lut_cmd_flb_put(const char *arg)
{
	if (!strcmp(arg, "incoming"))
		liveupdate_flb_put_incoming(&lut_flbs[0]);
	else if (!strcmp(arg, "outgoing"))
		liveupdate_flb_put_outgoing(&lut_flbs[0]);
	else
		return -EINVAL;
	return 0;
}

static int lut_cmd_blob(void)
{
	static DEFINE_MUTEX(lock);

	guard(mutex)(&lock);

	if (lut_late)
		return -EBUSY;
	lut_late = true;
	luo_abi_begin(&lut_late_writer, &lut_format, &lut_late_blob,
		      sizeof(lut_late_blob));
	return 0;
}

static int lut_cmd_hold(struct lut_file *lf, bool hold)
{
	WRITE_ONCE(lf->hold, hold);
	wake_up_all(&lut_held);
	return 0;
}

static int lut_command(struct lut_file *lf, char *cmd)
{
	char *arg = cmd;

	cmd = strsep(&arg, " ");
	if (!arg)
		arg = "";

	guard(mutex)(&lf->lock);

	if (!strcmp(cmd, "name"))
		return strscpy(lf->told.name, arg) < 0 ? -EINVAL : 0;
	if (!strcmp(cmd, "fail"))
		return lut_cmd_fail(lf, arg);
	if (!strcmp(cmd, "need"))
		return lut_cmd_need(lf, arg);
	if (!strcmp(cmd, "need-token"))
		return lut_cmd_need_token(lf, arg);
	if (!strcmp(cmd, "flb-get"))
		return lut_cmd_flb_get();
	if (!strcmp(cmd, "flb-put"))
		return lut_cmd_flb_put(arg);
	if (!strcmp(cmd, "blob"))
		return lut_cmd_blob();
	if (!strcmp(cmd, "hold") || !strcmp(cmd, "go"))
		return lut_cmd_hold(lf, *cmd == 'h');
	if (!strcmp(cmd, "defer"))
		lf->told.defer = true;
	else if (!strcmp(cmd, "busy"))
		lf->told.busy = true;
	else if (!strcmp(cmd, "take"))
		lf->taken = true;
	else
		return -EINVAL;
	return 0;
}

static ssize_t lut_write(struct file *file, const char __user *buf, size_t size,
			 loff_t *pos)
{
	char cmd[LUT_CMD_LEN];
	int err;

	if (size >= sizeof(cmd))
		return -E2BIG;
	if (copy_from_user(cmd, buf, size))
		return -EFAULT;
	cmd[size] = '\0';
	err = lut_command(file->private_data, strim(cmd));
	return err ?: size;
}

static const struct file_operations lut_fops = {
	.owner		= THIS_MODULE,
	.open		= lut_open,
	.release	= lut_release,
	.read		= lut_read,
	.write		= lut_write,
};

/* Files: the handler */

static bool lut_can_preserve(struct liveupdate_file_handler *handler,
			     struct file *file)
{
	return file->f_op == &lut_fops;
}

/* Turns the file it depends on into a token. */
static int lut_find_need(struct liveupdate_file_op_args *args,
			 struct lut_file *lf)
{
	int err;

	if (!lf->needed)
		return 0;
	err = liveupdate_token_of(args->session, lf->needed, &lf->told.need);
	lf->told.has_need = !err;
	return err;
}

static int lut_preserve(struct liveupdate_file_op_args *args)
{
	struct lut_file *lf = args->file->private_data;
	struct lut_ser *ser;
	int err;

	guard(mutex)(&lf->lock);

	err = -lf->told.preserve_err ?: lut_find_need(args, lf);
	lut_say("preserve %s %d\n", lf->told.name, err);
	if (err)
		return err;

	ser = kho_alloc_preserve(sizeof(*ser));
	if (IS_ERR(ser))
		return PTR_ERR(ser);
	args->serialized_data = virt_to_phys(ser);
	args->private_data = ser;
	return 0;
}

static void lut_unpreserve(struct liveupdate_file_op_args *args)
{
	struct lut_file *lf = args->file->private_data;

	lut_say("unpreserve %s\n", lf->told.name);
	kho_unpreserve_free(args->private_data);
}

static int lut_freeze(struct liveupdate_file_op_args *args)
{
	struct lut_file *lf = args->file->private_data;
	struct lut_ser *ser = args->private_data;

	if (READ_ONCE(lf->hold)) {
		lut_say("hold %s\n", lf->told.name);
		if (wait_event_killable(lut_held, !READ_ONCE(lf->hold)))
			return -EINTR;
	}

	guard(mutex)(&lf->lock);

	lut_say("freeze %s %d\n", lf->told.name, -lf->told.freeze_err);
	*ser = lf->told;
	return -lf->told.freeze_err;
}

static void lut_unfreeze(struct liveupdate_file_op_args *args)
{
	struct lut_file *lf = args->file->private_data;

	lut_say("unfreeze %s\n", lf->told.name);
}

/* Gets the file it depends on and says what it is called. */
static int lut_get_needed(struct liveupdate_file_op_args *args,
			  struct lut_file *lf)
{
	struct lut_file *other;
	int err;

	if (!lf->told.has_need)
		return 0;
	err = liveupdate_file_by_token(args->session, lf->told.need,
				       &lf->needed);
	if (err) {
		lut_say("need %s %d\n", lf->told.name, err);
		return err;
	}
	if (lf->needed->f_op == &lut_fops) {
		other = lf->needed->private_data;
		lut_say("need %s has %s\n", lf->told.name, other->told.name);
	} else {
		lut_say("need %s has another kind\n", lf->told.name);
	}
	/* Only to see that it can be had: a reference would keep it in use. */
	fput(lf->needed);
	lf->needed = NULL;
	return 0;
}

static int lut_retrieve(struct liveupdate_file_op_args *args)
{
	struct lut_ser *ser = phys_to_virt(args->serialized_data);
	struct lut_file *lf;
	struct file *file;
	int err;

	if (ser->defer && !ready) {
		lut_say("defer %s\n", ser->name);
		return -EAGAIN;
	}
	if (ser->retrieve_err) {
		lut_say("retrieve %s %d\n", ser->name, -ser->retrieve_err);
		return -ser->retrieve_err;
	}

	lf = lut_alloc();
	if (!lf)
		return -ENOMEM;
	lf->told = *ser;
	err = lut_get_needed(args, lf);
	if (err)
		goto err_free;

	file = anon_inode_getfile("[liveupdate-test]", &lut_fops, lf, O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto err_free;
	}
	lut_say("retrieve %s 0\n", ser->name);
	args->file = file;
	args->private_data = ser;
	return 0;

err_free:
	lut_free(lf);
	return err;
}

static bool lut_can_finish(struct liveupdate_file_op_args *args)
{
	struct lut_file *lf = args->file->private_data;
	bool can = !lf->told.busy || lf->taken;

	lut_say("can_finish %s %d\n", lf->told.name, can);
	return can;
}

static int lut_quiesce(struct liveupdate_file_op_args *args)
{
	struct lut_ser *ser = phys_to_virt(args->serialized_data);

	lut_say("quiesce %s %d\n", ser->name, -quiesce_err);
	return -quiesce_err;
}

static const char *lut_how_finished(struct liveupdate_file_op_args *args,
				    struct lut_ser *ser)
{
	struct lut_file *lf;

	if (args->retrieve_status < 0)
		return "failed";
	if (!args->retrieve_status)
		return "untouched";
	if (args->private_data != ser)
		return "private-data-lost";
	lf = args->file->private_data;
	return lf->taken ? "taken" : "given-up";
}

static void lut_finish(struct liveupdate_file_op_args *args)
{
	struct lut_ser *ser = phys_to_virt(args->serialized_data);

	lut_say("finish %s %s\n", ser->name, lut_how_finished(args, ser));
	kho_restore_free(ser);
}

static const struct liveupdate_file_ops lut_file_ops = {
	.can_preserve	= lut_can_preserve,
	.preserve	= lut_preserve,
	.unpreserve	= lut_unpreserve,
	.freeze		= lut_freeze,
	.unfreeze	= lut_unfreeze,
	.retrieve	= lut_retrieve,
	.can_finish	= lut_can_finish,
	.quiesce	= lut_quiesce,
	.finish		= lut_finish,
	.owner		= THIS_MODULE,
};

static LUO_TAG(lut_tag, .name = LUT_COMPATIBLE,
	       .kind = LUO_ABI_TAG_FILE, .flags = LUT_FLAGS);

static struct liveupdate_file_handler lut_handler = {
	.ops = &lut_file_ops,
	.compatible = LUT_COMPATIBLE,
	.tag = &lut_tag,
};

static struct miscdevice lut_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "liveupdate-test",
	.fops = &lut_fops,
};

static int __init lut_init(void)
{
	int err;

	err = liveupdate_register_file_handler(&lut_handler);
	if (err)
		return err;

	for (int i = 0; i < clamp(nflbs, 0, LUT_NFLBS); i++) {
		err = liveupdate_register_flb(&lut_handler, &lut_flbs[i]);
		if (err)
			goto err_unregister;
	}

	err = misc_register(&lut_dev);
	if (err)
		goto err_unregister;

	return 0;

err_unregister:
	liveupdate_unregister_file_handler(&lut_handler);
	return err;
}
module_init(lut_init);

static void __exit lut_exit(void)
{
	misc_deregister(&lut_dev);
	liveupdate_unregister_file_handler(&lut_handler);
	if (lut_late)
		luo_abi_end(&lut_late_writer);
}
module_exit(lut_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A file for tests of live update");
