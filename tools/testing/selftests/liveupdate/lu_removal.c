// SPDX-License-Identifier: GPL-2.0-only
/*
 * Try to take away a function whose live update is under way, or a bridge above
 * it, in each way that sysfs offers. All are refused at once, the log says why,
 * and nothing has changed.
 *
 *	lu_removal BDF
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lu_die.h"
#include "lu_pci.h"
#include "lu_update.h"

#define SLOTS		"/sys/bus/pci/slots"
#define REFUSED		"preserved for live update"
#define MAX_ATTEMPTS	64

/* What is written where; @file is relative to the directory of @bdf. */
static struct attempt {
	char bdf[LU_PCI_BDF_SIZE];
	char file[300];
	char text[LU_PCI_BDF_SIZE];
} attempts[MAX_ATTEMPTS];
static int nr_attempts;

static bool exists(const char *bdf, const char *file)
{
	char path[400];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);
	return !access(path, F_OK);
}

static void try_later(const char *bdf, const char *file, const char *text)
{
	struct attempt *a = &attempts[nr_attempts];

	if (!exists(bdf, file))
		return;
	if (++nr_attempts == MAX_ATTEMPTS)
		lu_die("there are more ways than this test knows");
	snprintf(a->bdf, sizeof(a->bdf), "%s", bdf);
	snprintf(a->file, sizeof(a->file), "%s", file);
	snprintf(a->text, sizeof(a->text), "%s", text);
}

/* A slot's address is the function's, without the function's number. */
static bool slot_holds(const char *slot, const char *bdf)
{
	char path[300], address[LU_PCI_BDF_SIZE] = "";
	FILE *f;

	snprintf(path, sizeof(path), SLOTS "/%.100s/address", slot);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(address, sizeof(address), f))
		address[0] = '\0';
	fclose(f);
	address[strcspn(address, "\n")] = '\0';
	return address[0] && !strncmp(address, bdf, strlen(address));
}

static void try_slot(const char *bdf)
{
	DIR *dir = opendir(SLOTS);
	struct dirent *e;
	char file[300];

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || !slot_holds(e->d_name, bdf))
			continue;
		snprintf(file, sizeof(file), "slots/%s/power", e->d_name);
		try_later("..", file, "0");
	}
	if (dir)
		closedir(dir);
}

static void try_all(const char *bdf)
{
	try_later(bdf, "remove", "1");
	try_later(bdf, "reset", "1");
	try_later(bdf, "driver/unbind", bdf);
	try_slot(bdf);
}

/* Does the log say something new, with this device's name? */
static bool log_says(int kmsg, const char *what)
{
	char line[8192];
	bool found = false;
	ssize_t len;

	while ((len = read(kmsg, line, sizeof(line) - 1)) > 0 || errno == EPIPE) {
		if (len <= 0)
			continue;
		line[len] = '\0';
		found |= !!strstr(line, what);
	}
	return found;
}

static void attempt(const struct attempt *a, int kmsg)
{
	int err;

	log_says(kmsg, "");
	err = lu_write_text(a->bdf, a->file, a->text);
	if (err != -EBUSY)
		ksft_print_msg("%s\n", err ? strerror(-err) : "it was done");
	ksft_test_result(err == -EBUSY && log_says(kmsg, REFUSED),
			 "refused, and logged: %s of %s\n", a->file, a->bdf);
}

/* Another driver, by its name. */
static void rebind(const char *bdf)
{
	bool bound = exists(bdf, "driver");

	lu_write_text(bdf, "driver_override", "nobody");
	lu_write_text("..", "drivers_probe", bdf);
	ksft_test_result(exists(bdf, "driver") == bound,
			 "%s is not given to another driver\n", bdf);
	lu_write_text(bdf, "driver_override", "\n");
}

int main(int argc, char *argv[])
{
	char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE];
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool all = true;
	int bridges, i;

	ksft_print_header();
	if (argc != 2 || kmsg < 0)
		lu_die("usage: lu_removal BDF, and /dev/kmsg has to be there");
	bridges = lu_pci_path(argv[1], path);
	try_all(argv[1]);
	for (i = 0; i < bridges; i++)
		try_all(path[i]);
	ksft_set_plan(2 * nr_attempts + 2);
	/* What was refused is refused again. */
	for (i = 0; i < 2 * nr_attempts; i++)
		attempt(&attempts[i % nr_attempts], kmsg);
	rebind(argv[1]);
	for (i = 0; i < bridges; i++)
		all &= !!(lu_pci_command(path[i]) & PCI_COMMAND_MASTER);
	all &= !!(lu_pci_command(argv[1]) & PCI_COMMAND_MASTER);
	ksft_test_result(all, "it and the bridges above are bus masters\n");
	ksft_finished();
}
