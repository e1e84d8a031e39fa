#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks the rules of the tree: includes go down the layers only, every source of a .def folder has its line, every file has
its SPDX lines. Prints one line a violation; exit 1 if there is any."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Folder -> folders of the project that it may include (itself always). The longest matching prefix counts.
ALLOWED = {
    "lib/support": [],
    "lib/ir": ["lib/support"],
    "lib/artifact": ["lib/support"],
    "lib/hub": ["lib/support"],
    "lib/ops": ["lib/support", "lib/ir"],
    "lib/checkpoint": ["lib/support", "lib/ir"],
    "lib/tokenizer": ["lib/support", "lib/ir"],
    "lib/chat_template": ["lib/support", "lib/tokenizer/unicode.h"],
    "lib/onnx_io": ["lib/support", "lib/ir", "lib/ops"],
    "lib/families": ["lib/support", "lib/ir", "lib/ops", "lib/checkpoint"],
    "lib/generation": ["lib/support", "lib/tokenizer", "lib/artifact"],
    "lib/embedding": ["lib/support", "lib/tokenizer", "lib/generation/session.h"],
    "passes": ["lib/support", "lib/ir", "lib/ops"],
    "backends/cpu/kernels": ["lib/support"],
    "backends/cpu/runtime": ["lib/support", "lib/generation", "lib/artifact", "backends/cpu/kernels"],
    "backends/cpu": ["lib", "passes", "backends/backend.h", "backends/program_file.h", "!lib/families", "!lib/hub"],
    "backends/reference": ["lib", "passes", "backends/backend.h", "backends/program_file.h", "!lib/families", "!lib/hub"],
    "backends/aic100": ["lib", "passes", "backends/backend.h", "backends/program_file.h", "!lib/families", "!lib/hub"],
    "backends": ["lib", "passes", "!lib/families", "!lib/hub"],
    "stages": ["lib", "passes", "backends", "include"],
    "include": ["lib/support/status.h"],
    "tools": ["lib", "passes", "backends", "stages", "include"],
    "tests": ["lib", "passes", "backends", "stages", "tools", "include"],
    "tests/standins": ["lib", "passes", "backends", "QAicApi.hpp"],
    "examples": ["include"],
}
# Third-party headers that belong to one folder.
OWNED = {
    r"onnx/|google/protobuf": "lib/onnx_io",
    r"spdlog/": "lib/support",
    r"nlohmann/": "lib/support",
    r"curl/": "lib/hub",
    r"CLI/": "tools",
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def allowed_of(path):
    best = max((k for k in ALLOWED if path == k or path.startswith(k + "/")), key=len, default=None)
    return best, ALLOWED.get(best, [])


def main():
    problems = []
    files = [p for p in ROOT.rglob("*") if p.suffix in (".h", ".cpp", ".py", ".sh", ".in") and p.is_file()]
    for file in files:
        path = file.relative_to(ROOT).as_posix()
        if path.startswith(("build", ".git/", ".venv")):
            continue
        text = file.read_text(errors="replace")
        if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.split("\n")[:4]):
            problems.append(f"{path}: no SPDX lines at the top")
        if file.suffix not in (".h", ".cpp"):
            continue
        owner, rules = allowed_of(path)
        if owner is None:
            problems.append(f"{path}: in no layer that scripts/check_includes.py knows")
            continue
        for number, line in enumerate(text.split("\n"), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match[2]
            for pattern, folder in OWNED.items():
                if re.match(pattern, target) and not path.startswith((folder, "tests")):
                    problems.append(f"{path}:{number}: {target} belongs to {folder}")
            if match[1] == "<" or target.startswith(owner + "/") or target.startswith("qeff/"):
                continue
            denied = any(target.startswith(r[1:] + "/") for r in rules if r.startswith("!"))
            granted = any(target == r or target.startswith(r + "/") for r in rules)
            if denied or not granted:
                problems.append(f"{path}:{number}: {owner} may not include {target}")
    for definition, macro in (("passes/passes.def", "PASS"), ("lib/families/families.def", "FAMILY|ENCODER")):
        listed = set(re.findall(rf"^(?:{macro})\(([a-z0-9_]+)", (ROOT / definition).read_text(), re.M))
        entry = {"PASS": r"^Result<Change> [A-Z]\w*\(ir::Model&[^,]*, const PassContext&",
                 "FAMILY|ENCODER": r"^Result<ir::Graph> [A-Z]\w*\(const FamilyInputs&"}[macro]
        for source in (ROOT / definition).parent.glob("*.cpp"):
            has_entry = re.search(entry, source.read_text(), re.M)
            if has_entry and source.stem not in listed:
                problems.append(f"{source.relative_to(ROOT)}: no line in {definition}")
    print("\n".join(sorted(problems)) if problems else "layers, SPDX lines and .def files are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
