#!/bin/bash
# Measures outputs of files beside `cp -a` and `tar -cf` of the same trees, and BuildKit's of the same build where today's
# peers are installed; further outputs of one run beside `cp` and `openssl dgst` of them: `files.sh [ROUNDS]`, 3 without.
# Figures are medians of wall and CPU seconds. As root.
set -euo pipefail
rounds=${1:-3}
cd "$(dirname "$0")/../.."
longshore=$PWD/target/release/longshore
work=$PWD/target/bench
corpus=$work/corpus
mkdir -p "$work"
[ -x /usr/bin/time ] || { echo "files.sh needs /usr/bin/time (package time)" >&2; exit 1; }

. testdata/bench/corpus.sh
make_corpus
place=$work/files
results=$work/files.results
rm -rf "$place" "$results"
mkdir -p "$place"

# candidate NAME OUTPUT COMMAND…: runs it once, into nothing.
candidate() {
	local name=$1 output=$2
	shift 2
	rm -rf "${place:?}/$output"
	sync
	/usr/bin/time -f '%e %U %S' -o "$place/time" "$@" >/dev/null 2>"$place/log" || { cat "$place/log" >&2; exit 1; }
	awk -v name="$name" '{ printf "%s\t%s\t%.2f\n", name, $1, $2 + $3 }' "$place/time" >>"$results"
}

# The Docker of today, with its data in memory.
today=$PWD/target/peers/today
docker=
state=
if [ -d "$today" ]; then
	state=$(mktemp -d)
	mkdir "$state/data"
	mount -t tmpfs tmpfs "$state/data"
	echo '{"features": {"containerd-snapshotter": true}}' >"$state/config.json"
	sh testdata/enter.sh "$today" "$work" dockerd --data-root "$state/data" --exec-root "$state/exec" --pidfile "$state/pid" \
		--config-file "$state/config.json" --iptables=false --ip6tables=false --bridge=none --host "unix://$state/socket" \
		>"$state/log" 2>&1 &
	docker="env DOCKER_CONFIG=$state/client sh testdata/enter.sh $today $work docker --host unix://$state/socket"
	clean_up() {
		kill "$(cat "$state/pid")" && wait || true
		umount --lazy "$state/data"
		rm -rf "$state"
	}
	trap clean_up EXIT
	for _ in $(seq 300); do
		! $docker version >/dev/null 2>&1 || break
		sleep 0.1
	done
	for tree in system small; do
		printf 'FROM scratch\nCOPY . /\n' >"$state/Dockerfile"
		# The build is done once: what is measured is the export.
		$docker buildx build --quiet --file "$state/Dockerfile" "$corpus/$tree" >/dev/null
	done
fi

# buildkit TREE OUTPUT
buildkit() {
	[ -z "$docker" ] || candidate "BuildKit, type=$2, $1" "e.$2" $docker buildx build --quiet --file "$state/Dockerfile" \
		--output "type=$2,dest=$place/e.$2" "$corpus/$1"
}

export="$longshore export --no-store --progress quiet"
copy() { candidate "cp -a, $tree" a cp -a "$corpus/$tree" "$place/a"; }
local_files() { candidate "type=local, $tree" b $export "rootfs:$corpus/$tree" -o "type=local,dest=$place/b"; }

for round in $(seq "$rounds"); do
	for tree in system small; do
		# Whoever writes first waits for pages to be freed: they take turns.
		if [ $((round % 2)) = 0 ]; then copy; local_files; else local_files; copy; fi
		candidate "type=local again, $tree" none $export "rootfs:$corpus/$tree" -o "type=local,dest=$place/b"
		buildkit "$tree" local
		candidate "tar -cf, $tree" c.tar tar -C "$corpus/$tree" -cf "$place/c.tar" .
		candidate "type=tar, $tree" d.tar $export "rootfs:$corpus/$tree" -o "type=tar,dest=$place/d.tar"
		buildkit "$tree" tar
	done
	candidate "one output" e.tar $export "rootfs:$corpus/system" -o "type=oci,dest=$place/e.tar"
	candidate "cp and openssl dgst of it" f.tar sh -c "cp $place/e.tar $place/f.tar && openssl dgst -sha256 $place/f.tar"
	rm -f "$place/e.tar"
	candidate "two outputs" g.tar $export "rootfs:$corpus/system" -o "type=oci,dest=$place/e.tar" -o "type=docker,name=a,dest=$place/g.tar"
done

printf '| work | wall | CPU |\n|---|---|---|\n'
awk -F '\t' "$(cat testdata/bench/median.awk)"'
	!($1 in seen) { seen[$1] = 1; names[++count] = $1 }
	{ n[$1]++; wall[$1, n[$1]] = $2; cpu[$1, n[$1]] = $3 }
	END {
		for (k = 1; k <= count; k++) {
			name = names[k]
			for (r = 1; r <= n[name]; r++) { w[r] = wall[name, r]; c[r] = cpu[name, r] }
			printf "| %s | %.2f | %.2f |\n", name, median(w, n[name]), median(c, n[name])
		}
	}' "$results"
rm -rf "$place"
