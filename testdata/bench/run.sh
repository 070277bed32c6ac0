#!/bin/bash
# Measures the command beside gzip, pigz, zstd, skopeo, containerd, umoci, podman and docker on a corpus of about
# 1 GB, and writes docs/benchmarks.md. Ratios are of one run on one machine: each round runs every candidate once, and
# the median round counts. `run.sh ROUNDS`; 3 without.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}
work=$PWD/target/bench
corpus=$work/corpus
longshore=$PWD/target/release/longshore
page=docs/benchmarks.md

need() {
	command -v "$1" >/dev/null || { echo "run.sh needs $1 (package $2)" >&2; exit 1; }
}
need pigz pigz
need zstd zstd
need skopeo skopeo
need containerd containerd
need ctr containerd
need umoci umoci
need podman podman
need docker-registry docker-registry
need curl curl
need dockerd docker.io
need docker docker-cli
[ "$(id -u)" = 0 ] || { echo "run.sh needs to be root, for containerd" >&2; exit 1; }
[ -x /usr/bin/time ] || { echo "run.sh needs /usr/bin/time (package time)" >&2; exit 1; }

. testdata/bench/corpus.sh

# A containerd of its own, with nothing but content and names.
state=$(mktemp -d)
memory=$work/memory
daemon=
# start_containerd ROOT
start_containerd() {
	rm -rf "$1" "$state/state"
	cat >"$state/config.toml" <<-CONFIG
		version = 2
		root = "$1"
		state = "$state/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
		[grpc]
		address = "$state/socket"
		[ttrpc]
		address = "$state/ttrpc"
	CONFIG
	containerd --config "$state/config.toml" >"$state/log" 2>&1 &
	daemon=$!
	for _ in $(seq 100); do
		! ctr --address "$state/socket" version >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	cat "$state/log" >&2
	exit 1
}
ctr="ctr --address $state/socket"

stop_containerd() {
	kill "$daemon" && wait "$daemon" || true
	daemon=
}

# A registry of its own, in memory, with nothing in it.
registry=127.0.0.1:5999
registry_daemon=
start_registry() {
	rm -rf "$1"
	cat >"$state/registry.yml" <<-CONFIG
		version: 0.1
		log: {level: error, accesslog: {disabled: true}}
		storage:
		  filesystem: {rootdirectory: $1}
		http: {addr: $registry}
	CONFIG
	docker-registry serve "$state/registry.yml" >"$state/registry.log" 2>&1 &
	registry_daemon=$!
	for _ in $(seq 100); do
		! curl -sf "http://$registry/v2/" >/dev/null || return 0
		sleep 0.1
	done
	cat "$state/registry.log" >&2
	exit 1
}

stop_registry() {
	kill "$registry_daemon" && wait "$registry_daemon" || true
	registry_daemon=
}

# A dockerd of its own, with nothing of the network of the machine.
docker="docker --host unix://$state/docker"
docker_daemon=
# start_docker ROOT
start_docker() {
	echo '{"insecure-registries": ["127.0.0.1/8"]}' >"$state/daemon.json"
	dockerd --data-root "$1" --exec-root "$state/exec" --pidfile "$state/docker.pid" --config-file "$state/daemon.json" \
		--iptables=false --ip6tables=false --bridge=none --storage-driver=overlay2 --host "unix://$state/docker" \
		>"$state/docker.log" 2>&1 &
	docker_daemon=$!
	for _ in $(seq 300); do
		! $docker version >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	cat "$state/docker.log" >&2
	exit 1
}

stop_docker() {
	kill "$docker_daemon" && wait "$docker_daemon" || true
	docker_daemon=
}

clean_up() {
	[ -z "$docker_daemon" ] || { kill "$docker_daemon" && wait "$docker_daemon" || true; }
	[ -z "$registry_daemon" ] || kill "$registry_daemon" || true
	[ -z "$daemon" ] || kill "$daemon" || true
	umount --lazy "$memory" 2>/dev/null || true
	rm -rf "$state"
}
trap clean_up EXIT

