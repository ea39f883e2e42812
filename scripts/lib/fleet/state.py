"""What is kept of a line in STATE/NAME: its lock, its record, its history. A record is replaced as a whole and is on stable
storage before what it announces is done, so a task may end at any moment."""
import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time

from .manifest import without_keys

FINISHED = ("done", "nothing-to-do")


class Failed(Exception):
    """One line that says why a line of the manifest could not be done."""


class Interrupted(Exception):
    """This task was told to end."""


class Signals:
    """SIGTERM, SIGINT and SIGHUP reach the children; the task ends when they have."""

    number = 0
    children = set()

    @classmethod
    def install(cls):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, cls.caught)

    @classmethod
    def caught(cls, number, _):
        cls.number = number
        for child in list(cls.children):
            child.send_signal(number)

    @classmethod
    def check(cls):
        if cls.number:
            raise Interrupted()


@contextlib.contextmanager
def naming(path):
    """Errors of a write do not say where."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def flush_directory(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that flush no directories
            raise
    finally:
        os.close(fd)


def make_directory(path):
    if not os.path.isdir(path):
        os.makedirs(path, exist_ok=True)
        flush_directory(os.path.dirname(path))


def flush_file(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def store(path, data):
    new = path + ".new"
    with naming(path), open(new, "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    flush_directory(os.path.dirname(path))


def load(path):
    """An object, {} where there is no file."""
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Failed("%s: %s" % (path, error.strerror))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Failed("%s: broken or cut off" % path)
    return data


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Task:
    """A line's directory. verb is run or plan: each has its own lock, record and log."""

    def __init__(self, state, line, verb):
        self.line, self.verb = line, verb
        self.directory = os.path.join(state, line.name)
        self.record_name = "state.json" if verb == "run" else "plan-state.json"
        self.lock_fd = -1

    def path(self, name):
        return os.path.join(self.directory, name)

    @contextlib.contextmanager
    def hold(self):
        """The line's lock, the only one that a task takes. The children inherit it: it is held until the last of them is gone,
        even where this process was killed before them."""
        make_directory(self.directory)
        self.lock_fd = os.open(self.path(self.verb + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self.wait_for_lock()
            with naming(self.path(self.verb + ".lock")):
                os.ftruncate(self.lock_fd, 0)
                os.pwrite(self.lock_fd, ("%s, process %d\n" % (socket.gethostname(), os.getpid())).encode(), 0)
            yield
        finally:
            os.close(self.lock_fd)

    def wait_for_lock(self):
        told = False
        while True:
            Signals.check()
            try:
                return fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise Failed("%s: %s" % (self.path(self.verb + ".lock"), error.strerror))
            if not told:
                holder = os.pread(self.lock_fd, 200, 0).decode("utf-8", "replace").strip()
                print("fleet: %s: waits for another task on this line (%s)" % (self.line.name, holder), file=sys.stderr, flush=True)
            told = True
            time.sleep(0.2)

    def is_held(self):
        """By another task, now."""
        try:
            file = open(self.path(self.verb + ".lock"), "rb")
        except FileNotFoundError:
            return False
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError as error:
                return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
        return False

    def record(self):
        return load(self.path(self.record_name))

    def save(self, **facts):
        facts.update(version=1, name=self.line.name, line=self.line.words(), time=now())
        store(self.path(self.record_name), facts)

    def tell(self, event, detail=""):
        """A line of the history, which is never shortened."""
        text = " ".join([now(), event] + detail.splitlines()[:1])
        fd = os.open(self.path("history"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            with naming(self.path("history")):
                os.write(fd, (text + "\n").encode("utf-8", "replace"))
                os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, *names):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(name))

    def call(self, argv, directory, environment):
        """(exit status, the last line that says why) of a program; what it says goes to the log."""
        Signals.check()
        log = self.path(self.verb + ".log")
        with naming(log), open(log, "ab") as file:
            start = file.tell()
            file.write(("# %s %s\n" % (now(), " ".join(without_keys(argv)))).encode("utf-8", "replace"))
            file.flush()
            try:
                child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, cwd=directory,
                                         env=environment, pass_fds=(self.lock_fd,))
            except OSError as error:
                raise Failed("%s: %s" % (argv[0], error.strerror))
            Signals.children.add(child)
            if Signals.number:  # came before the child was among them
                child.send_signal(Signals.number)
            status = child.wait()
            Signals.children.discard(child)
        with open(log, "rb") as file:
            file.seek(start)
            said = file.read().decode("utf-8", "replace").splitlines()[1:]
        said = [text for text in said if text.strip()]
        why = [text for text in said if text.startswith((os.path.basename(argv[0]) + ": ", "pv2hvm: ")) and ": warning: " not in text]
        return status, (why or said or [""])[-1]
