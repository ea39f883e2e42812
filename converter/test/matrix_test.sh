#!/usr/bin/env bash
# Two cells of the matrix with the guest that boots in seconds: each target of QEMU and each layout of a new table once.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-system-x86_64 qemu-img mmdebstrap e2fsck dumpe2fs jq flock

matrix() { "$PV2HVM_SOURCE_DIR/scripts/matrix" --guests tiny-busybox --donors donor-bookworm "$@"; }

check "nitro, partition" matrix --again --targets nitro --layouts partition
check "kvm, flat" matrix --again --targets kvm --layouts flat
matrix --targets kvm --layouts flat >"$work/again"
check "what is done is not done again" grep 'done before, pass' "$work/again"

# --- a program that was built again: the boots of the same bytes stand, those of others do not
result=${PV2HVM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pv2hvm}/matrix/tiny-busybox-donor-bookworm-kvm-flat.json
jq '.program = "another"' "$result" >"$work/result" && cp "$work/result" "$result"
matrix --targets kvm --layouts flat >"$work/other"
check "the same bytes were not booted again" grep 'booted before: the same bytes' "$work/other"
equal "the result is this program's now" pass "$(matrix --targets kvm --layouts flat | sed -n 's/.*done before, //p')"
finish
