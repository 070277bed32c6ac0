#!/bin/sh
# Tests longshore-exporter-@TYPE@: what every exporter promises.
set -eu
cd "$(dirname "$0")"
exec cargo test "$@"
