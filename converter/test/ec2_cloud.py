#!/usr/bin/python3
"""An EC2 for tests, on 127.0.0.1: snapshots, volumes, images and instances as files, loop devices and QEMU.

Every request is checked against botocore's service model of EC2 (operation, parameters, required members, types, enumerations), and
against docs/ec2-policy.json as IAM would; every answer is checked against the model, too. Trouble can be asked for. Also the
instance metadata service of the helper. Needs root and loop devices for attached volumes.
"""
import base64
import fnmatch
import http.server
import itertools
import os
import re
import signal
import subprocess
import threading
import urllib.parse
from xml.sax.saxutils import escape

import botocore.loaders
import botocore.model

MODEL = botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model("ec2", "service-2"))
BY_ID = "/dev/disk/by-id"
GIB = 1 << 30
TYPES = {"i": "instance", "vol": "volume", "snap": "snapshot", "ami": "image"}


class Fault(Exception):
    def __init__(self, code, message="as the test asked"):
        super().__init__(code)
        self.code, self.message = code, message


# ---- the protocol ----

def query_name(name, shape):
    own = shape.serialization
    if "queryName" in own:
        return own["queryName"]
    name = own.get("name", name)
    return name[0].upper() + name[1:]


def parse(shape, params, prefix, used):
    """A parameter of a request, by its shape. None: it is not there."""
    below = [key for key in params if key == prefix or key.startswith(prefix + ".")]
    if not below:
        return None
    if shape.type_name == "structure":
        value = {}
        for name, member in shape.members.items():
            part = parse(member, params, (prefix + "." if prefix else "") + query_name(name, member), used)
            if part is not None:
                value[name] = part
        for name in shape.required_members:
            if name not in value:
                raise Fault("MissingParameter", "%s.%s" % (prefix, name))
        return value
    if shape.type_name == "list":
        numbers = sorted({int(key[len(prefix) + 1:].split(".")[0]) for key in below})
        if numbers != list(range(1, len(numbers) + 1)):
            raise Fault("InvalidParameter", "%s is not numbered from 1 on" % prefix)
        return [parse(shape.member, params, "%s.%d" % (prefix, number), used) for number in numbers]
    used.add(prefix)
    text = params[prefix]
    kind = shape.type_name
    if kind in ("integer", "long") and not re.match(r"-?\d+$", text) or kind == "boolean" and text not in ("true", "false"):
        raise Fault("InvalidParameterValue", "%s is no %s: %s" % (prefix, kind, text))
    if kind == "string" and shape.enum and text not in shape.enum:
        raise Fault("InvalidParameterValue", "%s: %s is none of the model's" % (prefix, text))
    return {"integer": int, "long": int, "boolean": lambda one: one == "true"}.get(kind, str)(text)


def request(operation, params):
    shape = MODEL.operation_model(operation).input_shape
    used = {"Action", "Version"}
    value = {}
    for name, member in shape.members.items():
        part = parse(member, params, query_name(name, member), used)
        if part is not None:
            value[name] = part
    unknown = set(params) - used
    if unknown:
        raise Fault("UnknownParameter", ", ".join(sorted(unknown)))
    for name in shape.required_members:
        if name not in value:
            raise Fault("MissingParameter", name)
    return value


def answer(shape, value, tag):
    kind = shape.type_name
    if kind == "structure":
        unknown = set(value) - set(shape.members)
        assert not unknown, "an answer with %s, which %s has not" % (unknown, shape.name)
        inner = "".join(answer(shape.members[name], part, shape.members[name].serialization.get("name", name))
                        for name, part in value.items() if part is not None)
    elif kind == "list":
        inner = "".join(answer(shape.member, part, shape.member.serialization.get("name", "item")) for part in value)
    elif kind == "boolean":
        assert isinstance(value, bool), (tag, value)
        inner = "true" if value else "false"
    elif kind in ("integer", "long", "float", "double"):
        assert isinstance(value, (int, float)), (tag, value)
        inner = str(value)
    else:
        assert isinstance(value, str), (tag, value)
        assert kind != "string" or not shape.enum or value in shape.enum, (tag, value)
        inner = escape(value)
    return "<%s>%s</%s>" % (tag, inner, tag)


