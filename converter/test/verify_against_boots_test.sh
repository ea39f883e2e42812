#!/usr/bin/env bash
# What verify says of images that are changed in one place, and whether they boot: a few of scripts/verify-against-boots' cases, which has
# many more. One that is not changed, one harmless change, and three that end at different places on the way.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-system-x86_64 qemu-img mmdebstrap debugfs python3

run() { "$PV2HVM_SOURCE_DIR/scripts/verify-against-boots" --results "$work/results" "$@"; }

check "verify and the boots agree" run nothing not-active sector-0-wiped menu-unclosed initrd-without-driver
equal "each was booted, and did what it was meant to" "false,false,false,true,true" \
	"$(jq -r 'select(.boot == .harmless) | .boot' "$work/results/results.jsonl" | sort | paste -s -d ,)"
check "a second run boots nothing" run --boot /bin/false nothing sector-0-wiped
finish
