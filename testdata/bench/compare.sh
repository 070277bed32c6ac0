#!/bin/bash
# Measures two builds of the command beside each other on the corpus: `compare.sh OLD NEW [ROUNDS]`, 5 rounds without.
# In each round both do the same work, in turn; the figures are the medians of the CPU seconds, of the wall seconds and
# of the peak memory, and the ratio NEW/OLD. The ratio of a round pairs two runs that follow each other, so a machine
# whose speed drifts compares well.
set -euo pipefail
old=$(realpath "$1") new=$(realpath "$2") rounds=${3:-5}
cd "$(dirname "$0")/../.."
work=$PWD/target/bench
corpus=$work/corpus
mkdir -p "$work"
[ -x /usr/bin/time ] || { echo "compare.sh needs /usr/bin/time (package time)" >&2; exit 1; }

. testdata/bench/corpus.sh
make_corpus

place=$work/compare
rm -rf "$place"
mkdir -p "$place"
results=$place/results

# run WHICH NAME ARGUMENTS: notes the name, which build, CPU seconds, wall seconds and peak KiB. {} is a directory of
# the build.
run() {
	local which=$1 name=$2 binary=${!1}
	shift 2
	# What the run before left to write would count for this one.
	sync
	/usr/bin/time -f '%U %S %e %M' -o "$place/time" "$binary" "${@//\{\}/$place/$which}" >/dev/null 2>"$place/log" ||
		{ cat "$place/log" >&2; exit 1; }
	awk -v name="$name" -v which="$which" '{ printf "%s\t%s\t%.2f\t%s\t%s\n", name, which, $1 + $2, $3, $4 }' \
		"$place/time" >>"$results"
}

layers=(--layer "$corpus/system" --layer "$corpus/libraries" --layer "$corpus/random" --layer "$corpus/small")
quiet=(--progress quiet)
for round in $(seq "$rounds"); do
	# Whoever is second finds a warmer cache, so they take turns.
	order="old new"
	[ $((round % 2)) = 1 ] || order="new old"
	each() {
		local name=$1
		shift
		for which in $order; do run "$which" "$name" "$@"; done
	}
	for which in old new; do
		rm -rf "${place:?}/$which"
		mkdir -p "$place/$which"
	done
	scratch=(export scratch "${layers[@]}" --jobs 2 "${quiet[@]}")
	each "export, gzip" "${scratch[@]}" --no-store -o type=oci,name=example.com/app:1,dest={}/gzip.tar
	each "export, zstd" "${scratch[@]}" --no-store -o type=oci,compression=zstd,name=example.com/app:1,dest={}/zstd.tar
	each "export, uncompressed" "${scratch[@]}" --no-store -o type=oci,compression=uncompressed,dest={}/plain.tar
	each "export, gzip, into a layout" "${scratch[@]}" --no-store -o type=oci,tar=false,dest={}/layout
	each "oci-archive to docker" export oci-archive:{}/gzip.tar --no-store "${quiet[@]}" -o type=docker,dest={}/docker.tar
	each "import" import {}/gzip.tar --store {}/store "${quiet[@]}"
	each "image to oci" export image:example.com/app:1 --store {}/store "${quiet[@]}" -o type=oci,dest={}/out.tar
	each "verify" verify image:example.com/app:1 --store {}/store
	each "unpack, snapshots" unpack example.com/app:1 --store {}/store "${quiet[@]}"
	each "unpack --to" unpack example.com/app:1 --store {}/store "${quiet[@]}" --to {}/root
	for archive in gzip zstd plain; do
		cmp --silent "$place/old/$archive.tar" "$place/new/$archive.tar" || echo "$archive.tar has other bytes" >>"$place/differs"
	done
done

printf '| work | CPU old | CPU new | CPU ratio | wall ratio | peak MiB old | new |\n|---|---|---|---|---|---|---|\n'
awk -F '\t' "$(cat testdata/bench/median.awk)"'
	!($1 in seen) { seen[$1] = 1; names[++count] = $1 }
	{ n[$1, $2]++; cpu[$1, $2, n[$1, $2]] = $3; wall[$1, $2, n[$1, $2]] = $4; if ($5 > peak[$1, $2]) peak[$1, $2] = $5 }
	END {
		for (k = 1; k <= count; k++) {
			name = names[k]; rounds = n[name, "old"]
			for (r = 1; r <= rounds; r++) {
				o[r] = cpu[name, "old", r]; w[r] = cpu[name, "new", r]
				c[r] = w[r] / o[r]; l[r] = wall[name, "new", r] / wall[name, "old", r]
			}
			printf "| %s | %.2f | %.2f | %.3f | %.3f | %.0f | %.0f |\n", name, median(o, rounds), median(w, rounds), \
				median(c, rounds), median(l, rounds), peak[name, "old"] / 1024, peak[name, "new"] / 1024
		}
	}' "$results"
rm -rf "$place/old" "$place/new"
[ ! -f "$place/differs" ] || sort -u "$place/differs"
