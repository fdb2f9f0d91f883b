# SPDX-License-Identifier: GPL-2.0-only
#
# The small VMM, its guest and their test.  Included by the Makefile here after
# lib.mk and libliveupdate.mk.

# The guest is x86 code and so is the VMM's idea of a vCPU.
ifneq ($(filter x86 x86_64,$(ARCH)),)

LU_OUTPUT := $(OUTPUT)/lu
LU_C := lu_die.c lu_memory.c lu_state.c lu_vm.c lu_pci.c lu_vfio.c lu_igb.c \
	lu_update.c
LU_O := $(patsubst %.c,$(LU_OUTPUT)/%.o,$(LU_C)) $(LU_OUTPUT)/lu_guest_blob.o
LU_PROGS := $(OUTPUT)/lu_vmm $(OUTPUT)/lu_device $(OUTPUT)/lu_functions \
	$(OUTPUT)/lu_was_reset $(OUTPUT)/lu_abandon $(OUTPUT)/lu_beside $(OUTPUT)/lu_cost $(OUTPUT)/lu_irqs \
	$(OUTPUT)/lu_coverage $(OUTPUT)/lu_query $(OUTPUT)/lu_removal $(OUTPUT)/lu_replace \
	$(OUTPUT)/lu_master $(OUTPUT)/lu_reset $(OUTPUT)/lu_two_removals \
	$(OUTPUT)/lu_rng $(OUTPUT)/lu_doorbell $(OUTPUT)/lu_pin $(OUTPUT)/lu_selftest

LU_LD ?= $(CROSS_COMPILE)ld
LU_OBJCOPY ?= $(CROSS_COMPILE)objcopy

# What only the VMM is made of.
$(OUTPUT)/lu_vmm: $(patsubst %,$(LU_OUTPUT)/lu_vmm_%.o,options guest tell check)

# What only lu_rng is made of.
$(OUTPUT)/lu_rng: $(LU_OUTPUT)/lu_virtio.o

# The guest starts with a stack and nothing else.
LU_GUEST_CFLAGS := -m32 -ffreestanding -fno-pic -fno-stack-protector \
	-fcf-protection=none -fno-asynchronous-unwind-tables \
	-ffunction-sections -mgeneral-regs-only -Wall -Wextra -O2

# lib.mk has already looked at its own lists, so these join them by hand.
TEST_CUSTOM_PROGS += $(OUTPUT)/lu_selftest
TEST_GEN_FILES += $(OUTPUT)/lu_vmm $(OUTPUT)/lu_device $(OUTPUT)/lu_functions \
	$(OUTPUT)/lu_was_reset $(OUTPUT)/lu_abandon $(OUTPUT)/lu_beside $(OUTPUT)/lu_cost $(OUTPUT)/lu_irqs \
	$(OUTPUT)/lu_coverage $(OUTPUT)/lu_query $(OUTPUT)/lu_removal $(OUTPUT)/lu_replace \
	$(OUTPUT)/lu_master $(OUTPUT)/lu_reset $(OUTPUT)/lu_two_removals \
	$(OUTPUT)/lu_rng $(OUTPUT)/lu_doorbell $(OUTPUT)/lu_pin
EXTRA_CLEAN += $(LU_OUTPUT) $(OUTPUT)/lu_selftest

all: $(LU_PROGS)

$(LU_OUTPUT):
	mkdir -p $@

$(LU_OUTPUT)/lu_guest_code.o: lu_guest_code.c lu_guest.h lu_access.h | $(LU_OUTPUT)
	$(CC) $(LU_GUEST_CFLAGS) -c $< -o $@

$(LU_OUTPUT)/lu_guest_code.elf: $(LU_OUTPUT)/lu_guest_code.o lu_guest_code.lds
	$(LU_LD) -m elf_i386 -T lu_guest_code.lds $< -o $@

$(LU_OUTPUT)/lu_guest_code.bin: $(LU_OUTPUT)/lu_guest_code.elf
	$(LU_OBJCOPY) -O binary $< $@

$(LU_OUTPUT)/lu_guest_blob.o: lu_guest_blob.S $(LU_OUTPUT)/lu_guest_code.bin
	$(CC) -I$(LU_OUTPUT) -c $< -o $@

# All headers: a compiler cache may write dependencies that make does not match.
$(LU_OUTPUT)/%.o: %.c $(wildcard lu_*.h) | $(LU_OUTPUT)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(TARGET_ARCH) -c $< -o $@

$(LU_PROGS): $(OUTPUT)/%: $(LU_OUTPUT)/%.o $(LU_O) $(LIBLIVEUPDATE_O)
	$(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS) $(TARGET_ARCH) $^ $(LDLIBS) -lpthread -o $@

else
$(info lu_vmm: skipped, its guest is x86 code and ARCH is $(ARCH))
endif
