# What the scripts that boot an image have in common: options, the wait for a marker on the guest's console, and what the exit
# status says. Sourced; $program is the script's name. The script defines `start_guest`, which starts QEMU with its console in
# $log and sets $guest to its process and $where to what is said of it, and `ask_power_off`, for after the marker.
# shellcheck shell=bash disable=SC2034,SC2154

image='' marker='P2H READY' limit=600 log='' memory=1024 expected=() snapshot=on power_off=no stop='' silent=0
guest='' typist='' ending=''

say() { printf '%s\n' "$program: $*"; }
usage() { say "$*; see --help" >&2; exit 2; }

# The comment at the head of the script
show_help() { sed -n '2,/^set /{s/^# \{0,1\}//;/^set /d;p}' "$1"; }

# common_option ARGUMENT...: takes one of the options that every such script has, or the image; sets $taken to how many words
# that were, 0 where it is none of them
common_option() {
	taken=2
	case $1 in
	--marker | --timeout | --log | --memory | --expect | --stop | --silent) [ $# -ge 2 ] || usage "$1 needs a value" ;;&
	--marker) marker=$2 ;;
	--timeout) limit=$2 ;;
	--log) log=$2 ;;
	--memory) memory=$2 ;;
	--expect) expected+=("$2") ;;
	--stop) stop=$2 ;;
	--silent) silent=$2 ;;
	--write) snapshot=off taken=1 ;;
	--power-off) power_off=yes taken=1 ;;
	-*) taken=0 ;;
	*)
		[ -z "$image" ] || usage "one image at a time"
		image=$1 taken=1 ;;
	esac
}

# A directory of one's own in $work, and no QEMU that outlives the script
prepare() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/pv2hvm-$program-XXXXXX")
	trap 'kill $guest $typist 2>/dev/null || :; rm -rf "$work"' EXIT
	trap 'exit 130' INT TERM
}

# check_options TOOL...: of the common ones; sets $image, $format and $log to what QEMU is given
check_options() {
	local tool
	[ -n "$image" ] || usage "which image?"
	[[ $limit =~ ^[0-9]+$ && $memory =~ ^[0-9]+$ && $silent =~ ^[0-9]+$ ]] || usage "--timeout, --memory and --silent are whole numbers"
	[ -r "$image" ] || usage "$image cannot be read"
	image=$(realpath -- "$image")
	for tool; do
		command -v "$tool" >/dev/null || { say "$tool is not here (scripts/install-packages installs it)" >&2; exit 77; }
	done
	log=$(realpath -m -- "${log:-$work/console.log}")
	format=$(image_format "$image")
}

image_format() { qemu-img info -U --output=json -- "$1" | sed -n 's/^ \{4\}"format": "\(.*\)".*/\1/p' | head -n 1; }

# A kernel that crashed before it started init: emulation does that now and then
early_crash() {
	grep -aqE 'Oops: |double fault|general protection fault|Kernel panic - not syncing: (Fatal exception|IO-APIC)' "$log" &&
		! grep -aqE 'Run /init as init process|Loading, please wait|P2H |INIT: version|systemd\[1\]' "$log"
}

# The console's lines. A getty that writes its prompt in the middle of a report's line break leaves both on one line.
console() { tr -d '\r' <"$log" | sed 's/\(.\)\(P2H \)/\1\n\2/g'; }

# all_expected [complain]: whether every expected line is there
all_expected() {
	local regex
	for regex in ${expected[@]+"${expected[@]}"}; do
		if ! console | grep -aE -- "$regex" >/dev/null; then
			[ "${1:-}" != complain ] || say "no line of the console matches: $regex" >&2
			return 1
		fi
	done
}

running() { kill -0 "$guest" 2>/dev/null; }

# wait_for_marker START: sets $ending to the reason why it is not there
wait_for_marker() {
	local start=$1 since=$SECONDS written=0 size
	while ending="no '$marker' within $limit s"; do
		if grep -aqF -- "$marker" "$log"; then
			ending='' seen=$((SECONDS - start))
			until all_expected || [ $((SECONDS - start)) -ge $((seen + 30)) ]; do
				sleep 0.5
			done
			return
		fi
		if ! running; then
			ending="the guest ended by itself before '$marker'"
			return
		fi
		if [ -n "$stop" ] && console | grep -aE -- "$stop" >/dev/null; then
			ending="the console says that there will be no '$marker'"
			return
		fi
		size=$(stat -c %s "$log")
		[ "$size" = "$written" ] || since=$SECONDS
		written=$size
		if [ "$silent" -gt 0 ] && [ $((SECONDS - since)) -ge "$silent" ]; then
			ending="nothing on the console for $silent s"
			return
		fi
		[ $((SECONDS - start)) -lt "$limit" ] || return 0
		sleep 0.5
	done
}

# run_guest: 0 marker seen, 1 not (sets $ending to the reason)
run_guest() {
	local start=$SECONDS seen=0
	: >"$log"
	start_guest
	wait_for_marker "$start"
	if [ "$snapshot" = off ] && [ -z "$ending" ]; then
		[ "$power_off" = no ] || ask_power_off
		while running; do
			if [ $((SECONDS - start)) -ge "$limit" ]; then
				ending="the guest did not switch itself off within $limit s"
				break
			fi
			sleep 0.5
		done
	fi
	kill "$guest" 2>/dev/null || :
	wait "$guest" 2>/dev/null || :
	guest=''
	[ -z "$ending" ] && say "'$marker' after $seen s ($where)"
}

# Once more where the kernel crashed before init
run_guest_twice() {
	if ! run_guest && early_crash; then
		say "the kernel crashed before init, which emulation does now and then: once more"
		run_guest || :
	fi
}

# judge: the script's end. Prints the guest's report, or why the boot failed.
judge() {
	if [ -n "$ending" ]; then
		say "$ending; the console ended with:" >&2
		tail -n 40 -- "$log" >&2
		cat "$work/qemu.log" >&2
		exit 1
	fi
	console | grep -a '^P2H ' || :
	if ! all_expected complain; then
		tail -n 40 -- "$log" >&2
		exit 1
	fi
}
