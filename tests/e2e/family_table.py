#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs every recorded case of a causal language model on every backend and in onnxruntime, and writes the table of families.

usage: family_table.py --bin BIN --cases FOLDER --write README.md [--python PYTHON]
       family_table.py --bin BIN --encoder-cases FOLDER --write README.md [--python PYTHON]
       family_table.py --check README.md

--python  an interpreter with onnx and onnxruntime, for the column of onnxruntime (default: this one)
--check   only compares the families that README.md lists with lib/families/families.def

A case passes on a backend when check_goldens.py says so for config.json (prefill 1, 4, 32) and, where there is one, for
config.v4.json (prefill 4, 32); in onnxruntime when check_onnxruntime.py says so. The table lists families with how many of
their cases passed and the largest difference of any logit. The table of encoders comes from the groups encoder and seqcls in the
folder of --encoder-cases, by check_encoders.py. Exit: 0 all passed, 1 some did not, 77 there are no cases."""
import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
BEGIN, END = "<!-- families: written by tests/e2e/family_table.py -->", "<!-- end of families -->"
ENCODERS_BEGIN, ENCODERS_END = "<!-- encoders: written by tests/e2e/family_table.py -->", "<!-- end of encoders -->"


def known_families():
    return re.findall(r"^FAMILY\((\w+), \w+, \"(\w+)\"\)", (ROOT / "lib/families/families.def").read_text(), re.M)


def known_encoders():
    return re.findall(r"^ENCODER\((\w+), \w+, \"(\w+)\"\)", (ROOT / "lib/families/families.def").read_text(), re.M)


def family_of(folder):
    """The family that builds the case: by model_type, else by architecture, as lib/families does."""
    config = json.loads((folder / "config.json").read_text())
    families = known_families()
    by_type = [name for name, _ in families if name == config["model_type"]]
    return (by_type + [name for name, architecture in families if architecture in config["architectures"]])[0]


def checked(command):
    """Returns whether all is well, and the largest difference."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    differences = [float(x) for x in re.findall(r"largest difference ([\d.e+-]+|nan)", done.stdout)]
    if done.returncode != 0:
        print(done.stdout, flush=True)
    return done.returncode == 0, max(differences, default=0.0)


def measure(args, folder):
    """Results by column: passed, largest difference."""
    results = {}
    for backend in ("cpu", "reference"):
        command = [sys.executable, HERE / "check_goldens.py", "--bin", args.bin, "--cases", args.cases, "--case", folder.name, "--backend", backend]
        results[backend] = checked(command)
        if (folder / "config.v4.json").exists():
            older = checked(command + ["--config", "config.v4.json", "--prefill", "4,32"])
            results[backend] = (results[backend][0] and older[0], max(results[backend][1], older[1]))
    results["onnxruntime"] = checked([args.python, HERE / "check_onnxruntime.py", "--bin", args.bin, "--cases", args.cases, "--case", folder.name])
    return results


def table(rows):
    lines = [BEGIN, "| family | architecture | recorded cases | cpu | reference | onnxruntime | largest difference |", "|---|---|---|---|---|---|---|"]
    for name, architecture in known_families():
        cases = rows.get(name, {})
        cells = []
        for column in ("cpu", "reference", "onnxruntime"):
            passed = sum(results[column][0] for results in cases.values())
            cells.append(f"{passed} of {len(cases)}" if cases else "-")
        worst = max((results[column][1] for results in cases.values() for column in ("cpu", "reference")), default=None)
        lines.append(f"| {name} | {architecture} | {', '.join(cases) or 'none'} | {' | '.join(cells)} | {f'{worst:.1e}' if worst is not None else '-'} |")
    return "\n".join(lines + [END])


def measure_encoder(args, group, folder):
    """Results by column, of both spellings of the config where there are two."""
    configs = [name for name in ("config.json", "config.v4.json") if (folder / name).exists()]
    results = {}
    for backend in ("cpu", "reference", "onnxruntime"):
        runs = [checked([args.python, HERE / "check_encoders.py", "--bin", args.bin, "--cases", args.encoder_cases / group, "--case", folder.name,
                         "--backend", backend, "--config", config]) for config in configs]
        results[backend] = (all(good for good, _ in runs), max(worst for _, worst in runs))
    return results


def encoder_table(args):
    """The table, and whether all cases passed."""
    rows, passed = collections.defaultdict(dict), True
    encoders = known_encoders()
    for group in ("encoder", "seqcls"):
        for folder in sorted(path.parent for path in (args.encoder_cases / group).glob("*/golden.safetensors")):
            name = folder.name
            family = json.loads((folder / "config.json").read_text())["model_type"].replace("-", "_")
            if family not in dict(encoders):
                continue
            rows[family][f"{name} (classifier)" if group == "seqcls" else name] = results = measure_encoder(args, group, folder)
            passed &= all(good for good, _ in results.values())
    lines = [ENCODERS_BEGIN, "| encoder | classes | recorded cases | cpu | reference | onnxruntime | largest difference |", "|---|---|---|---|---|---|---|"]
    for name, classes in encoders:
        cases = rows.get(name, {})
        cells = [f"{sum(r[c][0] for r in cases.values())} of {len(cases)}" if cases else "-" for c in ("cpu", "reference", "onnxruntime")]
        worst = max((r[c][1] for r in cases.values() for c in ("cpu", "reference")), default=None)
        lines.append(f"| {name} | {classes}* | {', '.join(cases) or 'none'} | {' | '.join(cells)} | {f'{worst:.1e}' if worst is not None else '-'} |")
    return "\n".join(lines + [ENCODERS_END]), passed


def replace_table(path, begin, end, text):
    old = path.read_text()
    path.write_text(old[:old.index(begin)] + text + old[old.index(end) + len(end):])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path)
    parser.add_argument("--cases", type=pathlib.Path)
    parser.add_argument("--encoder-cases", type=pathlib.Path)
    parser.add_argument("--write", type=pathlib.Path)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--check", type=pathlib.Path)
    args = parser.parse_args()
    if args.check:
        text = args.check.read_text()
        listed = re.findall(r"^\| (\w+) \| \w+ \|", text[text.index(BEGIN):text.index(END)], re.M)[1:]
        encoders = re.findall(r"^\| (\w+) \| \w+\* \|", text[text.index(ENCODERS_BEGIN):text.index(ENCODERS_END)], re.M)
        missing = sorted({name for name, _ in known_families()} ^ set(listed) | {name for name, _ in known_encoders()} ^ set(encoders))
        print(f"not in both {args.check} and families.def: {', '.join(missing)}" if missing else "the families are the same")
        return 1 if missing else 0
    if args.encoder_cases:
        text, passed = encoder_table(args)
        replace_table(args.write, ENCODERS_BEGIN, ENCODERS_END, text)
        return 0 if passed else 1
    if not args.cases.is_dir():
        print(f"SKIPPED: {args.cases} is not there")
        return 77
    rows, failed = collections.defaultdict(dict), False
    for name in json.loads((args.cases / "index.json").read_text()):
        results = measure(args, args.cases / name)
        rows[family_of(args.cases / name)][name] = results
        print(name, {column: f"{'ok' if good else 'FAIL'} {worst:.1e}" for column, (good, worst) in results.items()}, flush=True)
        failed |= not all(good for good, _ in results.values())
    replace_table(args.write, BEGIN, END, table(rows))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
