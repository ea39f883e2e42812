"""Which block device of this machine an attached volume is. By what the volume itself says, never by the order of names.

NVMe (Nitro): the controller's serial number is the volume's id without its dash, in /sys/block/*/device/serial, and udev makes
/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_volID of it (AWS, "Identify the EBS device").
Xen: the virtual device's number (/sys/block/*/device/nodename, "device/vbd/NUMBER") is what the toolstack made of the name that
the volume was attached as (Xen, docs/man/xen-vbd-interface.7): 202 << 8 | letter << 4 for xvd, 8 << 8 for sd, 1 << 28 | letter << 8
for either beyond the sixteenth. Kernels name the device as they like (RHEL 6 adds four letters); the number stays.
"""
import glob
import os
import re
import time

from aws import Failure

ROOT = ""  # of sysfs and /dev; tests have their own
BY_ID = "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_"


def read(path):
    try:
        with open(ROOT + path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def serial_matches(serial, volume):
    return serial.replace("-", "") == volume.replace("-", "")


def vbd_letter(number):
    """The letter of the whole disk that a Xen virtual device number stands for; None for a partition or another bus."""
    if number >> 28 == 1:
        disk, partition = (number & 0xfffffff) >> 8, number & 0xff
    elif number >> 8 in (202, 8):
        disk, partition = (number & 0xff) >> 4, number & 0xf
    else:
        return None
    return chr(ord("a") + disk) if partition == 0 and disk < 26 else None


def blocks(attribute):
    """Names of the block devices whose device has an attribute."""
    return [path.split("/")[-3] for path in glob.glob(ROOT + "/sys/block/*/device/" + attribute)]


def candidates(volume, attached_as):
    """Names below /dev that are this volume."""
    found = set()
    for name in blocks("serial"):
        if serial_matches(read("/sys/block/%s/device/serial" % name), volume):
            found.add(name)
    link = ROOT + BY_ID + volume.replace("-", "")
    if os.path.exists(link):
        name = os.path.basename(os.path.realpath(link))
        serial = read("/sys/block/%s/device/serial" % name)
        # A link may be of a volume that is gone
        if not serial or serial_matches(serial, volume):
            found.add(name)
    letter = re.match(r"/dev/(?:sd|xvd)([a-z])$", attached_as).group(1)
    for name in blocks("nodename"):
        number = re.match(r"device/vbd/(\d+)$", read("/sys/block/%s/device/nodename" % name))
        if number and vbd_letter(int(number.group(1))) == letter:
            found.add(name)
    return found


def below(name):
    """The whole disks that a block device lies on."""
    slaves = glob.glob("/sys/class/block/%s/slaves/*" % name)
    if slaves:
        return set().union(*(below(os.path.basename(path)) for path in slaves))
    real = os.path.realpath("/sys/class/block/" + name)
    return {os.path.basename(os.path.dirname(real)) if os.path.exists(real + "/partition") else name}


def in_use():
    """The whole disks that this machine mounts from or swaps to."""
    # Of the directories themselves, too: in a chroot the mount below / is not listed
    names = {os.path.basename(os.path.realpath("/sys/dev/block/%d:%d" % (os.major(number), os.minor(number))))
             for number in (os.stat(path).st_dev for path in ("/", "/boot", "/usr") if os.path.exists(path))}
    for line in read("/proc/self/mountinfo").splitlines():
        real = os.path.realpath("/sys/dev/block/" + line.split()[2])
        # btrfs has numbers of its own; its line names the device
        names.update((os.path.basename(real), line.split(" - ")[-1].split()[1]))
    names.update(line.split()[0] for line in read("/proc/swaps").splitlines()[1:])
    names = {os.path.basename(os.path.realpath(name) if name.startswith("/") else name) for name in names}
    return set().union(*(below(name) for name in names if os.path.exists("/sys/class/block/" + name)))


def find(volume, attached_as, size, patience):
    """Path of the device of an attached volume. size: the volume's, in bytes; patience: seconds until udev has seen it."""
    start = time.monotonic()
    while True:
        found = candidates(volume, attached_as)
        if len(found) == 1:
            name = found.pop()
            has = int(read("/sys/block/%s/size" % name) or 0) * 512
            if has == size and os.path.exists("/dev/" + name):
                break
            if has and has != size:
                raise Failure("/dev/%s should be %s, but has %d bytes instead of %d: nothing is written" % (name, volume, has, size))
        elif found:
            raise Failure("%s is at once %s: nothing is written" % (volume, ", ".join(sorted(found))))
        if time.monotonic() - start > patience:
            raise Failure("%s is attached as %s, but no device of this machine has its id: is this the instance that it was "
                          "attached to?" % (volume, attached_as))
        time.sleep(0.2)
    if name in in_use():
        raise Failure("/dev/%s (%s) is in use by this machine: nothing is written" % (name, volume))
    return "/dev/" + name
