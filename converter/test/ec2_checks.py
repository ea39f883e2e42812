#!/usr/bin/python3
"""scripts/ec2-convert with the real AWS CLI, against ec2_cloud.py: the whole flow, its variants, and trouble.

ec2_checks.py GUEST DONOR [NAME...]: raw images of a PV guest and an HVM donor. With names, only the checks of those.
"""
import fnmatch
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
TOP = os.environ["PV2HVM_SOURCE_DIR"]
sys.path[:0] = [os.path.dirname(os.path.realpath(__file__)), TOP + "/scripts/lib/ec2"]
import device  # noqa: E402
import ec2_aws  # noqa: E402
import ec2_cloud  # noqa: E402

POLICY = json.load(open(TOP + "/docs/ec2-policy.json"))
checks = failures = 0
seen = set()  # operations that were asked for
quick = None  # a directory with an `aws` that starts faster


def check(what, good, text=""):
    global checks, failures
    checks += 1
    failures += not good
    print("%s: %s%s" % ("ok" if good else "FAILED", what, "" if good else "\n    " + str(text)[-3000:].replace("\n", "\n    ")), flush=True)


def digest(path):
    """Of all of it but zeros, which may be holes, and where they are."""
    total = hashlib.sha256()
    block = 1 << 20
    with open(path, "rb", buffering=0) as file:
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // block * block
            except OSError:
                return total.hexdigest()
            data = os.pread(file.fileno(), block, at)
            if data.count(0) != len(data):
                total.update(b"%d " % at + data)
            at += block


