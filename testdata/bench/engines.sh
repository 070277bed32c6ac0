#!/bin/bash
# Measures images into Docker and out of it, with both of its image stores, beside `docker load` and
# `docker save` and `skopeo copy`. As root: engines.sh TODAY TREE [ROUNDS], with a root of today's peers (testdata/README.md) and
# a directory to make images of. Each round runs every candidate once; the median of each is printed, in seconds.
set -euo pipefail
cd "$(dirname "$0")/../.."
today=$(realpath "$1") tree=$(realpath "$2") rounds=${3:-3}
longshore=${LONGSHORE:-$PWD/target/release/longshore}
[ "$(id -u)" = 0 ] || { echo "engines.sh needs to be root, for dockerd" >&2; exit 1; }
for program in docker skopeo; do
	command -v "$program" >/dev/null || { echo "engines.sh needs $program" >&2; exit 1; }
done

work=$(mktemp -d)
daemon=
stop() {
	[ -z "$daemon" ] || { kill "$(cat "$work/engine/pid")" && wait "$daemon"; } 2>/dev/null || true
	daemon=
	rm -rf "$work/engine"
}
trap 'stop; umount "$work" 2>/dev/null || true; rm -rf "$work"' EXIT
mount -t tmpfs -o size=75% tmpfs "$work"
export LONGSHORE_ROOT=$work/store DOCKER_HOST=unix://$work/engine/socket DOCKER_CONFIG=$work/settings TMPDIR=$work

# start STORE: containerd or overlay2
start() {
	mkdir -p "$work/engine/data"
	echo "{\"features\": {\"containerd-snapshotter\": $([ "$1" = containerd ] && echo true || echo false)}}" >"$work/engine/config"
	sh testdata/enter.sh "$today" "$work" env PATH=/usr/sbin:/usr/bin:/sbin:/bin dockerd --data-root "$work/engine/data" \
		--exec-root "$work/engine/exec" --pidfile "$work/engine/pid" --config-file "$work/engine/config" \
		--iptables=false --ip6tables=false --bridge=none --host "$DOCKER_HOST" >"$work/log" 2>&1 &
	daemon=$!
	for _ in $(seq 100); do
		! docker version >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	cat "$work/log" >&2
	exit 1
}

# timed NAME COMMAND...
timed() {
	local name=$1 begun ended
	shift
	begun=$(date +%s%N)
	"$@" >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
	ended=$(date +%s%N)
	echo "$name	$(((ended - begun) / 1000000))" >>"$work/times"
}

empty() {
	docker image prune --all --force >/dev/null
	rm -rf "$LONGSHORE_ROOT"
}

load() {
	"$longshore" export "docker-archive:$work/$1.tar" --progress quiet -o "type=docker,name=app:$1"
}

# By way of a file: skopeo 1.9 reads no uncompressed archive from a pipe.
save_and_skopeo() {
	docker save --output "$work/saved.tar" app:first
	skopeo --insecure-policy copy --quiet "docker-archive:$work/saved.tar" "oci:$1:first"
	rm "$work/saved.tar"
}

# round STORE
round() {
	local store=$1 place=$work/oci
	empty
	timed "$store, first: docker load" docker load --quiet --input "$work/first.tar"
	timed "$store, one changed layer: docker load" docker load --quiet --input "$work/changed.tar"
	empty
	timed "$store, first: longshore" load first
	timed "$store, one changed layer: longshore" load changed
	timed "$store, to a layout: docker save, skopeo copy" save_and_skopeo "$place/skopeo"
	timed "$store, to a layout: longshore" "$longshore" export docker-daemon:app:first --no-store --progress quiet -o "type=oci,name=first,tar=false,dest=$place/as-it-is"
	timed "$store, to a layout, gzip: longshore" "$longshore" export docker-daemon:app:first --no-store --progress quiet -o "type=oci,name=first,tar=false,force-compression=true,dest=$place/gzip"
	rm -rf "$place"
}

mkdir -p "$work/oci" "$work/layer/etc"
date >"$work/layer/etc/changed"
"$longshore" export "rootfs:$tree" --no-store --progress quiet -o "type=docker,name=app:first,dest=$work/first.tar"
"$longshore" export "docker-archive:$work/first.tar" --no-store --progress quiet --layer "$work/layer" -o "type=docker,name=app:changed,dest=$work/changed.tar"
docker --version
for store in overlay2 containerd; do
	start "$store"
	for _ in $(seq "$rounds"); do
		mkdir -p "$work/oci"
		round "$store"
	done
	stop
done
sort "$work/times" | awk -F '\t' "$(cat testdata/bench/median.awk)"'
	$1 != name { say(); name = $1; n = 0 }
	{ times[++n] = $2 }
	function say() { if (n) printf "%-60s %7.3f\n", name, median(times, n) / 1000 }
	END { say() }'
