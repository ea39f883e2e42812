"""Ways to change a converted image: what verify-against-boots tries. Some break it, some are harmless; each is a function whose first line
of documentation says what is done. Nothing is mounted and nothing of the image is run: bytes are written, files go through debugfs.

BASES says which image a way starts from; @case adds a way to CASES, with the target and the bus that both verify and the boot take.
"""
import gzip
import os
import re
import struct
import subprocess
import tempfile

PART = 2048 * 512  # where the layout "partition" puts the root

BASES = {
    "tiny": {"guest": "tiny-busybox", "layout": "partition", "offset": PART},
    "flat": {"guest": "tiny-busybox", "layout": "flat", "offset": 0},
    "systemd": {"guest": "bullseye-systemd", "layout": "partition", "offset": PART},
    "dracut": {"guest": "tiny-busybox", "donor": "donor-dracut", "layout": "partition", "offset": PART},
    "sysvinit": {"guest": "bullseye-sysvinit-i386", "donor": "donor-dracut", "layout": "partition", "offset": PART},
}
BUSES = {"kvm": "virtio", "nitro": "nvme"}
CASES = {}


def case(base="tiny", harmless=False, target="kvm", root=None):
    """root: what the kernel then says of root= where that is not the file system's UUID."""

    def add(change):
        change.base, change.harmless, change.target, change.root = base, harmless, target, root
        change.what = change.__doc__.strip().splitlines()[0].rstrip(".")
        CASES[change.__name__.replace("_", "-")] = change
        return change

    return add


class Image:
    """A raw image with one ext file system, and how to change it. The clock is fixed, so that the same change gives the same bytes."""

    def __init__(self, path, offset):
        self.path, self.offset = path, offset

    def read(self, at, size):
        with open(self.path, "rb") as f:
            f.seek(at)
            return f.read(size)

    def write(self, at, data):
        with open(self.path, "r+b") as f:
            f.seek(at)
            f.write(data)

    def flip(self, at):
        self.write(at, bytes([self.read(at, 1)[0] ^ 0x10]))

    def debugfs(self, *commands, write=True):
        device = f"{self.path}?offset={self.offset}" if self.offset else self.path
        environment = dict(os.environ, E2FSPROGS_FAKE_TIME="1750000000", DEBUGFS_PAGER="cat", LC_ALL="C")
        done = subprocess.run(["debugfs", *(["-w"] if write else []), "-f", "-", device], input="\n".join(commands) + "\n",
                              capture_output=True, text=True, errors="replace", env=environment, check=True)
        complaints = [line for line in done.stderr.splitlines() if line and not line.startswith("debugfs 1.")]
        if complaints:
            raise RuntimeError(f"debugfs: {complaints[0]}")
        return done.stdout

    def get(self, path):
        with tempfile.NamedTemporaryFile() as f:
            self.debugfs(f"dump {path} {f.name}", write=False)
            return f.read()

    def put(self, path, data, mode=0o100644):
        """A file of root's, in place of the one that is there."""
        with tempfile.NamedTemporaryFile() as f:
            f.write(data if isinstance(data, bytes) else data.encode())
            f.flush()
            if self.has(path):
                self.debugfs(f"rm {path}")
            self.debugfs(f"write {f.name} {path}", f"set_inode_field {path} mode 0{mode:o}")

    def has(self, path):
        return "Inode:" in self.try_debugfs(f"stat {path}")

    def try_debugfs(self, command):
        try:
            return self.debugfs(command, write=False)
        except RuntimeError:
            return ""

    def names(self, path):
        return [line.split("/")[5] for line in self.debugfs(f"ls -p {path}", write=False).splitlines() if line.startswith("/")]

    def replace(self, path, old, new, count=-1):
        text = self.get(path).decode()
        if old not in text:
            raise RuntimeError(f"{path} has no {old!r}")
        self.put(path, text.replace(old, new, count))

    def block_of(self, path, number=0):
        """Where a block of the file's content is, in bytes of the image."""
        block = int(self.debugfs(f"bmap {path} {number}", write=False).splitlines()[-1])
        size = 1024 << struct.unpack("<I", self.read(self.offset + 1024 + 24, 4))[0]
        return self.offset + block * size

    def superblock(self, field, value):
        self.debugfs(f"set_super_value {field} {value}")

    @property
    def release(self):
        return re.search(r"vmlinuz-(\S+)", self.get(MENU).decode()).group(1)

    @property
    def kernel(self):
        return f"/boot/vmlinuz-{self.release}"

    @property
    def initrd(self):
        return f"/boot/initrd.img-{self.release}"

    @property
    def modules(self):
        return f"/lib/modules/{self.release}"

    @property
    def uuid(self):
        raw = self.read(self.offset + 1024 + 0x68, 16).hex()
        return "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))

    def remove_tree(self, path):
        commands = []

        def add(directory):
            for entry in self.debugfs(f"ls -p {directory}", write=False).splitlines():
                if not entry.startswith("/"):
                    continue
                mode, name = int(entry.split("/")[2], 8), entry.split("/")[5]
                if name in (".", ".."):
                    continue
                if mode >> 12 == 4:
                    add(f"{directory}/{name}")
                else:
                    commands.append(f"rm {directory}/{name}")
            commands.append(f"rmdir {directory}")

        add(path)
        self.debugfs(*commands)


