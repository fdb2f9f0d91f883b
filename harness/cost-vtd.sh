#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What memory that is mapped for a device behind VT-d costs: instructions of preserving
# it, of the boot of the next kernel, and of attaching the device there, and preserved
# pages, with up to 64 GiB in leaves of 4 KiB and 2 MiB. One machine, which QEMU counts
# (-icount).

. "$(dirname "$0")/lib.sh"

"$TOP/harness/vm.sh" cost-vtd >&2 || die "the cost-vtd machine failed, see above."

awk '
function point(good, text)
{
	printf "%sok %d - %s\n", good ? "" : "not ", ++points, text
	bad += !good
}
# "# cycles of preserving 64 GiB in small leaves: 4516899616"
/ GiB in (small|large) leaves: / {
	for (i = 1; i <= NF; i++)
		if ($i == "GiB")
			break
	key = $(i - 1) " " $(i + 2)
	what = $(i - 2)
	value[what, key] = $NF
	if (what == "preserving")
		now = key
}
/cycles at kexec:/ { kexec = $NF }
# Of an update with something preserved; the other one of a test is not compared.
kexec && /cycles at user space of kernel/ {
	if (now && !(("boot", now) in value))
		value["boot", now] = $NF - kexec
	kexec = 0
}
function of(what, key)
{
	if (!((what, key) in value))
		point(0, what " with " key ": not measured")
	return value[what, key] + 0
}
END {
	print "1..6"
	leaves = 64 * 262144
	tables = 64 * 513
	small = of("preserving", "64 small")
	few = of("preserving", "16 small")
	point(few && small / few > 3.8 && small / few < 4.2,
	      sprintf("64 GiB are preserved in %.2f times the instructions of 16 GiB: %.0f per leaf of 4 KiB", small / few, small / leaves))
	point(of("preserving", "64 large") < small / 100,
	      sprintf("in leaves of 2 MiB: %.0f per leaf", of("preserving", "64 large") / 32768))
	none = of("boot", "0 small")
	half = of("boot", "32 small")
	all = of("boot", "64 small")
	point(none && (all - half) / none < 0.1,
	      sprintf("the boot takes %.4f times as long with 64 GiB in leaves of 4 KiB, %.4f with 32: %.0f per table page", all / none, half / none, (all - none) / tables))
	point(of("boot", "64 large") / none < 1.05,
	      sprintf("with 64 GiB in leaves of 2 MiB %.4f times", of("boot", "64 large") / none))
	pages = of("for", "64 small") - of("for", "0 small")
	point(pages >= tables && pages < tables * 1.01,
	      sprintf("%d pages are preserved for 64 GiB: %d table pages, and %.1f bytes of lists for each", pages, tables, (pages - tables) * 4096 / tables))
	point(of("attaching", "0 small") < 100000,
	      sprintf("a device is attached in %d instructions, and %.0f for each leaf of 4 KiB that is compared; finishing takes %.0f per table page",
		      of("attaching", "0 small"), (of("attaching", "64 small") - of("attaching", "0 small")) / leaves,
		      (of("finishing", "64 small") - of("finishing", "0 small")) / tables))
	exit bad
}' "$BUILD/vm/cost-vtd/ktap.log"
