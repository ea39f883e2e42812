#!/usr/bin/env bash
# scripts/fleet as a Slurm array: a controller and a node of our own on the loopback address, ended with the test. A task is requeued
# while it runs, another one is killed, the node's daemon is killed and started again; then the whole array runs once more. Every line
# ends as it should, and nothing is converted twice.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
# shellcheck source=small.sh
. "$(dirname "${BASH_SOURCE[0]}")/small.sh"
need slurmctld slurmd munged sbatch squeue scontrol python3 jq cc cpio mke2fs debugfs grub-mkimage
[ "$(id -u)" = 0 ] || skip "slurmd and munged of our own need root"

program=$PV2HVM
unset "${!SLURM_@}" "${!SBATCH_@}" AWS_BATCH_JOB_ARRAY_INDEX JOB_COMPLETION_INDEX
cd "$work"

# --- Slurm
until_true() {
	local _
	for _ in $(seq 300); do
		if "$@" >/dev/null 2>&1; then return 0; fi
		sleep 0.1
	done
	return 1
}
read -r port_of_controller port_of_node < <(python3 -c 'import socket
s = [socket.socket() for _ in range(2)]
for one in s: one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in s])')
mkdir slurm slurm/state slurm/spool
head -c 1024 /dev/urandom >slurm/munge.key
chmod 400 slurm/munge.key
cat >slurm/slurm.conf <<C
ClusterName=fleet
SlurmctldHost=$(uname -n | cut -d. -f1)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthInfo=socket=$work/slurm/munge.socket
SlurmctldPort=$port_of_controller
SlurmdPort=$port_of_node
SlurmctldPidFile=$work/slurm/slurmctld.pid
SlurmdPidFile=$work/slurm/slurmd.pid
StateSaveLocation=$work/slurm/state
SlurmdSpoolDir=$work/slurm/spool
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_min_interval=50000,sched_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
MailProg=/bin/true
KillWait=10
NodeName=node0 NodeAddr=127.0.0.1 CPUs=4 RealMemory=65536
PartitionName=main Nodes=node0 Default=YES
C
# slurmd looks for cgroups on its own, and ends where nothing is mounted, unless it is told of a kind
echo 'CgroupPlugin=cgroup/v1' >slurm/cgroup.conf
export SLURM_CONF=$work/slurm/slurm.conf
start_slurmd() {
	slurmd -D -N node0 >>slurm/slurmd.log 2>&1 &
	slurmd=$!
}
stop_slurm() {
	scancel --state=running,pending 2>/dev/null || :
	until_true nothing_runs
	kill "$slurmd" "$slurmctld" "$munged" 2>/dev/null || :
	wait "$slurmd" "$slurmctld" "$munged" 2>/dev/null || :
}
nothing_runs() { [ -z "$(squeue -h -t running,completing)" ]; }
munged --foreground --force --key-file=slurm/munge.key --socket="$work/slurm/munge.socket" --pid-file="$work/slurm/munged.pid" \
	--seed-file="$work/slurm/munged.seed" --log-file="$work/slurm/munged.log" 2>/dev/null &
