#!/bin/bash
# Measures the command beside today's peers (testdata/README.md) on the corpus: `today.sh [ROUNDS]`, 3 without. Prints a table
# of medians: wall seconds, CPU seconds of client and daemon, and megabytes written. As root, with everything in memory.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}
longshore=$PWD/target/release/longshore
today=${LONGSHORE_TODAY:-$PWD/target/peers/today}
work=$PWD/target/bench
corpus=$work/corpus
[ -d "$today" ] || { echo "today.sh needs today's peers in $today: run testdata/test.sh as root" >&2; exit 1; }
[ -x /usr/bin/time ] || { echo "today.sh needs /usr/bin/time (package time)" >&2; exit 1; }
mkdir -p "$work"
. testdata/bench/corpus.sh
make_corpus

place=$(mktemp -d)
mount -t tmpfs -o size=75% tmpfs "$place"
results=$work/today.results
: >"$results"
daemons=
clean_up() {
	# shellcheck disable=SC2086 # One word a process.
	[ -z "$daemons" ] || { kill $daemons; wait; } 2>/dev/null || true
	umount --lazy "$place"
	rmdir "$place"
}
trap clean_up EXIT
peer() { sh testdata/enter.sh "$today" "$work" "$@"; }

# start NAME COMMAND…: a daemon, until the command in $ready succeeds.
start() {
	local name=$1
	shift
	sh testdata/enter.sh "$today" "$work" "$@" >"$place/$name.log" 2>&1 &
	daemons="$daemons $!"
	for _ in $(seq 300); do
		! $ready >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	cat "$place/$name.log" >&2
	exit 1
}

# CPU seconds of the daemons, and of their children.
daemon_cpu() {
	local all=
	for daemon in $daemons; do all="$all $daemon $(pgrep --parent "$daemon" || true)"; done
	# shellcheck disable=SC2086
	for process in $all; do cat "/proc/$process/stat"; done 2>/dev/null |
		awk -v hertz="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); sum += $12 + $13 } END { printf "%.2f", sum / hertz }'
}

# candidate NAME OUTPUT COMMAND…: runs it once, into nothing.
candidate() {
	local name=$1 output=$2 before
	shift 2
	rm -rf "${place:?}/$output"
	sync
	before=$(daemon_cpu)
	/usr/bin/time -f '%e %U %S' -o "$place/time" "$@" >/dev/null 2>"$place/candidate.log" ||
		{ cat "$place/candidate.log" >&2; exit 1; }
	awk -v name="$name" -v daemons="$(echo "$(daemon_cpu) $before" | awk '{ print $1 - $2 }')" \
		-v size="$(du -sb "$place/$output" 2>/dev/null | cut -f1)" \
		'{ printf "%s\t%s\t%.2f\t%.0f\n", name, $1, $2 + $3 + daemons, size / 1e6 }' "$place/time" >>"$results"
}

registry=127.0.0.1:5998
cat >"$place/registry.yml" <<CONFIG
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $place/registry}, delete: {enabled: true}}
http: {addr: $registry}
CONFIG
cat >"$place/containerd.toml" <<CONFIG
version = 2
root = "$place/containerd"
state = "$place/run"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "$place/containerd.sock"
[ttrpc]
address = "$place/ttrpc.sock"
CONFIG
echo '{"features": {"containerd-snapshotter": true}}' >"$place/docker.json"
ready="curl -sf http://$registry/v2/" start registry docker-registry serve "$place/registry.yml"
ctr="sh testdata/enter.sh $today $work ctr --address $place/containerd.sock"
ready="$ctr version" start containerd containerd --config "$place/containerd.toml"
docker="env DOCKER_CONFIG=$place/client sh testdata/enter.sh $today $work docker --host unix://$place/docker.sock"
ready="$docker version" start dockerd dockerd --data-root "$place/docker" --exec-root "$place/exec" --pidfile "$place/pid" \
	--config-file "$place/docker.json" --iptables=false --ip6tables=false --bridge=none --host "unix://$place/docker.sock"

