"""The manifest: what is to be converted. All of it is read and checked before anything is done."""
import csv
import io
import json
import os
import re
import shlex
import stat

COLUMNS = ("name", "source", "donor", "output", "in_place", "undo_file", "disks", "disk_outputs", "options")
LISTS = ("disks", "disk_outputs", "options")  # in CSV: words, quoted as for a shell
# Given with an EC2 id they would say what nobody does
NOT_FOR_EC2 = ("output", "in_place", "undo_file", "disks", "disk_outputs")
EC2_ID = re.compile(r"(i|vol|snap|ami)-[0-9a-f]{8}([0-9a-f]{9})?")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# What fleet itself says to pv2hvm convert or ec2-convert
OURS = ("--donor", "--output", "--disk", "--in-place", "--undo-file", "--dry-run", "--report", "--progress", "--machine-readable",
        "--json", "--quiet", "--help", "--run", "--state-dir", "--plan", "--resume", "--cleanup")


class Wrong(Exception):
    """What is wrong with the manifest, in one line."""


class Line:
    """A line: paths are absolute, what is missing has its default."""

    def __init__(self, number, index, cells, defaults, base):
        self.number, self.index, self.base = number, index, base
        self.source = cells.get("source", "")
        self.options = defaults.options + cells.get("options", [])
        self.in_place = cells.get("in_place", False)
        if not self.source:
            raise Wrong("no source")
        self.ec2 = bool(EC2_ID.fullmatch(self.source))
        self.name = cells.get("name") or default_name(self.source)
        self.donor = cells.get("donor") or defaults.donor
        self.disks, self.outputs, self.undo_file = [], [], ""
        if not NAME.fullmatch(self.name) or self.name == "ec2":
            raise Wrong('name %r: letters, digits, "._-", at most 64, the first one a letter or a digit; not "ec2"' % self.name)
        check_options(self.options, self.ec2)
        if self.ec2:
            for column in NOT_FOR_EC2:
                if cells.get(column):
                    raise Wrong("%s: not with an EC2 id" % column)
        else:
            self.take_paths(cells, defaults, base)

    def take_paths(self, cells, defaults, base):
        self.source = os.path.join(base, self.source)
        if self.donor and EC2_ID.fullmatch(self.donor):
            raise Wrong("donor %s: only a source that is an EC2 id can have such a donor" % self.donor)
        if not self.donor and value_of(self.options, "--kernel") != "guest" and defaults.donor is not None:
            raise Wrong("no donor: give one in the manifest, or --donor")
        self.donor = self.donor and os.path.join(base, self.donor)
        for disk in cells.get("disks", []):
            device, equals, path = disk.partition("=") if disk.startswith("/dev/") else ("", "", disk)
            self.disks.append((device, os.path.join(base, path)) if equals else ("", os.path.join(base, disk)))  # as pv2hvm reads it
        images = [self.source] + [path for _, path in self.disks]
        outputs = [cells.get("output", "")] + cells.get("disk_outputs", [])
        if self.in_place:
            if any(outputs):
                raise Wrong("in_place and an output exclude each other")
            self.undo_file = cells.get("undo_file") and os.path.join(base, cells["undo_file"]) or ""
            if is_device(self.source) and not self.undo_file:
                raise Wrong("a device that is changed in place needs an undo_file")
            return
        if cells.get("undo_file"):
            raise Wrong("undo_file without in_place")
        if len(outputs) > len(images):
            raise Wrong("more disk_outputs than disks")
        outputs += [""] * (len(images) - len(outputs))
        for image, output in zip(images, outputs):
            if not output and is_device(image):
                raise Wrong("%s: a device needs an output, or in_place" % image)
            self.outputs.append(os.path.join(base, output or default_output(image, self.options, defaults.output_dir)))

    def words(self):
        """What decides what the result is."""
        return {"source": self.source, "donor": self.donor or "", "disks": [list(disk) for disk in self.disks], "outputs": self.outputs,
                "in_place": self.in_place, "undo_file": self.undo_file, "options": without_keys(self.options)}


def without_keys(words):
    """For files that others may read: passphrases of --key NAME:key:PASSPHRASE left out."""
    return [re.sub("(:key:).*", r"\1...", word, flags=re.DOTALL) for word in words]


def is_device(path):
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return path.startswith("/dev/")


def default_name(source):
    stem = os.path.splitext(os.path.basename(source))[0]
    return re.sub(r"[^A-Za-z0-9._-]", "_", stem).lstrip("._-")[:64]


def default_output(source, options, directory):
    """The name that pv2hvm itself would choose: guest.raw becomes guest-hvm.raw."""
    head, tail = os.path.split(source)
    stem, suffix = os.path.splitext(tail)
    wanted = value_of(options, "--output-format")
    if wanted and suffix:
        suffix = ".raw" if wanted == "raw" else ".qcow2"
    elif suffix.lower() in (".vmdk", ".vhdx", ".vhd", ".vdi"):
        suffix = ".qcow2"
    return os.path.join(directory or head, stem + "-hvm" + suffix)


def value_of(words, option):
    found = None
    for i, word in enumerate(words):
        if word == option and i + 1 < len(words):
            found = words[i + 1]
        elif word.startswith(option + "="):
            found = word[len(option) + 1:]
    return found


