# SPDX-License-Identifier: GPL-2.0-only
#
# The front door.  `make demo` and `make test` are all a newcomer needs;
# `make help` shows the rest.

SHELL := /bin/bash
H := harness
export KSRC JOBS ACCEL QEMU T

.PHONY: help demo test test-full points test-fresh deps base tree kernels selftests \
	vm vm-list refresh series check-series abi-check abi-update fuzz clean

help:
	@sed -n 's/^#: //p' $(firstword $(MAKEFILE_LIST))

#: make demo          live-update a VM with a passed-through device, draw it
demo: deps
	@$(H)/demo.sh

#: make test          everything that fits into half an hour; T='pci-*' some of it
test: deps
	@$(H)/test.sh

#: make test-full     the rest too
test-full: deps
	@$(H)/test.sh --full

#: make points        write the list of points of the run before
points:
	@$(H)/test.sh --points

#: make test-fresh    both commands in empty Debian 12 and 13 roots (root only)
test-fresh:
	@$(H)/fresh.sh

#: make deps          install what is missing (as root) or say how
deps:
	@$(H)/deps.sh

#: make base          fetch the base kernel; KSRC=/path takes your own 7.3 tree
base:
	@$(H)/base.sh >/dev/null

#: make tree          base + new files + patches under build/linux
tree:
	@$(H)/tree.sh tree

#: make kernels       build the fast and the debug kernel from the tree
kernels: deps tree
	@$(H)/kernel.sh image tree fast >/dev/null
	@$(H)/kernel.sh image tree debug >/dev/null

#: make selftests     build the test programs
selftests: deps tree
	@$(H)/kernel.sh selftests >/dev/null

#: make vm T=name     one test in its machine; FLAVOUR=debug, PROGRESS=1
vm: deps
	@$(H)/vm.sh --flavour $(or $(FLAVOUR),fast) --about "$(T)" >/dev/null
	@$(H)/test.sh --build-ready $(or $(FLAVOUR),fast)
	@$(H)/vm.sh --flavour $(or $(FLAVOUR),fast) "$(T)"

#: make vm-list       the tests
vm-list:
	@$(H)/vm.sh --list

#: make refresh       bring commits made in build/linux back into patches/
refresh:
	@$(H)/tree.sh refresh

#: make series        export build/series/*.patch for git am
series: tree
	@$(H)/tree.sh series

#: make abi-check     has what crosses a live update changed?
abi-check: deps tree
	@$(H)/kernel.sh image tree fast >/dev/null
	@$(H)/abi.sh check

#: make abi-update    describe what was appended to it
abi-update: deps tree
	@$(H)/abi.sh update

#: make fuzz          libFuzzer on it, for a minute or FOR=seconds
fuzz: deps tree
	@$(H)/deps.sh fuzz
	@$(H)/abi.sh fuzz $(FOR)

#: make check-series  what a maintainer would check first
check-series: deps series
	@$(H)/check-series.sh

#: make clean         remove build/; the cache stays
clean:
	rm -rf build
