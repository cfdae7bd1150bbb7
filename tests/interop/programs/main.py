# mypy: ignore-errors
"""Runs beside the real agno: takes calls as JSON lines on stdin, answers each with a line on stdout."""

import importlib
import json
import logging
import os
import sys

heard = []


class Listener(logging.Handler):
    def emit(self, record):
        heard.append(f"{record.levelname} {record.getMessage()}")


def listen():
    logging.captureWarnings(True)
    for name in ("agno", "agno-team", "agno-workflow", "py.warnings"):
        logging.getLogger(name).addHandler(Listener(logging.WARNING))


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # agno logs to stdout
    import agno.utils.log  # noqa: F401 - sets up its loggers

    listen()
    for line in sys.stdin:
        request = json.loads(line)
        module, _, name = request["function"].partition(".")
        function = getattr(importlib.import_module(module), name)
        result = function(*request["arguments"], **request["named"])
        answers.write(json.dumps({"result": result, "warnings": heard}, default=str) + "\n")
        answers.flush()
        heard.clear()


main()
