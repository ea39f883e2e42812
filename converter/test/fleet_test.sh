#!/usr/bin/env bash
# scripts/fleet: manifests that are wrong, plan, run and status, retries of every state, signals, kills at each call that changes
# something, two tasks on one line, images changed in place. The schedulers' own part is in fleet_slurm_test.sh.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
# shellcheck source=small.sh
. "$(dirname "${BASH_SOURCE[0]}")/small.sh"
need python3 jq cc cpio mke2fs debugfs grub-mkimage setsid

program=$PV2HVM
unset SLURM_ARRAY_TASK_ID AWS_BATCH_JOB_ARRAY_INDEX JOB_COMPLETION_INDEX
fleet() { python3 "$PV2HVM_SOURCE_DIR/scripts/fleet" "$@"; }
field() { jq -r "$2" "$1"; }
events() { sed 's/^[^ ]* //; s/ .*//' "$1/history" | tr '\n' ' '; }

# ends WHAT STATUS REGEX COMMAND...: the program has to end so and to say this
ends() {
	local what=$1 expected=$2 regex=$3 status=0
	shift 3
	"$@" >"$work/said" 2>&1 || status=$?
	if [ "$status" = "$expected" ] && grep -qE -- "$regex" "$work/said" && ! grep -q Traceback "$work/said"; then
		passed "$what"
	else
		failed "$what: exit status $status, expected $expected and /$regex/: $(tail -n 20 "$work/said")"
	fi
}

# until_true COMMAND...: for at most 20 s
until_true() {
	local _
	for _ in $(seq 400); do
		if "$@"; then return 0; fi
		sleep 0.05
	done
	return 1
}

cd "$work"
small_donor donor
small_guest tree
small_image tree pv.raw
cp -a donor broken-donor
rm broken-donor/boot/initrd.img-*
mkdir straight
"$program" convert pv.raw --donor donor -o straight/out.raw -q
cp --sparse=always pv.raw straight/in-place.raw
"$program" convert straight/in-place.raw --donor donor --in-place -q
straight=$(sum straight/out.raw) in_place=$(sum straight/in-place.raw) source=$(sum pv.raw)
guest() { cp --sparse=always pv.raw "$1"; }

# --- Python: the oldest that this has to run on
check "no syntax that is newer than Python 3.7" python3 - "$PV2HVM_SOURCE_DIR"/scripts/fleet "$PV2HVM_SOURCE_DIR"/scripts/lib/fleet/*.py <<'P'
import ast, sys
for name in sys.argv[1:]:
    ast.parse(open(name).read(), name, **({"feature_version": (3, 7)} if sys.version_info >= (3, 8) else {}))
P

# --- manifests that are wrong: nothing is done, a line for each error
# wrong WHAT REGEX LINE...: of a CSV
wrong() {
	local what=$1 regex=$2
	shift 2
	printf '%s\n' "$@" >wrong.csv
	ends "manifest: $what" 2 "^fleet: wrong.csv: $regex" fleet run wrong.csv --index 0
	check "manifest: $what: nothing was done" test ! -e wrong.state
}
wrong "unknown column" "line 1: unknown column 'sauce'" sauce,donor a,donor
wrong "a column twice" 'line 1: a column twice' source,source a,b
wrong "no source column" 'line 1: no column' donor d
wrong "separated by semicolons" "line 1: unknown column 'source;donor'" 'source;donor' 'a;b'
wrong "empty" 'no header' ''
wrong "no lines" 'no line' source
wrong "too few fields" 'line 3: 1 fields, but the header has 2' source,donor a,d b
wrong "no source" 'line 2: no source' source,donor ,d
wrong "no donor" 'line 2: no donor' source a.raw
wrong "a name twice" 'line 3: name x: is the name of line 2 already' source,name,donor a,x,d b,x,d
wrong "a source twice" 'line 3: source .*a: is the source of line 2' source,name,donor a,x,d ./a,y,d
wrong "an output twice" 'line 3: output .*/o: is the output of line 2' source,output,donor a,o,d b,./o,d
wrong "an output that is a source" 'line 3: output .*/a: is the source of line 2' source,output,donor a,,d b,a,d
wrong "an unsafe name" "line 2: name '../x'" source,name,donor a,../x,d
wrong "bad quoting" 'line 3: unexpected end of data' source,donor a,d '"b,d'
wrong "bad quoting of options" 'line 2: options: No closing quotation' source,donor,options "a,d,--skip 'x"
for option in --report=x.json --repo -o -nq --dry-run --in-pl --donor -; do
	[ "$option" != - ] || continue
	wrong "options: $option" "line 2: options: $option: fleet sets" source,donor,options "a,d,$option x"
