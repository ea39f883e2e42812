"""The two ways to convert a line, an image by pv2hvm and an EC2 volume by ec2-convert, and what became of it."""
import glob
import os
import shutil
import stat

from .state import FINISHED, Failed, Interrupted, Signals, flush_directory, flush_file, load

USAGE = 2
REFUSED = 3
STOPPED = {-1: 1, -2: 2, -15: 15, 129: 1, 130: 2, 143: 15}  # exit statuses of a program that was told to end: by which signal


def identity(path):
    """Of a file: a copy or a file of the same name has another one. Not the device number, which differs from host to host."""
    try:
        st = os.lstat(path)
    except OSError:
        return None
    return [st.st_ino, st.st_size, st.st_mtime_ns]


def is_block_device(path):
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return False


def check_absent(output):
    if os.path.lexists(output):
        raise Failed("%s: exists already, and fleet replaces nothing: remove it, or name another output" % output)


def give_name(staged, output):
    """Nothing that has come to be there meanwhile is replaced."""
    try:
        os.link(staged, output)
    except OSError:  # it has, or a file system without hard links
        check_absent(output)
        os.rename(staged, output)


def publish(files):
    """Gives complete outputs their names: [staged name, name, identity]. False: one is neither here nor there. May be done again."""
    new = []
    try:
        for staged, output, mark in files:
            if identity(output) == mark:
                continue
            if identity(staged) != mark:
                return False
            give_name(staged, output)
            new.append((output, mark))
            flush_directory(os.path.dirname(output))
    except (OSError, Failed):
        for output, mark in new:
            if identity(output) == mark:
                os.unlink(output)
        raise
    return True


class Image:
    """A conversion by pv2hvm.

    An output is made under its own name in a directory beside it, .NAME.fleet, which holds whatever a killed try leaves. When it
    is complete and flushed, its identity is recorded ("publishing"), and only then it gets its name. So after a kill, whenever it
    came, the record says which: nothing recorded, the directory is removed and the conversion is made again; recorded, the file
    with that identity gets its name, or has it already.

    In place there is no second name: the undo journal of a try that broke off puts the image back, and it is converted again.
    An output that is a block device is written again from its beginning.
    """

    def __init__(self, program, line, task):
        self.line, self.task = line, task
        self.environment = dict(os.environ, PV2HVM=program)
        self.program, self.ours = program, False
        self.source = [line.source] + [word for device, path in line.disks for word in ("--disk", device + "=" + path if device else path)]
        self.donor = ["--donor", line.donor] if line.donor else []
        self.undo_file = ["--undo-file", line.undo_file] if line.undo_file else []

    def call(self, words):
        return self.task.call([self.program] + words, self.line.base, self.environment)

    def pv2hvm_convert(self, outputs, words):
        place = ["--in-place"] + self.undo_file if self.line.in_place else [word for output in outputs for word in ("-o", output)]
        return self.call(["convert"] + self.source + self.donor + place + words + self.line.options + ["-q"])

    def plan(self):
        reports = [self.task.path(".plan.json"), self.task.path(".plan.txt")]
        self.task.remove(".plan.json", ".plan.txt", "plan.json", "plan.txt")
        status, why = self.pv2hvm_convert(self.line.outputs, ["-n", "--report", reports[0], "--report", reports[1]])
        for report in reports:
            if os.path.exists(report):
                flush_file(report)
                os.replace(report, self.task.path(os.path.basename(report)[1:]))
        return self.judge(status, why, load(self.task.path("plan.json")), "ready")

    def run(self, old):
        """old: the record of the try before, or {}. {state, ...}, to be recorded."""
        then = old.get("line", self.line.words())
        if old.get("state") == "publishing" and then == self.line.words() and publish(old["files"]):
            return self.done(old)
        for output in self.line.outputs + then["outputs"]:
            self.remove_staging(output)
        # An undo journal that was there before the first try is none of ours: of a conversion that somebody may want
        ours_then = old.get("journal_is_ours") and then["undo_file"] == self.line.undo_file and then["disks"] == self.line.words()["disks"]
        self.ours = self.line.in_place and bool(ours_then or not self.journals())
        self.task.save(state="running", journal_is_ours=self.ours)
        self.task.remove("report.json", "report.txt")
        if self.ours and self.journals():
            self.put_back()
        try:
            return self.convert()
        finally:
            for output in self.line.outputs:
                self.remove_staging(output)

    def convert(self):
        words, files = [], []
        for output in self.line.outputs:
            staged = output
            if not is_block_device(output):
                check_absent(output)
                os.mkdir(self.staging(output))
                staged = os.path.join(self.staging(output), os.path.basename(output))
                files.append([staged, output])
            words.append(staged)
        reports = [self.task.path("report.json"), self.task.path("report.txt")]
        status, why = self.pv2hvm_convert(words, ["--report", reports[0], "--report", reports[1]])
        result = self.judge(status, why, load(reports[0]), "done")
        for report in reports:
            if os.path.exists(report):
                flush_file(report)
        if result["state"] != "done":
            return result
        self.task.tell("converted")
        result["files"] = [[staged, output, identity(staged)] for staged, output in files]
        if not all(mark for _, _, mark in result["files"]):
            raise Failed("ended without an error, but there is no output")
        self.task.save(**dict(result, state="publishing"))
        if not publish(result["files"]):
            raise Failed("%s: went away while it got its name" % files[0][0])
        return self.done(result)

    def done(self, result):
        for output in self.line.outputs:
            self.remove_staging(output)
        return {"state": "done", "output": ", ".join(self.line.outputs) or self.line.source, "files": result["files"]}

    def judge(self, status, why, report, good):
        """What became of it, by exit status and report: both have to say the same."""
        verdict = report.get("verdict")
        if status == 0 and verdict in (good, "nothing-to-do"):
            return {"state": verdict}
        if status == 0:
            return {"state": "failed", "error": "ended without an error, but its report says %s" % (verdict or "nothing")}
        if status == REFUSED:
            return {"state": "refused", "error": why}
        if Signals.number or status in STOPPED:
            Signals.number = Signals.number or STOPPED[status]
            raise Interrupted()
        if status < 0:
            why = "ended by signal %d%s" % (-status, ": out of memory?" if status == -9 else "")
        return {"state": "failed", "error": why or "exit status %d" % status, "usage": status == USAGE}

    @staticmethod
    def staging(output):
        return os.path.join(os.path.dirname(output), "." + os.path.basename(output) + ".fleet")

    def remove_staging(self, output):
        if os.path.lexists(self.staging(output)):
            shutil.rmtree(self.staging(output))
            flush_directory(os.path.dirname(output))

    def journals(self):
        """The undo journals that there are, of all disks."""
        if self.line.undo_file:
            names = [self.line.undo_file] + glob.glob(glob.escape(self.line.undo_file) + "-xvd*")
        else:
            names = [path + ".pv2hvm-undo" for path in [self.line.source] + [path for _, path in self.line.disks]]
        return [name for name in names if os.path.lexists(name)]

    def put_back(self):
        """Where this fails, convert says what is the matter: it takes no image that is half written, and no journal that has content."""
        self.task.tell("undo")
        status, why = self.call(["undo"] + self.source + self.undo_file)
        self.judge(status, why, {}, "")  # whether it was told to end


