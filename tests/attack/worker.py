"""Runs attacks one after the other: a JSON line in, a JSON line out; killed where it hangs."""

import json
import os
import sys
import time
from pathlib import Path

from tests.written.driver import run

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_bytes():
    """Largest memory since the last reset."""
    line = next(row for row in STATUS.read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main():
    """Answer until there is no line."""
    answers = os.fdopen(os.dup(1), "w")  # commands may write to the first one
    for text in sys.stdin:
        job = json.loads(text)
        os.chdir(job["folder"])
        CLEAR.write_text("5")
        start = time.monotonic()
        try:
            code, said = run(job["line"])
        except BaseException as problem:  # a command must never let one out
            code, said = -1, f"Traceback: {type(problem).__name__}: {problem}"
        seconds = time.monotonic() - start
        report = {"code": code, "said": said[-1500:], "seconds": seconds, "bytes": peak_bytes()}
        answers.write(json.dumps(report) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
