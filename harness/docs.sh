#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds our pages of the kernel's documentation, alone: all of core-api takes
# ten minutes. A warning about them fails. Prints TAP.

. "$(dirname "$0")/lib.sh"

TREE=$BUILD/linux
# Beside what it is made from, as sphinx wants it; never committed.
PAGES=$TREE/Documentation/liveupdate-check
OUT=$BUILD/docs

trap 'rm -rf "$PAGES"' EXIT
rm -rf "$PAGES" "$OUT"
mkdir -p "$PAGES" "$OUT"
cp "$TREE"/Documentation/core-api/liveupdate*.rst "$PAGES/"
cp -r "$TREE/Documentation/core-api/kho" "$PAGES/"
cp "$TREE/Documentation/PCI/liveupdate.rst" "$PAGES/pci-liveupdate.rst"
cp "$TREE"/Documentation/driver-api/*liveupdate.rst "$PAGES/"
# Links to pages that are not built here.
sed -i -E '/mm\/memfd_preservation|userspace-api|admin-guide/d; s|/core-api/kho/index|kho/index|
	s|/core-api/liveupdate|liveupdate|; s|Documentation/[A-Za-z/-]*/(sysfs-[a-z-]*)|\1|' "$PAGES"/*.rst "$PAGES"/kho/*.rst
printf 'Live update\n===========\n\n.. toctree::\n\n   liveupdate\n   liveupdate-abi\n   pci-liveupdate\n   vfio-pci-liveupdate\n   iommu-liveupdate\n   kho/index\n' >"$PAGES/index.rst"

# The kernel's scripts need the modules of Debian's python.
PATH=/usr/bin:/bin make -C "$TREE" O="$OUT" SPHINXDIRS=liveupdate-check \
	htmldocs >"$OUT/log" 2>&1 || true
echo "1..3"
page=$(find "$OUT" -name liveupdate-abi.html | head -n 1)
if [ -n "$page" ]; then
	echo "ok 1 - the pages are built"
else
	tail -n 5 "$OUT/log" | sed 's/^/# /'
	echo "not ok 1 - the pages are built"
fi
# Pictures are nicer with graphviz, but there are none here.
if grep -E 'WARNING|ERROR' "$OUT/log" | grep -v 'dot(1) not found' >"$OUT/warnings"; then
	sed 's/^/# /' "$OUT/warnings"
	echo "not ok 2 - without a warning"
else
	echo "ok 2 - without a warning"
fi
if [ -n "$page" ] && grep -q 'luo_abi_header' "$page" && grep -q 'luo_example_note' "$page"; then
	echo "ok 3 - with a reference of the structs"
else
	echo "not ok 3 - with a reference of the structs"
fi