# candidate NAME OUTPUT COMMAND: runs it once; notes wall seconds, CPU seconds, peak KiB and bytes written.
candidate() {
	local name=$1 output=$2 command=$3
	# The root of a daemon stays.
	[[ "$output" = */containerd || "$output" = */registry ]] || rm -rf "$output"
	sync
	/usr/bin/time -f '%e %U %S %M' -o "$work/time" bash -c "set -o pipefail; $command" >/dev/null 2>"$work/log" ||
		{ cat "$work/log" >&2; exit 1; }
	awk -v name="$name" -v size="$(du -sb "$output" | cut -f1)" \
		'{ printf "%s\t%s\t%.2f\t%s\t%s\n", name, $1, $2 + $3, $4, size }' "$work/time" >>"$work/results"
}

layers="--layer system --layer libraries --layer random --layer small"
round() {
	cd "$corpus"
	export LONGSHORE_ROOT=$work/export-store
	rm -rf "$LONGSHORE_ROOT"
	candidate "tar, gzip -6" "$work/a.tgz" "tar cf - system libraries random small | gzip -6 >$work/a.tgz"
	candidate "tar, pigz -p2 -6" "$work/b.tgz" "tar cf - system libraries random small | pigz -p2 -6 >$work/b.tgz"
	candidate "longshore, gzip" "$work/c.tar" "exec $longshore export scratch $layers --jobs 2 --no-store --progress quiet -o type=oci,name=example.com/app:1,dest=$work/c.tar"
	candidate "tar, zstd -3 -T2" "$work/d.zst" "tar cf - system libraries random small | zstd -q -3 -T2 -o $work/d.zst"
	candidate "longshore, zstd" "$work/e.tar" "exec $longshore export scratch $layers --jobs 2 --no-store --progress quiet -o type=oci,compression=zstd,name=example.com/zstd:1,dest=$work/e.tar"
	candidate "tar alone" "$work/f.tar" "tar cf $work/f.tar system libraries random small"
	candidate "longshore, uncompressed" "$work/g.tar" "exec $longshore export scratch $layers --jobs 2 --no-store --progress quiet -o type=oci,compression=uncompressed,dest=$work/g.tar"
	candidate "skopeo, oci-archive to docker-archive" "$work/h.tar" "exec skopeo copy -q oci-archive:$work/c.tar docker-archive:$work/h.tar:app:1"
	candidate "longshore, oci-archive to docker" "$work/i.tar" "exec $longshore export oci-archive:$work/c.tar --no-store --progress quiet -o type=docker,name=app:1,dest=$work/i.tar"
	candidate "longshore, gzip, through the store" "$work/c.tar" "exec $longshore export scratch $layers --jobs 2 --progress quiet -o type=oci,name=example.com/app:1,dest=$work/c.tar"
	stores
	cd - >/dev/null
}

# The image of the corpus into a store that has nothing of it, from a pipe, and out again.
stores() {
	$ctr images rm --sync example.com/app:1 >/dev/null 2>&1 || true
	candidate "ctr images import --no-unpack" "$work/containerd" "cat $work/c.tar | $ctr images import --no-unpack -"
	candidate "skopeo copy, oci-archive to oci" "$work/skopeo" "exec skopeo copy -q oci-archive:$work/c.tar oci:$work/skopeo:1"
	candidate "longshore import" "$work/store" "cat $work/c.tar | $longshore import - --store $work/store --progress quiet"
	candidate "ctr images export" "$work/j.tar" "exec $ctr images export $work/j.tar example.com/app:1"
	candidate "skopeo copy, oci to oci-archive" "$work/k.tar" "exec skopeo copy -q oci:$work/skopeo:1 oci-archive:$work/k.tar:1"
	candidate "longshore, image to oci" "$work/l.tar" "exec $longshore export image:example.com/app:1 --store $work/store --progress quiet -o type=oci,name=*,dest=$work/l.tar"
	cmp "$work/c.tar" "$work/l.tar"
}

