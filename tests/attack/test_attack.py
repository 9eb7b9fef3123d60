"""A thousand bad inputs over all commands and formats: each is refused in one line, or harmless.

Answers are kept in the folder that STARSMITH_ATTACK_FOLDER names, if it does: a run that was
interrupted goes on there.
"""

import json
import select
import subprocess
import sys
from collections import Counter

import pytest

from tests.attack.attacks import every, prepare

MOST_BYTES, MOST_SECONDS = 1.5e9, 20.0
MISSES = {
    "recipe.toml: large": "a run that diverges leaves its folder, whose log says how; the message "
    "says how to go on",
}
"""Attacks that are still answered badly, by name, and why."""

pytestmark = pytest.mark.slow


class Worker:
    """A process that runs attacks, started again where it died or hung."""

    def __init__(self):
        self.process = None

    def ask(self, line, folder):
        """Report of one command line; code None where the process died or hung."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.attack.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self.ask("specdata info nowhere", "/")  # imports are not the attack's time
        self.process.stdin.write(json.dumps({"line": line, "folder": str(folder)}) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], 3 * MOST_SECONDS)
        answer = self.process.stdout.readline() if ready else ""
        if not answer:
            self.process.kill()
            self.process.wait()
            return {"code": None, "said": "", "seconds": 3 * MOST_SECONDS, "bytes": 0}
        return json.loads(answer)


def faults(report, left):
    """What was wrong with an answer, in words."""
    said = report["said"]
    errors = [line for line in said.splitlines() if line.startswith(("spec",)) and ": " in line]
    checks = {
        "died or hung": report["code"] is None,
        "traceback": "Traceback" in said,
        "unexpected": "unexpected " in said,
        "no message": report["code"] not in (0, None) and not errors,
        "exit code": report["code"] not in (0, 1, 2, 3, None),
        "left over": bool(left),
        "slow": report["seconds"] > MOST_SECONDS,
        "large": report["bytes"] > MOST_BYTES,
    }
    return [name for name, wrong in checks.items() if wrong]


def left_over(before, folder, code):
    """New names after a refusal, and partial files after anything."""
    new = {p.name for p in folder.iterdir()} - before
    return sorted(n for n in new if code != 0 or "partial" in n or n.startswith("."))


def test_no_bad_input_is_answered_badly(kept, tmp_path):
    """No death, no traceback, nothing unexpected, nothing left, within 20 s and 1.5 GB."""
    answers = kept / "answers.jsonl"
    known = (
        [json.loads(line) for line in answers.read_text().splitlines()] if answers.exists() else []
    )
    done = {answer["name"] for answer in known}
    worker = Worker()
    attacks = every(kept / "pristine")
    for number, attack in enumerate(attacks):
        if attack.name in done:
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        prepare(attack, kept / "pristine", folder)
        before = {p.name for p in folder.iterdir()}
        report = worker.ask(attack.line, folder)
        found = faults(report, left_over(before, folder, report["code"]))
        known.append({"name": attack.name, "line": attack.line, "faults": found, **report})
        with answers.open("a") as stream:
            stream.write(json.dumps(known[-1]) + "\n")
        subprocess.run(["rm", "-rf", folder], check=True)
    bad = [a for a in known if a["faults"] and a["name"] not in MISSES]
    print(Counter(str(a["code"]) for a in known), Counter(f for a in bad for f in a["faults"]))
    assert len(known) >= 1000
    assert not bad, "\n".join(
        f"{a['name']}: {a['line']}: {a['faults']}: {a['said'][-200:]}" for a in bad
    )
