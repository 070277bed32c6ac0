# Third-party tools for the tests: sourced by test.sh, as root. A function that sets a variable runs in a subshell
# (its body is in parentheses): the names of the script that sources this file stay its own.

# need PROGRAM PACKAGE: notes, in install_peers, a package whose program is missing.
need() {
	command -v "$1" >/dev/null || missing="$missing $2"
}

install_peers() (
	missing=
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
	need python3 python3
	need jq jq
	need git git
	need chromium chromium
	need tmux tmux
	if [ -n "$missing" ]; then
		export DEBIAN_FRONTEND=noninteractive
		apt-get update
		# The tests start daemons of their own: those of the packages stay off, with systemd and without.
		# shellcheck disable=SC2086 # One word a package.
		SYSTEMD_OFFLINE=1 RUNLEVEL=1 apt-get install --yes --no-install-recommends $missing
	fi
)

# remove_tree TREE: of a killed run, too, which may have left mounts in it.
remove_tree() {
	umount --lazy "$1/proc" "$1/sys" "$1/dev" 2>/dev/null || true
	rm -rf --one-file-system "$1"
}

# make_tree TREE: a Debian system, whole or not there.
make_tree() {
	[ ! -d "$1" ] || return 0
	remove_tree "$1.new"
	mkdir -p "$(dirname "$1")"
	debootstrap --variant=minbase bookworm "$1.new" && mv "$1.new" "$1"
}

# The packages of make_today, and the programs in them that the tests run.
today_packages="docker.io docker-cli docker-buildx containerd runc skopeo podman buildah umoci docker-registry crane
	oras iptables"
today_programs="dockerd docker containerd ctr runc skopeo podman buildah umoci docker-registry crane oras"

# make_today ROOT: the same tools in Debian's testing suite, in a root of their own, whole or not there.
make_today() {
	[ ! -d "$1" ] || return 0
	remove_tree "$1.new"
	mkdir -p "$(dirname "$1")"
	install_today "$1.new" && mv "$1.new" "$1" && return 0
	remove_tree "$1.new"
	return 1
}

# install_today ROOT. It is called in a condition, where set -e does nothing.
install_today() (
	# The one that apt uses here.
	mirror=$(apt-get indextargets --format '$(SITE) $(RELEASE)' 2>/dev/null | sed -n 's/ bookworm$//p' | head -n 1)
	# The debootstrap of Debian 12 has no script of that name: sid's is the same.
	debootstrap --variant=minbase --include=ca-certificates forky "$1" "${mirror:-http://deb.debian.org/debian}" \
		/usr/share/debootstrap/scripts/sid || return 1
	printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d" && chmod +x "$1/usr/sbin/policy-rc.d" || return 1
	# A mirror's copy of the suite may be some weeks old.
	today_apt "$1" update || return 1
	# shellcheck disable=SC2086 # One word a package.
	today_apt "$1" install --yes --no-install-recommends $today_packages || return 1
	rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*
	for program in $today_programs; do
		[ -x "$1/usr/bin/$program" ] || [ -x "$1/usr/sbin/$program" ] || { echo "there is no $program in $1" >&2; return 1; }
	done
)

# today_apt ROOT [ARGUMENT]...
today_apt() (
	root=$1
	shift
	sh testdata/enter.sh "$root" /tmp env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		apt-get -o Acquire::Check-Valid-Until=false "$@"
)

# today_versions ROOT: what is there, a line each.
today_versions() {
	# shellcheck disable=SC2086 # One word a package.
	sh testdata/enter.sh "$1" /tmp dpkg-query --show --showformat '${Package} ${Version}\n' $today_packages
}
