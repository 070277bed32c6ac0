#!/bin/sh
# enter.sh ROOT SHARED COMMAND [ARGUMENT]...: runs a command of another root, as root. It sees /proc, /sys, /dev, /tmp and
# the directory SHARED of this machine at their own paths; its /run is empty. Its mounts are in a namespace of its own
# and end with it, and the root is pivoted, so that daemons can mount what they want.
set -eu
exec unshare --mount sh -euc '
	root=$1 shared=$2 here=$(pwd -P)
	shift 2
	# To pivot, a root must be a mount point.
	mount --bind "$root" "$root"
	for directory in /proc /sys /dev /tmp; do
		mount --rbind "$directory" "$root$directory"
	done
	mount -t tmpfs tmpfs "$root/run"
	for directory in "$shared" "${TMPDIR:-/tmp}"; do
		[ "$directory" = /tmp ] || { mkdir -p "$root$directory" && mount --rbind "$directory" "$root$directory"; }
	done
	cd "$root"
	pivot_root . .
	umount --lazy .
	cd "$here" 2>/dev/null || cd /
	exec "$@"
' sh "$@"