munged=$!
until_true test -S slurm/munge.socket
slurmctld -D -i >slurm/slurmctld.log 2>&1 &
slurmctld=$!
start_slurmd
defer stop_slurm
is_idle() { [ "$(sinfo -h -o %t)" = idle ]; }
check "a Slurm of our own starts" until_true is_idle
[ "$failures" = 0 ] || { tail -n 5 slurm/*.log; finish; }

# --- the images: 24 lines, each converted with another kernel parameter
small_donor donor
small_guest tree
small_image tree pv.raw
cp -a donor broken-donor
rm broken-donor/boot/initrd.img-*
mkdir images by-hand held
"$program" convert pv.raw --donor donor -o hvm.raw -q
echo name,source,donor,in_place,options >m.csv
for i in $(seq 0 23); do
	donor='' in_place='' image=pv.raw
	case $i in
	3) in_place=yes ;;
	8) donor=broken-donor ;;
	11) image=hvm.raw ;;
	esac
	cp --sparse=always "$image" "images/$i.raw"
	printf 'n%s,images/%s.raw,%s,%s,--cmdline-add line=%s\n' "$i" "$i" "$donor" "$in_place" "$i" >>m.csv
	case $i in
	6) debugfs -w -R 'ssv state 2' images/6.raw 2>/dev/null ;;
	8 | 11) ;;
	9) head -c 20000000 pv.raw >images/9.raw ;;
	3) cp --sparse=always pv.raw by-hand/3.raw && "$program" convert by-hand/3.raw --in-place --donor donor --cmdline-add "line=$i" -q ;;
	*) "$program" convert "images/$i.raw" --donor donor --cmdline-add "line=$i" -o "by-hand/$i.raw" -q ;;
	esac
done
expected() {
	case $1 in
	6 | 8) echo refused ;;
	9) echo failed ;;
	11) echo nothing-to-do ;;
	*) echo "done" ;;
	esac
}

# A stand-in for pv2hvm counts, and waits while its image is held
cat >slow <<S
#!/bin/sh
name=\$(basename "\$2" .raw)
echo "\$1 \$name" >>"$work/calls"
while [ -e "$work/held/\$name" ]; do sleep 0.1; done
exec "$program" "\$@"
S
chmod 755 slow
: >calls
export FLEET=$PV2HVM_SOURCE_DIR/scripts/fleet
fleet() { PV2HVM=$program python3 "$FLEET" "$@"; }
submit() { PV2HVM=$work/slow sbatch --parsable --output="$work/%A_%a.log" "$@"; }
script=$PV2HVM_SOURCE_DIR/scripts/fleet.d/slurm.sbatch
called() { grep -qx "convert $1" calls; }
is_over() { [ -z "$(squeue -h -r -j "$1" 2>/dev/null)" ]; }
wait_for() { until_true is_over "$1" || until_true is_over "$1" || failed "job $1 does not end: $(squeue -r -j "$1")"; }
exit_code() { scontrol show job "$1" | grep -o ' ExitCode=[^ ]*' | cut -d= -f2; }
events() { sed 's/^[^ ]* //; s/ .*//' "m.state/n$1/history" | tr '\n' ' '; }
has_event() { grep -q " $2" "m.state/n$1/history"; }

# --- the array; lines 1, 5 and 7 are held, so that there is time to do something to them
touch held/1 held/5 held/7
job=$(submit --array=0-23 "$script" m.csv --donor donor)
check "lines 1, 5 and 7 run" eval 'until_true called 1 && until_true called 5 && until_true called 7'
equal "status knows of them" 3 "$(fleet status m.csv --json | jq -r .totals.states.running)"

scontrol requeue "${job}_1"
check "line 1, requeued while it runs: told to end" until_true has_event 1 interrupted
requeued() { scontrol show job "${job}_1" | grep -q 'JobState=PENDING'; }
check "line 1 waits for its second start" until_true requeued
rm held/1
# Slurm waits for two minutes before it starts a requeued job
scontrol update JobId="${job}_1" StartTime=now

{ kill -KILL "$slurmd" && wait "$slurmd"; } 2>/dev/null || :
rm held/5
check "line 5 goes on while the node's daemon is gone" until_true has_event 5 'done'
start_slurmd

task=$(grep -o '[0-9]*$' m.state/n7/run.lock)
kill -KILL "$task"
rm held/7
wait_for "$job"
equal "exit codes that Slurm has seen: done, refused, failed, already HVM" '0:0 3:0 1:0 0:0' \
	"$(for i in 0 6 9 11; do exit_code "${job}_$i"; done | xargs)"
equal "of the killed one: a signal" '0:9' "$(exit_code "${job}_7")"
states() { fleet status m.csv --json | jq -r '.lines[].state' | xargs; }
equal "all lines but the killed one are where they should be" \
	"$(for i in $(seq 0 23); do if [ "$i" = 7 ]; then echo interrupted; else expected "$i"; fi; done | xargs)" "$(states)"

# --- once more: what is finished stays as it is
marks() { (cd images && for i in $(seq 0 23); do [ "$i" = 7 ] || stat -c '%n %i %y %s' "$i"*; done); }
before=$(marks) converted=$(grep -c '' calls)
job=$(submit --array=0-23 "$script" m.csv --donor donor)
wait_for "$job"
equal "again: all lines are where they should be" "$(for i in $(seq 0 23); do expected "$i"; done | xargs)" "$(states)"
equal "again: no file of a finished line was touched" "$before" "$(marks)"
equal "again: only the killed, the refused and the failed ones were tried" "$((converted + 4))" "$(grep -c '' calls)"
equal "totals" '{"lines":24,"states":{"done":20,"failed":1,"nothing-to-do":1,"refused":2},"refused_by":{"donor-kernel":1,"source-state":1}}' \
	"$(fleet status m.csv --json | jq -c .totals)"
same='' twice=''
for i in $(seq 0 23); do
	result=images/$i-hvm.raw
	[ "$i" != 3 ] || result=images/3.raw
	case $(expected "$i") in
	done)
		cmp -s "$result" "by-hand/$i.raw" || same+=" $i"
		[ "$(grep -c ' converted$' "m.state/n$i/history")" = 1 ] || twice+=" $i" ;;
	*) [ ! -e "images/$i-hvm.raw" ] || same+=" $i" ;;
	esac
done
equal "byte for byte as by hand" '' "$same"
equal "no line was converted twice" '' "$twice"
equal "the requeued line's history" 'start interrupted start converted done ' "$(events 1)"
equal "the history of the line that saw the node's daemon end" 'start converted done ' "$(events 5)"
equal "the killed line's history" 'start start converted done ' "$(events 7)"
equal "nothing is left over" '' "$(find images -name '.*' -mindepth 1)"

# --- how long it takes: printed, not judged
export PV2HVM=$program
head -n 9 m.csv | sed 's/,yes,/,,/; s/,broken-donor,/,,/' >time.csv
for workers in 1 2; do
	rm -f images/*-hvm.raw
	cp --sparse=always pv.raw images/3.raw
	start=${EPOCHREALTIME/./}
	job=$(sbatch --parsable --output=/dev/null --array="0-7%$workers" "$script" time.csv --donor donor --state "time.$workers")
	wait_for "$job"
	printf '8 lines, %s at a time: %s ms (7 conversions of 48 MiB and a refusal)\n' "$workers" $(((${EPOCHREALTIME/./} - start) / 1000))
	check "$workers at a time: all are over" test "$(fleet status time.csv --state "time.$workers" --json | jq -c .totals.states)" = '{"done":7,"refused":1}'
done

stop_slurm
left() { local pid; for pid in "$slurmd" "$slurmctld" "$munged"; do if kill -0 "$pid" 2>/dev/null; then echo "$pid"; fi; done; }
equal "nothing of Slurm runs any more" '' "$(left)"
finish