printf 'FROM scratch\nCOPY system /\nCOPY libraries /\nCOPY random /\nCOPY small /\n' >"$place/Dockerfile"
layers="--layer $corpus/system --layer $corpus/libraries --layer $corpus/random --layer $corpus/small"
build="$docker buildx build --quiet --provenance=false --file $place/Dockerfile"
export="$longshore export --no-store --progress quiet"
# The build is done once: what is measured is the export.
$build "$corpus" >/dev/null

umoci() {
	local image=$1
	peer umoci init --layout "$image" && peer umoci new --image "$image:1" || return 1
	for layer in system libraries random small; do peer umoci insert --image "$image:1" "$corpus/$layer" "/" || return 1; done
}
export -f umoci peer
export today work corpus

for _ in $(seq "$rounds"); do
	candidate "umoci 0.6, insert, gzip" umoci bash -c "umoci $place/umoci"
	candidate "BuildKit, type=oci, gzip" buildkit.tar $build --output "type=oci,force-compression=true,dest=$place/buildkit.tar" "$corpus"
	# shellcheck disable=SC2086 # Options.
	candidate "longshore, type=oci, gzip" image.tar $export scratch $layers -o "type=oci,name=example.com/app:1,dest=$place/image.tar"
	rm -rf "$place/umoci" "$place/buildkit.tar"
	candidate "skopeo 1.22, copy, oci-archive to oci" skopeo sh testdata/enter.sh "$today" "$work" skopeo copy -q "oci-archive:$place/image.tar" "oci:$place/skopeo:1"
	candidate "longshore, oci-archive to oci" layout $export "oci-archive:$place/image.tar" -o "type=oci,tar=false,name=*,dest=$place/layout"
	rm -rf "$place/skopeo"
	candidate "oras, copy, oci to oci" oras sh testdata/enter.sh "$today" "$work" oras copy --no-tty --from-oci-layout "$place/layout:1" --to-oci-layout "$place/oras:1"
	rm -rf "$place/oras"
	candidate "crane, push, cold" registry sh testdata/enter.sh "$today" "$work" crane push "$place/layout" "$registry/crane:1"
	candidate "longshore, push, cold" registry $export "oci:$place/layout" -o "type=registry,name=$registry/longshore:1"
	candidate "crane, pull" crane sh testdata/enter.sh "$today" "$work" crane pull --format=oci "$registry/longshore:1" "$place/crane"
	candidate "longshore, pull" pulled $export "docker://$registry/longshore:1" -o "type=oci,tar=false,dest=$place/pulled"
	rm -rf "$place/crane" "$place/pulled" "$place/layout"
	$ctr images rm --sync example.com/app:1 >/dev/null 2>&1 || true
	candidate "ctr 2, images import and unpack" none $ctr images import --snapshotter overlayfs "$place/image.tar"
	candidate "longshore, import and unpack" store sh -c "$longshore import $place/image.tar --store $place/store --progress quiet && $longshore unpack example.com/app:1 --store $place/store --progress quiet"
	rm -rf "$place/store"
done

printf '| work | wall, s | CPU, s | written, MB |\n|---|---|---|---|\n'
awk -F '\t' "$(cat testdata/bench/median.awk)"'
	!($1 in seen) { seen[$1] = 1; names[++count] = $1 }
	{ n[$1]++; wall[$1, n[$1]] = $2; cpu[$1, n[$1]] = $3; size[$1] = $4 }
	END {
		for (k = 1; k <= count; k++) {
			name = names[k]
			for (r = 1; r <= n[name]; r++) { w[r] = wall[name, r]; c[r] = cpu[name, r] }
			printf "| %s | %.2f | %.2f | %s |\n", name, median(w, n[name]), median(c, n[name]), (size[name] ? size[name] : "–")
		}
	}' "$results"
