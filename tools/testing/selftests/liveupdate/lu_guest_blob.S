/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's flat image as data of the VMM; lu_vmm.mk names the directory. */
	.section .rodata
	.globl	lu_guest_image, lu_guest_image_end
lu_guest_image:
	.incbin	"lu_guest_code.bin"
lu_guest_image_end:
	.section .note.GNU-stack, "", @progbits
