# SPDX-License-Identifier: GPL-2.0-only
#
# Drawn by report.sh, which puts before this: out, terminal, runs and the
# arrays dir, name, rate, kexec (1 when there was one) and note.

panel = 400
if (terminal eq "svg") {
	set terminal svg size 1200, panel * runs + 20 font "sans,13" background "#ffffff"
} else {
	set terminal pngcairo size 1200, panel * runs + 20 font "sans,11" background "#ffffff"
}
set output out
set datafile separator "\t"
set datafile missing "-"

# The phases between kexec and take-over from dark to light, ordinary life grey.
shade(p) = p eq "before" ? 0xf3f3f3 : p eq "shutdown" ? 0xf2a97e : \
	p eq "purgatory" ? 0xf6c79b : p eq "early_boot" ? 0xf9dfae : \
	p eq "enumeration" ? 0xfbeec8 : p eq "user_space" ? 0xe3efd9 : \
	p eq "after" ? 0xf3f3f3 : 0xffffff
nice(p) = p eq "early_boot" ? "early boot" : p eq "user_space" ? "user space" : p

height = panel * runs + 20.0
# Text stands in the column on the right, where no run can draw over it.
set multiplot layout runs, 1 margins 0.07, 0.68, 60 / height, 1 - 36 / height spacing 0, 88 / height
set border 3 lc rgb "#444444"
set tics nomirror out textcolor rgb "#444444"
set style fill solid 1.0 noborder

do for [i = 1:runs] {
	arrivals = dir[i] . "/arrivals.tsv"
	phases = dir[i] . "/phases.tsv"
	heartbeat = dir[i] . "/heartbeat.tsv"

	# what the panel before was limited to would limit these, too
	set xrange [*:*]
	set yrange [*:*]
	stats phases using ($4 / 1000.0) name "FROM" nooutput
	stats phases using ($5 / 1000.0) name "TO" nooutput
	x0 = FROM_min
	x1 = TO_max > x0 ? TO_max : x0 + 1
	top = 1
	first = x0
	stats arrivals using ($6 / 1000.0):1 name "SENT" nooutput
	if (exists("SENT_records") && SENT_records > 0) {
		first = SENT_min_x
		top = SENT_max_y
		offered = (x1 - first) * rate[i]
		if (offered > top) { top = offered }
	}
	high = top * 1.36		# room for the names of the phases
	low = -top * 0.16		# and for the guest below
	beat = -top * 0.08
	wide = (x1 - x0) * 0.11

	unset arrow
	unset label
	unset object
	set label name[i] at graph 1.02, graph 0.97 left font ",14" noenhanced
	set label note[i] at graph 1.02, graph 0.86 left textcolor rgb "#222222" font ",10.5" noenhanced
	set xrange [x0 - (x1 - x0) * 0.005 : x1]
	set yrange [low : high]
	set ylabel "frame number" offset 0.5, 0 textcolor rgb "#444444"
	set xlabel (kexec[i] ? "seconds after the kexec call" : "seconds after the first frame") offset 0, 0.6 textcolor rgb "#444444"
	set ytics 0, (top > 2000 ? 500 : top > 800 ? 200 : top > 150 ? 100 : 20), top
	set key at graph 1.02, graph 0.02 left bottom Left reverse samplen 2 spacing 1.2 noenhanced
	if (kexec[i]) {
		set arrow from 0, low to 0, high nohead lw 4 lc rgb "#b01e1e" front
		set label "kexec" at 0, high center offset 0, 0.7 textcolor rgb "#b01e1e" font ",12"
	}

	plot phases using (($4 + $5) / 2000.0):((low + high) / 2):($4 / 1000.0):($5 / 1000.0):(low):(high):(shade(strcol(1))) \
			with boxxyerror lc rgb variable notitle, \
		[first:x1] (x - first) * rate[i] + 1 with lines dt 2 lw 1.2 lc rgb "#999999" title "wanted", \
		arrivals using ($6 / 1000.0):1 with lines lw 1 lc rgb "#e08214" title "accepted by QEMU", \
		arrivals using ($7 / 1000.0):1 with points pt 7 ps 0.35 lc rgb "#1f4e9c" notitle, \
		keyentry with points pt 7 ps 0.8 lc rgb "#1f4e9c" title "landed in memory", \
		heartbeat using ($3 / 1000.0):(beat) with points pt 5 ps 0.3 lc rgb "#2c6e49" notitle, \
		keyentry with points pt 5 ps 0.8 lc rgb "#2c6e49" title "guest runs", \
		phases using (($4 + $5) / 2000.0):($5 - $4 >= 1000 * wide ? top * 1.28 : NaN):(nice(strcol(1))) \
			with labels font ",10.5" textcolor rgb "#555555" notitle, \
		phases using (($4 + $5) / 2000.0):($5 - $4 < 1000 * wide && $5 - $4 > 130 * wide ? top * 1.34 : NaN):(nice(strcol(1))) \
			with labels right rotate by 90 font ",9" textcolor rgb "#555555" notitle
}
unset multiplot
