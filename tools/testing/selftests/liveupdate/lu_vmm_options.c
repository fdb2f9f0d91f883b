// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lu_die.h"
#include "lu_vmm.h"

static void __noreturn explain_usage(void)
{
	fprintf(stderr,
		"usage: lu_vmm [-s 1|2] [options]\n"
		"       lu_vmm --stop      stop the VM that runs, right before the kexec\n"
		"  -s N               stage: 1 before the kexec, 2 after it\n"
		"  -d BDF             the device, an 82576 (igb); default: the only one\n"
		"  -l                 preserve the VM through LUO; in stage 2, again\n"
		"  -p                 preserve the device, too; in both stages\n"
		"  -c                 tell the observer that physical memory at the VM's\n"
		"                     I/O addresses is unused and can be watched\n"
		"  -n FRAMES          stage 1: wait until the guest accepted so many\n"
		"                     (default 300 with an observer, else 0)\n"
		"  --irq KIND         stage 1: how the device interrupts the guest, 'msix' (the\n"
		"                     default), 'msi' or 'intx'\n"
		"  --held             stop the guest in the middle of an interrupt handler\n"
		"  --fault            stage 1: the device first touches what is not mapped,\n"
		"                     which the observer and the kernel must see\n"
		"  --apart            preserve the device first, in another session\n"
		"  --huge             VM memory in folios of 2 MiB\n"
		"  --mapped GIB       map the VM's memory again and again, so much in all\n"
		"  --early            stage 2: map it before the VM runs\n"
		"  --remap            stage 2: when all is finished the device uses another\n"
		"                     IOVA while it is mapped, and when it is not\n"
		"  --idle SECONDS     no update: let the guest work and check it\n"
		"  --die STEP         be killed when 'preserved', 'retrieved' or 'bound'\n"
		"  --errors           the device is to have logged errors meanwhile\n"
		"  --reset            stage 2: try to reset the device before the session is\n"
		"                     finished, when it can be reset by its bus only\n"
		"  --flat KIB         stage 2: at most so much less memory is free than after\n"
		"                     the first update\n"
		"  --frees KIB        stage 2: at least so much memory is free once the\n"
		"                     session is finished\n"
		"  --alone SECONDS    stage 2: run without the device first (default 3)\n");
	exit(KSFT_FAIL);
}

static long number(const char *text)
{
	char *end;
	long n = strtol(text, &end, 0);

	if (*end || end == text || n < 0)
		explain_usage();
	return n;
}

static enum lu_interrupts interrupts(const char *name)
{
	static const char *const names[LU_INTERRUPTS] = {
		[LU_MSIX] = "msix", [LU_MSI] = "msi", [LU_INTX] = "intx",
	};
	int mode;

	for (mode = 0; mode < LU_INTERRUPTS; mode++)
		if (!strcmp(name, names[mode]))
			return mode;
	explain_usage();
}

struct options parse(int argc, char *argv[])
{
	static const struct option longs[] = {
		{ "held", no_argument, NULL, 'W' },
		{ "irq", required_argument, NULL, 'I' },
		{ "huge", no_argument, NULL, 'H' },
		{ "apart", no_argument, NULL, 'Z' },
		{ "fault", no_argument, NULL, 'X' },
		{ "mapped", required_argument, NULL, 'M' },
		{ "early", no_argument, NULL, 'Y' },
		{ "remap", no_argument, NULL, 'R' },
		{ "idle", required_argument, NULL, 'i' },
		{ "alone", required_argument, NULL, 'a' },
		{ "die", required_argument, NULL, 'D' },
		{ "errors", no_argument, NULL, 'E' },
		{ "reset", no_argument, NULL, 'B' },
		{ "frees", required_argument, NULL, 'G' },
		{ "flat", required_argument, NULL, 'F' },
		{ "stop", no_argument, NULL, 'S' },
		{ }
	};
	struct options o = {
		.stage = 1, .frames = -1, .idle_s = -1, .alone_s = 3,
		.flat_kib = -1, .frees_kib = -1,
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:d:lpcn:", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o.stage = number(optarg);
			break;
		case 'd':
			o.bdf = optarg;
			break;
		case 'l':
			o.preserve = true;
			break;
		case 'p':
			o.device = true;
			break;
		case 'c':
			o.canary = true;
			break;
		case 'n':
			o.frames = number(optarg);
			break;
		case 'W':
			o.held = true;
			break;
		case 'I':
			o.mode = interrupts(optarg);
			break;
		case 'H':
			o.huge = true;
			break;
		case 'Z':
			o.apart = true;
			break;
		case 'X':
			o.fault = true;
			break;
		case 'M':
			o.mapped_gib = number(optarg);
			break;
		case 'Y':
			o.early = true;
			break;
		case 'R':
			o.remap = true;
			break;
		case 'i':
			o.idle_s = number(optarg);
			break;
		case 'a':
			o.alone_s = number(optarg);
			break;
		case 'D':
			o.die = optarg;
			break;
		case 'E':
			o.errors = true;
			break;
		case 'B':
			o.reset = true;
			break;
		case 'G':
			o.frees_kib = number(optarg);
			break;
		case 'F':
			o.flat_kib = number(optarg);
			break;
		case 'S':
			o.stop = true;
			break;
		default:
			explain_usage();
		}
	}
	if (optind != argc || o.stage < 1 || o.stage > 2)
		explain_usage();
	return o;
}