MENU = "/boot/grub/grub.cfg"


# ---- cpio, as the kernel reads it (Documentation/driver-api/early-userspace/buffer-format.rst)

def cpio_read(data):
    members, at = [], 0
    while data[at:at + 6] == b"070701":
        field = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        name = data[at + 110:at + 110 + field[11] - 1].decode()
        start = (at + 110 + field[11] + 3) & ~3
        at = (start + field[6] + 3) & ~3
        if name == "TRAILER!!!":
            break
        members.append((field, name, data[start:start + field[6]]))
    return members


def cpio_write(members):
    out = bytearray()
    for field, name, data in [*members, ([0] * 13, "TRAILER!!!", b"")]:
        field = [*field[:6], len(data), *field[7:11], len(name.encode()) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % n for n in field) + name.encode() + b"\0"
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def cpio_file(name, data, mode=0o100644):
    return ([0, mode, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0], name, data)


def edit_initrd(image, edit):
    members = cpio_read(gzip.decompress(image.get(image.initrd)))
    image.put(image.initrd, gzip.compress(cpio_write(edit(members)), 1, mtime=0))


def initrd_without(image, *endings):
    def edit(members):
        left = [m for m in members if not m[1].endswith(endings)]
        if len(members) - len(left) < len(endings):
            raise RuntimeError(f"the initramfs has not all of {endings}")
        return left

    edit_initrd(image, edit)


def cmdline(image, old, new):
    image.replace(MENU, old, new)


def run_of_systemd(image):
    """The archive that the conversion appended lies there unpacked."""
    data, mounted = image.get(image.initrd), b" tmpfs /sysroot/run "
    if mounted not in data:
        raise RuntimeError("nothing is mounted on the new root's /run")
    image.put(image.initrd, data.replace(mounted, b" tmpfs /sysroot/nur "))


# ---- nothing, and sector 0

@case(harmless=True)
def nothing(_image):
    """nothing is changed"""


@case(base="flat", harmless=True)
def nothing_flat(_image):
    """nothing is changed, flat layout"""


@case(base="systemd", harmless=True)
def nothing_systemd(_image):
    """nothing is changed, a guest with systemd"""


@case(base="dracut", harmless=True)
def nothing_dracut(_image):
    """nothing is changed, an initramfs with systemd before busybox"""


@case(base="sysvinit", harmless=True)
def nothing_sysvinit(_image):
    """nothing is changed, an initramfs with systemd before sysvinit"""


@case()
def sector_0_wiped(image):
    """sector 0 is all zeros"""
    image.write(0, bytes(512))