class Test:
    """A cloud with a volume of the guest's, and what runs ec2-convert in it."""

    def __init__(self, guest, donor, boot=None, real=False):
        self.work = tempfile.mkdtemp(prefix="pv2hvm-ec2-")
        self.cloud = ec2_cloud.Cloud(self.work, POLICY, boot=boot)
        self.server, self.url = ec2_cloud.serve(self.cloud)
        self.state = os.path.join(self.work, "state")
        self.donor = donor
        self.guest = guest
        self.source = self.cloud.add_file(guest, 1, VolumeType="standard")
        self.process = None
        self.path = os.environ["PATH"] if real else quick + ":" + os.environ["PATH"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        seen.update(operation for operation, _, outcome in self.cloud.log)
        self.server.shutdown()
        self.cloud.close()
        shutil.rmtree(self.work)

    def instance(self, running=True):
        """A PV instance with the source as its root, a data volume, and instance store by its image."""
        image = self.cloud.new("image", self.cloud.region, Name="old", BlockDeviceMappings=[
            {"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}], RootDeviceType="ebs", VirtualizationType="paravirtual",
            RootDeviceName="/dev/sda1", State="available")
        machine = self.cloud.new("instance", self.cloud.region, State={"Name": "running" if running else "stopped", "Code": 16},
                                 VirtualizationType="paravirtual", RootDeviceType="ebs", RootDeviceName="/dev/sda1", ImageId=image)
        data = os.path.join(self.work, "data")
        with open(data, "wb") as file:
            file.truncate(64 << 20)
        uuid = "11111111-2222-3333-4444-555555555555"
        subprocess.run(["mke2fs", "-q", "-t", "ext3", "-U", uuid, "-E", "hash_seed=" + uuid, data], check=True,
                       env=dict(os.environ, E2FSPROGS_FAKE_TIME="1000000000"))
        volume = self.cloud.add_file(data, 1, VolumeType="gp2")
        os.unlink(data)
        self.cloud.add_volume(self.source, machine, "/dev/sda1", delete=False)
        self.cloud.add_volume(volume, machine, "/dev/sdf", delete=True)
        return machine, volume

    def environment(self, key="TEST"):
        environment = dict(os.environ, PATH=self.path, AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY="secret", AWS_EC2_METADATA_DISABLED="true",
                           AWS_EC2_METADATA_SERVICE_ENDPOINT=self.url, HOME=self.work, NO_PROXY="127.0.0.1")
        environment.pop("AWS_SESSION_TOKEN", None)
        return environment

    def start(self, *words, **more):
        command = [TOP + "/scripts/ec2-convert"] + [str(word) for word in words] + [
            "--endpoint-url", self.url, "--state-dir", self.state, "--poll", "0.05", "--settle", "3"]
        if more.get("donor", True) and not any(str(word) in ("--resume", "--cleanup") for word in words):
            command += ["--donor", self.donor]
        command += ["--"] + more["words"] if "words" in more else []
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                                        env=self.environment(more.get("key", "TEST")))
        return self.process

    def convert(self, *words, **more):
        """(exit status, all that was said)"""
        out, err = self.start(*words, **more).communicate()
        return self.process.returncode, out.decode() + err.decode()

    def images(self, region=None):
        return [thing for thing in self.cloud.things.values() if thing["type"] == "image" and thing["d"]["VirtualizationType"] == "hvm"
                and thing["region"] == (region or self.cloud.region)]

    def snapshots_of(self, image):
        return [self.cloud.things[mapping["Ebs"]["SnapshotId"]] for mapping in image["d"]["BlockDeviceMappings"] if "SnapshotId" in mapping.get("Ebs", {})]

    def kept(self):
        """What a run's image is made of."""
        return sorted(identity for image in self.images() + self.images("us-west-2")
                      for identity in [image["id"]] + [one["id"] for one in self.snapshots_of(image)])

    def clean(self, what):
        """No thing of a run is there but its image, nothing is attached."""
        check(what + ": nothing is left over", self.cloud.left() == self.kept(), (self.cloud.left(), self.kept()))
        check(what + ": nothing is attached", not self.cloud.attachments, self.cloud.attachments)

    def calls(self, operation):
        return sum(1 for one, _, outcome in self.cloud.log if one == operation and outcome == "ok")


def one_image(test, what, status, said):
    check(what + ": succeeds", status == 0, said)
    check(what + ": one image", len(test.images()) == 1, test.images())
    test.clean(what)


# ---- the checks: each a function of its own cloud ----

def whole(guest, donor):
    """An instance with data volume and instance store; trouble on the way; the registered image is started in QEMU."""
    def boot(file, log):
        return subprocess.Popen([TOP + "/scripts/boot-image", file, "--bus", "nvme", "--marker", "login:", "--timeout", "600", "--log", log],
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    with Test(guest, donor, boot, real=True) as test:
        cloud = test.cloud
        machine, data = test.instance()
        before = [digest(cloud.things[volume]["file"]) for volume in (test.source, data)]
        cloud.pending, cloud.hidden = 1, 1
        cloud.faults = [{"operation": "CreateVolume", "code": "RequestLimitExceeded", "times": 2},
                        {"operation": "DescribeVolumes", "code": "RequestLimitExceeded", "skip": 3},
                        {"operation": "DeleteVolume", "code": "VolumeInUse", "times": 2},
                        {"operation": "AttachVolume", "code": "InvalidVolume.NotFound", "times": 2},
                        {"operation": "CreateSnapshots", "code": "InternalError", "done": True},
                        {"operation": "RegisterImage", "code": "InternalError", "done": True}]
        cloud.broken_snapshots = 2
        start = time.monotonic()
        status, said = test.convert(machine, "--run", "whole", "--launch-test", "t3.small", "--launch-timeout", 900, "--stop-source",
                                    "--instance-store", "keep", "--name", "server as HVM")
        print("    %d calls, %d s" % (len(cloud.log), time.monotonic() - start))
        cloud.pending = cloud.hidden = 0
        one_image(test, "whole flow", status, said)
        check("every injected fault came", not cloud.faults, cloud.faults)
        check("the source's bytes are as before", before == [digest(cloud.things[volume]["file"]) for volume in (test.source, data)])
        check("the source runs again", cloud.things[machine]["d"]["State"]["Name"] in ("pending", "running"), cloud.things[machine]["d"])
        check("stopped and started for each of the two tries", (test.calls("StopInstances"), test.calls("StartInstances")) == (2, 2))
        image = test.images()[0]["d"]
        check("image", (image["Architecture"], image["BootMode"], image["EnaSupport"], image["RootDeviceName"], image["Name"])
              == ("x86_64", "legacy-bios", True, "/dev/sda1", "server as HVM"), image)
        mappings = {one["DeviceName"]: one for one in image["BlockDeviceMappings"]}
        check("mapping", sorted(mappings) == ["/dev/sda1", "/dev/sdb", "/dev/sdf"]
              and mappings["/dev/sdb"].get("VirtualName") == "ephemeral0"
              and [mappings[name]["Ebs"]["DeleteOnTermination"] for name in ("/dev/sda1", "/dev/sdf")] == [False, True]
              and [mappings[name]["Ebs"]["VolumeType"] for name in ("/dev/sda1", "/dev/sdf")] == ["standard", "gp2"], mappings)
        check("the data volume is as it was", digest(cloud.things[mappings["/dev/sdf"]["Ebs"]["SnapshotId"]]["file"]) == before[1])
        check("the root is not", digest(cloud.things[mappings["/dev/sda1"]["Ebs"]["SnapshotId"]]["file"]) != before[0])
        check("the image came up", "test: up: " in said, said)
        check("its reports are kept", not [name for name in (
            "inspect.json", "plan.json", "plan.txt", "report.json", "report.txt", "verify.json", "console.txt", "state.json") if not os.path.exists("%s/whole/%s" % (test.state, name))])
        asked = len(cloud.log)
        status, said = test.convert("--resume", "whole")
        check("a finished run has nothing to do", status == 0 and "nothing to do" in said and "RegisterImage" not in [
            one[0] for one in cloud.log[asked:]], said)
        status, said = test.convert("--cleanup", "whole")
        check("cleanup leaves a finished run's image", status == 0 and len(test.images()) == 1 and len(cloud.left()) == 3, said)


def kinds(guest, donor):
    """A volume, a snapshot and an AMI as source; a donor from a snapshot; a second volume; another region; encryption."""
    with Test(guest, donor) as test:
        cloud = test.cloud
        status, said = test.convert(test.source, "--run", "a")
        one_image(test, "volume", status, said)
        flat = digest(test.snapshots_of(test.images()[0])[0]["file"])
        snapshot = cloud.make_snapshot(guest, cloud.region, {}, 1, False, "vol-ffffffff")
        os.truncate(cloud.file(snapshot), 1 << 30)
        status, said = test.convert(snapshot, "--run", "b", "--kms-key", "alias/hvm")
        check("snapshot, with a key", status == 0 and len(test.images()) == 2 and test.snapshots_of(test.images()[1])[0]["d"]["Encrypted"], said)
        check("snapshot: the same bytes", flat == digest(test.snapshots_of(test.images()[1])[0]["file"]))
        check("snapshot: the source is still there", snapshot in cloud.things)
        donor_snapshot = cloud.make_snapshot(donor, cloud.region, {}, 2, False, "vol-ffffffff")
        os.truncate(cloud.file(donor_snapshot), 2 << 30)
        ami = cloud.new("image", cloud.region, Name="pv", RootDeviceType="ebs", VirtualizationType="paravirtual", RootDeviceName="/dev/sda1",
                        State="available", BlockDeviceMappings=[
                            {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": snapshot, "VolumeSize": 3, "DeleteOnTermination": False, "VolumeType": "io1",
                                                                "Iops": 100}},
                            {"DeviceName": "/dev/sda2", "VirtualName": "ephemeral0"}, {"DeviceName": "/dev/sdf1", "Ebs": {"VolumeSize": 7}}])
        status, said = test.convert(ami, "--run", "c", "--layout", "partition", "--donor", donor_snapshot, donor=False)
        check("AMI, second volume, donor from a snapshot", status == 0 and len(test.images()) == 3, said)
        image = test.images()[2]["d"]
        check("AMI: mapping", image["BlockDeviceMappings"] == [
            {"DeviceName": "/dev/sda1", "Ebs": {"SnapshotId": test.snapshots_of(test.images()[2])[0]["id"], "DeleteOnTermination": False,
                                                "VolumeSize": 4, "VolumeType": "io1", "Iops": 100}},
            {"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 7}}], image["BlockDeviceMappings"])
        with open(test.snapshots_of(test.images()[2])[0]["file"], "rb") as file:
            sector = file.read(512)
        check("AMI: an MBR with an active partition", sector[446] == 0x80 and sector[510:] == b"\x55\xaa")
        test.clean("AMI")
        status, said = test.convert(test.source, "--run", "d", "--to-region", "us-west-2", "--kms-key", "alias/hvm")
        check("another region", status == 0 and len(test.images("us-west-2")) == 1 and len(test.images()) == 3, said)
        check("another region: encrypted there", test.snapshots_of(test.images("us-west-2")[0])[0]["d"]["Encrypted"])
        check("another region: the same bytes", flat == digest(test.snapshots_of(test.images("us-west-2")[0])[0]["file"]))
        test.clean("another region")
        encrypted = cloud.add_file(guest, 1, Encrypted=True)
        status, said = test.convert(encrypted, "--run", "e", "--to-region", "us-west-2", "--target", "xen-hvm")
        check("an encrypted source", status == 0 and test.snapshots_of(test.images("us-west-2")[1])[0]["d"]["Encrypted"], said)
        check("without nitro: no ENA", not test.images("us-west-2")[1]["d"]["EnaSupport"])
        test.clean("an encrypted source")


def plans(guest, donor):
    """--dry-run, --plan and what follows; refusals; HVM sources."""
    with Test(guest, donor) as test:
        cloud = test.cloud
        machine, data = test.instance()
        status, said = test.convert(machine, "--dry-run", "--run", "p", "--launch-test", "t3.small", "--to-region", "us-west-2", "--stop-source")
        check("dry run", status == 0, said)
        check("dry run: only describes", {one[0] for one in cloud.log} == {"DescribeInstances", "DescribeVolumes", "DescribeImages"}, cloud.log)
        check("dry run: no files", not os.path.exists(test.state))
        order = [line.split()[2] for line in said.splitlines() if line.startswith("aws ec2 ")]
        planned = list(order)
        check("dry run: the calls in order", [one for one in order if not one.startswith(("detach", "delete"))] == [
            "stop-instances", "create-snapshots", "start-instances", "create-volume", "create-volume", "attach-volume", "attach-volume",
            "create-snapshot", "copy-snapshot", "copy-snapshot", "register-image", "create-tags", "run-instances", "get-console-output",
            "terminate-instances"], "\n".join(order))
        status, said = test.convert(machine, "--plan", "--run", "p", "--launch-test", "t3.small", "--to-region", "us-west-2", "--stop-source")
        check("plan", status == 0 and not test.images() and json.load(open(test.state + "/p/plan.json"))["verdict"] == "ready", said)
        check("plan: only the snapshots are left", [identity[:4] for identity in cloud.left()] == ["snap", "snap"], cloud.left())
        status, said = test.convert(machine, "--plan", "--run", "p")
        check("plan again: the same", status == 0 and len(cloud.left()) == 2 and test.calls("CreateSnapshots") == 1, said)
        status, said = test.convert("--resume", "p")
        check("plan, then conversion", status == 0 and len(test.images("us-west-2")) == 1 and test.calls("CreateSnapshots") == 1, said)
        test.clean("plan, then conversion")
        made = [re.sub(r"(?<!^)([A-Z])", r"-\1", one).lower() for one, _, outcome in cloud.log
                if outcome == "ok" and not one.startswith(("Describe", "Delete", "Detach"))]
        check("the calls that the dry run said", [one for one in planned if not one.startswith(("detach", "delete"))]
              == [one for number, one in enumerate(made) if one != "get-console-output" or made[number - 1] != one][:3] + [
                  one for number, one in enumerate(made) if one != "get-console-output" or made[number - 1] != one][7:], made)

        status, said = test.convert(test.source, "--run", "r", words=["--kernel", "4.0"])
        check("a kernel that is not there", status in (1, 3), said)
        test.convert("--cleanup", "r")
        test.clean("a kernel that is not there, cleaned up")
        unfit = cloud.add_file(guest, 1)
        subprocess.run(["debugfs", "-w", "-R", "rm /sbin/init", cloud.file(unfit)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        status, said = test.convert(unfit, "--run", "v")
        check("it would not boot: status 4", status == 4 and "the result would not boot: " in said, said)
        test.clean("it would not boot")
        volume = cloud.add_file(guest, 1)
        with open(test.work + "/zeros", "wb") as file:
            file.write(os.urandom(150 << 20))
        subprocess.run(["debugfs", "-w", "-R", "write %s/zeros /zeros" % test.work, cloud.file(volume)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        status, said = test.convert(volume, "--run", "s")
        check("refused: status 3, and the rule's name", status == 3 and re.search(r"ec2-convert: refused by space: .*/s/plan.txt", said), said)
        check("refused: the report is kept", os.path.getsize(test.state + "/s/plan.txt"))
        test.clean("refused")
        converted = cloud.add_file(cloud.file(test.snapshots_of(test.images("us-west-2")[0])[0]["id"]), 1)
        status, said = test.convert(converted, "--run", "t")
        check("HVM already", status == 0 and "HVM already" in said and not test.images(), said)
        test.clean("HVM already")
        status, said = test.convert(cloud.helper, "--run", "u")
        check("an HVM instance", status == 0 and "HVM already" in said, said)


def errors(guest, donor):
    """Bad input, missing permissions, credentials, a wait that is too long, a disk that is not the volume."""
    with Test(guest, donor) as test:
        cloud = test.cloud
        for what, words, status, text in (
                ("no source", [], 2, "give a SOURCE"),
                ("no id", ["server1"], 2, "is no id"),
                ("unknown volume", ["vol-00000000000000000"], 1, "there is no volume"),
                ("unknown run", ["--resume", "nothere"], 1, "no run of this name"),
                ("a run's bad name", [test.source, "--run", "../x"], 2, "letters, digits"),
                ("a bad image name", [test.source, "--name", "a:b"], 2, "3 to 128"),
                ("--stop-source of a volume", [test.source, "--stop-source"], 2, "no instance"),
                ("no such donor", [test.source, "--donor", "/nothere"], 1, "no such file")):
            got, said = test.convert(*words, donor=False)
            check(what, got == status and text in said and "Traceback" not in said, (got, said))
        got, said = test.convert(test.source, words=["--in-place"])
        check("a word that is ours", got == 2 and "itself" in said, said)
        check("nothing was made", not cloud.left(), cloud.left())
        got, said = test.convert(test.source, "--run", "x", key="EXPIRED")
        check("expired credentials", got == 1 and "expired" in said and "RequestExpired" in said, said)
        cloud.faults = [{"operation": "CreateVolume", "code": "UnauthorizedOperation"}]
        got, said = test.convert(test.source, "--run", "y")
        check("a missing permission is named", got == 1 and "no permission for ec2:CreateVolume" in said and "--resume y" in said, said)
        got, said = test.convert("--resume", "y")
        one_image(test, "after the permission came", got, said)
        name = test.images()[0]["d"]["Name"]
        got, said = test.convert(test.source, "--run", "z", "--name", name)
        check("a name that is taken", got == 1 and "choose another with --name" in said and test.calls("CreateSnapshot") == 2, said)
        cloud.pending = 10**6
        got, said = test.convert(test.source, "--run", "w", "--timeout", "1")
        check("a wait that is too long", got == 1 and "go on waiting with --resume" in said and "pending" in said, said)
        other = cloud.add_file(guest, 1)
        got, said = test.convert(other, "--run", "w")
        check("another source for a run", got == 2 and "another name with --run" in said, said)
        cloud.pending = 0
        got, said = test.convert("--cleanup", "w")
        check("cleanup", got == 0 and "1 removed" in said, said)
        test.clean("cleanup")
        got, said = test.convert("--cleanup", "w")
        check("cleanup again", got == 0 and "nothing of w is left" in said, said)
        got, said = test.convert("--resume", "w")
        check("a run that was cleaned up", got == 1 and "cleaned up" in said, said)
        cloud.faults = [{"operation": "CreateTags", "code": "UnauthorizedOperation"}]
        got, said = test.convert(test.source, "--run", "x")
        check("broken off when the image was there", got == 1 and "ec2:CreateTags" in said and len(test.images()) == 2, said)
        asked = len(cloud.log)
        got, said = test.convert(test.source, "--run", "x", "--plan")
        check("--plan of what is converted does nothing", got == 0 and all(one[0].startswith("Describe") for one in cloud.log[asked:]), said)
        got, said = test.convert("--cleanup", "x")
        check("cleanup takes the image away", got == 0 and len(test.images()) == 1, said)
        test.clean("cleanup with an image")
        cloud.broken_snapshots = 2
        got, said = test.convert(test.source, "--run", "v")
        check("snapshots that fail twice", got == 1 and "Given key ID is not accessible" in said and "once more" in said, said)
        cloud.broken_snapshots = 0
        got, said = test.convert("--resume", "v")
        check("then succeed", got == 0 and len(test.images()) == 2, said)
        test.clean("failed snapshots")
        # The helper sees another disk under the volume's name
        plug = cloud.plug

        def wrong(volume):
            os.truncate(volume["file"], (1 << 30) + 4096)
            plug(volume)
        cloud.plug = wrong
        got, said = test.convert(test.source, "--run", "u")
        check("a disk of another size", got == 1 and "nothing is written" in said, said)
        cloud.plug = lambda volume: None
        cloud.unplug, unplug = lambda volume: None, cloud.unplug
        for volume in list(cloud.attachments):
            unplug(volume)
        got, said = test.convert("--cleanup", "u")
        got, said = test.convert(test.source, "--run", "t")
        check("no device appears", got == 1 and "no device of this machine" in said, said)
        got, said = test.convert("--cleanup", "t")
        check("and is cleaned up", got == 0, said)
        cloud.unplug = unplug
        test.clean("no device")


def fleet(guest, donor):
    """scripts/fleet with EC2 ids: planned, converted, and not twice."""
    with Test(guest, donor) as test:
        manifest = os.path.join(test.work, "fleet.csv")
        options = "--endpoint-url %s --poll 0.05 --settle 3" % test.url
        full = test.cloud.add_file(guest, 1)
        with open(test.work + "/random", "wb") as file:
            file.write(os.urandom(150 << 20))
        subprocess.run(["debugfs", "-w", "-R", "write %s/random /random" % test.work, test.cloud.file(full)], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        with open(manifest, "w") as file:
            file.write("name,source,options\nweb,%s,%s\nfull,%s,%s --root-only\n" % (test.source, options, full, options))

        def run(*words):
            done = subprocess.run([TOP + "/scripts/fleet"] + list(words) + ["--donor", donor], env=test.environment(), stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            return done.returncode, done.stdout.decode()
        status, said = run("plan", manifest)
        check("fleet plan", status == 3 and re.search(r"\bweb .*will convert", said) and re.search(r"\bfull .*refused .*space", said), said)
        check("fleet plan: a snapshot of what will be converted is left", [identity[:4] for identity in test.cloud.left()] == ["snap"], test.cloud.left())
        status, said = run("run", manifest, "--index", "0")
        check("fleet run", status == 0 and len(test.images()) == 1 and test.images()[0]["id"] in said, said)
        asked = len(test.cloud.log)
        status, said = run("run", manifest, "--index", "0")
        check("fleet run again: nothing to do", status == 0 and len(test.cloud.log) == asked, said)
        status, said = run("run", manifest, "--index", "1")
        check("fleet run: refused", status == 3 and "space" in said, said)
        status, said = run("status", manifest)
        check("fleet status", status == 3 and re.search(r"web +done +ami-", said) and "refused by space: 1" in said, said)
        test.clean("fleet")


def devices(*_):
    """Which device a volume is, in the sysfs of a Nitro helper and of a Xen one."""
    with tempfile.TemporaryDirectory() as root:
        def attribute(name, value):
            path = "%s/sys/block/%s" % (root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(value + "\n")
        device.ROOT = root
        attribute("nvme0n1/device/serial", "vol0aaaaaaaaaaaaaaaa")
        attribute("nvme2n1/device/serial", "vol0bbbbbbbbbbbbbbbb")
        attribute("xvda/device/nodename", "device/vbd/51712")
        attribute("xvdj/device/nodename", "device/vbd/2128")  # sdf, as RHEL 6 calls it
        attribute("xvdg/device/nodename", "device/vbd/51808")
        attribute("xvdg1/device/nodename", "device/vbd/51809")
        os.makedirs(root + "/dev/disk/by-id")
        os.symlink("../../nvme0n1", root + device.BY_ID + "vol0cccccccccccccccc")
        for what, volume, name, found in (("NVMe by its serial number", "vol-0bbbbbbbbbbbbbbbb", "/dev/sdk", {"nvme2n1"}),
                                          ("Xen by its number, whatever its name", "vol-0dddddddddddddddd", "/dev/sdf", {"xvdj"}),
                                          ("Xen, xvd", "vol-0dddddddddddddddd", "/dev/sdg", {"xvdg"}),
                                          ("not there", "vol-0dddddddddddddddd", "/dev/sdh", set()),
                                          ("a link that is of another volume", "vol-0cccccccccccccccc", "/dev/sdh", set())):
            check("device: " + what, device.candidates(volume, name) == found, device.candidates(volume, name))
        device.ROOT = ""
    check("device: /'s disk is in use", device.below(os.path.basename(os.path.realpath("/sys/dev/block/%d:%d" % (
        os.major(os.stat("/").st_dev), os.minor(os.stat("/").st_dev))))) <= device.in_use() or os.major(os.stat("/").st_dev) == 0)


def policy(*_):
    """Every call that was made is in the policy, and the policy has nothing else. (The cloud enforced it, too.)"""
    in_policy = {action for statement in POLICY["Statement"]
                 for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])}
    made = {"ec2:" + operation for operation in seen}
    check("the policy has every call", all(any(fnmatch.fnmatchcase(one, action) for action in in_policy) for one in made), made - in_policy)
    check("the policy has no other", not in_policy - made, in_policy - made)
    known = set(ec2_cloud.MODEL.operation_names)
    check("they are calls of EC2", all(action[4:] in known for action in in_policy), in_policy)


def main():
    global quick
    guest, donor = sys.argv[1:3]
    quick = tempfile.mkdtemp(prefix="pv2hvm-aws-")
    server = ec2_aws.serve(quick)
    try:
        for part in (devices, whole, kinds, plans, errors, fleet, policy):
            if not sys.argv[3:] or part.__name__ in sys.argv[3:]:
                part(guest, donor)
    finally:
        server.kill()
        shutil.rmtree(quick)
    print("%d checks, %d failed" % (checks, failures))
    return 1 if failures or not checks else 0


if __name__ == "__main__":
    sys.exit(main())
