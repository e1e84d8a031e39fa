#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Checks that only lib/families knows families: no other source of the product has the name of one in quotes.

usage: check_family_names.py [ROOT]

Looks in lib/, passes/, backends/, stages/ and tools/ for string literals that are a model_type or an architecture of
lib/families/families.def. A comment may name a family. Left out are the files of EXCEPT, for the reason given there. Exit: 0 none, 1 some."""
import pathlib
import re
import sys

FOLDERS = ("lib", "passes", "backends", "stages", "tools", "include")
# Files made before there was tokenizer.json: which of transformers' tokenizer classes belongs to a model_type is its table.
EXCEPT = ("lib/tokenizer/legacy_settings.cpp", "lib/tokenizer/legacy_vocabulary.cpp")


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1])
    entries = re.findall(r"^(?:FAMILY|ENCODER)\((\w+), \w+, \"(\w+)\"\)", (root / "lib/families/families.def").read_text(), re.M)
    names = {name for entry in entries for name in entry}
    found = 0
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in (".cpp", ".h", ".def") or "families" in path.relative_to(root).parts:
                continue
            if str(path.relative_to(root)) in EXCEPT:
                continue
            for literal in re.findall(r'"((?:[^"\\]|\\.)*)"', without_comments(path.read_text())):
                if literal in names:
                    print(f"{path.relative_to(root)}: names the family '{literal}'")
                    found += 1
    print(f"{len(names)} names of families, {found} outside of lib/families")
    return 1 if found or not names else 0


if __name__ == "__main__":
    sys.exit(main())
