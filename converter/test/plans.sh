# A report's plan as text, and the comparison with what is expected; sourced by tests. Needs jq.
# shellcheck shell=bash

# What stands in a report's plan; $rule: of this rule only, "" for all
# shellcheck disable=SC2016
jq_plan='
select(.plan) | # a converted guest has none: there is nothing to do
def ours: $rule == "" or .rule == $rule;
((.findings // [])[] | select(ours) | "\(if .blocks then "refused" else "finding" end) \(.rule) (\(.severity)): \(.evidence)\n  \(.text)\n  \(.advice)"),
(.plan | select(.) |
(if $rule == "" then "kernel: \(.kernel)", "command line: \(.cmdline)", "kept: \(.kept | join(" "))", "dropped: \(.dropped | join(" "))" else
	(.parameters[] | select(ours) | "parameter: \(.word)"),
	(if $rule == "param-pv" or $rule == "user-cmdline" then "dropped: \(.dropped | join(" "))" |
		select(. != "dropped: root=/dev/xvda1 ro" and . != "dropped: ") else empty end) end),
(.actions[] | select(ours) | "\(.kind) \(.path): \(.reason)\(if .place then ", in \(.place)" else "" end) (\(.rule))",
	(if .major then "  \(.type) device \(.major):\(.minor), mode \(.mode)" else empty end),
	(.members[]? | "  \(.path), \(.bytes) bytes: \(.why)"),
	(if .target then "link to: \(.target)" else empty end), (.diff // empty)))'

# plan_text REPORT [RULE]: without figures that change with the packages
plan_text() {
	jq -r --arg rule "${2-}" "$jq_plan" "$1" |
		sed -E -e 's/GRUB 2\.[^ ]* for BIOS/GRUB for BIOS/' -e 's/[0-9]+\/[0-9]+ (files|blocks)/N \1/g'
}

# expected WHAT FILE ACTUAL: both files are equal; with $accept=yes, FILE is made so first
expected() {
	[ "${accept-no}" = no ] || cp "$3" "$2"
	check "$1" diff -u "$2" "$3"
}
