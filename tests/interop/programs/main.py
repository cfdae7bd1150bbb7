# mypy: ignore-errors
"""Has the real agno ready, and becomes a program that uses it as often as it is asked to, by forking.

On a socket come, each answered with a process id: the folder and environment of a program, with the files for its
stdin, stdout and stderr; or the id of one to wait for. A program takes calls as JSON lines on stdin, answers each with
a line on stdout.
"""

import importlib
import json
import logging
import os
import socket
import sys

heard = []


class Listener(logging.Handler):
    def emit(self, record):
        heard.append(f"{record.levelname} {record.getMessage()}")


def listen():
    logging.captureWarnings(True)
    for name in ("agno", "agno-team", "agno-workflow", "py.warnings"):
        logging.getLogger(name).addHandler(Listener(logging.WARNING))


def call():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # agno logs to stdout
    for line in sys.stdin:
        request = json.loads(line)
        module, _, name = request["function"].partition(".")
        function = getattr(importlib.import_module(module), name)
        result = function(*request["arguments"], **request["named"])
        answers.write(json.dumps({"result": result, "warnings": heard}, default=str) + "\n")
        answers.flush()
        heard.clear()


def begin(home, environment, files):
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(home)
    os.environ.clear()
    os.environ.update(environment)
    call()


def main(meeting, *ready):
    if os.fork():
        os._exit(0)  # whoever started this waits for nobody
    import agno.utils.log  # noqa: F401 - sets up its loggers

    listen()
    for name in ready:
        importlib.import_module(name)
    asked = socket.socket(fileno=int(meeting))
    while True:
        message, files, *_ = socket.recv_fds(asked, 1 << 16, 3)
        if not message:
            return
        request = json.loads(message)
        process = request.get("wait") or os.fork()
        if not process:
            asked.close()
            begin(request["home"], request["environment"], files)
            return
        for file in files:
            os.close(file)
        if "wait" in request:
            os.waitpid(process, 0)
        asked.send(str(process).encode())


main(*sys.argv[1:])