@case(base="flat")
def boot_code_wiped_flat(image):
    """flat: the first 440 bytes are zeros"""
    image.write(0, bytes(440))


@case()
def signature_gone(image):
    """bytes 510 and 511 of sector 0 are zeros"""
    image.write(510, bytes(2))


@case()
def boot_code_of_other_disk(image):
    """boot code as on a GPT disk, whose core image starts at sector 34"""
    image.write(0x5c, struct.pack("<Q", 34))


@case()
def core_shifted(image):
    """core.img lies one sector further on than the boot sector says"""
    core = image.read(512, 400 * 512)
    image.write(512, bytes(512) + core)


@case()
def blocklist_wrong(image):
    """core.img's block list starts one sector too late"""
    at = 512 + 500
    image.write(at, struct.pack("<Q", struct.unpack("<Q", image.read(at, 8))[0] + 1))


@case()
def core_byte(image):
    """one bit of core.img's packed part is flipped"""
    image.flip(512 + 40000)


@case(base="flat")
def core_byte_flat(image):
    """flat: one bit of core.img in inode 5 is flipped"""
    first = struct.unpack("<Q", image.read(0x5c, 8))[0]
    second = struct.unpack("<Q", image.read(first * 512 + 500, 8))[0]
    image.flip(second * 512 + 4000)


@case(harmless=True)
def gap_filled(image):
    """text lies between the end of core.img and the partition"""
    image.write(PART - 65536, b"once there was something here " * 2000)


# ---- partition table

@case()
def partition_gone(image):
    """the partition's entry is zeros"""
    image.write(446, bytes(16))


@case()
def partition_moved(image):
    """the partition's entry starts 8 sectors too late"""
    image.write(454, struct.pack("<I", 2048 + 8))


