# SPDX-License-Identifier: GPL-2.0-only
#
# result.tsv of several runs, one column each, on one screen.

BEGIN { FS = "\t" }

FNR == 1 { run++ }

{ value[run, $1] = $2 }

function get(r, key)
{
	if (!((r, key) in value) || value[r, key] == "null")
		return "-"
	return value[r, key]
}

# Milliseconds with what precision they deserve.
function ms(text)
{
	if (text !~ /^-?[0-9.]+$/)
		return text
	return sprintf(text < 100 && text > -100 ? "%.1f" : "%.0f", text)
}

function row(label, key, is_ms,    r, text)
{
	printf "%-34s", label
	for (r = 1; r <= run; r++) {
		text = get(r, key)
		printf " %*s", width, is_ms ? ms(text) : text
	}
	printf "\n"
}

# "what, where, phase, ms"
function stops(r,    i, n, part, text)
{
	if (get(r, "stopped_by.1") == "-")
		return
	printf "\nwhat happened to the device in %s:\n", get(r, "name")
	printf "  %10s  %-12s  %-14s  %s\n", "ms after", "phase", "where", "what"
	for (i = 1; get(r, "stopped_by." i) != "-"; i++) {
		if (i > 6) {
			print "  and more, see run.json"
			return
		}
		n = split(get(r, "stopped_by." i), part, ", ")
		printf "  %10s  %-12s  %-14s  %s\n", ms(part[n] + 0),
		       part[n - 1], part[2], part[1]
	}
}

function sentence(r,    last, sent, landed)
{
	sent = get(r, "frames.sent")
	if (sent == "-")
		return
	landed = get(r, "frames.landed")
	last = get(r, "frames.last_landed_ms_after_kexec")
	printf "%s: ", get(r, "name")
	if (last == "-")
		printf "no kexec; %d of %d frames landed.\n", landed, sent
	else if (last < 0)
		printf "the last frame landed %s ms before the kexec call, none after it.\n",
		       ms(-last)
	else if (get(r, "max_gap_ms.during") == "-")
		printf "frames landed until %s ms after the kexec call, then none.\n",
		       ms(last)
	else
		printf "%d of %d frames landed, the longest wait in the gap was %s ms.\n",
		       landed, sent, ms(get(r, "max_gap_ms.during"))
}

END {
	width = 20
	for (r = 1; r <= run; r++)
		if (length(get(r, "name")) > width)
			width = length(get(r, "name"))
	for (r = 1; r <= run; r++)
		sentence(r)
	print ""
	row("", "name")
	row("frames sent", "frames.sent")
	row("       landed", "frames.landed")
	row("       lost", "frames.lost")
	row("longest wait, ms: before", "max_gap_ms.before", 1)
	row("       in the gap", "max_gap_ms.during", 1)
	row("       after", "max_gap_ms.after", 1)
	row("frames landed in: shutdown", "landed_by_phase.shutdown")
	row("       purgatory", "landed_by_phase.purgatory")
	row("       early boot", "landed_by_phase.early_boot")
	row("       enumeration", "landed_by_phase.enumeration")
	row("       user space", "landed_by_phase.user_space")
	row("config writes: device", "config_writes.device")
	row("       path", "config_writes.path")
	row("       of both, state-changing", "config_writes.state_changing")
	row("translation disabled", "translation_disabled")
	row("DMA faults of the device", "iommu_faults.device")
	row("canary pages damaged", "canary_damaged")
	row("interrupts that the guest took", "interrupts.delivered")
	row("       lost", "interrupts.lost")
	row("       spurious", "interrupts.spurious")
	row("guest: alive at the end", "guest.alive")
	row("       saw every frame", "guest.content_ok")
	row("       paused, ms", "guest_pause.ms", 1)
	row("       of this: until the kexec", "guest_pause.stop_ms", 1)
	row("       the kexec itself", "guest_pause.kexec_ms", 1)
	row("       until it runs again", "guest_pause.resume_ms", 1)
	row("       asleep with a frame, ms", "guest.longest_sleep_ms", 1)
	row("       longest silence, ms", "guest.max_heartbeat_gap_ms", 1)
	for (r = 1; r <= run; r++)
		stops(r)
	print ""
	print "- is: not measured, or not known because it never ended."
}
