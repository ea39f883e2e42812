"""EC2 through the AWS CLI: one call, its errors in words, and waiting.

The CLI's own retries are switched off: it would repeat a request whose answer was lost, and so make a second snapshot.
What may be repeated, and when, is decided here and in resources.py.
"""
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import time

# Nothing was done: the same request may be sent again
THROTTLED = {"RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled", "EC2ThrottledException",
             "SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded",
             "ConcurrentCreateVolumeLimitExceeded"}
# It may or may not have been done
UNSURE = {"InternalError", "InternalFailure", "ServerInternal", "Unavailable", "ServiceUnavailable", "Timeout", "NoAnswer"}
NO_PERMISSION = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation"}
CREDENTIALS = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "AuthFailure",
               "UnrecognizedClientException", "MissingAuthenticationToken", "SignatureDoesNotMatch", "NoCredentials"}


class Failure(Exception):
    """What ends the program with one line on standard error; status is the exit status."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.status = status


class AwsError(Failure):
    """An error that EC2 answered with, or the CLI's own; code as in the EC2 API reference."""

    def __init__(self, code, operation, message):
        super().__init__(explain(code, operation, message))
        self.code = code
        self.message = message

    def not_found(self):
        return self.code.endswith(".NotFound")


def camel(operation):
    return "".join(part.capitalize() for part in operation.split("-"))


def explain(code, operation, message):
    action = "ec2:" + camel(operation)
    if code in NO_PERMISSION:
        # Encoded messages are for `aws sts decode-authorization-message`, and fill a screen
        plain = re.sub(r"\s*Encoded authorization failure message:.*", "", message, flags=re.S)
        # It may be another one: CreateSnapshot with tags needs ec2:CreateTags
        named = re.search(r"perform: (\S+:\S+)", plain)
        return "no permission for %s: add it to this instance's role (docs/ec2-policy.json has all that are needed): %s" % (
            named.group(1) if named else action, plain)
    if code in CREDENTIALS:
        return "the AWS credentials are missing, wrong or have expired (%s): renew them and go on: %s" % (code, message)
    return "%s: %s (%s)" % (action, message, code)


def option(name, value):
    """A parameter as the CLI takes it: SnapshotId -> --snapshot-id; structures as JSON."""
    flag = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
    if isinstance(value, bool):
        return ["--" + flag] if value else ["--no-" + flag]
    if isinstance(value, (dict, list)):
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            return ["--" + flag] + value
        return ["--" + flag, json.dumps(value, sort_keys=True)]
    return ["--" + flag, str(value)]


class Aws:
    """poll, settle, timeout: seconds between two looks, for what is not visible yet, and for one wait."""

    def __init__(self, region, profile=None, endpoint=None, poll=5.0, settle=60.0, timeout=7200.0):
        self.region = region
        self.common = ["--output", "json", "--no-cli-pager"]
        if profile:
            self.common += ["--profile", profile]
        if endpoint:
            self.common += ["--endpoint-url", endpoint]
        self.poll, self.settle, self.timeout = poll, settle, timeout
        self.environment = dict(os.environ, AWS_MAX_ATTEMPTS="1", AWS_RETRY_MODE="standard", AWS_PAGER="", LC_ALL="C.UTF-8")

    def words(self, operation, params, region=None):
        words = ["aws", "ec2", operation, "--region", region or self.region]
        for name, value in params.items():
            if value is not None:
                words += option(name, value)
        return words

    def once(self, operation, region=None, **params):
        """One request, whatever comes. Raises AwsError."""
        try:
            done = subprocess.run(self.words(operation, params, region) + self.common, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment)
        except FileNotFoundError:
            raise Failure("the AWS CLI is not installed: install awscli (version 2)")
        if done.returncode == 0:
            text = done.stdout.decode("utf-8", "replace").strip()
            return json.loads(text) if text else {}
        said = done.stderr.decode("utf-8", "replace").strip()
        match = re.search(r"An error occurred \(([^)]+)\) when calling the \S+ operation(?: \([^)]*\))?: (.*)", said, re.S)
        if match:
            raise AwsError(match.group(1), operation, " ".join(match.group(2).split()))
        if "--no-cli-pager" in said:
            raise Failure("the AWS CLI here is version 1: install version 2")
        line = " ".join(said.split()) or "the AWS CLI ended with status %d" % done.returncode
        if re.search(r"[Uu]nable to locate credentials|[Tt]oken has expired|session.*expired|configure credentials", line):
            raise AwsError("NoCredentials", operation, line)
        if re.search(r"[Cc]onnect|[Tt]imeout|timed out|closed|EOF|proxy", line) and done.returncode == 255:
            raise AwsError("NoAnswer", operation, line)
        raise AwsError("CLI", operation, line)

    def call(self, operation, region=None, patience=(), fresh=False, **params):
        """Once and again while nothing was done (throttling), and for what may be repeated (patience: error codes; fresh:
        what it is about was made a moment ago and may not be visible). Not for calls that create: see resources.py."""
        start = time.monotonic()
        pause = self.poll
        for tries in itertools.count(1):
            try:
                return self.once(operation, region, **params)
            except AwsError as error:
                if error.code in THROTTLED | UNSURE or error.code in patience:
                    limit = self.timeout
                elif fresh and error.not_found():
                    limit = self.settle
                else:
                    raise
                if time.monotonic() - start > limit and tries > 2:
                    raise
            time.sleep(pause)
            pause = min(pause * 1.5, max(30.0, self.poll))

    def wait(self, what, look):
        """Until look() gives something else than None; a string that it gives by raising Pending is shown on time-out."""
        start = time.monotonic()
        pause = self.poll
        said = ""
        while True:
            try:
                found = look()
                if found is not None:
                    return found
            except Pending as pending:
                said = str(pending)
            if time.monotonic() - start > self.timeout:
                raise Failure("%s: not after %d s (%s): go on waiting with --resume, or give more time with --timeout" % (
                    what, self.timeout, said or "no change"))
            time.sleep(pause)
            pause = min(pause * 1.2, max(15.0, self.poll))


class Pending(Exception):
    """Not yet; the text says how far it is."""


def printable(words):
    return " ".join(shlex.quote(word) for word in words)


def say(text):
    print(text, flush=True)


def warn(text):
    print("ec2-convert: warning: " + text, file=sys.stderr, flush=True)
