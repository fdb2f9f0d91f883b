// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lu_die.h"
#include "lu_pci.h"

#define DEVICES		"/sys/bus/pci/devices"

static int open_attribute(const char *bdf, const char *name, int flags)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", bdf, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		lu_die_errno("cannot open %s", path);
	return fd;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		lu_die_errno("cannot open %s", path);
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		lu_die_errno("cannot write '%s' to %s", text, path);
	close(fd);
}

static void write_attribute(const char *bdf, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "/%s/%s", bdf, name);
	write_file(path, text);
}

size_t lu_pci_read_config(const char *bdf, uint8_t config[LU_PCI_CONFIG_SIZE])
{
	int fd = open_attribute(bdf, "config", O_RDONLY);
	size_t len = 0;
	ssize_t got;

	do {
		got = read(fd, config + len, LU_PCI_CONFIG_SIZE - len);
		if (got < 0)
			lu_die_errno("cannot read the config space of %s", bdf);
		len += got;
	} while (got && len < LU_PCI_CONFIG_SIZE);
	close(fd);
	if (len < PCI_CFG_SPACE_SIZE)
		lu_die("only %zu bytes of the config space of %s can be read: run as root",
		       len, bdf);
	return len;
}

/* Asks the kernel, not the device: any function of the machine may be asked. */
static unsigned long read_number(const char *bdf, const char *name)
{
	int fd = open_attribute(bdf, name, O_RDONLY);
	char text[32];
	ssize_t got = read(fd, text, sizeof(text) - 1);

	if (got <= 0)
		lu_die_errno("cannot read %s of %s", name, bdf);
	close(fd);
	text[got] = '\0';
	return strtoul(text, NULL, 0);
}

bool lu_pci_is(const char *bdf, uint16_t vendor, uint16_t device)
{
	return read_number(bdf, "vendor") == vendor &&
	       read_number(bdf, "device") == device;
}

size_t lu_pci_capability(const uint8_t config[LU_PCI_CONFIG_SIZE], uint8_t id)
{
	size_t pos = config[PCI_CAPABILITY_LIST] & ~3u;
	int ttl = 48;

	while (pos >= PCI_STD_HEADER_SIZEOF && ttl--) {
		if (config[pos + PCI_CAP_LIST_ID] == id)
			return pos;
		pos = config[pos + PCI_CAP_LIST_NEXT] & ~3u;
	}
	return 0;
}

size_t lu_pci_ext_capability(const uint8_t config[LU_PCI_CONFIG_SIZE],
			     uint16_t id)
{
	size_t pos = PCI_CFG_SPACE_SIZE;
	int ttl = 480;

	while (pos >= PCI_CFG_SPACE_SIZE && ttl--) {
		uint32_t header;

		memcpy(&header, config + pos, sizeof(header));
		if (PCI_EXT_CAP_ID(header) == id)
			return pos;
		pos = PCI_EXT_CAP_NEXT(header) & ~3u;
	}
	return 0;
}

