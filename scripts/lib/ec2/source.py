"""What is to be converted: an instance, a volume, a snapshot or an AMI, as its disks. Only describes."""
import re

from aws import AwsError, Failure, warn

GIB = 1 << 30
IMAGE_NAME = re.compile(r"[A-Za-z0-9()\[\] ./\-'@_]{3,128}$")


def the(resources, kind, identity, region=None):
    missing = "there is no %s %s in %s" % (kind, identity, region or resources.aws.region)
    if kind == "snapshot":
        missing += ", or it is not shared with this account"
    try:
        things = resources.describe(kind, region, **{{"instance": "InstanceIds", "volume": "VolumeIds", "snapshot": "SnapshotIds",
                                                     "image": "ImageIds"}[kind]: [identity]})
    except AwsError as error:
        if error.not_found() or error.code.endswith("Malformed"):
            raise Failure(missing)
        raise
    if not things:
        raise Failure(missing)
    return things[0]


def of_volume(volume, device, root, delete):
    return {"device": device, "root": root, "volume": volume["VolumeId"], "snapshot": None, "size": volume["Size"], "delete": delete,
            "type": volume.get("VolumeType"), "iops": volume.get("Iops"), "throughput": volume.get("Throughput"),
            "encrypted": volume.get("Encrypted", False)}


def of_snapshot(snapshot, device, root, ebs):
    return {"device": device, "root": root, "volume": None, "snapshot": snapshot["SnapshotId"],
            "size": max(snapshot["VolumeSize"], ebs.get("VolumeSize", 0)), "delete": ebs.get("DeleteOnTermination", True),
            "type": ebs.get("VolumeType"), "iops": ebs.get("Iops"), "throughput": ebs.get("Throughput"),
            "encrypted": snapshot.get("Encrypted", False)}


def virtual(image):
    """Mappings that are no EBS snapshot: instance store, devices taken out, empty volumes."""
    return [mapping for mapping in image.get("BlockDeviceMappings", []) if "SnapshotId" not in mapping.get("Ebs", {})]


def hvm(thing, what):
    if thing.get("RootDeviceType") != "ebs":
        raise Failure("%s: its root is on instance store, which has no snapshot: copy it to a volume, and give that" % what, 3)
    return thing.get("VirtualizationType") == "hvm"


def resolve(resources, identity):
    """Facts of the source: kind, root device, disks (the root first), further mappings, whether it is HVM by EC2's own account."""
    facts = {"id": identity, "hvm": False, "root_device": "/dev/sda1", "mappings": [], "instance": None, "running": False}
    kind = re.match(r"(i|vol|snap|ami)-[0-9a-f]{8,17}$", identity)
    if not kind:
        raise Failure("%s: is no id of an instance, volume, snapshot or AMI (i-, vol-, snap-, ami-)" % identity, 2)
    if kind.group(1) == "i":
        instance = the(resources, "instance", identity)
        facts.update(instance=identity, hvm=hvm(instance, identity), root_device=instance["RootDeviceName"],
                     running=instance["State"]["Name"] == "running")
        attached = [mapping for mapping in instance.get("BlockDeviceMappings", []) if "Ebs" in mapping]
        if not attached:
            raise Failure("%s has no volumes" % identity)
        volumes = {volume["VolumeId"]: volume for volume in
                   resources.describe("volume", VolumeIds=[mapping["Ebs"]["VolumeId"] for mapping in attached])}
        facts["disks"] = [of_volume(volumes[mapping["Ebs"]["VolumeId"]], mapping["DeviceName"],
                                    mapping["DeviceName"] == instance["RootDeviceName"], mapping["Ebs"].get("DeleteOnTermination", True))
                          for mapping in attached]
        # An instance does not say which instance store it was started with; its AMI does, as long as there is one
        try:
            images = resources.describe("image", ImageIds=[instance["ImageId"]])
        except AwsError as error:
            if not error.not_found() and error.code != "InvalidAMIID.Unavailable":
                raise
            images = []
        facts["mappings"] = [mapping for image in images for mapping in virtual(image) if "VirtualName" in mapping]
    elif kind.group(1) == "vol":
        volume = the(resources, "volume", identity)
        attachments = volume.get("Attachments", [])
        facts["disks"] = [of_volume(volume, facts["root_device"], True,
                                    attachments[0].get("DeleteOnTermination", True) if attachments else True)]
        facts["instance"] = attachments[0]["InstanceId"] if attachments else None
    elif kind.group(1) == "snap":
        facts["disks"] = [of_snapshot(the(resources, "snapshot", identity), facts["root_device"], True, {})]
    else:
        image = the(resources, "image", identity)
        facts.update(hvm=hvm(image, identity), root_device=image["RootDeviceName"], mappings=virtual(image))
        # Not every image that one may start is one whose snapshots one may read
        facts["disks"] = [of_snapshot(the(resources, "snapshot", mapping["Ebs"]["SnapshotId"]), mapping["DeviceName"],
                                      mapping["DeviceName"] == image["RootDeviceName"], mapping["Ebs"])
                          for mapping in image.get("BlockDeviceMappings", []) if "SnapshotId" in mapping.get("Ebs", {})]
    facts["disks"].sort(key=lambda disk: (not disk["root"], disk["device"]))
    if not facts["disks"] or not facts["disks"][0]["root"]:
        raise Failure("%s: no volume is its root device %s" % (identity, facts["root_device"]))
    return facts


def hvm_names(facts):
    """Device names that an HVM image may have, by the source's: a paravirtual one had /dev/sda1 and /dev/sdf1, too (AWS, "Device
    names for volumes": HVM has /dev/sda1 or /dev/xvda for the root, then whole disks)."""
    root = facts["root_device"]
    names = {root: "/dev/xvda" if root.startswith("/dev/xvda") else "/dev/sda1"}
    wanted = [disk["device"] for disk in facts["disks"][1:]] + [mapping["DeviceName"] for mapping in facts["mappings"]]
    taken = set()
    for name in wanted:
        if re.match(r"(/dev/)?(sd|xvd)[b-z]$", name):
            names[name] = name
            taken.add(name[-1])
    for name in wanted:
        if name not in names:
            free = [letter for letter in "fghijklmnopbcde" if letter not in taken]
            if not free:
                raise Failure("no device name is left for %s: use --root-only" % name)
            taken.add(free[0])
            names[name] = "/dev/sd" + free[0]
            warn("%s is no name that an HVM image may have: it becomes %s" % (name, names[name]))
    return names