# Layers onto a file system. unpacking WHERE PLACE: what a daemon or a store has of the image goes first.
unpacking() {
	local where=$1 place=$2 podman
	podman="podman --root $place/podman --runroot $place/run --tmpdir $place/tmp --storage-driver overlay --events-backend none --cgroup-manager cgroupfs"
	start_containerd "$place/containerd"
	rm -rf "$place/layout" "$place/zstd"
	mkdir "$place/layout" "$place/zstd"
	tar -xf "$work/c.tar" -C "$place/layout"
	tar -xf "$work/e.tar" -C "$place/zstd"
	candidate "ctr images import, gzip, $where" "$place/containerd" "exec $ctr images import --snapshotter overlayfs $work/c.tar"
	candidate "umoci unpack, gzip, $where" "$place/bundle" "exec umoci unpack --image $place/layout:1 $place/bundle"
	rm -rf "$place/bundle"
	candidate "podman pull, gzip, $where" "$place/podman" "exec $podman pull -q oci:$place/layout:1"
	$podman rmi --all --force >/dev/null
	candidate "longshore import and unpack, gzip, $where" "$place/store" "$longshore import $work/c.tar --store $place/store --progress quiet && $longshore unpack example.com/app:1 --store $place/store --progress quiet"
	candidate "longshore unpack --to, gzip, $where" "$place/out" "exec $longshore unpack example.com/app:1 --store $place/store --to $place/out --progress quiet"
	(cd "$place/out" && find . -type d -print0 >"$work/directories" && find . ! -type d -print0 >"$work/files")
	rm -rf "$place/out" "$place/store"
	candidate "files created empty, $where" "$place/empty" "mkdir $place/empty && cd $place/empty && xargs -0 mkdir -p <$work/directories && xargs -0 -n 500 -P 2 touch <$work/files"
	rm -rf "$place/empty"
	$ctr images rm --sync example.com/app:1 >/dev/null
	candidate "ctr images import, zstd, $where" "$place/containerd" "exec $ctr images import --snapshotter overlayfs $work/e.tar"
	stop_containerd
	rm -rf "$place/containerd"
	candidate "podman pull, zstd, $where" "$place/podman" "exec $podman pull -q oci:$place/zstd:1"
	$podman rmi --all --force >/dev/null
	candidate "longshore import and unpack, zstd, $where" "$place/store" "$longshore import $work/e.tar --store $place/store --progress quiet && $longshore unpack example.com/zstd:1 --store $place/store --progress quiet"
	rm -rf "$place/store" "$place/podman"
}

unpack_round() {
	mkdir -p "$memory" "$work/disk"
	mount -t tmpfs -o size=75% tmpfs "$memory"
	unpacking "in memory" "$memory"
	umount "$memory"
	unpacking "on disk" "$work/disk"
}

# The image of the corpus into a registry that has nothing of it, again, and from there into another repository.
pushing() {
	local place=$1
	start_containerd "$place/containerd"
	$ctr images import --no-unpack "$work/c.tar" >/dev/null
	$ctr images tag example.com/app:1 "$registry/ctr:1" >/dev/null
	skopeo copy -q "oci-archive:$work/c.tar" "oci:$place/layout:1"
	"$longshore" import "$work/c.tar" --store "$place/store" --progress quiet
	local out="$place/registry" local_only="--progress quiet --store $place/store"
	start_registry "$out"
	candidate "ctr images push, cold" "$out" "exec $ctr images push --plain-http $registry/ctr:1"
	candidate "ctr images push, warm" "$out" "exec $ctr images push --plain-http $registry/ctr:1"
	stop_registry
	start_registry "$out"
	candidate "skopeo copy, cold push" "$out" "exec skopeo copy -q --dest-tls-verify=false oci:$place/layout:1 docker://$registry/skopeo:1"
	candidate "skopeo copy, warm push" "$out" "exec skopeo copy -q --dest-tls-verify=false oci:$place/layout:1 docker://$registry/skopeo:1"
	candidate "skopeo copy, between repositories" "$out" "exec skopeo copy -q --src-tls-verify=false --dest-tls-verify=false docker://$registry/skopeo:1 docker://$registry/skopeo/other:1"
	stop_registry
	start_registry "$out"
	candidate "longshore, cold push" "$out" "exec $longshore export image:example.com/app:1 $local_only -o type=registry,name=$registry/longshore:1"
	candidate "longshore, warm push" "$out" "exec $longshore export image:example.com/app:1 $local_only -o type=registry,name=$registry/longshore:1"
	candidate "longshore, between repositories" "$out" "exec $longshore export docker://$registry/longshore:1 --no-store --progress quiet -o type=registry,name=$registry/longshore/other:1"
	skopeo inspect --raw "oci:$place/layout:1" >"$place/expected"
	skopeo inspect --raw --tls-verify=false "docker://$registry/longshore/other:1" | cmp - "$place/expected"
	stop_registry
	stop_containerd
}