class Ec2(Image):
    """A conversion by ec2-convert, which keeps its own state in STATE/ec2/NAME, resumes by itself and verifies what it makes."""

    def __init__(self, program, line, task, tool):
        super().__init__(tool, line, task)
        self.environment["PV2HVM"] = program
        top = os.path.join(os.path.dirname(task.directory), "ec2")
        self.directory = os.path.join(top, line.name)
        self.words = self.source + self.donor + ["--run", line.name, "--state-dir", top]

    def keep_reports(self, theirs, ours):
        for suffix in (".json", ".txt"):
            source, new = os.path.join(self.directory, theirs + suffix), self.task.path("." + ours + suffix)
            self.task.remove(ours + suffix)
            if os.path.exists(source):
                shutil.copyfile(source, new)
                flush_file(new)
                os.replace(new, self.task.path(ours + suffix))

    def facts(self):
        return load(os.path.join(self.directory, "state.json"))

    def plan(self):
        status, why = self.call(self.words + ["--plan"] + self.line.options)
        self.keep_reports("plan", "plan")
        verdict = self.facts().get("verdict") or load(self.task.path("plan.json")).get("verdict")
        return self.judge(status, why, {"verdict": verdict}, "ready")

    def run(self, old):
        self.task.save(state="running")
        status, why = self.call(self.words + self.line.options)
        # What is refused or boots as HVM already has a plan only
        self.keep_reports("report" if os.path.exists(os.path.join(self.directory, "report.json")) else "plan", "report")
        image = self.facts().get("ami")
        result = self.judge(status, why, {"verdict": self.facts().get("verdict") or ("done" if image else None)}, "done")
        if result["state"] == "done":
            self.task.tell("converted")
            result["output"] = image
        return result