@case()
def partition_short(image):
    """the partition's entry has half of the file system's size"""
    image.write(458, struct.pack("<I", struct.unpack("<I", image.read(458, 4))[0] // 2))


@case()
def disk_cut(image):
    """the disk ends 32 MiB before the file system does"""
    os.truncate(image.path, os.path.getsize(image.path) - (32 << 20))


@case(harmless=True)
def not_active(image):
    """no partition is marked active"""
    image.write(446, b"\0")


@case(harmless=True)
def disk_signature_changed(image):
    """the MBR's disk signature is another one"""
    image.write(440, b"\x12\x34\x56\x78")


# ---- the menu

@case()
def menu_gone(image):
    """grub.cfg is removed"""
    image.debugfs(f"rm {MENU}")


@case()
def menu_empty(image):
    """grub.cfg is empty"""
    image.put(MENU, b"")


@case()
def menu_names_missing_kernel(image):
    """grub.cfg names a kernel that is not there"""
    image.replace(MENU, f"linux {image.kernel} ", "linux /boot/vmlinuz-9.9.9 ")


@case()
def menu_unclosed(image):
    """the entry's closing brace is missing"""
    text = image.get(MENU).decode()
    image.put(MENU, text[:text.rindex("}")])


@case()
def menu_unclosed_quote(image):
    """the title's closing quote is missing"""
    image.replace(MENU, "' --id", " --id")


@case(harmless=True)
def menu_unknown_command(image):
    """grub.cfg begins with a command that does not exist"""
    image.put(MENU, "frobnicate --all\n" + image.get(MENU).decode())


@case(harmless=True)
def menu_crlf(image):
    """grub.cfg's lines end with CR LF"""
    image.put(MENU, image.get(MENU).replace(b"\n", b"\r\n"))


@case(harmless=True)
def default_out_of_range(image):
    """the default is entry 7 of one"""
    image.put(MENU, re.sub(r"set default=\S+", "set default=7", image.get(MENU).decode()))


@case()
def default_without_kernel(image):
    """the default is an entry that starts another disk"""
    text = re.sub(r"set default=\S+", "set default=other", image.get(MENU).decode())
    image.put(MENU, text + "menuentry 'Other' --id other {\n\tset root=(hd1)\n\tchainloader +1\n}\n")


@case()
def menu_waits(image):
    """set timeout=-1: GRUB waits for a key"""
    image.put(MENU, re.sub(r"set timeout=\S+", "set timeout=-1", image.get(MENU).decode()))


@case()
def menu_asks_password(image):
    """the entry is only for the superuser"""
    image.put(MENU, "set superusers=admin\npassword admin secret\n" + image.get(MENU).decode())


@case(harmless=True)
def grub_directory_gone(image):
    """/boot/grub/i386-pc is removed; core.img has all that it needs"""
    image.remove_tree("/boot/grub/i386-pc")


def other_core(image, without):
    """The same core.img made anew, without some of its modules; its embedded configuration as the converter writes it."""
    grub = "/usr/lib/grub/i386-pc"
    modules = "biosdisk part_msdos ext2 search search_fs_uuid normal linux configfile test echo serial terminal boot minicmd".split()
    with tempfile.TemporaryDirectory() as directory:
        config, out = os.path.join(directory, "cfg"), os.path.join(directory, "core")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"search.fs_uuid {image.uuid} root\nset prefix=($root)/boot/grub\n")
        subprocess.run(["grub-mkimage", "-d", grub, "-O", "i386-pc", "-p", "/boot/grub", "-c", config, "-o", out,
                        *(m for m in modules if m not in without)], check=True, env=dict(os.environ, SOURCE_DATE_EPOCH="1750000000"))
        with open(out, "rb") as f:
            core = f.read()
    image.write(512, core + bytes(PART - 512 - len(core)))


@case()
def core_without_part_msdos(image):
    """core.img lacks the module part_msdos"""
    other_core(image, ["part_msdos"])


@case()
def core_without_linux(image):
    """core.img lacks the module linux, and /boot/grub/i386-pc is gone"""
    image.remove_tree("/boot/grub/i386-pc")
    other_core(image, ["linux"])


@case(harmless=True)
def core_loads_linux(image):
    """core.img lacks the module linux, which /boot/grub/i386-pc has"""
    other_core(image, ["linux"])


# ---- the kernel

@case()
def kernel_truncated(image):
    """the kernel's second half is missing"""
    data = image.get(image.kernel)
    image.put(image.kernel, data[:len(data) // 2])


@case()
def kernel_magic(image):
    """one byte of the kernel's "HdrS" is wrong"""
    image.flip(image.block_of(image.kernel) + 0x202)


@case(harmless=True)
def kernel_root_dev(image):
    """the kernel's header names another root device, which root= overrules"""
    image.write(image.block_of(image.kernel) + 0x1fc, b"\x34\x12")


@case()
def kernel_damaged(image):
    """4 KiB in the middle of the kernel are zeros"""
    data = image.get(image.kernel)
    image.write(image.block_of(image.kernel, len(data) // 2 // 4096), bytes(4096))


@case()
def kernel_is_text(image):
    """the kernel is a text file"""
    image.put(image.kernel, "this is where the kernel was\n" * 1000)


@case()
def kernel_is_elf(image):
    """the kernel is a plain ELF program, as for PV"""
    image.put(image.kernel, image.get("/bin/busybox"))


@case(base="systemd")
def kernel_of_other_version(image):
    """the guest's old kernel stands under the new one's name"""
    old = next(n for n in image.names("/boot") if n.startswith("vmlinuz-") and not n.endswith(image.release))
    image.put(image.kernel, image.get(f"/boot/{old}"))


@case(harmless=True)
def kernel_behind_link(image):
    """the menu names a symbolic link to the kernel"""
    image.debugfs(f"symlink /boot/vmlinuz vmlinuz-{image.release}")
    image.replace(MENU, f"linux {image.kernel} ", "linux /boot/vmlinuz ")


@case()
def kernel_behind_dangling_link(image):
    """the menu names a symbolic link that leads nowhere"""
    image.debugfs("symlink /boot/vmlinuz vmlinuz-9.9.9")
    image.replace(MENU, f"linux {image.kernel} ", "linux /boot/vmlinuz ")


# ---- the initramfs

@case()
def initrd_gone(image):
    """the initramfs is removed"""
    image.debugfs(f"rm {image.initrd}")


@case()
def initrd_empty(image):
    """the initramfs is an empty file"""
    image.put(image.initrd, b"")


@case()
def initrd_truncated(image):
    """the initramfs' second half is missing"""
    data = image.get(image.initrd)
    image.put(image.initrd, data[:len(data) // 2])


@case()
def initrd_damaged(image):
    """4 KiB in the first third of the initramfs are zeros"""
    data = bytearray(image.get(image.initrd))
    data[len(data) // 3:len(data) // 3 + 4096] = bytes(4096)
    image.put(image.initrd, bytes(data))


@case()
def initrd_without_driver(image):
    """the initramfs lacks virtio_blk"""
    initrd_without(image, "/virtio_blk.ko")


@case()
def initrd_without_dependency(image):
    """the initramfs lacks virtio_ring, which virtio_blk needs"""
    initrd_without(image, "/virtio_ring.ko")


@case(target="nitro", harmless=True)
def initrd_without_driver_of_others(image):
    """the initramfs lacks virtio_blk; the disk is an NVMe one"""
    initrd_without(image, "/virtio_blk.ko")


@case()
def initrd_for_other_kernel(image):
    """the initramfs' modules are in the directory of another version"""
    edit_initrd(image, lambda members: [(f, n.replace(image_release(members), "5.10.0-1-cloud-amd64"), d) for f, n, d in members])


def image_release(members):
    return next(m.group(1) for m in (re.match(r"usr/lib/modules/([^/]+)$", n) for _, n, _ in members) if m)


@case()
def initrd_without_init(image):
    """the initramfs has no /init"""
    edit_initrd(image, lambda members: [m for m in members if m[1] != "init"])


@case()
def initrd_blacklists_driver(image):
    """the initramfs has a blacklist with virtio_blk"""
    edit_initrd(image, lambda members: members + [cpio_file("etc/modprobe.d/local.conf", b"blacklist virtio_blk\n")])


@case(harmless=True)
def initrd_with_more(image):
    """a second, plain archive is appended to the initramfs"""
    data = image.get(image.initrd)
    image.put(image.initrd, data + bytes(-len(data) % 4) + cpio_write([cpio_file("more.txt", b"more\n" * 5000)]))


@case(harmless=True)
def initrd_appended_cut(image):
    """a second archive is appended to the initramfs and cut in its middle; nothing needs it"""
    data = image.get(image.initrd)
    more = cpio_write([cpio_file("more.txt", b"more\n" * 5000)])
    image.put(image.initrd, data + bytes(-len(data) % 4) + more[:len(more) // 2])


# ---- the command line

@case()
def root_uuid_wrong(image):
    """root= names another UUID"""
    cmdline(image, f"root=UUID={image.uuid}", "root=UUID=00000000-1111-2222-3333-444444444444")


@case()
def root_xvda(image):
    """root= names /dev/xvda1, as the old menu did"""
    cmdline(image, f"root=UUID={image.uuid}", "root=/dev/xvda1")


@case(harmless=True, root="/dev/vda1")
def root_vda(image):
    """root= names /dev/vda1, which is right on this machine"""
    cmdline(image, f"root=UUID={image.uuid}", "root=/dev/vda1")


@case(harmless=True, root="LABEL=rootfs")
def root_label(image):
    """root= names the file system's label"""
    cmdline(image, f"root=UUID={image.uuid}", "root=LABEL=rootfs")


@case()
def root_type_wrong(image):
    """the command line has rootfstype=xfs"""
    cmdline(image, " ro ", " ro rootfstype=xfs ")


@case()
def init_option_wrong(image):
    """the command line has init=/sbin/absent and there is no other init"""
    cmdline(image, " ro ", " ro init=/sbin/absent ")
    image.debugfs("rm /sbin/init")


@case(base="systemd")
def single_user(image):
    """the command line has "single\""""
    cmdline(image, " ro ", " ro single ")


@case(harmless=True)
def console_hvc0_last(image):
    """the last console= of the command line is hvc0"""
    cmdline(image, "console=ttyS0,115200n8", "console=ttyS0,115200n8 console=hvc0")


# ---- the file system

@case()
def superblock_wiped(image):
    """the root file system's superblock is zeros"""
    image.write(image.offset + 1024, bytes(1024))


@case(harmless=True)
def backup_superblock_wiped(image):
    """the first backup of the superblock is zeros"""
    image.write(image.offset + 32768 * 4096, bytes(1024))


@case(harmless=True)
def journal_to_replay(image):
    """the journal holds a change of a data file that was not written back"""
    block = (image.block_of("/srv/payload/deep/er/data.txt") - image.offset) // 4096
    with tempfile.NamedTemporaryFile() as f:
        f.write(b"replayed\n" * 455 + b"\n")
        f.flush()
        image.debugfs("journal_open", f"journal_write -b {block} {f.name}", "journal_close")


@case(harmless=True)
def marked_with_errors(image):
    """the superblock says that the file system has errors; it has none"""
    image.superblock("state", 3)


@case(harmless=True)
def not_unmounted(image):
    """the superblock says that the file system was not unmounted"""
    image.superblock("state", 0)


@case()
def grub_cannot_read_inline(image):
    """the file system has the feature inline_data"""
    image.debugfs("feature inline_data")


@case(harmless=True)
def large_dir(image):
    """the file system has the feature large_dir, which GRUB passes over"""
    image.debugfs("feature large_dir")


@case()
def boot_encrypted(image):
    """the directory /boot is marked as encrypted"""
    image.debugfs("feature encrypt", "set_inode_field /boot flags 0x80800")


@case()
def kernel_extents_damaged(image):
    """the kernel's extent tree has no magic number"""
    image.debugfs(f"set_inode_field {image.kernel} block[0] 0")


# ---- the first program

@case()
def init_gone(image):
    """/sbin/init is removed"""
    image.debugfs("rm /sbin/init")


@case()
def init_dangling(image):
    """/sbin/init is a link that leads nowhere"""
    image.debugfs("rm /sbin/init", "symlink /sbin/init ../bin/absent")


@case()
def init_not_executable(image):
    """the program behind /sbin/init is not executable"""
    image.debugfs("set_inode_field /bin/busybox mode 0100644")


@case()
def init_other_machine(image):
    """the program behind /sbin/init is for ARM"""
    image.write(image.block_of("/bin/busybox") + 18, struct.pack("<H", 183))


@case(harmless=True)
def init_is_script(image):
    """/sbin/init is a shell script that starts busybox"""
    image.put("/sbin/init", "#!/bin/sh\nexec /bin/busybox init\n", 0o100755)


@case()
def init_script_interpreter_gone(image):
    """/sbin/init is a script of an interpreter that is not there"""
    image.put("/sbin/init", "#!/usr/bin/perl\nexec 'init';\n", 0o100755)


@case(base="systemd")
def loader_gone(image):
    """the C library's loader is removed"""
    image.debugfs("rm /lib/x86_64-linux-gnu/ld-2.31.so")


@case(base="systemd")
def library_gone(image):
    """a library that init needs is removed"""
    image.debugfs(f"rm {library(image, 'libkmod.so.2.')}")


@case(base="systemd")
def library_of_library_gone(image):
    """a library that a library of init's needs is removed"""
    image.debugfs(f"rm {library(image, 'libgpg-error.so.0.')}")


@case(base="systemd")
def library_empty(image):
    """a library that init needs is an empty file"""
    image.put(library(image, "libseccomp.so.2."), b"", 0o100755)


def library(image, start):
    for directory in ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"):
        for name in image.names(directory):
            if name.startswith(start):
                return f"{directory}/{name}"
    raise RuntimeError(f"no library {start}*")


@case()
def mount_points_gone(image):
    """/dev, /proc and /sys are not there, as after a copy that left them out"""
    for name in ("dev", "proc", "sys"):
        if name in image.names("/"):
            image.remove_tree(f"/{name}")


@case(base="dracut")
def run_directory_gone(image):
    """there is no directory /run for systemd of the initramfs to move its own to"""
    image.remove_tree("/run")


@case(base="sysvinit")
def run_taken_along(image):
    """systemd of the initramfs leaves /run/systemd/system behind, and udev takes it for the running init"""
    run_of_systemd(image)


@case(base="dracut", harmless=True)
def run_taken_along_busybox(image):
    """the same, where nothing looks for it"""
    run_of_systemd(image)


# ---- what comes after it

@case()
def modules_gone(image):
    """the kernel's modules are removed"""
    image.remove_tree(image.modules)


@case()
def modules_of_other_version(image):
    """the kernel's modules are in the directory of another version"""
    image.debugfs(f"ln {image.modules} /lib/modules/5.10.0-1-cloud-amd64", f"unlink {image.modules}")


@case()
def modules_dep_stale(image):
    """modules.dep names files of another tree"""
    image.put(f"{image.modules}/modules.dep", image.get(f"{image.modules}/modules.dep").replace(b"kernel/", b"updates/"))


@case(harmless=True)
def module_not_needed_gone(image):
    """the file of a module that nothing here needs is removed"""
    image.debugfs(f"rm {image.modules}/kernel/fs/nls/nls_cp437.ko")


@case(harmless=True)
def index_gone_busybox(image):
    """modules.dep.bin is removed; busybox's modprobe does not read it"""
    image.debugfs(f"rm {image.modules}/modules.dep.bin")


@case(base="systemd")
def index_gone_kmod(image):
    """modules.dep.bin is removed; kmod's modprobe reads nothing else"""
    image.debugfs(f"rm {image.modules}/modules.dep.bin")


@case(harmless=True)
def fstab_disk_missing_busybox(image):
    """fstab has a disk that is not there, without nofail; busybox goes on"""
    image.put("/etc/fstab", image.get("/etc/fstab") + b"/dev/xvdf1 /mnt ext4 defaults 0 0\n")


@case(base="systemd")
def fstab_disk_missing(image):
    """fstab has a disk that is not there, without nofail; systemd waits for it"""
    image.put("/etc/fstab", image.get("/etc/fstab") + b"/dev/xvdf1 /mnt ext4 defaults 0 2\n")


@case(base="systemd", harmless=True)
def fstab_disk_missing_nofail(image):
    """fstab has a disk that is not there, with nofail"""
    image.put("/etc/fstab", image.get("/etc/fstab") + b"/dev/xvdf1 /mnt ext4 defaults,nofail 0 2\n")


@case(base="systemd")
def fstab_root_wrong(image):
    """fstab has another UUID for /"""
    image.replace("/etc/fstab", image.uuid, "00000000-1111-2222-3333-444444444444")


@case(harmless=True)
def fstab_root_wrong_busybox(image):
    """fstab has another UUID for /; busybox remounts it by its mount point"""
    image.replace("/etc/fstab", image.uuid, "00000000-1111-2222-3333-444444444444")


@case(base="systemd")
def network_names_other_card(image):
    """/etc/network/interfaces brings up eth7 only"""
    image.replace("/etc/network/interfaces", "eth0", "eth7")


@case(base="systemd")
def network_renamed(image):
    """the command line lacks net.ifnames=0, which keeps eth0"""
    cmdline(image, " net.ifnames=0 biosdevname=0", "")


@case(base="systemd", harmless=True)
def network_driver_blacklisted(image):
    """/etc/modprobe.d blacklists virtio_net, which the initramfs has loaded before"""
    image.put("/etc/modprobe.d/local.conf", b"blacklist virtio_net\n")


@case(base="systemd", harmless=True)
def no_login_on_serial(image):
    """there is no login on ttyS0"""
    image.debugfs("symlink /etc/systemd/system/serial-getty@ttyS0.service /dev/null")
