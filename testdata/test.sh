#!/bin/sh
# Runs all tests. As root, those that ask the readers of other projects run too: see testdata/README.md.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"

# need PROGRAM PACKAGE: notes a package whose program is missing.
missing=
need() {
	command -v "$1" >/dev/null || missing="$missing $2"
}

install_peers() {
	need skopeo skopeo
	need umoci umoci
	need containerd containerd
	need ctr containerd
	need oci-image-tool oci-image-tool
	need docker-registry docker-registry
	need openssl openssl
	need podman podman
	need dockerd docker.io
	need docker docker.io
	need debootstrap debootstrap
	need strace strace
	need zstd zstd
	need gzip gzip
	need tar tar
	if [ -n "$missing" ]; then
		export DEBIAN_FRONTEND=noninteractive
		apt-get update
		# The tests start daemons of their own: those of the packages stay off, with systemd and without.
		# shellcheck disable=SC2086 # One word a package.
		SYSTEMD_OFFLINE=1 RUNLEVEL=1 apt-get install --yes --no-install-recommends $missing
	fi
}

# make_tree TREE: a Debian system, whole or not there.
make_tree() {
	[ ! -d "$1" ] || return 0
	# What a killed run left may still have /proc and /sys mounted.
	umount --lazy "$1.new/proc" "$1.new/sys" 2>/dev/null || true
	rm -rf --one-file-system "$1.new"
	mkdir -p "$(dirname "$1")"
	debootstrap --variant=minbase bookworm "$1.new" && mv "$1.new" "$1"
}

if [ "$(id -u)" = 0 ]; then
	install_peers
	tree=$PWD/target/peers/minbase
	if make_tree "$tree"; then
		export LONGSHORE_TEST_TREE="$tree" LONGSHORE_REQUIRE_PEERS=1
	else
		echo "testdata/test.sh: debootstrap failed: there is no tree to give to other readers" >&2
		[ -z "${CI:-}" ] || exit 1
	fi
fi

cargo test --workspace "$@"
