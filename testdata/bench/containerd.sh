#!/bin/bash
# Measures import and unpacking into containerd beside `ctr images import`, and the same image once more:
# `containerd.sh LONGSHORE [ROUNDS [ARCHIVE]]`, as root; 3 rounds without. ARCHIVE is an OCI archive of an image with a name;
# without, one of the corpus is made. Both write to a containerd of their own namespaces, whose data is on the disk of
# target/bench, and the page cache is written back before each run. Prints seconds, and the ratios of the medians.
set -euo pipefail
longshore=$(realpath "$1") rounds=${2:-3}
archive=${3:+$(realpath "$3")}
cd "$(dirname "$0")/../.."
mkdir -p target/bench
if [ -z "$archive" ]; then
	corpus=$PWD/target/bench/corpus
	. testdata/bench/corpus.sh
	make_corpus
	archive=$PWD/target/bench/containerd.tar
	"$longshore" export scratch --layer "$corpus/system" --layer "$corpus/libraries" --layer "$corpus/random" \
		--layer "$corpus/small" --no-store --progress quiet -o "type=oci,name=example.com/app:1,dest=$archive"
fi
place=$(mktemp -d "$PWD/target/bench/containerd.XXXXXX")
state=$(mktemp -d)
cat >"$state/config.toml" <<CONFIG
version = 2
root = "$place/root"
state = "$state/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "$state/socket"
[ttrpc]
address = "$state/ttrpc"
[plugins."io.containerd.metadata.v1.bolt"]
content_sharing_policy = "isolated"
CONFIG
containerd --config "$state/config.toml" >"$state/log" 2>&1 &
daemon=$!
trap 'kill "$daemon"; wait "$daemon" || true; rm -rf "$place" "$state"' EXIT
until ctr --address "$state/socket" version >/dev/null 2>&1; do
	kill -0 "$daemon" || { cat "$state/log" >&2; exit 1; }
	sleep 0.1
done

# measure NAME COMMAND...
measure() {
	local name=$1 begin end
	shift
	sync
	begin=$(date +%s.%N)
	"$@" >/dev/null 2>"$state/err" || { cat "$state/err" >&2; exit 1; }
	end=$(date +%s.%N)
	awk -v name="$name" -v begin="$begin" -v end="$end" 'BEGIN { printf "%s\t%.3f\n", name, end - begin }' |
		tee -a "$state/results"
}

for round in $(seq "$rounds"); do
	mine=(export "oci-archive:$archive" --progress quiet -o 'type=image,name=*,unpack=true')
	mine+=(--store "containerd:$state/socket,namespace=ours$round")
	theirs=(ctr --address "$state/socket" --namespace "theirs$round" images import)
	if [ $((round % 2)) = 1 ]; then
		measure theirs "${theirs[@]}" "$archive"
		measure first "$longshore" "${mine[@]}"
	else
		measure first "$longshore" "${mine[@]}"
		measure theirs "${theirs[@]}" "$archive"
	fi
	measure again "$longshore" "${mine[@]}"
done
median() {
	awk -v name="$1" '$1 == name { print $2 }' "$state/results" | sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}
awk -v theirs="$(median theirs)" -v first="$(median first)" -v again="$(median again)" 'BEGIN {
	printf "ctr images import %.2f s, longshore %.2f s: %.2f times as fast; again %.2f s: %.1f %% of the first\n",
		theirs, first, theirs / first, again, again / first * 100
}'