push_round() {
	mkdir -p "$memory"
	mount -t tmpfs -o size=75% tmpfs "$memory"
	pushing "$memory"
	umount "$memory"
}

# An image in the storage of dockerd, into archives and into a registry. saving WHERE PLACE
saving() {
	local where=$1 place=$2
	local from="--from docker-graph:$place/docker --progress quiet"
	start_docker "$place/docker"
	"$longshore" export oci-archive:"$work/g.tar" --no-store --progress quiet -o "type=docker,name=$registry/docker:1,dest=$place/load.tar"
	$docker load --quiet --input "$place/load.tar"
	rm "$place/load.tar"
	candidate "docker save, $where" "$place/save.tar" "exec $docker save --output $place/save.tar $registry/docker:1"
	rm "$place/save.tar"
	candidate "longshore save, $where" "$place/combined.tar" "exec $longshore save $registry/docker:1 $from --output $place/combined.tar"
	rm "$place/combined.tar"
	candidate "longshore save, legacy, $where" "$place/legacy.tar" "exec $longshore save $registry/docker:1 $from --format legacy --output $place/legacy.tar"
	rm "$place/legacy.tar"
	start_registry "$place/registry"
	candidate "docker push, $where" "$place/registry" "exec $docker push --quiet $registry/docker:1"
	stop_registry
	start_registry "$place/registry"
	candidate "longshore, push from dockerd's storage, $where" "$place/registry" "exec $longshore export docker-graph:$place/docker:$registry/docker:1 --no-store --progress quiet -o type=registry,name=$registry/longshore:1,push-streaming=true"
	stop_registry
	start_registry "$place/registry"
	candidate "longshore, push of docker's size, $where" "$place/registry" "exec $longshore export docker-graph:$place/docker:$registry/docker:1 --no-store --progress quiet -o type=registry,name=$registry/longshore:1,push-streaming=true,compression-level=4"
	stop_registry
	stop_docker
	rm -rf "$place/docker" "$place/registry"
}

save_round() {
	mkdir -p "$memory" "$work/disk"
	mount -t tmpfs -o size=75% tmpfs "$memory"
	saving "in memory" "$memory"
	umount "$memory"
	saving "on disk" "$work/disk"
}

# median NAME COLUMN
median() {
	awk -F'\t' -v name="$1" -v column="$2" '$1 == name { print $column }' "$work/results" | sort -n |
		awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }'
}

row() {
	printf '| %s | %s | %s | %s | %s |\n' "$1" "$(median "$1" 2)" "$(median "$1" 3)" \
		"$(($(median "$1" 4) / 1024))" "$(($(median "$1" 5) / 1000000))"
}

# ratio A B: how many times faster A is than B, by wall time and by CPU time.
ratio() {
	awk -v a="$(median "$1" 2)" -v b="$(median "$2" 2)" -v ac="$(median "$1" 3)" -v bc="$(median "$2" 3)" \
		-v name="$1" -v other="$2" \
		'BEGIN { printf "| %s | %s | %.2f | %s |\n", name, other, b / a, (ac > 0 ? sprintf("%.2f", bc / ac) : "-") }'
}