# ---- IAM ----

def holds(condition, keys):
    for operator, wanted in condition.items():
        for key, values in wanted.items():
            values = values if isinstance(values, list) else [values]
            have = keys.get(key)
            if operator == "Null":
                ok = (have is None) == (values[0] == "true")
            elif operator in ("StringEquals", "StringLike"):
                ok = have is not None and any(fnmatch.fnmatchcase(have, one) for one in values)
            else:
                raise AssertionError("the test knows no condition " + operator)
            if not ok:
                return False
    return True


def allowed(policy, action, resource, keys):
    for statement in policy["Statement"]:
        actions, resources = ([one] if isinstance(one, str) else one for one in (statement["Action"], statement["Resource"]))
        if any(fnmatch.fnmatchcase(action, one) for one in actions) and any(fnmatch.fnmatchcase(resource, one) for one in resources) \
                and holds(statement.get("Condition", {}), keys):
            return True
    return False


# ---- the cloud ----

class Cloud:
    """directory: where volumes lie. policy: what IAM allows. boot: how an instance's console is made, (file, log) -> process."""

    def __init__(self, directory, policy, region="eu-west-1", boot=None):
        self.directory, self.policy, self.region, self.boot = directory, policy, region, boot
        self.lock = threading.RLock()
        self.things = {}  # id: {"type", "region", "tags", "file", the description ...}
        self.numbers = itertools.count(int.from_bytes(os.urandom(5), "big") << 16)  # two clouds on one machine
        self.log = []  # (operation, region, "ok" or an error's code)
        self.pending = 0  # describes that something new stays in its first state for
        self.hidden = 0  # requests for which something new cannot be found
        self.faults = []  # {"operation", "code", "skip": requests to let pass, "times", "done": it is carried out all the same}
        self.broken_snapshots = 0  # new snapshots that end in the state error
        self.tokens = {}
        self.on_request = None  # called after a request was carried out, before its answer
        self.attachments = {}  # volume: loop device
        self.helper = self.new("instance", region, State={"Name": "running", "Code": 16}, Placement={"AvailabilityZone": region + "a"},
                               VirtualizationType="hvm", RootDeviceType="ebs", RootDeviceName="/dev/xvda", ImageId="ami-00000000000000001")
        self.add_volume(self.new("volume", region, Size=8, State="in-use", VolumeType="gp3"), self.helper, "/dev/xvda")

    # ---- things ----

    def new(self, kind, region, tags=None, file=None, **description):
        prefix = {"instance": "i", "volume": "vol", "snapshot": "snap", "image": "ami"}[kind]
        identity = "%s-0%016x" % (prefix, next(self.numbers))
        description[{"instance": "InstanceId", "volume": "VolumeId", "snapshot": "SnapshotId", "image": "ImageId"}[kind]] = identity
        self.things[identity] = {"type": kind, "region": region, "tags": dict(tags or {}), "file": file, "looks": 0, "hidden": self.hidden,
                                 "id": identity, "d": description}
        return identity

    def add_volume(self, volume, instance, name, delete=True):
        """The description only: an instance that is somewhere else."""
        self.things[volume]["d"]["Attachments"] = [{"VolumeId": volume, "InstanceId": instance, "Device": name, "State": "attached",
                                                    "DeleteOnTermination": delete}]
        self.things[volume]["d"]["State"] = "in-use"

    def file(self, identity):
        return os.path.join(self.directory, identity)

    def add_file(self, path, gib, region=None, **description):
        """A volume with what is in a file."""
        volume = self.new("volume", region or self.region, Size=gib, State="available", **description)
        self.things[volume]["file"] = self.file(volume)
        subprocess.run(["cp", "--sparse=always", path, self.file(volume)], check=True)
        os.truncate(self.file(volume), gib * GIB)
        return volume

    def get(self, identity, kind, region):
        code = {"instance": "InvalidInstanceID.NotFound", "volume": "InvalidVolume.NotFound", "snapshot": "InvalidSnapshot.NotFound",
                "image": "InvalidAMIID.NotFound"}[kind]
        thing = self.things.get(identity)
        if not thing or thing["type"] != kind or thing["region"] != region:
            raise Fault(code, "The %s ID '%s' does not exist" % (kind, identity))
        if thing["hidden"] > 0:
            thing["hidden"] -= 1
            raise Fault(code, "The %s ID '%s' does not exist" % (kind, identity))
        return thing

    def tags(self, values, kind):
        """Of a request's TagSpecifications."""
        return {tag["Key"]: tag["Value"] for one in values.get("TagSpecifications", []) if one["ResourceType"] == kind for tag in one["Tags"]}

    def may(self, operation, region, resources, values):
        """resources: (type, the thing or None for one that is to be made)."""
        for kind, thing in resources:
            requested = self.tags(values, kind)
            if operation == "CreateTags":
                requested = {tag["Key"]: tag["Value"] for tag in values["Tags"]}
            keys = {"aws:RequestTag/" + key: value for key, value in requested.items()}
            if thing:
                keys.update({"aws:ResourceTag/" + key: value for key, value in thing["tags"].items()})
            arn = "arn:aws:ec2:%s:%s:%s/%s" % (region, "" if kind in ("snapshot", "image") else "123456789012", kind, thing["id"] if thing else "*")
            if not allowed(self.policy, "ec2:" + operation, arn, keys):
                raise Fault("UnauthorizedOperation", "You are not authorized to perform: ec2:%s on %s. Encoded authorization failure message: AAAA"
                            % (operation, arn))
            if not thing and requested:
                keys["ec2:CreateAction"] = operation
                if not allowed(self.policy, "ec2:CreateTags", arn, keys):
                    raise Fault("UnauthorizedOperation", "You are not authorized to perform: ec2:CreateTags on %s" % arn)

    # ---- requests ----

    def handle(self, operation, region, params):
        """(status, XML)"""
        with self.lock:
            if operation not in MODEL.operation_names:
                return 400, error("InvalidAction", operation)
            outcome = "ok"
            try:
                fault = next((one for one in self.faults if one["operation"] == operation), None)
                if fault and fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    fault = None
                if fault:
                    fault["times"] = fault.get("times", 1) - 1
                    if fault["times"] <= 0:
                        self.faults.remove(fault)
                    if not fault.get("done"):
                        raise Fault(fault["code"])
                values = request(operation, params)
                method = getattr(self, "do_" + operation, None)
                if not method:
                    raise Fault("UnsupportedOperation", "the test has no " + operation)
                result = method(values, region)
                if fault:
                    raise Fault(fault["code"])
                shape = MODEL.operation_model(operation).output_shape
                body = "<requestId>r</requestId>"
                if shape:
                    body += re.sub(r"^<x>|</x>$", "", answer(shape, result or {}, "x"))
                return 200, '<%sResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">%s</%sResponse>' % (operation, body, operation)
            except Fault as fault:
                outcome = fault.code
                return 503 if fault.code in ("RequestLimitExceeded", "Unavailable") else 500 if fault.code == "InternalError" else 400, \
                    error(fault.code, fault.message)
            finally:
                self.log.append((operation, region, outcome))
                if self.on_request:
                    self.on_request(operation, outcome)

    def describe(self, kind, values, region, ids):
        things = [self.get(identity, kind, region) for identity in values.get(ids, [])]
        listed = not things
        if listed:
            things = [thing for thing in self.things.values() if thing["type"] == kind and thing["region"] == region]
        for one in values.get("Filters", []):
            things = [thing for thing in things if self.passes(thing, one)]
        found = []
        for thing in things:
            # What is new is not listed at once
            if listed and thing["hidden"] > 0:
                thing["hidden"] -= 1
                continue
            thing["looks"] += 1
            self.settle(thing)
            found.append(dict(thing["d"], **({"Tags": [{"Key": k, "Value": v} for k, v in thing["tags"].items()]} if thing["tags"] else {})))
        return found

    def passes(self, thing, one):
        name, values = one["Name"], one["Values"]
        if name.startswith("tag:"):
            return thing["tags"].get(name[4:]) in values
        if name == "name":
            return thing["d"].get("Name") in values
        if name == "block-device-mapping.snapshot-id":
            return any(mapping.get("Ebs", {}).get("SnapshotId") in values for mapping in thing["d"]["BlockDeviceMappings"])
        raise Fault("InvalidParameterValue", "the test has no filter " + name)

    def settle(self, thing):
        """What takes time has been looked at often enough."""
        description = thing["d"]
        if thing["looks"] <= self.pending or "next" not in thing:
            return
        description["State"] = thing.pop("next")
        if thing["type"] == "snapshot" and description["State"] == "error":
            description["StateMessage"] = "Given key ID is not accessible"
        if thing["type"] == "volume" and thing.get("then"):
            thing.pop("then")()

    def soon(self, identity, state):
        self.things[identity]["next"] = state
        self.things[identity]["looks"] = 0
        if not self.pending:
            self.settle(dict_looks(self.things[identity]))

    def do_DescribeInstances(self, values, region):
        found = self.describe("instance", values, region, "InstanceIds")
        for one in found:
            volumes = [thing for thing in self.things.values() if thing["type"] == "volume"
                       and any(at["InstanceId"] == one["InstanceId"] for at in thing["d"].get("Attachments", []))]
            one["BlockDeviceMappings"] = [{"DeviceName": at["Device"], "Ebs": {
                "VolumeId": at["VolumeId"], "DeleteOnTermination": at["DeleteOnTermination"], "Status": at["State"]}}
                for thing in volumes for at in thing["d"]["Attachments"]]
        return {"Reservations": [{"Instances": [one]} for one in found]}

    def do_DescribeVolumes(self, values, region):
        return {"Volumes": self.describe("volume", values, region, "VolumeIds")}

    def do_DescribeSnapshots(self, values, region):
        return {"Snapshots": self.describe("snapshot", values, region, "SnapshotIds")}

    def do_DescribeImages(self, values, region):
        return {"Images": self.describe("image", values, region, "ImageIds")}

    def make_snapshot(self, source, region, values, size, encrypted, description):
        identity = self.new("snapshot", region, self.tags(values, "snapshot"))
        thing = self.things[identity]
        thing["d"] = {"SnapshotId": identity, "VolumeId": description, "VolumeSize": size, "State": "pending", "Encrypted": encrypted,
                      "Progress": "0%", "Description": values.get("Description", "")}
        if source:
            thing["file"] = self.file(identity)
            subprocess.run(["cp", "--sparse=always", source, self.file(identity)], check=True)
        self.broken_snapshots -= 1
        self.soon(identity, "error" if self.broken_snapshots >= 0 else "completed")
        return identity

    def snapshot_of(self, volume, region, values):
        described = volume["d"]
        return self.make_snapshot(volume["file"], region, values, described["Size"], described.get("Encrypted", False), volume["id"])

    def do_CreateSnapshot(self, values, region):
        volume = self.get(values["VolumeId"], "volume", region)
        self.may("CreateSnapshot", region, [("volume", volume), ("snapshot", None)], values)
        made = self.things[self.snapshot_of(volume, region, values)]
        return dict(made["d"])

    def do_CreateSnapshots(self, values, region):
        instance = self.get(values["InstanceSpecification"]["InstanceId"], "instance", region)
        volumes = [thing for thing in self.things.values() if thing["type"] == "volume"
                   and any(at["InstanceId"] == instance["id"] for at in thing["d"].get("Attachments", []))]
        self.may("CreateSnapshots", region, [("instance", instance), ("snapshot", None)] + [("volume", volume) for volume in volumes], values)
        made = [self.things[self.snapshot_of(volume, region, values)]["d"] for volume in volumes]
        return {"Snapshots": [{"SnapshotId": one["SnapshotId"], "VolumeId": one["VolumeId"], "VolumeSize": one["VolumeSize"]} for one in made]}

    def do_CopySnapshot(self, values, region):
        source = self.get(values["SourceSnapshotId"], "snapshot", values["SourceRegion"])
        self.may("CopySnapshot", region, [("snapshot", None)], values)
        if source["d"]["State"] != "completed":
            raise Fault("IncorrectState", "snapshot is not completed")
        if source["d"]["Encrypted"] and not values.get("Encrypted"):
            raise Fault("InvalidParameterCombination", "a copy of an encrypted snapshot is encrypted")
        return {"SnapshotId": self.make_snapshot(source["file"], region, values, source["d"]["VolumeSize"], values.get("Encrypted", False),
                                                 "vol-ffffffff")}

    def do_DeleteSnapshot(self, values, region):
        snapshot = self.get(values["SnapshotId"], "snapshot", region)
        self.may("DeleteSnapshot", region, [("snapshot", snapshot)], values)
        for thing in self.things.values():
            if thing["type"] == "image" and self.passes(thing, {"Name": "block-device-mapping.snapshot-id", "Values": [snapshot["id"]]}):
                raise Fault("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s" % (snapshot["id"], thing["id"]))
        self.delete(snapshot)

    def delete(self, thing):
        if thing["file"]:
            os.unlink(thing["file"])
        del self.things[thing["id"]]

    def token(self, values):
        return self.tokens.get(values.get("ClientToken")) if values.get("ClientToken") else None

    def do_CreateVolume(self, values, region):
        if not values.get("SnapshotId") and not values.get("Size"):
            raise Fault("MissingParameter", "The request must contain the parameter size or snapshotId")
        snapshot = self.get(values["SnapshotId"], "snapshot", region) if values.get("SnapshotId") else None
        self.may("CreateVolume", region, [("volume", None)] + ([("snapshot", snapshot)] if snapshot else []), values)
        again = self.token(values)
        if again:
            return dict(self.things[again]["d"]) if again in self.things else dict(VolumeId=again)
        if values.get("KmsKeyId") and not values.get("Encrypted"):
            raise Fault("InvalidParameterDependency", "The parameter KmsKeyId requires the parameter Encrypted to be set.")
        if snapshot and snapshot["d"]["State"] != "completed":
            raise Fault("IncorrectState", "Snapshot is in invalid state - %s" % snapshot["d"]["State"])
        size = values.get("Size", snapshot["d"]["VolumeSize"] if snapshot else 0)
        if snapshot and size < snapshot["d"]["VolumeSize"]:
            raise Fault("InvalidParameterValue", "Volume of %dGiB is smaller than snapshot" % size)
        identity = self.new("volume", region, self.tags(values, "volume"))
        thing = self.things[identity]
        thing["file"] = self.file(identity)
        if snapshot:
            subprocess.run(["cp", "--sparse=always", snapshot["file"], thing["file"]], check=True)
        else:
            open(thing["file"], "wb").close()
        os.truncate(thing["file"], size * GIB)
        thing["d"] = {"VolumeId": identity, "Size": size, "State": "creating", "AvailabilityZone": values["AvailabilityZone"],
                      "VolumeType": values.get("VolumeType", "gp2"), "Attachments": [],
                      "Encrypted": bool(values.get("Encrypted") or snapshot and snapshot["d"]["Encrypted"])}
        if values.get("ClientToken"):
            self.tokens[values["ClientToken"]] = identity
        self.soon(identity, "available")
        return dict(thing["d"], State="creating")

    def do_AttachVolume(self, values, region):
        volume = self.get(values["VolumeId"], "volume", region)
        instance = self.get(values["InstanceId"], "instance", region)
        self.may("AttachVolume", region, [("volume", volume), ("instance", instance)], values)
        if volume["d"]["State"] == "creating":
            raise Fault("IncorrectState", "Volume '%s' is in the 'creating' state" % volume["id"])
        if volume["d"].get("Attachments"):
            raise Fault("VolumeInUse", "%s is already attached to an instance" % volume["id"])
        names = [at["Device"] for thing in self.things.values() for at in thing["d"].get("Attachments", []) if at["InstanceId"] == instance["id"]]
        if values["Device"] in names:
            raise Fault("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point is already in use" % values["Device"])
        attachment = {"VolumeId": volume["id"], "InstanceId": instance["id"], "Device": values["Device"], "State": "attaching",
                      "DeleteOnTermination": False}
        volume["d"]["Attachments"] = [attachment]

        def attached():
            attachment["State"] = "attached"
            self.plug(volume)
        volume["then"] = attached
        self.soon(volume["id"], "in-use")
        return dict(attachment, State="attaching")

    def plug(self, volume):
        loop = subprocess.run(["losetup", "-f", "--show", volume["file"]], check=True, stdout=subprocess.PIPE).stdout.decode().strip()
        self.attachments[volume["id"]] = loop
        os.makedirs(BY_ID, exist_ok=True)
        os.symlink(loop, self.link(volume["id"]))

    def link(self, volume):
        return "%s/nvme-Amazon_Elastic_Block_Store_%s" % (BY_ID, volume.replace("-", ""))

    def unplug(self, volume):
        loop = self.attachments.pop(volume, None)
        if loop:
            os.unlink(self.link(volume))
            subprocess.run(["losetup", "-d", loop], check=True)

    def do_DetachVolume(self, values, region):
        volume = self.get(values["VolumeId"], "volume", region)
        helper = self.things[self.helper]
        self.may("DetachVolume", region, [("volume", volume), ("instance", helper)], values)
        attachments = volume["d"].get("Attachments", [])
        if not attachments:
            raise Fault("IncorrectState", "Volume '%s' is in the 'available' state." % volume["id"])
        attachments[0]["State"] = "detaching"
        self.unplug(volume["id"])
        volume["then"] = lambda: volume["d"].update(Attachments=[])
        self.soon(volume["id"], "available")
        return dict(attachments[0]) if attachments else {"VolumeId": volume["id"], "State": "detached"}

    def do_DeleteVolume(self, values, region):
        volume = self.get(values["VolumeId"], "volume", region)
        self.may("DeleteVolume", region, [("volume", volume)], values)
        if volume["d"].get("Attachments"):
            raise Fault("VolumeInUse", "Volume %s is currently attached" % volume["id"])
        self.delete(volume)

    def do_RegisterImage(self, values, region):
        self.may("RegisterImage", region, [("image", None)], values)
        if not re.match(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}$", values["Name"]):
            raise Fault("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long")
        for thing in self.things.values():
            if thing["type"] == "image" and thing["region"] == region and thing["d"]["Name"] == values["Name"]:
                raise Fault("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s" % (values["Name"], thing["id"]))
        for mapping in values["BlockDeviceMappings"]:
            if values["VirtualizationType"] == "hvm" and not re.match(r"/dev/(sda1|xvda|(sd|xvd)[b-z])$", mapping["DeviceName"]):
                raise Fault("InvalidBlockDeviceMapping", "%s" % mapping["DeviceName"])
            ebs = mapping.get("Ebs", {})
            if "SnapshotId" in ebs:
                snapshot = self.get(ebs["SnapshotId"], "snapshot", region)
                if snapshot["d"]["State"] != "completed":
                    raise Fault("IncorrectState", "snapshot is %s" % snapshot["d"]["State"])
                if ebs.get("VolumeSize", snapshot["d"]["VolumeSize"]) < snapshot["d"]["VolumeSize"]:
                    raise Fault("InvalidBlockDeviceMapping", "smaller than the snapshot")
                if "Encrypted" in ebs:
                    raise Fault("InvalidParameterCombination", "encrypted with a snapshot")
        if values["RootDeviceName"] not in [mapping["DeviceName"] for mapping in values["BlockDeviceMappings"]]:
            raise Fault("InvalidBlockDeviceMapping", "no mapping of the root device")
        identity = self.new("image", region)
        self.things[identity]["d"] = dict({key: values[key] for key in (
            "Name", "Architecture", "RootDeviceName", "BlockDeviceMappings", "VirtualizationType", "BootMode", "Description") if key in values},
            ImageId=identity, State="pending", RootDeviceType="ebs", EnaSupport=values.get("EnaSupport", False))
        self.soon(identity, "available")
        return {"ImageId": identity}

    def do_DeregisterImage(self, values, region):
        image = self.get(values["ImageId"], "image", region)
        self.may("DeregisterImage", region, [("image", image)], values)
        self.delete(image)

    def do_CreateTags(self, values, region):
        things = [self.get(identity, TYPES[identity.split("-")[0]], region) for identity in values["Resources"]]
        self.may("CreateTags", region, [(thing["type"], thing) for thing in things], values)
        for thing in things:
            thing["tags"].update({tag["Key"]: tag["Value"] for tag in values["Tags"]})

    def do_RunInstances(self, values, region):
        image = self.get(values["ImageId"], "image", region)
        again = self.token(values)
        if again:
            return {"Instances": [dict(self.things[again]["d"])]}
        self.may("RunInstances", region, [("instance", None), ("volume", None), ("image", image)]
                 + [(kind, {"tags": {}, "id": "x"}) for kind in ("subnet", "network-interface", "security-group")], values)
        identity = self.new("instance", region, self.tags(values, "instance"))
        thing = self.things[identity]
        thing["d"] = {"InstanceId": identity, "ImageId": image["id"], "State": {"Name": "pending", "Code": 0}, "RootDeviceType": "ebs",
                      "RootDeviceName": image["d"]["RootDeviceName"], "VirtualizationType": "hvm", "InstanceType": values["InstanceType"]}
        own = {one["DeviceName"]: one.get("Ebs", {}) for one in values.get("BlockDeviceMappings", [])}
        if set(own) - {one["DeviceName"] for one in image["d"]["BlockDeviceMappings"]}:
            raise Fault("InvalidBlockDeviceMapping", "not the image's devices")
        for mapping in image["d"]["BlockDeviceMappings"]:
            ebs = dict(mapping.get("Ebs", {}), **own.get(mapping["DeviceName"], {}))
            snapshot = self.things.get(ebs.get("SnapshotId"))
            if snapshot:
                volume = self.new("volume", region, self.tags(values, "volume"))
                self.things[volume]["file"] = self.file(volume)
                subprocess.run(["cp", "--sparse=always", snapshot["file"], self.file(volume)], check=True)
                self.things[volume]["d"] = {"VolumeId": volume, "Size": snapshot["d"]["VolumeSize"], "State": "in-use"}
                self.add_volume(volume, identity, mapping["DeviceName"], ebs.get("DeleteOnTermination", True))
                if mapping["DeviceName"] == image["d"]["RootDeviceName"] and self.boot:
                    thing["console"] = self.file(identity + ".console")
                    thing["machine"] = self.boot(self.file(volume), thing["console"])
        self.tokens[values.get("ClientToken")] = identity
        self.soon(identity, {"Name": "running", "Code": 16})
        return {"Instances": [dict(thing["d"], State={"Name": "pending", "Code": 0})]}

    def do_GetConsoleOutput(self, values, region):
        instance = self.get(values["InstanceId"], "instance", region)
        self.may("GetConsoleOutput", region, [("instance", instance)], values)
        text = b"tiny login: "
        if instance.get("console"):
            text = open(instance["console"], "rb").read()[-65536:] if os.path.exists(instance["console"]) else b""
        return {"InstanceId": instance["id"], "Output": base64.b64encode(text).decode()}

    def do_TerminateInstances(self, values, region):
        for identity in values["InstanceIds"]:
            instance = self.get(identity, "instance", region)
            self.may("TerminateInstances", region, [("instance", instance)], values)
            self.halt(instance)
            for thing in list(self.things.values()):
                for at in thing["d"].get("Attachments", []) if thing["type"] == "volume" else []:
                    if at["InstanceId"] == identity and at["DeleteOnTermination"]:
                        self.delete(thing)
                    elif at["InstanceId"] == identity:
                        thing["d"].update(Attachments=[], State="available")
            self.soon(identity, {"Name": "terminated", "Code": 48})
            instance["d"]["State"] = instance["d"]["State"] if "next" not in instance else {"Name": "shutting-down", "Code": 32}
        return {"TerminatingInstances": []}

    def halt(self, instance):
        machine = instance.pop("machine", None)
        if machine and machine.poll() is None:
            os.killpg(machine.pid, signal.SIGKILL)
            machine.wait()

    def power(self, operation, values, region, now, later):
        for identity in values["InstanceIds"]:
            instance = self.get(identity, "instance", region)
            self.may(operation, region, [("instance", instance)], values)
            instance["d"]["State"] = now
            self.soon(identity, later)

    def do_StopInstances(self, values, region):
        self.power("StopInstances", values, region, {"Name": "stopping", "Code": 64}, {"Name": "stopped", "Code": 80})
        return {"StoppingInstances": []}

    def do_StartInstances(self, values, region):
        self.power("StartInstances", values, region, {"Name": "pending", "Code": 0}, {"Name": "running", "Code": 16})
        return {"StartingInstances": []}

    # ---- for tests ----

    def left(self, kinds=("instance", "volume", "snapshot", "image")):
        """What is there and carries a run's tag, or is an image; without terminated instances."""
        return sorted(identity for identity, thing in self.things.items() if thing["type"] in kinds
                      and ("pv2hvm:run" in thing["tags"] or thing["type"] == "image" and thing["d"].get("VirtualizationType") == "hvm")
                      and thing["d"].get("State") != {"Name": "terminated", "Code": 48})

    def close(self):
        for volume in list(self.attachments):
            self.unplug(volume)
        for thing in self.things.values():
            self.halt(thing)


