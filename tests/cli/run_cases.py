#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the cases of this folder: each is a text file with a command and everything it must do.

    run_cases.py --bin build/bin --root . tests/cli/export/help.txt    one case
    run_cases.py --bin build/bin --root . tests/cli                    all of them
    run_cases.py --bin build/bin --root . --rebase tests/cli/export    rewrites what differs

README.md in this folder says how a case is written.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SECTIONS = ("requires", "setup", "command", "exit", "stdout", "stderr", "files")
TIMEOUT_S = 600
SKIPPED, PASSED, FAILED = "skipped", "passed", "failed"


class CaseError(Exception):
    """A case that cannot be read."""


class Case:
    """A comment, then sections that each start with a line '==== <name>'."""

    def __init__(self, path):
        self.path = path
        self.comment = ""
        self.sections = {}
        name = None
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            heading = re.fullmatch(r"==== (\w+)(?: (.*))?\n?", line)
            if heading:
                name = heading.group(1)
                if name not in SECTIONS or name in self.sections:
                    raise CaseError(f"{path}: unknown or repeated section '{name}'")
                self.sections[name] = f"{heading.group(2)}\n" if heading.group(2) else ""
            elif name is None:
                self.comment += line
            else:
                self.sections[name] += line
        if "command" not in self.sections:
            raise CaseError(f"{path}: there is no section 'command'")

    def write(self):
        text = self.comment
        for name in SECTIONS:
            if name not in self.sections:
                continue
            content = self.sections[name]
            one_line = name in ("requires", "exit")
            text += f"==== {name} {content}" if one_line else f"==== {name}\n{content}"
        self.path.write_text(text, encoding="utf-8")


def matches(expected, actual):
    """True if `actual` is `expected`, where '...' stands for any text, and as a line for any lines."""
    pattern = ""
    for line in expected.splitlines(keepends=True):
        if line.strip() == "...":
            pattern += r"(?:.*\n)*"
        else:
            pattern += r"[^\n]*?".join(re.escape(part) for part in line.split("..."))
    return re.fullmatch(pattern, actual) is not None


