#!/usr/bin/env bash
# scripts/ec2-convert with the AWS CLI, against an EC2 of our own: ec2_checks.py on a tiny guest.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
# Its one boot takes seconds: not worth the lock on the emulator that naming QEMU here would be
need aws losetup mke2fs debugfs mmdebstrap

[ "$(id -u)" = 0 ] || skip "not root: volumes are loop devices"
losetup -f >/dev/null 2>&1 || skip "no loop devices here: volumes are loop devices"
/usr/bin/python3 -c 'import botocore' 2>/dev/null || skip "python3-botocore is not installed (scripts/install-packages)"
[[ $(/usr/bin/aws --version 2>&1) == aws-cli/2.* ]] || skip "the AWS CLI here is not version 2"

guest=$(sample tiny-busybox)
donor=$(sample donor-bookworm)
export PATH=/usr/bin:$PATH TMPDIR=$work

# The options in docs/ec2.md are those of --help
COLUMNS=100 "$PV2HVM_SOURCE_DIR/scripts/ec2-convert" --help | sed 's/^/    /; s/ *$//' >"$work/help"
check "docs/ec2.md has the options" diff "$work/help" <(sed '1,/^<!-- options: begin/d; /^<!-- options: end/,$d' "$PV2HVM_SOURCE_DIR/docs/ec2.md")
if /usr/bin/python3 "$PV2HVM_SOURCE_DIR/converter/test/ec2_checks.py" "$guest" "$donor"; then
	passed "every flow, its trouble and its permissions"
else
	failed "every flow, its trouble and its permissions"
fi
finish