done
wrong "in place and an output" 'line 2: in_place and an output' source,donor,in_place,output a,d,yes,o
wrong "in_place that is neither" "line 2: in_place: 'perhaps'" source,donor,in_place a,d,perhaps
wrong "an undo file without in_place" 'line 2: undo_file without' source,donor,undo_file a,d,u
wrong "a device without an output" 'line 2: .*a device needs an output' source,donor /dev/none,d
wrong "a device in place without undo_file" 'line 2: a device that is changed in place needs' source,donor,in_place /dev/none,d,yes
wrong "an EC2 id with an output" 'line 2: output: not with an EC2 id' source,output i-0123456789abcdef0,o
wrong "an EC2 donor for a file" 'line 2: donor ami-' source,donor a,ami-01234567
printf 'source,donor\na,d\nb\xff,d\n' >bytes.csv
ends "manifest: not UTF-8" 2 'bytes.csv: line 3: not UTF-8 .byte 0xff' fleet status bytes.csv
printf '%s\n' '{"source":"a","donor":"d"' '[]' '{"source":"a","source":"b"}' '{"soruce":"a"}' '{"source":"a","options":"x"}' \
	'{"source":1}' '{"source":"a\ud800","donor":"d"}' >wrong.jsonl
ends "manifest: JSON lines" 2 "line 4: unknown member 'soruce'" fleet status wrong.jsonl
equal "manifest: JSON lines: an error each" '1 2 3 4 5 6 7' "$(sed -n 's/^fleet: wrong.jsonl: line \([0-9]*\): .*/\1/p' said | xargs)"
printf '\357\273\277source,donor,options\r\n\r\n# a comment, "with a quote\r\na.img,d,"--skip\r\n# arch"\r\n,,\r\n"b, c.img",d,\r\n' >crlf.csv
ends "manifest: BOM, CRLF, comments, blank lines, fields of several lines" 1 '2 not-run' fleet status crlf.csv
equal "its lines" 'a b__c' "$(fleet status crlf.csv --json | jq -r '.lines[].name' | xargs)"
ends "manifest: not there" 1 'none.csv: No such file' fleet status none.csv
ends "manifest: of another suffix" 2 'neither .csv nor .jsonl' fleet status pv.raw
printf '{"source":"a"}\n' >lines
ends "manifest: --format" 1 'not-run' fleet status lines --format jsonl

# --- indices
guest one.raw
printf 'source\none.raw\n' >one.csv
for index in 1 -1 x '' 99999999999; do
	ends "index '$index'" 2 'has the lines 0 to 0' fleet run one.csv --donor donor --index="$index"
done
ends "no index" 2 'which line' fleet run one.csv --donor donor
for name in SLURM_ARRAY_TASK_ID AWS_BATCH_JOB_ARRAY_INDEX JOB_COMPLETION_INDEX; do
	ends "index from $name" 2 "$name 7: " env "$name=7" python3 "$PV2HVM_SOURCE_DIR/scripts/fleet" run one.csv --donor donor
done

