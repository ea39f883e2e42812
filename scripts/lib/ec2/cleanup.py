"""Removes what a broken run left: what carries its tag, and nothing else."""
import time

from aws import say
from flow import remove_undo, sweep


def images_of(resources, region):
    """Images that have one of the run's snapshots. They are known by that, as they get their tag only after they are made."""
    snapshots = [thing["SnapshotId"] for thing in resources.tagged("snapshot", region)]
    if not snapshots:
        return []
    return resources.describe("image", region, Owners=["self"],
                              Filters=[{"Name": "block-device-mapping.snapshot-id", "Values": snapshots}])


def cleanup(resources, regions, known):
    """known: there is a state of this run, so that it is known whether its image is its result. Returns the exit status."""
    state = resources.state
    finished = state.done("finished")
    if state.data.get("stopped") and state.data.get("source", {}).get("instance") and not state.data["options"].get("leave_stopped"):
        resources.aws.call("start-instances", patience=("IncorrectInstanceState",), InstanceIds=[state.data["source"]["instance"]])
        say("started again: %s" % state.data["source"]["instance"])
        state.save(stopped=False)
    # What was asked for a moment before the end may not be listed yet
    unanswered = any("id" in item and not item["id"] for item in state.data["items"].values())
    start = time.monotonic()
    removed = kept = 0
    while True:
        for region in regions:
            keep = set()
            for image in images_of(resources, region):
                if finished or not known:
                    keep.update(mapping["Ebs"]["SnapshotId"] for mapping in image["BlockDeviceMappings"] if "SnapshotId" in mapping.get("Ebs", {}))
                    say("kept: %s (%s) and its snapshots" % (image["ImageId"], image["Name"]))
                    kept += 1
                else:
                    # The permission to remove it is for what carries the tag
                    resources.aws.call("create-tags", region, Resources=[image["ImageId"]], Tags=resources.tags(["image"], "image")[0]["Tags"])
                    resources.remove("image", image["ImageId"], region)
                    say("removed: %s in %s" % (image["ImageId"], region))
                    removed += 1
            for identity in sweep(resources, region, keep):
                say("removed: %s in %s" % (identity, region))
                removed += 1
        if removed or not unanswered or time.monotonic() - start > resources.aws.settle:
            break
        time.sleep(resources.aws.poll)
    if known and not finished:
        remove_undo(state)
        state.start_over()
        state.save(step="cleaned up")
    say("%d removed%s" % (removed, "" if kept or removed else ": nothing of %s is left in %s" % (state.run, ", ".join(regions))))
    return 0


