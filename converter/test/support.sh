# What the end-to-end tests share; sourced. Every check prints a line; `finish` ends the test with its verdict.
# shellcheck shell=bash

: "${PV2HVM_SOURCE_DIR:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${PV2HVM:=$PV2HVM_SOURCE_DIR/build/converter/pv2hvm}"
export PV2HVM PV2HVM_SOURCE_DIR LC_ALL=C PATH=$PATH:/usr/sbin:/sbin

checks=0 failures=0
work=$(mktemp -d "${TMPDIR:-/tmp}/pv2hvm-test-XXXXXX")
at_exit=()

# defer COMMAND...: runs at the end, last one first, whatever happens
defer() {
	local quoted
	printf -v quoted '%q ' "$@"
	at_exit=("$quoted" ${at_exit[@]+"${at_exit[@]}"})
}

clean_up() {
	local command
	for command in ${at_exit[@]+"${at_exit[@]}"}; do
		eval "$command" || :
	done
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

skip() { printf 'SKIP: %s\n' "$*"; exit 77; }

passed() { checks=$((checks + 1)); printf 'ok: %s\n' "$*"; }

failed() {
	checks=$((checks + 1))
	failures=$((failures + 1))
	printf 'FAILED: %s\n' "$*"
}

# check WHAT COMMAND...: the command has to succeed; its output is shown when it does not
check() {
	local what=$1
	shift
	if "$@" >"$work/check.out" 2>&1; then
		passed "$what"
	else
		failed "$what (exit status $?: $*)"
		tail -n 60 "$work/check.out" | sed 's/^/    /'
	fi
}

# equal WHAT EXPECTED ACTUAL
equal() {
	if [ "$2" = "$3" ]; then
		passed "$1"
	else
		failed "$1: expected '$2', got '$3'"
	fi
}

# refused WHAT STATUS REGEX COMMAND...: the program has to end so, with one line that says why
refused() {
	local what=$1 expected=$2 regex=$3 status=0
	shift 3
	"$@" >/dev/null 2>"$work/stderr" || status=$?
	equal "$what: exit status" "$expected" "$status"
	check "$what: one line that says why" grep -qE "^pv2hvm: .*$regex" "$work/stderr"
	equal "$what: one line" 1 "$(wc -l <"$work/stderr")"
}

finish() {
	printf '%s checks, %s failed\n' "$checks" "$failures"
	[ "$checks" -gt 0 ] && [ "$failures" = 0 ]
	exit
}

need() {
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip "$tool is not installed (scripts/install-packages)"
	done
}

# The path of a sample image, made first where it is not there yet
sample() {
	local path
	if ! path=$("$PV2HVM_SOURCE_DIR/scripts/make-test-images" "$1" 2>"$work/sample.log"); then
		sed 's/^/    /' "$work/sample.log" >&2
		return 1
	fi
	printf '%s\n' "$path"
}

# openssl uses the processor's instructions for it, which coreutils' sha256sum does not: seven times as fast
sum() { openssl dgst -sha256 -r <"$1" | cut -d' ' -f1; }

# guestfish and pv2hvm's own use of libguestfs, without KVM where that is there and does not work
use_libguestfs() {
	export LIBGUESTFS_BACKEND=direct
	if ! grep -q kvm <("$PV2HVM_SOURCE_DIR/scripts/boot-image" --accel); then export LIBGUESTFS_BACKEND_SETTINGS=force_tcg; fi
}

boot() { "$PV2HVM_SOURCE_DIR/scripts/boot-image" "$@"; }

need openssl
[ -x "$PV2HVM" ] || { echo "no program at $PV2HVM: run scripts/build, or set PV2HVM" >&2; exit 1; }
