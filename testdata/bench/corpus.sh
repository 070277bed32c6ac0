# The corpus of the measurements: about 1 GB of a system, libraries, noise, and 30,000 small files.
# Sourced; $corpus says where it goes.

make_corpus() {
	[ ! -f "$corpus/done" ] || return 0
	rm -rf "$corpus"
	mkdir -p "$corpus"/{system,libraries,random,small}
	cp -a "${LONGSHORE_TEST_TREE:-target/peers/minbase}/usr" "$corpus/system/"
	# The libraries of the toolchain: what compiled images are full of.
	cp -a "$(rustc --print sysroot)/lib" "$corpus/libraries/"
	# A key stream does not compress, and is the same every time.
	openssl enc -aes-128-ctr -nosalt -k longshore -pbkdf2 -in /dev/zero 2>/dev/null |
		head -c $((256 << 20)) >"$corpus/random/file" || true
	awk -v root="$corpus/small" 'BEGIN {
		srand(1)
		for (i = 0; i < 30000; i++) {
			if (i % 100 == 0) { dir = root "/" int(i / 100); system("mkdir -p " dir) }
			file = dir "/" i ".json"
			lines = 1 + int(rand() * 40)
			for (line = 0; line < lines; line++) printf "{\"id\": %d, \"value\": %.6f}\n", i, rand() > file
			close(file)
		}
	}'
	touch "$corpus/done"
}
