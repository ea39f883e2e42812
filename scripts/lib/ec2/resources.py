"""What a run makes in EC2: made once, found again, and removed.

Everything carries the tags pv2hvm:run and pv2hvm:role from the moment it is made. That it is about to be made is written
down first. If the answer never came, or the program ended before it could write the answer down, the next try looks for
the tags before it makes another one.
"""
import hashlib
import time

from aws import THROTTLED, UNSURE, AwsError, Failure, Pending, printable, say

RUN, ROLE = "pv2hvm:run", "pv2hvm:role"
# kind: the call that describes, its list, the id's name, states in which a thing is gone or as good as gone
KINDS = {
    "instance": ("describe-instances", "Reservations", "InstanceId", {"terminated", "shutting-down"}),
    "volume": ("describe-volumes", "Volumes", "VolumeId", {"deleted", "deleting"}),
    "snapshot": ("describe-snapshots", "Snapshots", "SnapshotId", set()),
    "image": ("describe-images", "Images", "ImageId", {"deregistered"}),
}
# Calls that EC2 itself makes only once for a token
TOKENS = {"create-volume", "run-instances"}


def state_of(thing):
    state = thing.get("State", "")
    return state.get("Name", "") if isinstance(state, dict) else state


def tags_of(thing):
    return {tag["Key"]: tag["Value"] for tag in thing.get("Tags", [])}


