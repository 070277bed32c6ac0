#!/bin/sh
# Runs all tests. As root, those that ask the readers of other projects run too: see testdata/README.md.
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
. testdata/peers.sh

# How long tests of random inputs look for more than the inputs that they always try, in seconds.
export LONGSHORE_FUZZ="${LONGSHORE_FUZZ:-60}"

# What is said last, where the log of the tests does not hide it.
notice="the peers of today were not asked: that needs root"
if [ "$(id -u)" = 0 ]; then
	install_peers
	tree=$PWD/target/peers/minbase
	if make_tree "$tree"; then
		export LONGSHORE_TEST_TREE="$tree" LONGSHORE_REQUIRE_PEERS=1
	else
		echo "testdata/test.sh: debootstrap failed: there is no tree to give to other readers" >&2
		[ -z "${CI:-}" ] || exit 1
	fi
	today=$PWD/target/peers/today
	if make_today "$today"; then
		export LONGSHORE_TODAY="$today"
		echo "testdata/test.sh: the peers of today, in $today:"
		today_versions "$today"
		notice=
	else
		notice="the peers of today could not be installed: only Debian 12's were asked"
	fi
fi

status=0
cargo test --workspace "$@" || status=$?
[ -z "$notice" ] || echo "testdata/test.sh: $notice" >&2
exit "$status"
