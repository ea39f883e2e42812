#!/usr/bin/env bash
# Helpers (qemu-nbd, e2fsck) are started without a shell, with an environment of our making, and end with the program, even when it is killed.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-img qemu-nbd e2fsck

guest=$(sample tiny-busybox)
donor=$(sample donor-bookworm)
qemu-img convert -q -O qcow2 "$guest" "$work/guest.qcow2"

# helpers_of PID: process ids of its children
helpers_of() { cat /proc/"$1"/task/*/children 2>/dev/null || :; }
is_nbd() { [ "$(cat "/proc/$1/comm" 2>/dev/null)" = qemu-nbd ]; }
alive() { local pid; for pid; do ! is_nbd "$pid" || printf '%s ' "$pid"; done; }

# With a helper for the source alone, and with one for the output as well
for output in "$work/out.qcow2" "$work/out.raw"; do
	SECRET=of-the-user TMPDIR=$work "$PV2HVM" convert "$work/guest.qcow2" --donor "$donor" -o "$output" >/dev/null 2>&1 &
	program=$!
	nbd='' environment=''
	for _ in $(seq 500); do
		for pid in $(helpers_of "$program"); do
			if is_nbd "$pid"; then nbd+=" $pid"; fi
		done
		[ -z "$nbd" ] || break
		kill -0 "$program" 2>/dev/null || break
		sleep 0.01
	done
	read -r -a found <<<"$nbd"
	check "a qcow2 has its qemu-nbd" [ "${#found[@]}" -gt 0 ]
	[ "${#found[@]}" -gt 0 ] || continue
	environment=$(tr '\0' '\n' <"/proc/${found[0]}/environ" | sed 's/=.*//' | sort | tr '\n' ' ')
	equal "its environment" 'LC_ALL LISTEN_FDS LISTEN_PID ' "$environment"
	sleep 0.3
	read -r -a found <<<"$(helpers_of "$program")"
	kill -KILL "$program" 2>/dev/null || failed "it ended too soon to be killed"
	wait "$program" 2>/dev/null || :
	for _ in $(seq 20); do
		[ -n "$(alive "${found[@]}")" ] || break
		sleep 0.1
	done
	equal "killed: no helper is left after two seconds (${#found[@]} ran)" '' "$(alive "${found[@]}")"
	check "the source can be opened again" "$PV2HVM" inspect "$work/guest.qcow2"
	rm -f "$work"/out* "$work"/.[!.]* 2>/dev/null || :
done

# A check of the source that never comes to its end, beside the conversion
printf '#!/bin/sh\nexec sleep 1000\n' >"$work/e2fsck"
chmod 755 "$work/e2fsck"
mkdir "$work/out"
if [ "$(id -u)" = 0 ] && unshare --mount mount --bind "$work/e2fsck" "$(command -v e2fsck)" 2>/dev/null; then
	for signal in 15 9; do
		# shellcheck disable=SC2016
		unshare --mount sh -c 'mount --bind "$0" "$(command -v e2fsck)" && exec "$@"' "$work/e2fsck" \
			"$PV2HVM" convert "$guest" --donor "$donor" -o "$work/out/guest.raw" >/dev/null 2>&1 &
		program=$! pid='' status=0
		for _ in $(seq 500); do
			for pid in $(helpers_of "$program"); do
				[ "$(cat "/proc/$pid/comm" 2>/dev/null)" != sleep ] || break 2
			done
			sleep 0.02
		done
		kill -"$signal" "$program" 2>/dev/null || failed "signal $signal: it ended before its check"
		wait "$program" 2>/dev/null || status=$?
		equal "signal $signal: ends by it, not waiting for the check" $((128 + signal)) "$status"
		for _ in $(seq 20); do
			[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = sleep ] || break
			sleep 0.1
		done
		check "signal $signal: no check is left" test "$(cat "/proc/$pid/comm" 2>/dev/null)" != sleep
		equal "signal $signal: no output" '' "$(find "$work/out" -mindepth 1)"
	done
else
	echo "skipped: e2fsck cannot be replaced here"
fi
finish
