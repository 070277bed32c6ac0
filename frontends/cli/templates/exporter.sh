#!/bin/sh
# type=@TYPE@: an exporter of Longshore, a program of its own. Needs jq.
#
# It is given the files of an image as a tar archive, and writes their names to a file.
set -eu

describe='{"exporter": {
	"summary": "Names of the files of an image",
	"options": [{"key": "sorted", "help": "Sort the names", "syntax": "true|false", "default": "false"}],
	"input": "tar",
	"destination": "file"
}}'

# field REQUEST FILTER
field() {
	printf %s "$1" | jq --raw-output "$2"
}

export_() {
	output=$(field "$1" .export.output.file)
	tar --list --file "$(field "$1" .export.input.tar)" >"$output"
	[ "$(field "$1" .export.options.sorted)" != true ] || LC_ALL=C sort -o "$output" "$output"
	echo '{"exported": {}}'
}

while read -r request; do
	case $(field "$request" 'keys[0]') in
	hello) echo '{"hello": {"version": 1}}' ;;
	describe) field "$describe" 'tojson' ;;
	resolve) echo '{"resolved": {}}' ;;
	export) export_ "$request" ;;
	esac
done
