"""From a source to a registered HVM AMI, step by step. Every step may be repeated: what is there already is used."""
import json
import os
import re
import subprocess
import sys
import time

import device
import source
from aws import AwsError, Failure, Pending, printable, say, warn
from resources import KINDS, Failed, tags_of

# pv2hvm's: a finding blocks; the result would not boot
REFUSED, UNFIT = 3, 4
LOGIN = re.compile(r"login: ?$|EXT[234]-fs.*: mounted filesystem|VFS: Mounted root|XFS.*: Ending clean mount", re.M)
PANIC = re.compile(r"Kernel panic - not syncing.*|ALERT! .* does not exist.*|Give root password for maintenance.*")


class Flow:
    def __init__(self, aws, state, resources, options, program, helper):
        self.aws, self.state, self.resources, self.options = aws, state, resources, options
        self.program, self.helper = program, helper
        self.dry = options.dry_run
        self.devices = {}

    @property
    def facts(self):
        return self.state.data["source"]

    def disks(self):
        return self.facts["disks"]

    def root(self):
        return self.disks()[0]

    def target_region(self):
        return self.options.to_region or self.aws.region

    def reached(self, milestone, **facts):
        if self.dry:
            self.state.data.update(facts)
        else:
            self.state.reached(milestone, **facts)

    # ---- the whole ----

    def go(self):
        """Exit status."""
        done = self.state.done
        if done("finished"):
            say("%s is registered in %s: nothing to do" % (self.state.data["ami"], self.target_region()))
            return 0
        if self.options.plan and done("converted"):
            say("planned and converted before; the rest: ec2-convert --resume %s" % self.state.run)
            return 0
        if self.state.data.get("verdict") in self.state.data["done"]:
            if self.state.data["items"]:
                return self.give_up(self.state.data["verdict"], self.state.data["said"])
            self.state.start_over()
        if not done("resolved"):
            self.resolve()
        if self.facts["hvm"]:
            return self.give_up("nothing-to-do", "%s is HVM already: nothing to do" % self.facts["id"])
        if not done("snapshots"):
            self.snapshots()
        if not done("converted"):
            if self.options.plan and done("planned"):
                return self.planned()
            self.attach()
            if not done("planned"):
                status = self.plan()
                if status is not None:
                    return status
            if self.options.plan:
                return self.planned()
            self.convert()
        if not done("captured"):
            self.capture()
        if not done("copied"):
            self.copy()
        if not done("registered"):
            self.register()
        if self.options.launch_test and not done("tested"):
            self.launch_test()
        self.tidy()
        self.reached("finished")
        if not self.dry:
            say("%s: %s, registered in %s" % (self.state.data["ami"], self.state.data["name"], self.target_region()))
        return 0 if self.state.data.get("launch", "up").startswith("up") else 1

    def resolve(self):
        facts = source.resolve(self.resources, self.options.source)
        if self.options.root_only:
            facts["disks"] = facts["disks"][:1]
            facts["mappings"] = []
        if self.options.instance_store == "drop":
            facts["mappings"] = [mapping for mapping in facts["mappings"] if "VirtualName" not in mapping]
        if self.options.stop_source and not facts["instance"]:
            raise Failure("--stop-source: %s belongs to no instance" % facts["id"], 2)
        facts["names"] = source.hvm_names(facts)
        name = self.options.name or "%s as HVM (pv2hvm %s)" % (facts["id"], self.state.run)
        for image in self.resources.describe("image", self.target_region(), Owners=["self"], Filters=[{"Name": "name", "Values": [name]}]):
            raise Failure("there is an image of the name '%s' in %s, %s: choose another with --name" % (
                name, self.target_region(), image["ImageId"]))
        self.reached("resolved", source=facts, name=name)

    # ---- the source's snapshots ----

    def snapshots(self):
        missing = [disk for disk in self.disks() if not disk["snapshot"]]
        if missing:
            found = self.with_second_try("source", lambda: self.make_source(missing), lambda made: made.values())
            for disk in missing:
                disk["snapshot"] = found[disk["volume"]]
        else:
            for disk in self.disks():
                self.resources.wait("snapshot", disk["snapshot"], "completed", ("error",))
        self.reached("snapshots", source=self.facts)

    def make_source(self, disks):
        if self.options.stop_source and not self.resources.item("source"):
            self.stop_source()
        made = self.ask_for_source(disks)
        # A snapshot is of the moment at which it was asked for, however long it takes
        self.start_source()
        return made

    def ask_for_source(self, disks):
        what = "pv2hvm %s: copy of %s" % (self.state.run, self.facts["id"])
        if len(disks) == 1:
            volume = disks[0]["volume"]
            return self.resources.make("source", "snapshot", "create-snapshot", lambda answer: {
                volume: answer["SnapshotId"] if answer else "<snapshot of %s>" % volume}, lambda: self.adopt_source(disks),
                VolumeId=volume, Description=what)

        def pick(answer):
            made = {one["VolumeId"]: one["SnapshotId"] for one in answer["Snapshots"]} if answer else {
                disk["volume"]: "<snapshot of %s>" % disk["volume"] for disk in disks}
            return {disk["volume"]: made[disk["volume"]] for disk in disks}
        # One moment for all volumes
        return self.resources.make("source", "snapshot", "create-snapshots", pick, lambda: self.adopt_source(disks),
                                   InstanceSpecification={"InstanceId": self.facts["instance"]}, Description=what)

    def adopt_source(self, disks):
        found = {one["VolumeId"]: one["SnapshotId"] for one in self.resources.tagged("snapshot", role="source") if one["State"] != "error"}
        return {disk["volume"]: found[disk["volume"]] for disk in disks} if all(disk["volume"] in found for disk in disks) else None

    def with_second_try(self, role, make, ids, region=None):
        """A snapshot that EC2 gives up on is made once more."""
        for last in (False, True):
            made = make()
            try:
                for identity in ids(made):
                    self.resources.wait("snapshot", identity, "completed", ("error",), region)
                return made
            except Failed as failed:
                self.resources.drop(role)
                if last:
                    raise
                warn("%s; once more" % failed)

    def stop_source(self):
        instance = self.facts["instance"]
        if self.dry:
            say(printable(self.aws.words("stop-instances", {"InstanceIds": [instance]})))
            self.state.data["stopped"] = True
            return
        if not self.state.data.get("stopped"):
            if self.resources.get("instance", instance)["State"]["Name"] not in ("running", "pending"):
                return
            self.state.save(stopped=True)
        self.aws.call("stop-instances", InstanceIds=[instance])
        self.resources.wait("instance", instance, "stopped")

    def start_source(self):
        """As it was before stop_source()."""
        if not self.state.data.get("stopped") or self.options.leave_stopped:
            return
        instance = self.facts["instance"]
        if self.dry:
            say(printable(self.aws.words("start-instances", {"InstanceIds": [instance]})))
        else:
            self.aws.call("start-instances", patience=("IncorrectInstanceState",), InstanceIds=[instance])
            self.state.save(stopped=False)

    # ---- volumes at this machine ----

    def attach(self):
        """A volume of each snapshot, and of the donor, with its device. Several are on their way at a time."""
        wanted = [("volume " + disk["device"], disk["snapshot"], disk["size"]) for disk in self.disks()]
        if re.match(r"(ami|snap)-", self.options.donor):
            wanted.append(("donor",) + self.donor_snapshot())
        for role, snapshot, size in wanted:
            key = self.key_here() if role != "donor" else None
            self.make_volume(role, size, SnapshotId=snapshot, Encrypted=True if key else None, KmsKeyId=key)
        for role, _, size in wanted:
            self.attach_volume(role, size)
        if self.state.done("planned") and self.state.data["layout"] == "partition":
            self.attach_second()

    def attach_second(self):
        """Where the file system moves by 1 MiB there has to be room for it, and volumes have whole GiB."""
        root = self.root()
        key = self.key_here()
        self.make_volume("second", root["size"] + 1, Encrypted=True if key or root["encrypted"] else None, KmsKeyId=key)
        self.attach_volume("second", root["size"] + 1)

    def key_here(self):
        """--kms-key is of the region where the result goes."""
        return self.options.kms_key if not self.options.to_region else None

    def make_volume(self, role, size, **params):
        made = self.resources.make(role, "volume", "create-volume", lambda answer: answer["VolumeId"] if answer else "<%s>" % role,
                                   AvailabilityZone=self.helper["zone"], Size=size, VolumeType="gp3", **params)
        say("%s: %s" % (role, made))

    def attach_volume(self, role, size):
        volume = self.resources.item(role)
        names = self.state.data.setdefault("attached_as", {})
        if self.dry:
            say("# wait until %s is available" % volume)
            say(printable(self.aws.words("attach-volume", {"VolumeId": volume, "InstanceId": self.helper["id"], "Device": "/dev/sd?"})))
            self.devices[role] = "<device of %s>" % volume
            return
        while True:
            thing = self.resources.get("volume", volume)
            there = thing.get("Attachments", [])
            if there:
                if there[0]["InstanceId"] != self.helper["id"]:
                    raise Failure("%s is attached to %s, not to this machine (%s): go on there, or use --cleanup" % (
                        volume, there[0]["InstanceId"], self.helper["id"]))
                names[role] = there[0]["Device"]
                break
            if thing.get("State") != "available":
                self.resources.wait("volume", volume, "available", ("error",))
            try:
                names[role] = self.free_name()
                self.aws.call("attach-volume", patience=("IncorrectState",), fresh=True, VolumeId=volume, InstanceId=self.helper["id"],
                              Device=names[role])
                break
            except AwsError as error:
                # An answer was lost, or somebody else took the name
                if error.code not in ("VolumeInUse", "InvalidDevice.InUse") and not (
                        error.code == "InvalidParameterValue" and "in use" in error.message):
                    raise
                time.sleep(self.aws.poll)

        def attached():
            attachments = self.resources.get("volume", volume).get("Attachments", [])
            if attachments and attachments[0]["State"] == "attached":
                return attachments[0]
            raise Pending(attachments[0]["State"] if attachments else "not attached")
        self.aws.wait("%s is not attached" % volume, attached)
        self.devices[role] = device.find(volume, names[role], size * source.GIB, self.aws.settle)
        say("%s: %s is %s" % (role, volume, self.devices[role]))

    def free_name(self):
        """AWS, "Device names for volumes": /dev/sd[f-p] on every kind of instance."""
        helper = self.resources.get("instance", self.helper["id"])
        taken = {re.sub(r"\d+$", "", mapping["DeviceName"])[-1] for mapping in helper.get("BlockDeviceMappings", [])}
        free = [letter for letter in "fghijklmnop" if letter not in taken]
        if not free:
            raise Failure("all of /dev/sdf to /dev/sdp of %s are taken: detach volumes, or use another helper" % self.helper["id"])
        return "/dev/sd" + free[os.getpid() % len(free)]

    def donor_snapshot(self):
        donor = self.options.donor
        if donor.startswith("ami-"):
            facts = source.resolve(self.resources, donor)
            return facts["disks"][0]["snapshot"], facts["disks"][0]["size"]
        snapshot = source.the(self.resources, "snapshot", donor)
        return snapshot["SnapshotId"], snapshot["VolumeSize"]

    def detach(self):
        for role in ["volume " + disk["device"] for disk in self.disks()] + ["second", "donor"]:
            if self.resources.item(role):
                self.resources.detach(self.resources.item(role))

    def drop_volumes(self):
        for role, item in list(self.state.data["items"].items()):
            if item.get("kind") == "volume":
                self.resources.drop(role)

    # ---- pv2hvm ----

    def pv2hvm(self, *words, output=None):
        """Exit status. output: what it prints is kept in this file of the run's directory."""
        say("pv2hvm " + printable(words))
        if self.dry:
            return 0
        if not output:
            return subprocess.run([self.program] + list(words), stdin=subprocess.DEVNULL).returncode
        with open(self.state.file(output), "wb") as file:
            return subprocess.run([self.program] + list(words), stdin=subprocess.DEVNULL, stdout=file).returncode

    def disk_words(self):
        """Data volumes by the names that the guest has for them. One that is called /dev/sdf1 is no whole disk there, and cannot be
        named; nor are any given with a second volume, as each disk would need one."""
        if self.state.data.get("layout") == "partition":
            return []
        return [word for disk in self.disks()[1:] if re.match(r"/dev/(sd|xvd)[b-z]$", disk["device"])
                for word in ("--disk", "%s=%s" % (disk["device"], self.devices["volume " + disk["device"]]))]

    def targets(self):
        return ["--target", self.options.target] if self.options.target else []

    def convert_words(self, layout):
        root = self.devices["volume " + self.root()["device"]]
        donor = self.devices["donor"] if "donor" in self.devices else self.options.donor
        return ["convert", root, "--donor", donor, "--layout", layout] + self.disk_words() + self.targets() + self.options.words

    def in_place(self, layout):
        if layout == "partition":
            return ["-o", self.devices.get("second", "<device of the second volume>"), "--force"]
        return ["--in-place", "--undo-file", self.state.file("undo")]

    def plan(self):
        """What it would do, kept as report. None: it may be done."""
        root = self.devices["volume " + self.root()["device"]]
        status = self.pv2hvm("inspect", root, "--report", self.state.file("inspect.json"), *self.disk_words(), output="inspect.txt")
        if status:
            raise Failure("pv2hvm inspect failed (status %d)" % status)
        whole = self.dry or self.report("inspect.json").get("source", {}).get("table", "none") == "none"
        layout = self.options.layout if whole else "keep"
        self.state.data["layout"] = layout
        # A dry run in place: the volume that a second layout would be written to is not made before it is known that it may be
        status = self.pv2hvm(*(self.convert_words(layout) + (["--in-place", "--undo-file", self.state.file("undo")] if layout != "partition"
                                                           else ["-o", self.state.file("dry-run.raw")])
                              + ["-n", "-q", "--report", self.state.file("plan.json"), "--report", self.state.file("plan.txt")]))
        if status in (REFUSED, UNFIT):
            by = self.report("plan.json").get("plan", {}).get("blocked_by")
            return self.give_up("refused" if status == REFUSED else "unfit", "%s: %s" % (
                "refused by %s" % by if by else "the result would not boot", self.state.file("plan.txt")))
        if status:
            raise Failure("pv2hvm could not plan the conversion (status %d)" % status)
        if not self.dry and self.report("plan.json").get("verdict") == "nothing-to-do":
            return self.give_up("nothing-to-do", "%s boots as HVM already: nothing to do" % self.facts["id"])
        self.reached("planned", layout=layout)
        say("plan: %s" % self.state.file("plan.txt"))
        if layout == "partition":
            self.attach_second()
        return None

    def planned(self):
        """The plan waits for its approval, and costs a snapshot: conversion will be of the same one."""
        self.detach()
        self.drop_volumes()
        say("planned; nothing is converted yet. Approve %s, then: ec2-convert --resume %s" % (self.state.file("plan.txt"), self.state.run))
        return 0

    def report(self, name):
        try:
            with open(self.state.file(name), encoding="utf-8") as file:
                return json.load(file)
        except (OSError, ValueError) as error:
            if self.dry:
                return {}
            raise Failure("%s: %s" % (self.state.file(name), error))

    def convert(self):
        layout = self.state.data["layout"]
        root = self.devices["volume " + self.root()["device"]]
        # A try that was broken off: the volume is half new
        if not self.dry and os.path.exists(self.state.file("undo")):
            if self.pv2hvm("undo", root, "--undo-file", self.state.file("undo"), *self.disk_words()):
                raise Failure("a conversion that was broken off could not be put back: --cleanup, and start again")
        status = self.pv2hvm(*(self.convert_words(layout) + self.in_place(layout)
                              + ["--report", self.state.file("report.json"), "--report", self.state.file("report.txt")]))
        if status:
            raise Failure("pv2hvm could not convert the copy (status %d): the source is as it was" % status)
        result = self.devices["second"] if layout == "partition" and not self.dry else root
        status = self.pv2hvm("verify", result, "--json", *(self.disk_words() + self.targets()), output="verify.json")
        if status:
            raise Failure("the result would not boot: %s" % self.state.file("verify.json"))
        report = self.report("report.json")
        changed = [one["device"][-1] for one in report.get("disks", []) if one.get("changed_bytes")]
        steps = {step["id"]: step["result"] for step in report.get("verify", {}).get("after", {}).get("steps", [])}
        self.reached("converted", changed=changed, architecture="i386" if report.get("donor", {}).get("kernel", {}).get("bits") == 32
                     else "x86_64", ena="nitro" in report.get("targets", []) and steps.get("network-driver") == "pass")

    # ---- the result ----

    def captured(self, disk):
        """The snapshot that the image is to have for a disk: one of the result, or the source's where nothing changed."""
        return self.resources.item("result " + disk["device"]) or disk["snapshot"]

    def capture(self):
        self.detach()
        changed = [disk for disk in self.disks() if disk["root"] or disk["device"][-1] in self.state.data["changed"] or self.key_here()]
        for disk in changed:
            role = "result " + disk["device"]
            volume = self.resources.item("second" if disk["root"] and self.state.data["layout"] == "partition" else "volume " + disk["device"])
            made = self.with_second_try(role, lambda role=role, volume=volume, disk=disk: self.resources.make(
                role, "snapshot", "create-snapshot", lambda answer: answer["SnapshotId"] if answer else "<%s>" % role, VolumeId=volume,
                Description="pv2hvm %s: %s of %s as HVM" % (self.state.run, disk["device"], self.facts["id"])), lambda made: [made])
            say("%s: %s" % (role, made))
        self.reached("captured")
        self.drop_volumes()

    def copy(self):
        """The snapshots into another region."""
        region = self.options.to_region
        if region and region != self.aws.region:
            for disk in self.disks():
                role = "copy " + disk["device"]
                params = {"Encrypted": True} if self.options.kms_key or disk["encrypted"] else {}
                if self.options.kms_key:
                    params["KmsKeyId"] = self.options.kms_key
                made = self.with_second_try(role, lambda role=role, params=params, disk=disk: self.resources.make(
                    role, "snapshot", "copy-snapshot", lambda answer: answer["SnapshotId"] if answer else "<%s>" % role, region=region,
                    SourceRegion=self.aws.region, SourceSnapshotId=self.captured(disk),
                    Description="pv2hvm %s: %s of %s as HVM" % (self.state.run, disk["device"], self.facts["id"]), **params),
                    lambda made: [made], region)
                say("%s: %s in %s" % (role, made, region))
        self.reached("copied")

    def final(self, disk):
        return self.resources.item("copy " + disk["device"]) or self.captured(disk)

    def mapping(self):
        mappings = []
        for disk in self.disks():
            ebs = {"SnapshotId": self.final(disk), "DeleteOnTermination": disk["delete"],
                   "VolumeSize": disk["size"] + (disk["root"] and self.state.data.get("layout") == "partition")}
            kind = self.options.volume_type or disk["type"]
            if kind:
                ebs["VolumeType"] = kind
            if kind == disk["type"]:
                if kind in ("io1", "io2", "gp3") and disk["iops"]:
                    ebs["Iops"] = disk["iops"]
                if kind == "gp3" and disk["throughput"]:
                    ebs["Throughput"] = disk["throughput"]
            mappings.append({"DeviceName": self.facts["names"][disk["device"]], "Ebs": ebs})
        return mappings + [dict(mapping, DeviceName=self.facts["names"][mapping["DeviceName"]]) for mapping in self.facts["mappings"]]

    def adopt_image(self):
        """By its name, which is unique, and by our snapshot in it: register-image takes no tags in older versions of the CLI."""
        for image in self.resources.describe("image", self.target_region(), Owners=["self"],
                                             Filters=[{"Name": "name", "Values": [self.state.data["name"]]}]):
            if self.final(self.root()) in [mapping.get("Ebs", {}).get("SnapshotId") for mapping in image["BlockDeviceMappings"]]:
                return image["ImageId"]
        return None

    def register(self):
        region = self.target_region()
        data = self.state.data
        ami = self.resources.make(
            "image", "image", "register-image", lambda answer: answer["ImageId"] if answer else "<image>", self.adopt_image, region, False,
            Name=data["name"], Description="%s, converted to HVM by pv2hvm" % self.facts["id"],
            Architecture=data["architecture"], RootDeviceName=self.facts["names"][self.facts["root_device"]],
            BlockDeviceMappings=self.mapping(), VirtualizationType="hvm", BootMode="legacy-bios", EnaSupport=True if data["ena"] else None)
        self.resources.wait("image", ami, "available", ("failed", "invalid", "error"), region)
        tags = self.resources.tags(["image"], "image")[0]["Tags"]
        if self.dry:
            say(printable(self.aws.words("create-tags", {"Resources": [ami], "Tags": tags}, region)))
        else:
            self.aws.call("create-tags", region, fresh=True, Resources=[ami], Tags=tags)
        self.reached("registered", ami=ami)

    # ---- does it start ----

    def launch_test(self):
        """The image stays, whatever comes."""
        region = self.target_region()
        # The image's own mappings may have its volumes stay
        volumes = [{"DeviceName": one["DeviceName"], "Ebs": {"DeleteOnTermination": True}} for one in self.mapping() if "Ebs" in one]
        groups = [self.options.security_group] if self.options.security_group else None
        instance = self.resources.make(
            "test", "instance", "run-instances", lambda answer: answer["Instances"][0]["InstanceId"] if answer else "<instance>", region=region,
            ImageId=self.state.data["ami"], InstanceType=self.options.launch_test, Count=1,
            InstanceInitiatedShutdownBehavior="terminate", BlockDeviceMappings=volumes, SubnetId=self.options.subnet, SecurityGroupIds=groups)
        if self.dry:
            say("# until its console shows a login or the mounted root:")
            say(printable(self.aws.words("get-console-output", {"InstanceId": instance}, region)))
            self.resources.drop("test")
            return
        say("test: %s, a %s, is starting" % (instance, self.options.launch_test))
        verdict = self.watch(instance, region)
        # First, as the next try could not see it any more
        self.reached("tested", launch=verdict)
        self.resources.drop("test")
        say("test: " + verdict)

    def console(self, instance, region, latest):
        try:
            answer = self.aws.call("get-console-output", region, fresh=True, InstanceId=instance, **({"Latest": True} if latest else {}))
            return answer.get("Output", ""), latest
        except AwsError as error:
            # Instances on Xen only have what was posted at times
            if latest and error.code in ("UnsupportedOperation", "InvalidParameterValue", "InvalidParameterCombination"):
                return "", False
            raise

    def watch(self, instance, region):
        start = time.monotonic()
        latest = True
        text = ""
        while time.monotonic() - start < self.options.launch_timeout:
            thing = self.resources.get("instance", instance, region)
            state = thing.get("State", {}).get("Name")
            if state not in (None, "pending", "running"):
                return "failed: the instance is %s: %s" % (state, thing.get("StateReason", {}).get("Message", ""))
            if state == "running":
                new, latest = self.console(instance, region, latest)
                text = new or text
                with open(self.state.file("console.txt"), "w", encoding="utf-8") as file:
                    file.write(text)
                panic, login = PANIC.search(text), LOGIN.search(text.replace("\r", ""))
                if panic:
                    return "failed: %s (%s)" % (panic.group(0).strip(), self.state.file("console.txt"))
                if login:
                    return "up: %s" % login.group(0).strip()
            time.sleep(self.aws.poll)
        return "failed: neither a login nor a mounted root on the console in %d s (%s)" % (
            self.options.launch_timeout, self.state.file("console.txt"))

    # ---- the end ----

    def tidy(self):
        """What the image does not need. First what is written down, then what carries the tag all the same: made twice when an
        answer was lost."""
        keep = {self.final(disk) for disk in self.disks()}
        self.drop_volumes()
        remove_undo(self.state)
        for role, item in list(self.state.data["items"].items()):
            if item.get("kind") == "snapshot" and item.get("id"):
                ids = set(item["id"].values()) if isinstance(item["id"], dict) else {item["id"]}
                if not ids & keep:
                    self.resources.drop(role)
                else:
                    for identity in ids - keep:
                        self.resources.remove("snapshot", identity, item["region"])
        if not self.dry:
            for region in {self.aws.region, self.target_region()}:
                sweep(self.resources, region, keep)

    def give_up(self, verdict, text):
        """There will be no image: nothing is left of the try but its reports. Exit status, pv2hvm's."""
        status = {"refused": REFUSED, "unfit": UNFIT}.get(verdict, 0)
        if self.dry:
            say(text)
            return status
        self.reached(verdict, verdict=verdict, said=text)
        self.start_source()
        sweep(self.resources, self.aws.region)
        remove_undo(self.state)
        self.state.save(items={})
        if status:
            print("ec2-convert: " + text, file=sys.stderr, flush=True)
        else:
            say(text)
        return status


def remove_undo(state):
    """The undo journal of a volume that is gone."""
    if os.path.exists(state.file("undo")):
        os.unlink(state.file("undo"))


def sweep(resources, region, keep=(), kinds=("instance", "volume", "snapshot")):
    """Removes what carries the run's tag, in an order in which nothing needs what is gone already. Returns the ids."""
    gone = []
    for kind in kinds:
        for thing in resources.tagged(kind, region):
            identity = thing[KINDS[kind][2]]
            if identity not in keep and tags_of(thing):
                resources.remove(kind, identity, region)
                gone.append(identity)
    return gone