# --- what is not there
ends "no pv2hvm" 1 'no program pv2hvm at /nowhere' env PV2HVM=/nowhere python3 "$PV2HVM_SOURCE_DIR/scripts/fleet" run one.csv --donor donor --index 0
ends "a state directory that cannot be made" 1 'pv.raw/state: Not a directory' fleet run one.csv --donor donor --index 0 --state pv.raw/state
# shellcheck disable=SC2016
ends "no room for the state" 1 'File too large' bash -c '(ulimit -f 0; trap "" XFSZ; exec "$@") 2>&1 | cat; exit "${PIPESTATUS[0]}"' - \
	python3 "$PV2HVM_SOURCE_DIR/scripts/fleet" run one.csv --donor donor --index 0
check "no room for the state: no output" test ! -e one-hvm.raw

# --- plan, run, status
mkdir all
cd all
for name in good 'with space' flat damaged donorless hvm; do cp --sparse=always ../pv.raw "$name.raw"; done
debugfs -w -R 'ssv state 2' damaged.raw 2>/dev/null
cp --sparse=always ../straight/out.raw hvm.raw
openssl enc -aes-128-ctr -pass pass:pv2hvm -nosalt -pbkdf2 </dev/zero 2>/dev/null | head -c 4194304 >noise.raw || :
cat >m.csv <<'M'
# the fleet
name,source,donor,output,in_place,options
good,good.raw,,,,
,with space.raw,,,,
flat,flat.raw,,,yes,--layout flat --cmdline-add "quiet"
damaged,damaged.raw,,,,
donorless,donorless.raw,../broken-donor,,,
hvm,hvm.raw,,,,
noise,noise.raw,,,,
M
before=$(cat ./*.raw | sum /dev/stdin)
ends "plan" 1 'refused by donor-kernel: 1' fleet plan m.csv --donor ../donor --jobs 2
cp "$work/said" plan.said
equal "plan: nothing is changed" "$before" "$(cat ./*.raw | sum /dev/stdin)"
equal "plan: its reports" 6 "$(find m.state -name plan.json | wc -l)"
check "plan: a row that will convert" grep -qE '^0 +good .*Tiny guest +6.1.0-99-test +partition +4 +[0-9]+ +will convert$' plan.said
check "plan: the table is the kept plans'" diff plan.said <(fleet plan m.csv --donor ../donor --saved || :)
fleet plan m.csv --donor ../donor --saved --json >plan.out || :
equal "plan: verdicts" 'ready ready ready refused refused nothing-to-do failed' "$(field plan.out '.lines[].verdict' | xargs)"
equal "plan: rules" '{"donor-kernel":1,"source-state":1}' "$(jq -c .totals.refused_by plan.out)"
fleet plan m.csv --donor ../donor --saved --csv >plan.out || :
equal "plan: CSV" 'damaged source-state' "$(python3 -c 'import csv; print(*[r["name"] + " " + r["rules"] for r in csv.DictReader(open("plan.out")) if r["index"] == "3"])')"
ends "plan: with other settings there is none" 1 'planned with other settings' fleet plan m.csv --donor ../donor --saved --options '--target kvm'
ends "plan: of one line" 3 'damaged' fleet plan m.csv --donor ../donor --index 3

ends "status: nothing was run" 1 '7 not-run' fleet status m.csv
statuses=''
for index in 0 1 2 3 4 5 6; do
	status=0
	fleet run m.csv --donor ../donor --index "$index" >"run.$index" 2>&1 || status=$?
	statuses+="$status "
done
equal "run: exit statuses" '0 0 0 3 3 0 1 ' "$statuses"
equal "run: byte for byte as by hand" "$straight $straight" "$(sum good-hvm.raw) $(sum 'with space-hvm.raw')"
check "run: in place with its options" grep -q quiet m.state/flat/report.txt
check "run: reports are kept" test -s m.state/good/report.json -a -s m.state/good/report.txt -a -s m.state/damaged/report.json
check "run: the reason" grep -q 'no Linux root' run.6
equal "run: nothing is left over" '' "$(find . -name '.*.fleet' -o -name '.pv2hvm*')"
fleet status m.csv --json >status.out || :
equal "status: states" 'done done done refused refused nothing-to-do failed' "$(field status.out '.lines[].state' | xargs)"
equal "status: totals" '{"lines":7,"states":{"done":3,"failed":1,"nothing-to-do":1,"refused":2},"refused_by":{"donor-kernel":1,"source-state":1}}' \
	"$(jq -c .totals status.out)"
ends "status: text" 1 '^7 lines: 3 done, 1 failed, 1 boots as HVM already, 2 refused' fleet status m.csv
ends "status: CSV" 1 "^6,noise,.*,failed,,,pv2hvm: .*no Linux root" fleet status m.csv --csv
ends "status: totals as CSV" 1 '^refused_by,source-state,1$' fleet status m.csv --csv --totals
sed '/noise/d' m.csv >m2.csv
ends "status: only refusals are left" 3 '2 refused' fleet status m2.csv --state m.state
grep -v 'damaged\|donorless\|noise' m.csv >m3.csv
ends "status: all is done" 0 '4 lines: 3 done' fleet status m3.csv --state m.state

# --- retries: of what is finished, nothing; of the others, again
marks() { stat -c '%i %y %n' ./*-hvm.raw flat.raw; }
before=$(marks)
for index in 0 2 5; do ends "again: line $index is finished" 0 'before: nothing to do' fleet run m.csv --donor ../donor --index "$index"; done
equal "again: no output was touched" "$before" "$(marks)"
equal "again: one try" 'start converted done ' "$(events m.state/good)"
ends "again: refused" 3 'refused' fleet run m.csv --donor ../donor --index 3
ends "again: failed" 1 'failed' fleet run m.csv --donor ../donor --index 6
sed -i 's/^damaged,damaged.raw,,,,/&--repair/; s/^donorless,\(.*\),..\/broken-donor/donorless,\1,..\/donor/' m.csv
ends "refused, then repaired" 0 'converted' fleet run m.csv --donor ../donor --index 3
ends "refused, then with another donor" 0 'converted' fleet run m.csv --donor ../donor --index 4
sed -i 's/^good,good.raw,,,,/&--target kvm/' m.csv
ends "finished, then with other settings: nothing is replaced" 1 'exists already, and fleet replaces nothing' fleet run m.csv --donor ../donor --index 0
rm good-hvm.raw
ends "finished, then with other settings: again" 0 'converted' fleet run m.csv --donor ../donor --index 0
check "it has the other target" jq -e '.targets == ["kvm"]' m.state/good/report.json
ends "options that pv2hvm does not know are usage" 2 'frobnicate' fleet run m.csv --donor ../donor --index 6 --options=--frobnicate

# --- records that are broken
printf '{"state": "done", "li' >m.state/good/state.json
printf '[1]\n' >m.state/with_space/state.json
truncate -s 3000 m.state/flat/report.json
printf '{"schema_version":1,"verdict":"done","findings":7}\n' >m.state/hvm/report.json
printf '{"state":"refused","line":{"source":7}}\n' >m.state/donorless/state.json
ends "broken records: status says so" 1 'good +failed +.*state.json: broken or cut off' fleet status m.csv
equal "broken records: states" 'failed failed failed done not-run nothing-to-do failed' "$(fleet status m.csv --json | jq -r '.lines[].state' | xargs)"
ends "broken records: plan" 1 'state.json: broken' fleet plan m.csv --donor ../donor --saved
ends "a broken record is none: again" 1 'exists already' fleet run m.csv --donor ../donor --index 0
cd ..
rm -rf all

# --- formulas and control characters that a guest says of itself
mkdir said-by
cp -a tree evil
printf 'ID=x\nPRETTY_NAME="=cmd|calc\\033[2J"\n' >evil/etc/os-release
small_image evil said-by/evil.raw
printf '{"source":"said-by/evil.raw","donor":"donor"}\n' >evil.jsonl
fleet plan evil.jsonl --csv >evil.out
check "what a guest says is no formula in CSV" grep -q ",'=cmd" evil.out
equal "nor control characters" 0 "$(fleet plan evil.jsonl --saved | grep -c "$(printf '\033')")"

# --- two tasks on one line, and a task that waits. A stand-in for pv2hvm waits for a file before it starts the real one.
cat >slow <<S
#!/bin/sh
echo "\$@" >>"$work/calls"
while [ ! -e "$work/go" ]; do sleep 0.05; done
exec "$program" "\$@"
S
chmod 755 slow
called() { grep -q '^convert' calls 2>/dev/null; }
start() { PV2HVM=$work/slow python3 "$PV2HVM_SOURCE_DIR/scripts/fleet" run one.csv --donor donor --index 0 >"$1" 2>&1 & }
clear_one() { rm -rf one.state one-hvm.raw calls go one.out* two.out*; }
clear_one
start one.out
first=$!
until_true called
start two.out
second=$!
until_true grep -q 'waits for another task' two.out
ends "running: status" 1 'running' fleet status one.csv
touch go
check "two tasks: the first converts" wait "$first"
check "two tasks: the second has nothing to do" wait "$second"
check "two tasks: it says so" grep -q 'converted before: nothing to do' two.out
equal "two tasks: one conversion" '1 start converted done ' "$(grep -c '^convert' calls) $(events one.state/one)"
equal "two tasks: the result" "$straight" "$(sum one-hvm.raw)"

# SIGTERM while it converts, and while it waits for the lock
clear_one
start one.out
first=$!
until_true called
start two.out
second=$!
until_true grep -q waits two.out
kill -TERM "$second"
status=0; wait "$second" || status=$?
equal "SIGTERM while it waits for the lock" 143 "$status"
kill -TERM "$first"
status=0; wait "$first" || status=$?
equal "SIGTERM" 143 "$status"
ends "SIGTERM: status" 1 'interrupted' fleet status one.csv
equal "SIGTERM: nothing is left over" '' "$(find . -maxdepth 1 -name '.one*')"
touch go
ends "SIGTERM: the retry" 0 'converted' fleet run one.csv --donor donor --index 0
equal "SIGTERM: the result of the retry" "$straight" "$(sum one-hvm.raw)"

# kill -9 of the task alone: its pv2hvm lives on, and holds the lock with what it inherited
clear_one
start one.out
first=$!
until_true called
kill -KILL "$first"
wait "$first" 2>/dev/null || :
ends "killed, its child is not: status" 1 'running' fleet status one.csv
start two.out
second=$!
until_true grep -q waits two.out
touch go
check "killed, its child is not: the retry waits, then converts" wait "$second"
equal "killed, its child is not: the result" "$straight" "$(sum one-hvm.raw)"
equal "killed, its child is not: nothing is left over" '' "$(find . -maxdepth 1 -name '.one*')"

# --- kill -9 before each call of the task that changes something. sitecustomize is what Python loads first.
mkdir shim
cat >shim/sitecustomize.py <<'P'
import atexit, os, signal, subprocess
calls, at = 0, int(os.environ.get("KILL_AT", "0"))
def counted(real):
    def call(*words, **named):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*words, **named)
    return call
for name in ("mkdir", "replace", "rename", "link", "unlink", "rmdir", "fsync", "write", "pwrite", "ftruncate"):
    setattr(os, name, counted(getattr(os, name)))
subprocess.Popen.__init__ = counted(subprocess.Popen.__init__)
subprocess.Popen.wait = counted(subprocess.Popen.wait)
if "KILL_COUNT" in os.environ:
    atexit.register(lambda: open(os.environ["KILL_COUNT"], "w").write(str(calls)))
P
truncate -s 8M data.pv
mke2fs -q -F -t ext4 -U 5eed0000-0000-4000-8000-0000000000d1 data.pv
cat >kill.jsonl <<'M'
{"name": "files", "source": "kill/k.raw", "disks": ["kill/data.raw"], "donor": "donor"}
{"name": "placed", "source": "kill/p.raw", "in_place": true, "donor": "donor"}
{"name": "undo", "source": "kill/u.raw", "in_place": true, "undo_file": "kill/u.undo", "donor": "donor"}
M
fresh() {
	rm -rf kill kill.state
	mkdir kill
	for image in k p u; do cp --sparse=always pv.raw "kill/$image.raw"; done
	cp --sparse=always data.pv kill/data.raw
}
fresh
check "a line with two disks" fleet run kill.jsonl --index 0
whole=$(sum kill/k-hvm.raw) data=$(sum kill/data-hvm.raw)
results() {
	case $1 in
	0) printf '%s %s %s\n' "$(sum kill/k-hvm.raw)" "$(sum kill/data-hvm.raw)" "$(sum kill/k.raw)" ;;
	1) printf '%s\n' "$(sum kill/p.raw)" ;;
	esac
}
for index in 0 1; do
	fresh
	what=outputs name=files expected="$whole $data $source"
	[ "$index" = 0 ] || what="in place" name=placed expected=$in_place
	PYTHONPATH=$work/shim KILL_COUNT=$work/count fleet run kill.jsonl --index "$index" >/dev/null
	points=$(cat count) bad='' twice=0 undone=0
	for at in $(seq "$points"); do
		fresh
		status=0
		PYTHONPATH=$work/shim KILL_AT=$at fleet run kill.jsonl --index "$index" >/dev/null 2>&1 || status=$?
		[ "$status" = 137 ] || bad+=" $at(status $status)"
		fleet status kill.jsonl >status.out 2>&1 || :
		! grep -q Traceback status.out || bad+=" $at(status)"
		fleet run kill.jsonl --index "$index" >retry.out 2>&1 || bad+=" $at(retry: $(tail -n 1 retry.out))"
		[ "$(results "$index")" = "$expected" ] || bad+=" $at(result)"
		[ -z "$(find kill -name '.*')" ] || bad+=" $at(left over)"
		[ "$(jq -r .state "kill.state/$name/state.json")" = "done" ] || bad+=" $at(not done)"
		jq -e '.verdict == "done"' "kill.state/$name/report.json" >/dev/null || bad+=" $at(report)"
		[ "$(grep -c ' converted$' "kill.state/$name/history")" = 1 ] || twice=$((twice + 1))
		! grep -q ' undo$' "kill.state/$name/history" || undone=$((undone + 1))
	done
	equal "kill -9 at each of $points calls, $what: the retry does the right thing" '' "$bad"
	echo "$what: $twice of $points conversions were made again after they had been complete but not recorded; $undone undone first"
	[ "$index" = 0 ] || check "kill -9, $what: some had to be undone" test "$undone" -gt 0
done

# --- kill -9 of task and pv2hvm at moments of the conversion
bad='' killed=0
for ms in $(seq 100 40 700); do
	rm -rf one.state one-hvm.raw
	{ setsid --wait timeout -s KILL "0.$(printf %03d "$ms")" python3 "$PV2HVM_SOURCE_DIR/scripts/fleet" run one.csv --donor donor --index 0 ||
		killed=$((killed + 1)); } >/dev/null 2>&1
	fleet run one.csv --donor donor --index 0 >retry.out 2>&1 || bad+=" $ms(retry: $(tail -n 1 retry.out))"
	[ "$(sum one-hvm.raw)" = "$straight" ] || bad+=" $ms(result)"
	[ -z "$(find . -maxdepth 1 -name '.*one*' -o -maxdepth 1 -name '.pv2hvm*')" ] || bad+=" $ms(left over)"
done
equal "kill -9 after 0.1 to 0.7 s ($killed of 16 came before the end): the retry does the right thing" '' "$bad"

# --- pv2hvm killed in the middle of its writes in place: half of the image is new
cat >half.c <<'C'
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
ssize_t pwrite64(int fd, const void *data, size_t len, off64_t off)
{
	static int calls;
	char link[64], path[4096] = "";
	const char *file = getenv("KILL_FILE");
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (file && readlink(link, path, sizeof path - 1) > 0 && !strcmp(path, file) && ++calls == 3)
		kill(getpid(), SIGKILL);
	return syscall(SYS_pwrite64, fd, data, len, off);
}
C
cc -D_FILE_OFFSET_BITS=64 -shared -fPIC half.c -o half.so
fresh
for index in 1 2; do
	name=placed image=p journal=kill/p.raw.pv2hvm-undo
	[ "$index" = 1 ] || name=undo image=u journal=kill/u.undo
	ends "$name: pv2hvm killed in the middle" 1 'ended by signal 9' env LD_PRELOAD="$work/half.so" KILL_FILE="$work/kill/$image.raw" \
		python3 "$PV2HVM_SOURCE_DIR/scripts/fleet" run kill.jsonl --index "$index"
	check "$name: half of it is new" test "$(sum "kill/$image.raw")" != "$source" -a "$(sum "kill/$image.raw")" != "$in_place" -a -s "$journal"
	ends "$name: the retry" 0 converted fleet run kill.jsonl --index "$index"
	equal "$name: the retry puts it back first" 'start failed start undo converted done ' "$(events "kill.state/$name")"
	equal "$name: byte for byte as by hand" "$in_place" "$(sum "kill/$image.raw")"
	check "$name: undo" "$program" undo "kill/$image.raw" --undo-file "$journal"
	equal "$name: byte for byte as before" "$source" "$(sum "kill/$image.raw")"
done

# --- no room, for the output and for the state; then there is
if [ "$(id -u)" = 0 ] && unshare --mount sh -c 'mount -t tmpfs none /mnt' 2>/dev/null; then
	mkdir small
	printf 'source,donor,output\none.raw,donor,small/out/one.raw\n' >small.csv
	# full WHAT SIZE REGEX: small/WHAT is of this size, then larger
	full() {
		rm -rf small small.out
		mkdir -p small/out small/state
		# shellcheck disable=SC2016
		unshare --mount bash -c 'mount -t tmpfs -o "size=$1" none "small/$0" && shift
			python3 "$@"; echo "first: $?"; find small/out -mindepth 1
			mount -o remount,size=90M small/out 2>/dev/null || mount -o remount,size=90M small/state
			python3 "$@"; echo "second: $?"; openssl dgst -sha256 -r <small/out/one.raw; find small/out -mindepth 1' "$1" "$2" \
			"$PV2HVM_SOURCE_DIR/scripts/fleet" run small.csv --state small/state --index 0 >small.out 2>&1
		if grep -q "^fleet: .*$3" small.out && [ "$(grep -v fleet small.out | xargs)" = "first: 1 second: 0 $straight *stdin small/out/one.raw" ]; then
			passed "$2 for the $1: told, nothing is left over, and the retry converts"
		else
			failed "$2 for the $1: $(cat small.out)"
		fi
	}
	full out 2M 'No space left' # the output has 3.6 MB
	for size in 4k 12k 24k 36k; do full state "$size" 'small/state.*No space left'; done
else
	echo "skipped: a small file system cannot be mounted here"
fi

# --- an undo journal of somebody else's conversion is not touched
fresh
"$program" convert kill/p.raw --donor donor --in-place -q
before=$(sum kill/p.raw)
for _ in 1 2; do ends "a journal that was there" 1 'undo journal is there already' fleet run kill.jsonl --index 1; done
equal "a journal that was there: the image is as it was" "$before" "$(sum kill/p.raw)"
check "a journal that was there: so is it" test -s kill/p.raw.pv2hvm-undo

# --- nor is it where the record of the line's name is another source's, or has another form
mkdir -p other.state/x
printf '{"name":"x","source":"kill/p.raw","in_place":true,"donor":"donor"}\n' >other.jsonl
for record in "{\"version\":1,\"state\":\"interrupted\",\"journal_is_ours\":true,\"line\":{\"source\":\"$work/kill/u.raw\"}}" \
	'{"version":1,"state":"publishing"}' '{"version":1,"state":"publishing","line":[]}'; do
	printf '%s\n' "$record" >other.state/x/state.json
	ends "a record of another source or form: status" 1 'not-run|failed' fleet status other.jsonl
	ends "a record of another source or form" 1 'undo journal is there already' fleet run other.jsonl --index 0
done
equal "a record of another source or form: the image is as it was" "$before" "$(sum kill/p.raw)"

# --- EC2: what fleet says to ec2-convert, and what it makes of its files. A stand-in that does nothing but that.
cat >ec2-convert <<'S'
#!/bin/sh
echo "$*" >>calls.ec2
while [ "$1" != --run ]; do shift; done
dir=$4/$2
mkdir -p "$dir"
case $2 in
ready)
	echo '{"schema_version":1,"verdict":"ready","findings":[]}' >"$dir/plan.json"
	[ "$5" != --plan ] || exit 0
	echo '{"schema_version":1,"verdict":"done","findings":[]}' >"$dir/report.json"
	echo '{"step":"finished","ami":"ami-0123456789abcdef0"}' >"$dir/state.json" ;;
hvm) echo '{"verdict":"nothing-to-do"}' >"$dir/state.json" ;;
no)
	echo '{"schema_version":1,"verdict":"refused","findings":[{"rule":"arch","blocks":true}]}' >"$dir/plan.json"
	echo '{"verdict":"refused"}' >"$dir/state.json"
	echo 'ec2-convert: refused by arch' >&2
	exit 3 ;;
gone)
	echo 'ec2-convert: no such instance' >&2
	exit 1 ;;
esac
S
chmod 755 ec2-convert
export EC2_CONVERT=$work/ec2-convert
cat >ec2.csv <<'M'
name,source,donor,options
ready,i-0123456789abcdef0,/,--layout flat -- --repair
hvm,vol-01234567,ami-01234567,
no,snap-0123456789abcdef0,,
gone,ami-0123456789abcdef0,,
M
ends "EC2: plan" 1 'gone .*failed +ec2-convert: no such instance' fleet plan ec2.csv
equal "EC2: verdicts" 'ready nothing-to-do refused failed' "$(fleet plan ec2.csv --saved --json | jq -r '.lines[].verdict' | xargs)"
equal "EC2: what it is told" "i-0123456789abcdef0 --donor / --run ready --state-dir $work/ec2.state/ec2 --plan --layout flat -- --repair" "$(head -n 1 calls.ec2)"
statuses=''
for index in 0 1 2 3; do
	status=0
	fleet run ec2.csv --index "$index" >/dev/null 2>&1 || status=$?
	statuses+="$status "
done
equal "EC2: exit statuses" '0 0 3 1 ' "$statuses"
equal "EC2: states" 'done nothing-to-do refused failed' "$(fleet status ec2.csv --json | jq -r '.lines[].state' | xargs)"
equal "EC2: the image" ami-0123456789abcdef0 "$(fleet status ec2.csv --json | jq -r '.lines[0].output')"
equal "EC2: refused by" '{"arch":1}' "$(fleet status ec2.csv --json | jq -c .totals.refused_by)"
lines=$(wc -l <calls.ec2)
ends "EC2: again" 0 'before: nothing to do' fleet run ec2.csv --index 0
equal "EC2: again: it is not called" "$lines" "$(wc -l <calls.ec2)"

# --- a passphrase does not get into what others may read
guest key.raw
printf 'source,donor,options\nkey.raw,donor,--key all:key:geheim\n' >key.csv
check "a line with a passphrase" fleet run key.csv --index 0
equal "it is in no record" '' "$(grep -rl geheim key.state || :)"

# --- the manual
page=$PV2HVM_SOURCE_DIR/docs/fleet.md
equal "docs/fleet.md has every option, and no other one" \
	"$(for command in plan run status; do fleet "$command" --help; done | grep -o -- '--[a-z][a-z-]*' | sort -u)" \
	"$(sed -n '/^## Options/,/^## /p' "$page" | grep -o -- '^| `--[a-z-]*' | grep -o -- '--.*' | sort -u)"
for column in $(python3 -c "import sys; sys.path.insert(0, '$PV2HVM_SOURCE_DIR/scripts/lib'); from fleet.manifest import COLUMNS; print(*COLUMNS)"); do
	check "docs/fleet.md has the column $column" grep -q "^| \`$column\`" "$page"
done
finish