class Resources:
    def __init__(self, aws, state, dry=False):
        self.aws, self.state, self.dry = aws, state, dry

    # ---- looking ----

    def describe(self, kind, region=None, patience=(), fresh=False, **params):
        operation, member, _, _ = KINDS[kind]
        things = self.aws.call(operation, region, patience, fresh, **params).get(member, [])
        if kind == "instance":
            things = [thing for reservation in things for thing in reservation["Instances"]]
        return things

    def get(self, kind, identity, region=None):
        """One thing that this run made, and that EC2 may not show yet."""
        name = {"instance": "InstanceIds", "volume": "VolumeIds", "snapshot": "SnapshotIds", "image": "ImageIds"}[kind]
        things = self.describe(kind, region, fresh=True, **{name: [identity]})
        return things[0] if things else {}

    def tagged(self, kind, region=None, role=None):
        filters = [{"Name": "tag:" + RUN, "Values": [self.state.run]}]
        if role:
            filters.append({"Name": "tag:" + ROLE, "Values": [role]})
        gone = KINDS[kind][3]
        return [thing for thing in self.describe(kind, region, Filters=filters) if state_of(thing) not in gone]

    def wait(self, kind, identity, wanted, failed=(), region=None):
        """Until the thing is in a state. Says how far a snapshot is; one that failed ends the program."""
        if self.dry:
            say("# wait until %s is %s" % (identity, wanted))
            return {}

        def look():
            thing = self.get(kind, identity, region)
            now = state_of(thing)
            if now == wanted:
                return thing
            if now in failed:
                reason = thing.get("StateMessage") or thing.get("StateReason", {}).get("Message") or "no reason is given"
                raise Failed("%s %s: %s: %s" % (kind, identity, now, reason))
            raise Pending(" ".join((now or "not there yet", thing.get("Progress", ""))).strip())
        return self.aws.wait("%s %s is not %s" % (kind, identity, wanted), look)

    # ---- making ----

    def tags(self, kinds, role):
        tags = [{"Key": "Name", "Value": "pv2hvm %s %s" % (self.state.run, role)},
                {"Key": RUN, "Value": self.state.run}, {"Key": ROLE, "Value": role}]
        return [{"ResourceType": kind, "Tags": tags} for kind in kinds]

    def item(self, role):
        return self.state.data["items"].get(role, {}).get("id")

    def make(self, role, kind, operation, pick, adopt=None, region=None, tag=True, **params):
        """The id of the thing with this role, made where it is not there yet. pick(answer): the id; adopt(): the id of what
        an earlier try made, or None (default: by its tags). An id may be a dict, where one call makes several."""
        items = self.state.data["items"]
        item = items.get(role, {})
        if item.get("id"):
            return item["id"]
        attempt = item.get("attempt", 0)
        if operation in TOKENS:
            token = "%s %s %s %s" % (self.state.run, self.state.data["nonce"], role, attempt)
            params["ClientToken"] = hashlib.sha256(token.encode()).hexdigest()[:32]
        if tag:
            params["TagSpecifications"] = self.tags([kind, "volume"] if kind == "instance" else [kind], role)
        if self.dry:
            say(printable(self.aws.words(operation, params, region)))
            items[role] = {"kind": kind, "region": region, "id": pick(None)}
            return items[role]["id"]
        adopt = adopt or (lambda: self.by_tags(kind, role, region))
        unsure = "id" in item  # written down, and no answer
        start = time.monotonic()
        items[role] = {"kind": kind, "region": region or self.aws.region, "attempt": attempt, "id": None}
        self.state.save()
        while True:
            found = self.patiently(adopt) if unsure and operation not in TOKENS else None
            if found:
                break
            try:
                found = pick(self.aws.once(operation, region, **params))
                break
            except AwsError as error:
                # Nothing was done at other errors, and so there is nothing to look for
                sure = error.code in THROTTLED
                if not sure and error.code not in UNSURE:
                    if not unsure:
                        items[role] = {"attempt": attempt}
                        self.state.save()
                    raise
                if time.monotonic() - start > self.aws.timeout:
                    raise
                unsure = unsure or not sure
            time.sleep(self.aws.poll)
        items[role]["id"] = found
        self.state.save()
        return found

    def patiently(self, adopt):
        """What was made a moment ago may not be listed yet."""
        start = time.monotonic()
        while True:
            found = adopt()
            if found or time.monotonic() - start > self.aws.settle:
                return found
            time.sleep(self.aws.poll)

    def by_tags(self, kind, role, region=None):
        things = self.tagged(kind, region, role)
        things = [thing for thing in things if state_of(thing) != "error"]
        return things[0][KINDS[kind][2]] if things else None

    # ---- removing ----

    def remove(self, kind, identity, region=None):
        """Removes one thing, whatever its state; one that is not there is removed already. The caller knows that it is ours."""
        aws = self.aws
        if self.dry:
            say(printable(aws.words({"volume": "delete-volume", "snapshot": "delete-snapshot", "image": "deregister-image",
                                     "instance": "terminate-instances"}[kind],
                                    {"InstanceIds": [identity]} if kind == "instance" else {KINDS[kind][2]: identity}, region)))
            return
        try:
            if kind == "instance":
                aws.call("terminate-instances", region, InstanceIds=[identity])
                self.wait(kind, identity, "terminated", region=region)
            elif kind == "volume":
                self.detach(identity)
                aws.call("delete-volume", region, patience=("VolumeInUse", "IncorrectState"), VolumeId=identity)
            elif kind == "snapshot":
                aws.call("delete-snapshot", region, patience=("InvalidSnapshot.InUse",), SnapshotId=identity)
            else:
                aws.call("deregister-image", region, ImageId=identity)
        except AwsError as error:
            if not error.not_found() and error.code not in ("InvalidAMIID.Unavailable",):
                raise

    def detach(self, volume):
        """From this helper; a volume of ours is never anywhere else."""
        if self.dry:
            say(printable(self.aws.words("detach-volume", {"VolumeId": volume})))
            return
        try:
            thing = self.get("volume", volume)
            if state_of(thing) == "available":
                return
            if any(one["State"] != "detaching" for one in thing.get("Attachments", [])):
                self.aws.call("detach-volume", VolumeId=volume)
        except AwsError as error:
            if error.not_found():
                return
            if error.code != "IncorrectState":
                raise
        self.wait("volume", volume, "available")

    def drop(self, role):
        """Removes what has this role. Its next one, if there is to be one, is another one for EC2 too."""
        item = self.state.data["items"].get(role)
        if not item or not item.get("id"):
            return
        for identity in item["id"].values() if isinstance(item["id"], dict) else [item["id"]]:
            self.remove(item["kind"], identity, item.get("region"))
        self.state.data["items"][role] = {"attempt": item.get("attempt", 0) + 1}
        if not self.dry:
            self.state.save()


class Failed(Failure):
    """A thing of ours that will not become what it should: another one has to be made."""
