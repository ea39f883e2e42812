"""What a run has done, in a file that survives it: RUN/state.json, replaced as a whole and flushed after every step."""
import fcntl
import json
import os

from aws import Failure

VERSION = 1


class State:
    """The run's directory, its lock and its facts (data, a dict that JSON can hold)."""

    def __init__(self, top, run):
        self.run = run
        self.directory = os.path.join(top, run)
        self.path = os.path.join(self.directory, "state.json")
        self.data = {"version": VERSION, "run": run}
        self.start_over()
        self.lock = None

    def start_over(self):
        """Nothing of the run is there any more. What it makes from now on must not be taken for what it made before."""
        self.data.update(items={}, done=[], nonce=os.urandom(4).hex())

    def exists(self):
        return os.path.exists(self.path)

    def open(self):
        """Makes the directory where it is not there, takes the lock, reads the file."""
        try:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            self.lock = open(os.path.join(self.directory, "lock"), "w")
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("%s: another ec2-convert is at work on this run" % self.directory)
        except OSError as error:
            raise Failure("%s: %s: choose another place with --state-dir" % (self.directory, error.strerror))
        if self.exists():
            self.data = load(self.path)

    def file(self, name):
        return os.path.join(self.directory, name)

    def save(self, **facts):
        self.data.update(facts)
        store(self.path, self.data)

    def done(self, milestone):
        return milestone in self.data["done"]

    def reached(self, milestone, **facts):
        if milestone not in self.data["done"]:
            self.data["done"].append(milestone)
        self.save(step=milestone, **facts)


def load(path):
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        if data["version"] != VERSION:
            raise Failure("%s: written by another version (%s)" % (path, data["version"]))
        return data
    except (ValueError, KeyError, TypeError):
        raise Failure("%s: is no state of a run: remove what it made with --cleanup, by its tag" % path)
    except OSError as error:
        raise Failure("%s: %s" % (path, error.strerror))


def store(path, data):
    new = path + ".new"
    try:
        with open(new, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
        directory = os.open(os.path.dirname(path), os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise Failure("%s: %s: nothing more is done; make room and go on with --resume" % (path, error.strerror))
