#!/bin/sh
# Tests longshore-exporter-@TYPE@: what every exporter promises.
set -eu
exec "${LONGSHORE:-longshore}" plugin test "$(dirname "$0")/longshore-exporter-@TYPE@"
