#!/usr/bin/python3
"""The AWS CLI, started once: most of a call's second is Python reading the CLI and EC2's model. serve() makes a directory with a
program `aws` that has the calls carried out by a copy (fork) of a process that has read them already.
"""
import array
import json
import os
import socket
import stat
import sys

CLIENT = """#!/usr/bin/python3 -ISE
import array, json, os, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(%r)
data = json.dumps([sys.argv[1:], dict(os.environ)]).encode()
s.sendmsg([len(data).to_bytes(4, "big") + data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
status = s.recv(1)
sys.exit(status[0] if status else 1)
"""


def answer(connection, driver):
    """In the copy: standard streams, arguments and environment of the caller."""
    data, ancillary, _, _ = connection.recvmsg(1 << 20, socket.CMSG_SPACE(12))
    fds = array.array("i")
    for _, _, block in ancillary:
        fds.frombytes(block)
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        data += connection.recv(1 << 20)
    words, environment = json.loads(data[4:])
    for target, fd in enumerate(fds):
        os.dup2(fd, target)
    os.environ.clear()
    os.environ.update(environment)
    try:
        status = driver.main(words)
    except SystemExit as end:
        status = end.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    connection.send(bytes([status & 255]))
    os._exit(0)


def run(path):
    """In the process that has read the CLI."""
    import gc
    import signal
    from awscli.clidriver import create_clidriver
    driver = create_clidriver()
    loader = driver.session.get_component("data_loader")
    for part in ("service-2", "paginators-1", "waiters-2", "endpoint-rule-set-1"):
        try:
            loader.load_service_model("ec2", part)
        except Exception:  # not all versions have all parts
            pass
    driver._get_command_table()["ec2"].create_parser()
    gc.freeze()
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    server.listen(16)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            server.close()
            answer(connection, driver)
        connection.close()


def serve(directory):
    """Makes directory/aws. Returns the process that it needs, to be killed at the end."""
    import subprocess
    path = os.path.join(directory, "socket")
    process = subprocess.Popen(["/usr/bin/python3", os.path.realpath(__file__), path], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    program = os.path.join(directory, "aws")
    with open(program, "w") as file:
        file.write(CLIENT % path)
    os.chmod(program, stat.S_IRWXU)
    return process


if __name__ == "__main__":
    run(sys.argv[1])