uint16_t lu_pci_command(const char *bdf)
{
	int fd = open_attribute(bdf, "config", O_RDONLY);
	uint16_t command;

	if (pread(fd, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		lu_die_errno("cannot read the command register of %s", bdf);
	close(fd);
	return command;
}

void lu_pci_write_word(const char *bdf, size_t offset, uint16_t value)
{
	int fd = open_attribute(bdf, "config", O_WRONLY);

	if (pwrite(fd, &value, sizeof(value), offset) != sizeof(value))
		lu_die_errno("cannot write to the config space of %s", bdf);
	close(fd);
}

bool lu_pci_can_be_written(const char *bdf)
{
	uint16_t was = lu_pci_command(bdf), now;

	lu_pci_write_word(bdf, PCI_COMMAND, was ^ PCI_COMMAND_SERR);
	now = lu_pci_command(bdf);
	lu_pci_write_word(bdf, PCI_COMMAND, was);
	return now == (was ^ PCI_COMMAND_SERR) && lu_pci_command(bdf) == was;
}

struct lu_pci_blocked lu_pci_blocked(const char *bdf)
{
	struct lu_pci_blocked shield = {
		.dropped = read_number(bdf, "liveupdate/dropped"),
	};

	shield.all = shield.dropped + read_number(bdf, "liveupdate/redundant") +
		     read_number(bdf, "liveupdate/suppressed");
	return shield;
}

/* The driver's name, empty when there is none. */
static void current_driver(const char *bdf, char *name, size_t size)
{
	char link[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(link, sizeof(link), DEVICES "/%s/driver", bdf);
	len = readlink(link, target, sizeof(target) - 1);
	target[len < 0 ? 0 : len] = '\0';
	snprintf(name, size, "%s",
		 strrchr(target, '/') ? strrchr(target, '/') + 1 : "");
}

/* Do not take a device that is in use, such as the host's network. */
static bool is_free(const char *bdf)
{
	char driver[64];

	current_driver(bdf, driver, sizeof(driver));
	return !driver[0] || !strcmp(driver, "vfio-pci");
}

void lu_pci_find(uint16_t vendor, uint16_t device, char bdf[LU_PCI_BDF_SIZE])
{
	DIR *dir = opendir(DEVICES);
	struct dirent *e;
	int found = 0;

	if (!dir)
		lu_die_errno("cannot open %s", DEVICES);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.' ||
		    !lu_pci_is(e->d_name, vendor, device) || !is_free(e->d_name))
			continue;
		snprintf(bdf, LU_PCI_BDF_SIZE, "%.15s", e->d_name);
		found++;
	}
	closedir(dir);
	if (found != 1)
		lu_die("%d functions %04x:%04x have no driver: say with -d which to take",
		       found, vendor, device);
}

void lu_pci_require(const char *bdf, uint16_t vendor, uint16_t device)
{
	if (!lu_pci_is(bdf, vendor, device))
		lu_die("%s is not a %04x:%04x: name another one with -d",
		       bdf, vendor, device);
}

static bool is_bdf(const char *name)
{
	unsigned int domain, bus, dev, fn;
	int len = 0;

	return sscanf(name, "%x:%x:%x.%x%n", &domain, &bus, &dev, &fn, &len) == 4 &&
	       !name[len] && len < LU_PCI_BDF_SIZE;
}

int lu_pci_path(const char *bdf, char path[LU_PCI_PATH_MAX][LU_PCI_BDF_SIZE])
{
	char link[PATH_MAX], real[PATH_MAX], *name, *rest = real;
	int bridges = 0;

	snprintf(link, sizeof(link), DEVICES "/%s", bdf);
	if (!realpath(link, real))
		lu_die_errno("there is no PCI function %s", bdf);
	while ((name = strsep(&rest, "/"))) {
		if (!is_bdf(name) || !strcmp(name, bdf))
			continue;
		if (bridges == LU_PCI_PATH_MAX)
			lu_die("there are more than %d bridges above %s",
			       LU_PCI_PATH_MAX, bdf);
		snprintf(path[bridges++], LU_PCI_BDF_SIZE, "%.15s", name);
	}
	return bridges;
}

void lu_pci_bind_vfio(const char *bdf)
{
	char driver[64];

	current_driver(bdf, driver, sizeof(driver));
	if (!strcmp(driver, "vfio-pci"))
		return;
	write_attribute(bdf, "driver_override", "vfio-pci");
	if (driver[0])
		write_attribute(bdf, "driver/unbind", bdf);
	write_file("/sys/bus/pci/drivers_probe", bdf);
	/* It stays bound; from now on this decides about nothing. */
	write_attribute(bdf, "driver_override", "\n");
	current_driver(bdf, driver, sizeof(driver));
	if (strcmp(driver, "vfio-pci"))
		lu_die("vfio-pci did not take %s: look for the reason in the kernel log",
		       bdf);
}

void lu_pci_vfio_name(const char *bdf, char *name, size_t size)
{
	char path[PATH_MAX];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), DEVICES "/%s/vfio-dev", bdf);
	dir = opendir(path);
	if (!dir)
		lu_die_errno("%s has no vfio character device in %s", bdf, path);
	name[0] = '\0';
	while ((e = readdir(dir)))
		if (strstr(e->d_name, "vfio"))
			snprintf(name, size, "%s", e->d_name);
	closedir(dir);
	if (!name[0])
		lu_die("%s is empty: the kernel lacks CONFIG_VFIO_DEVICE_CDEV", path);
}

void lu_pci_enable(const char *bdf, bool on)
{
	write_attribute(bdf, "enable", on ? "1" : "0");
}

void *lu_pci_map_bar0(const char *bdf, size_t size)
{
	int fd = open_attribute(bdf, "resource0", O_RDWR);
	void *bar;

	lu_pci_enable(bdf, true);
	bar = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bar == MAP_FAILED)
		lu_die_errno("cannot map BAR 0 of %s", bdf);
	close(fd);
	return bar;
}