make_corpus
cargo build --release --quiet

: >"$work/results"
for _ in $(seq "$rounds"); do
	start_containerd "$work/containerd"
	round
	stop_containerd
	unpack_round
	push_round
	save_round
done

# What other scripts measured stays.
others=$(sed -n '/^## /,$p' "$page")
sha=$(grep -qw sha_ni /proc/cpuinfo && echo with || echo without)
{
	cat <<PAGE
# Benchmarks

Written by \`testdata/bench/run.sh\`: one run on one machine, rounds: $rounds ($(nproc) processors, $sha SHA
instructions), medians. Only the ratios mean anything elsewhere. The corpus is $(($(du -sb --exclude=done "$corpus" | cut -f1) / 1000000)) MB in four layers: a Debian
tree, the libraries of the Rust toolchain, 256 MiB that do not compress, 30,000 small files.

What is measured is the whole process. Longshore hashes every byte: the tar stream, the blob, and the
blob again while it is copied to its place. The others do not, so without SHA instructions a part of
its time is spent on what they leave out.

| candidate | wall, s | CPU, s | peak memory, MiB | written, MB |
|---|---|---|---|---|
PAGE
	cut -f1 "$work/results" | awk '!seen[$0]++' | while read -r name; do row "$name"; done
	cat <<PAGE

Peak memory is of the largest process of a candidate. Of \`ctr\` only the client is counted, by time and memory: what
containerd does for it is in the wall time alone. Imports read a pipe, into a store that has nothing of the image;
skopeo reads no pipe, so it is given the file. What leaves the store is compared with what came in. Pushes go to Debian's
\`docker-registry\` on this machine, which takes a good part of it for itself, with all files in memory. Of \`docker\`,
too, only the client is counted; it flushes nothing to the disk, and the daemon writes each layer to a temporary
directory first. Both push gzip; "of docker's size" is at \`compression-level=4\`, whose layers are as large as Docker's.

| | times as fast as | by wall time | by CPU time |
|---|---|---|---|
PAGE
	ratio "longshore, gzip" "tar, gzip -6"
	ratio "longshore, gzip" "tar, pigz -p2 -6"
	ratio "longshore, zstd" "tar, zstd -3 -T2"
	ratio "longshore, uncompressed" "tar alone"
	ratio "longshore, oci-archive to docker" "skopeo, oci-archive to docker-archive"
	ratio "longshore, gzip, through the store" "longshore, gzip"
	ratio "longshore import" "ctr images import --no-unpack"
	ratio "longshore import" "skopeo copy, oci-archive to oci"
	ratio "longshore, image to oci" "ctr images export"
	ratio "longshore, image to oci" "skopeo copy, oci to oci-archive"
	for where in "in memory" "on disk"; do
		ratio "longshore import and unpack, gzip, $where" "ctr images import, gzip, $where"
		ratio "longshore import and unpack, gzip, $where" "podman pull, gzip, $where"
		ratio "longshore unpack --to, gzip, $where" "umoci unpack, gzip, $where"
		ratio "longshore unpack --to, gzip, $where" "files created empty, $where"
		ratio "longshore import and unpack, zstd, $where" "ctr images import, zstd, $where"
		ratio "longshore import and unpack, zstd, $where" "podman pull, zstd, $where"
	done
	for how in cold warm; do
		ratio "longshore, $how push" "ctr images push, $how"
		ratio "longshore, $how push" "skopeo copy, $how push"
	done
	ratio "longshore, between repositories" "skopeo copy, between repositories"
	for where in "in memory" "on disk"; do
		ratio "longshore save, $where" "docker save, $where"
		ratio "longshore save, legacy, $where" "docker save, $where"
		ratio "longshore, push from dockerd's storage, $where" "docker push, $where"
		ratio "longshore, push of docker's size, $where" "docker push, $where"
	done
	[ -z "$others" ] || printf '\n%s\n' "$others"
} >"$page"
cat "$page"
