#!/usr/bin/env bash
# The ready files in scripts/fleet.d are what their services take, as far as that can be known without them: AWS Batch's by botocore's
# model of it, Kubernetes' by the fields of a Job, Slurm's by bash (fleet_slurm_test.sh submits it).
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need jq
# Debian's packages, not those of another Python that comes first in PATH
python=/usr/bin/python3
"$python" -c 'import botocore, yaml' 2>/dev/null || skip "python3-botocore and python3-yaml are not installed (scripts/install-packages)"
ready=$PV2HVM_SOURCE_DIR/scripts/fleet.d
fleet=$PV2HVM_SOURCE_DIR/scripts/fleet

check "Batch: the definition, by botocore's model" "$python" - "$ready/batch-job-definition.json" <<'P'
import json, sys
import botocore.session, botocore.validate
model = botocore.session.get_session().get_service_model("batch").operation_model("RegisterJobDefinition").input_shape
data = json.load(open(sys.argv[1]))
report = botocore.validate.ParamValidator().validate(data, model)
assert not report.has_errors(), report.generate_report()
def values(shape, data, path):
    """What the validator leaves out: members that the model does not know, and enumerations."""
    if shape.type_name == "structure":
        for key, value in data.items():
            assert key in shape.members, path + "." + key
            values(shape.members[key], value, path + "." + key)
    elif shape.type_name == "list":
        for value in data:
            values(shape.member, value, path + "[]")
    elif shape.type_name == "string" and shape.enum:
        assert data in shape.enum, (path, data, shape.enum)
values(model, data, "")
P
equal "Batch: a refused line is not tried again, nor is a wrong one" '2 EXIT 3 EXIT' \
	"$(jq -r '.retryStrategy.evaluateOnExit[] | "\(.onExitCode) \(.action)"' "$ready/batch-job-definition.json" | xargs)"
equal "Batch: every Ref:: has a default" '' \
	"$(jq -r '.parameters as $known | .containerProperties.command[] | select(startswith("Ref::")) | ltrimstr("Ref::") | select($known[.] | not)' "$ready/batch-job-definition.json")"

check "Kubernetes: the fields of an Indexed Job" "$python" - "$ready/kubernetes-job.yaml" <<'P'
import sys, yaml
job = yaml.safe_load(open(sys.argv[1]))
# Kubernetes API reference, batch/v1 Job and core/v1 Pod, version 1.29: name: type, or a structure; a list holds what its items are
probe, fields = {"name": str, "value": str}, lambda **named: named
pod = fields(restartPolicy=str, terminationGracePeriodSeconds=int, automountServiceAccountToken=bool,
             securityContext=fields(runAsNonRoot=bool, runAsUser=int, runAsGroup=int, fsGroup=int),
             containers=[fields(name=str, image=str, command=[str], args=[str], env=[probe], volumeMounts=[fields(name=str, mountPath=str, readOnly=bool)],
                                resources=fields(requests=fields(cpu=str, memory=str), limits=fields(cpu=str, memory=str)),
                                securityContext=fields(allowPrivilegeEscalation=bool, readOnlyRootFilesystem=bool, capabilities=fields(drop=[str])))],
             volumes=[fields(name=str, persistentVolumeClaim=fields(claimName=str, readOnly=bool), emptyDir=fields(sizeLimit=str))])
rule = fields(action=str, onExitCodes=fields(containerName=str, operator=str, values=[int]), onPodConditions=[fields(type=str, status=str)])
shape = fields(apiVersion=str, kind=str, metadata=fields(name=str, labels=dict),
               spec=fields(completionMode=str, completions=int, parallelism=int, backoffLimit=int, backoffLimitPerIndex=int, maxFailedIndexes=int,
                           podFailurePolicy=fields(rules=[rule]), template=fields(metadata=fields(labels=dict), spec=pod)))
def fits(data, shape, path):
    if isinstance(shape, dict):
        assert isinstance(data, dict), path
        for key, value in data.items():
            assert key in shape, path + "." + key + ": no such field"
            fits(value, shape[key], path + "." + key)
    elif isinstance(shape, list):
        assert isinstance(data, list) and data, path
        for value in data:
            fits(value, shape[0], path + "[]")
    else:
        assert type(data) is shape, "%s: %r" % (path, data)
fits(job, shape, "")
spec = job["spec"]
assert (job["apiVersion"], job["kind"], spec["completionMode"]) == ("batch/v1", "Job", "Indexed")
# What the API server asks of them together
assert spec["template"]["spec"]["restartPolicy"] == "Never"  # podFailurePolicy and backoffLimitPerIndex
assert spec["maxFailedIndexes"] <= spec["completions"]
names = [container["name"] for container in spec["template"]["spec"]["containers"]]
rules = spec["podFailurePolicy"]["rules"]
for one in rules:
    assert one["action"] in ("FailJob", "FailIndex", "Ignore", "Count")
    assert ("onExitCodes" in one) != ("onPodConditions" in one)
    if "onExitCodes" in one:
        codes = one["onExitCodes"]
        assert codes["operator"] in ("In", "NotIn") and codes["containerName"] in names
        assert codes["values"] == sorted(set(codes["values"])) and 0 not in codes["values"]
assert rules[0]["action"] == "FailIndex" and rules[0]["onExitCodes"]["values"] == [2, 3]
mounts = {mount["name"] for container in spec["template"]["spec"]["containers"] for mount in container["volumeMounts"]}
assert mounts == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}
P

check "Slurm: the script is bash" bash -n "$ready/slurm.sbatch"

# Each calls fleet as fleet is called
for words in "$(jq -r '.parameters as $p | .containerProperties.command[1:] | map(if startswith("Ref::") then $p[ltrimstr("Ref::")] else . end) | join(" ")' "$ready/batch-job-definition.json")" \
	"$("$python" -c 'import sys, yaml; print(*yaml.safe_load(open(sys.argv[1]))["spec"]["template"]["spec"]["containers"][0]["command"][1:])' "$ready/kubernetes-job.yaml")"; do
	read -r -a call <<<"$words"
	status=0
	"$fleet" "${call[@]}" >"$work/said" 2>&1 || status=$?
	check "fleet ${call[*]}: is a call that it takes" grep -q 'No such file' "$work/said"
done
finish
