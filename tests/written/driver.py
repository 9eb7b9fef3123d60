"""Run command lines one after the other in this interpreter: JSON in, a JSON line each out.

Input: a list of [line, folder, {name: source}]; sources are copied into the folder beforehand.
"""

import contextlib
import io
import json
import os
import shlex
import shutil
import sys
import time
from importlib import import_module


def run(line):
    """Exit code, and all that a command said."""
    tool, *words = shlex.split(line)
    said = io.StringIO()
    main = import_module(f"starsmith.cli.{tool}").main
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main.main(words, tool)
    except SystemExit as done:
        return int(done.code or 0), said.getvalue()
    return 0, said.getvalue()


def bring(sources):
    """Copy files and folders into this folder."""
    for name, source in sources.items():
        if os.path.isdir(source):
            shutil.copytree(source, name, dirs_exist_ok=True)
        else:
            shutil.copy(source, name)


def main():
    """Run every job and report."""
    for line, folder, sources in json.load(sys.stdin):
        os.makedirs(folder, exist_ok=True)
        os.chdir(folder)
        bring(sources)
        start = time.monotonic()
        code, said = run(line)
        seconds = round(time.monotonic() - start, 1)
        print(json.dumps({"line": line, "code": code, "said": said[-2000:], "seconds": seconds}))
        sys.stdout.flush()


if __name__ == "__main__":  # workers of a command import this file
    main()
