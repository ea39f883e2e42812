#!/usr/bin/env bash
# Helpers (qemu-nbd) are started without a shell, with an environment of our making, and end with the program, even when it is killed.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-img qemu-nbd

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
finish
