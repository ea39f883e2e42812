# What the scripts that keep results have in common. Sourced.
# shellcheck shell=bash

# program_hash: which build $PV2HVM is, the program and the library that it is linked to
program_hash() {
	{
		cat "$PV2HVM"
		{ ldd "$PV2HVM" 2>/dev/null || :; } | awk '$1 ~ /^libpv2hvm/ { print $3 }' | xargs -r cat
	} | sha256sum | cut -c1-12
}