def check_options(words, ec2=False):
    for word in words:
        option = word.split("=")[0]
        if word == "--" and ec2:  # what follows is pv2hvm's
            continue
        short = re.fullmatch("-[^-].*", word) and not re.fullmatch("-v+", word)
        # getopt takes an option's beginning for it
        if option == "--" or short or option.startswith("--") and any(ours.startswith(option) for ours in OURS):
            raise Wrong("options: %s: fleet sets this itself, or the columns do (the value of an option: --option=value)" % word)


def to_bool(text):
    known = {"": False, "no": False, "false": False, "0": False, "yes": True, "true": True, "1": True}
    if text.lower() not in known:
        raise Wrong("in_place: %r is neither yes nor no" % text)
    return known[text.lower()]


def from_csv(text):
    """(line number, cells or what is wrong with them) of each record."""
    start, fresh = 0, True

    def lines():
        nonlocal start, fresh
        for number, line in enumerate(io.StringIO(text, newline=""), 1):
            if fresh:
                if not line.strip() or line.lstrip().startswith("#"):
                    continue
                start, fresh = number, False
            yield line

    header = None
    reader = csv.reader(lines(), strict=True)
    while True:
        fresh = True
        try:
            row = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            yield start, Wrong("%s, in the record that begins here" % error)
            return
        if header is None:
            header = row
            check_header(header, start)
        elif any(row):
            yield start, csv_cells(header, row)
    if header is None:
        raise Wrong("no header line")


def check_header(header, number):
    for column in header:
        if column not in COLUMNS:
            raise Wrong("line %d: unknown column %r: known are %s" % (number, column, ", ".join(COLUMNS)))
    if len(set(header)) < len(header):
        raise Wrong("line %d: a column twice" % number)
    if "source" not in header:
        raise Wrong('line %d: no column "source"' % number)


def csv_cells(header, row):
    try:
        if len(row) != len(header):
            raise Wrong("%d fields, but the header has %d" % (len(row), len(header)))
        row = dict(zip(header, row))
        for column in LISTS:
            try:
                row[column] = shlex.split(row.get(column, ""))
            except ValueError as error:
                raise Wrong("%s: %s" % (column, error))
        row["in_place"] = to_bool(row.get("in_place", ""))
        return row
    except Wrong as wrong:
        return wrong


def from_jsonl(text):
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            yield number, json_cells(json.loads(line, object_pairs_hook=unique))
        except (ValueError, RecursionError) as error:
            yield number, Wrong("not JSON: %s" % error)
        except Wrong as wrong:
            yield number, wrong


def unique(pairs):
    if len(dict(pairs)) < len(pairs):
        raise Wrong("a member twice")
    return dict(pairs)


def json_cells(cells):
    if not isinstance(cells, dict):
        raise Wrong("not a JSON object")
    for key, value in cells.items():
        if key not in COLUMNS:
            raise Wrong("unknown member %r: known are %s" % (key, ", ".join(COLUMNS)))
        if key in LISTS:
            good = isinstance(value, list) and all(isinstance(word, str) for word in value)
        else:
            good = isinstance(value, bool if key == "in_place" else str)
        if not good:
            raise Wrong("%s: has to be %s" % (key, "a list of strings" if key in LISTS else "true or false" if key == "in_place" else "a string"))
    return cells


def check_text(cells):
    for value in cells.values():
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str) and re.search("[\0\ud800-\udfff]", word):
                raise Wrong("%r: no text that a command could be given" % word)


def claims(line):
    """What no other line may have, and this one only once: (what it is, as it is told, what is compared)."""
    yield "name", line.name, ("name", line.name)
    if line.ec2:
        yield "source", line.source, line.source
        return
    for what, paths in (("source", [line.source]), ("disk", [path for _, path in line.disks]), ("output", line.outputs),
                        ("undo_file", [line.undo_file] if line.undo_file else [])):
        for path in paths:
            yield what, path, os.path.realpath(path)


def check_unique(line, taken):
    for what, shown, key in claims(line):
        if key in taken:
            raise Wrong("%s %s: is the %s of line %d already" % ((what, shown) + taken[key]))
        taken[key] = (what, line.number)


def read(path, form, defaults):
    """(lines, what is wrong as texts). defaults: donor (None: nobody will ask for it), output_dir, options."""
    form = form or os.path.splitext(path)[1].lower().lstrip(".")
    if form not in ("csv", "jsonl"):
        return [], ["%s: neither .csv nor .jsonl: say --format" % path]
    with open(path, "rb") as file:
        data = file.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        return [], ["%s: line %d: not UTF-8 (byte 0x%02x)" % (path, number, data[error.start])]
    lines, wrong, taken, base = [], [], {}, os.path.dirname(os.path.abspath(path))
    try:
        index = 0
        for number, cells in from_csv(text) if form == "csv" else from_jsonl(text):
            try:
                if isinstance(cells, Wrong):
                    raise cells
                check_text(cells)
                line = Line(number, index, cells, defaults, base)
                check_unique(line, taken)
                lines.append(line)
            except Wrong as error:
                wrong.append("%s: line %d: %s" % (path, number, error))
            index += 1
    except Wrong as error:
        wrong.append("%s: %s" % (path, error))
    if not lines and not wrong:
        wrong.append("%s: no line to convert" % path)
    return lines, wrong
