#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
#	report.sh OUTDIR VM_DIR...
#
# Merges what observe left in each VM_DIR into OUTDIR: report.json (all
# numbers, documented in README.md), report.txt (one screen), report.svg and
# report.png (the picture).

. "$(dirname "$0")/../lib.sh"

HERE=$TOP/harness/report

# Every file a run must have left behind.
check_runs()
{
	local dir file

	for dir; do
		for file in run.json result.tsv arrivals.tsv phases.tsv \
			    heartbeat.tsv; do
			[ -s "$dir/$file" ] ||
				die "$dir has no $file: run 'make vm T=$(basename "$dir")' again."
		done
	done
}

# values KEY DIR...: the different values in order of appearance, one a line.
values()
{
	local key=$1 dir
	shift

	for dir; do
		awk -F '\t' -v key="$key" '
			$1 == key || index($1, key ".") == 1 {
				if ($2 != "null") print $2
			}' "$dir/result.tsv"
	done | awk '!seen[$0]++'
}

json_string()
{
	sed 's/["\\]/\\&/g; s/^/"/; s/$/"/'
}

# A value all runs share is a string, null when none knows it.
json_host_value()
{
	local text

	text=$(values "$@" | paste -sd' ')
	if [ -n "$text" ]; then
		json_string <<<"$text"
	else
		echo null
	fi
}

write_json()
{
	local dir comma=''

	echo '{'
	echo '"runs": ['
	for dir; do
		printf '%s' "$comma"
		cat "$dir/run.json"
		comma=','
	done
	echo '],'
	printf '"host": {"cpu": %s, "accel": %s, "qemu": %s, "kernels": [%s]}\n' \
		"$(json_host_value host.cpu "$@")" \
		"$(json_host_value host.accel "$@")" \
		"$(json_host_value host.qemu "$@")" \
		"$(values kernels "$@" | json_string | paste -sd,)"
	echo '}'
}

write_text()
{
	local dir

	awk -f "$HERE/report.awk" "${@/%//result.tsv}"
	echo
	echo "host: $(values host.cpu "$@" | paste -sd' '), $(
		values host.accel "$@" | paste -sd' '), QEMU $(
		values host.qemu "$@" | paste -sd' '), Linux $(
		values kernels "$@" | paste -sd' ')"
}

# Those of the runs in which frames were sent: the picture has nothing else.
with_frames()
{
	local dir

	for dir; do
		[ -z "$(values frames.sent "$dir")" ] || echo "$dir"
	done
}

# annotations DIR: what is written into its panel, one line each.
annotations()
{
	awk -F '\t' '
		{ v[$1] = $2 }
		END {
			if (v["frames.sent"] != "null")
				printf "%d frames sent, %d landed, %d lost\n",
				       v["frames.sent"], v["frames.landed"],
				       v["frames.lost"]
			if (v["guest_pause.ms"] + 0 > 0)
				printf "the guest paused %.2f s, the kexec took %.2f s\n",
				       v["guest_pause.ms"] / 1000,
				       v["guest_pause.kexec_ms"] / 1000
			for (i = 1; i <= 4 && ("stopped_by." i) in v; i++) {
				n = split(v["stopped_by." i], part, ", ")
				printf "%+.1f ms  %s  (%s)\n", part[n] + 0,
				       part[1], part[2]
			}
		}' "$1/result.tsv"
}

# gnuplot wants no quotes, spaces or enhanced-mode signs in what it is told.
write_picture()
{
	local out=$1 terminal=$2 i=0 dir
	shift 2

	{
		echo "out = '$out'"
		echo "terminal = '$terminal'"
		echo "runs = $#"
		echo "array dir[$#]; array name[$#]; array rate[$#]; array kexec[$#]; array note[$#]"
		for dir; do
			i=$((i + 1))
			echo "dir[$i] = '$dir'"
			echo "name[$i] = '$(values name "$dir")'"
			echo "rate[$i] = $(values frames.rate_per_s "$dir" | grep . || echo 0)"
			echo "kexec[$i] = $(grep -c '^shutdown' "$dir/phases.tsv" || true)"
			echo "note[$i] = \"$(annotations "$dir" | sed 's/["\\]//g' | paste -sd'|' | sed 's/|/\\n/g')\""
		done
		cat "$HERE/report.gp"
	} >"$out.gp"
	gnuplot "$out.gp" 2>"$out.log" ||
		die "gnuplot cannot draw the picture: $(tail -n 1 "$out.log") (commands: $out.gp)"
	[ -s "$out" ] ||
		die "gnuplot drew nothing: $(tail -n 1 "$out.log") (commands: $out.gp)"
	rm -f "$out.gp" "$out.log"
}

[ $# -ge 2 ] || die "usage: report.sh OUTDIR VM_DIR..."
OUT=$1
shift
command -v gnuplot >/dev/null ||
	die "gnuplot is missing: run 'make deps'."
check_runs "$@"
mkdir -p "$OUT"
write_json "$@" >"$OUT/report.json"
write_text "$@" >"$OUT/report.txt"
mapfile -t DRAWN < <(with_frames "$@")
if [ ${#DRAWN[@]} = 0 ]; then
	rm -f "$OUT/report.svg" "$OUT/report.png"
	step "no run sent frames: there is no picture"
	exit
fi
write_picture "$OUT/report.svg" svg "${DRAWN[@]}"
write_picture "$OUT/report.png" pngcairo "${DRAWN[@]}"
