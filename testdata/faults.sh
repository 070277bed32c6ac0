#!/bin/sh
# The long run of the fault tests: every command that writes, killed, failed and without power at many points. Its figures
# replace those in docs/reliability.md. An hour or less; POINTS is per command and fault.
#
#     sh testdata/faults.sh [POINTS]
set -eu
cd "$(dirname "$0")/.."
LONGSHORE_FAULTS=${1:-40} LONGSHORE_BLESS=1 cargo test -p longshore-cli --test faults --test power_loss --test shared_layout -- --nocapture