def dict_looks(thing):
    thing["looks"] = 1
    return thing


def error(code, message):
    return "<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>r</RequestID></Response>" % (
        code, escape(message))


def serve(cloud):
    """(server, URL): answers in threads until it is shut down."""
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def reply(self, status, text, kind="text/xml"):
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            params = dict(urllib.parse.parse_qsl(body, keep_blank_values=True, strict_parsing=True))
            scope = re.search(r"Credential=([^/]+)/\d{8}/([a-z0-9-]+)/ec2/aws4_request", self.headers.get("Authorization", ""))
            if not scope:
                return self.reply(401, error("AuthFailure", "the request is not signed"))
            if scope.group(1) == "EXPIRED":
                return self.reply(400, error("RequestExpired", "Request has expired."))
            status, text = cloud.handle(params["Action"], scope.group(2), params)
            try:
                self.reply(status, text)
            except OSError:
                pass  # the client was killed

        def do_PUT(self):
            self.reply(200 if self.path == "/latest/api/token" else 404, "TOKEN", "text/plain")

        def do_GET(self):
            known = {"/latest/meta-data/instance-id": cloud.helper, "/latest/meta-data/placement/region": cloud.region,
                     "/latest/meta-data/placement/availability-zone": cloud.region + "a"}
            if self.headers.get("X-aws-ec2-metadata-token") != "TOKEN" or self.path not in known:
                return self.reply(401, "")
            self.reply(200, known[self.path], "text/plain")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, "http://127.0.0.1:%d" % server.server_address[1]


