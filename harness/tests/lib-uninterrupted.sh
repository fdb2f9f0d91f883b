# SPDX-License-Identifier: GPL-2.0-only
# Sourced by declarations of runs in which the device must not notice the update.
expect frames.lost == 0
expect frames.reordered == 0
expect frames.duplicated == 0
expect landed_by_phase.early_boot '>' 0
expect landed_by_phase.enumeration '>' 0
expect landed_by_phase.user_space '>' 0
expect guest.content_ok == true
expect guest.alive == true