def program_version(folder):
    """Returns what the programs call themselves, e.g. '0.1.0 (389ab77)'."""
    command = [folder / "qeff-run", "--version"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return text.removeprefix("qeff-run ").strip()


def can_run(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def can_mount():
    return can_run("unshare", "--mount", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt")


REQUIREMENTS = {
    "mount": (can_mount, "this user cannot mount a small file system"),
    "setpriv": (
        lambda: os.geteuid() != 0 or can_run("setpriv", "--bounding-set=-dac_override", "true"),
        "root reads every folder, and setpriv cannot take that right away",
    ),
    "strace": (lambda: can_run("strace", "-f", "-o", "/dev/null", "true"), "strace does not run"),
    "taskset": (lambda: can_run("taskset", "-c", "0", "true"), "taskset does not run on processor 0"),
    "make": (lambda: shutil.which("make") is not None, "make is not installed"),
}


class Sandbox:
    """A temporary folder in which one case runs, with nothing of the user's around it."""

    def __init__(self, base, arguments):
        self.base = base
        self.work = base / "work"
        self.placeholders = {
            "{TMP}": str(self.work),
            "{HOME}": str(base / "home"),
            "{CACHE}": str(base / "cache"),
            "{HUB}": str(base / "hub"),
            "{BIN}": str(arguments.bin),
            "{ROOT}": str(arguments.root),
            "{VERSION}": arguments.version,
        }
        for folder in ("work", "home"):
            (base / folder).mkdir()
        drop = "setpriv --bounding-set=-dac_override,-dac_read_search"
        self.environment = {
            "PATH": f"{arguments.bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(base / "home"),
            "XDG_CACHE_HOME": str(base / "home/.cache"),
            "QEFF_HOME": str(base / "cache"),
            "HF_HOME": str(base / "hub"),
            "HF_HUB_OFFLINE": "1",  # what talks to a hub is tested in tests/hub_server
            "LC_ALL": "C.UTF-8",
            "ROOT": str(arguments.root),
            "PYTHON": sys.executable,
            # In front of a program that must not read what its user may not read.
            "UNPRIVILEGED": drop if os.geteuid() == 0 else "",
        }

    def fill(self, text):
        for name, value in self.placeholders.items():
            text = text.replace(name, value)
        return text

    def mask(self, text):
        # {TMP} lies below nothing else; longer values first, so that none hides another.
        for name, value in sorted(self.placeholders.items(), key=lambda item: -len(item[1])):
            text = text.replace(value, name)
        return text

    def run(self, script):
        return subprocess.run(
            ["bash", "-u", "-c", self.fill(script)],
            cwd=self.work,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def files(self):
        found = (path.relative_to(self.work) for path in self.work.rglob("*") if not path.is_dir())
        return "".join(f"{path}\n" for path in sorted(found))


def run_case(path, arguments):
    """Returns the outcome and a text about it."""
    case = Case(path)
    for name in case.sections.get("requires", "").split():
        is_there, reason = REQUIREMENTS[name]
        if not is_there():
            return SKIPPED, reason
    with tempfile.TemporaryDirectory(prefix="qeff-cli-") as base:
        sandbox = Sandbox(pathlib.Path(base).resolve(), arguments)
        if "setup" in case.sections:
            setup = sandbox.run("set -e\n" + case.sections["setup"])
            if setup.returncode != 0:
                return FAILED, "the setup failed:\n" + setup.stderr.decode(errors="replace")
        try:
            done = sandbox.run(case.sections["command"])
        except subprocess.TimeoutExpired:
            return FAILED, f"the command did not end within {TIMEOUT_S} s"
        actual = {
            "exit": f"{done.returncode}\n",
            "stdout": sandbox.mask(done.stdout.decode("utf-8", "backslashreplace")),
            "stderr": sandbox.mask(done.stderr.decode("utf-8", "backslashreplace")),
            "files": sandbox.files(),
        }
    report = ""
    for name, got in actual.items():
        # What no case speaks of: no output, success, any files.
        default = {"exit": "0\n", "files": "...\n"}.get(name, "")
        expected = case.sections.get(name, default)
        if got and not got.endswith("\n"):
            got += "\n{NO LINE END}\n"
        if matches(expected, got):
            continue
        report += f"---- {name}, expected:\n{expected}---- {name}, got:\n{got}"
        case.sections[name] = got
    if not report:
        return PASSED, ""
    if arguments.rebase:
        case.write()
        return PASSED, "rewritten"
    return FAILED, report


def main():
    parser = argparse.ArgumentParser(description="Runs command-line test cases.")
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder with the programs")
    parser.add_argument("--root", type=pathlib.Path, required=True, help="the project's folder")
    parser.add_argument("--rebase", action="store_true", help="rewrite expectations that differ")
    parser.add_argument("paths", type=pathlib.Path, nargs="+", help="cases, or folders of cases")
    arguments = parser.parse_args()
    arguments.bin = arguments.bin.resolve()
    arguments.root = arguments.root.resolve()
    arguments.version = program_version(arguments.bin)
    counts = {PASSED: 0, FAILED: 0, SKIPPED: 0}
    for path in arguments.paths:
        is_case = lambda file: file.name != "CMakeLists.txt"
        for case in filter(is_case, sorted(path.rglob("*.txt"))) if path.is_dir() else [path]:
            try:
                outcome, text = run_case(case, arguments)
            except CaseError as error:
                outcome, text = FAILED, str(error)
            counts[outcome] += 1
            if outcome == SKIPPED:
                print(f"SKIPPED: {case}: {text}")
            elif text:
                print(f"{outcome}: {case}\n{text}")
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts[FAILED] else 0


if __name__ == "__main__":
    sys.exit(main())
