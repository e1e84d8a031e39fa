#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Runs every option of the table "QEfficient's options and ours" in docs/cloud-ai-100.md with --dry-run.

usage: check_options_table.py --bin BIN --root PROJECT

Each spelling of a row, QEfficient's and ours, must be taken and give the same command and files, and what the third column promises must be in
them. A row that is not known here fails, so that none is written without a test."""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

# Our option of the row -> its value, what the graph must be exported with, options that it needs, what the output must have.
ROWS = {
    "--prefill-seq-len": ("16", [], [], '"seq_len": "16"'),
    "--ctx-len": ("256", [], [], '"ctx_len": "256"'),
    "--batch-size": ("3", [], [], '"batch_size": "3"'),
    "--full-batch-size": ("4", ["--continuous-batching"], [], '"full_batch_size": "4"'),
    "--kv-cache-batch-size": ("6", ["--continuous-batching"], ["--full-batch-size", "4"], '"full_batch_size": "6"'),
    "--num-speculative-tokens": ("3", ["--speculative-target"], [], '"num_logits_to_keep": "4"'),
    "--ccl-prefill": ("1024,2048", ["--ccl"], ["--ctx-len", "2048"], '"comp_ctx_lengths": "1024"'),
    "--ccl-decode": ("1024,2048", ["--ccl"], ["--ctx-len", "2048"], '"comp_ctx_lengths": "1024"'),
    "--prefill-only": ("", [], [], '"seq_len": "32"'),
    "--decode-only": ("", [], [], '"seq_len": "1"'),
    "--num-cores": ("8", [], [], "-aic-num-cores=8"),
    "--devices": ("0,1", [], [], "mdp_ts_2.json"),
    "--num-devices": ("2", [], [], "mdp_ts_2.json"),
    "--mxfp6-matmul": ("", [], [], "-mxfp6-matmul"),
    "--mxint8-kv-cache": ("", [], [], "Precision: mxint8"),
    "--mos": ("2", [], [], "-mos=2"),
    "--aic-enable-depth-first": ("", [], [], "-aic-enable-depth-first"),
    "--allow-mxint8-mdp-io": ("", [], [], "-allow-mxint8-mdp-io"),
    "--node-precision-info": ("FILE", [], [], "-node-precision-info="),
    "--mdp-load-partition-config": ("PARTITION", [], [], "-mdp-load-partition-config="),
    "--mdp-dump-partition-config": ("dump.json", [], [], "/dump.json"),
    "--io-encrypt": ("", [], [], "-io-encrypt"),
    "--aic-hw-version": ("ai200", [], [], "-aic-hw-version=ai200"),
    "-o": ("somewhere", [], [], "somewhere/qpc"),
    "--mdp-partitions": ("2", [], ["--num-devices", "2"], "-mdp-load-partition-config="),
}
# Rows that are no option, checked by hand below.
OTHERS = {"the argument", "--compiler-arg", "--mdp-compiler-dump", "--specializations", "qnn", "qeff-export"}


def table_rows(text):
    section = text.split("## QEfficient's options and ours", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and not cells[0].startswith("---") and cells[0] != "QEfficient":
            yield cells


def spellings(cell):
    """Options of a cell: `--a_b`, `--device_group [0,1]`, `name=True`, `name` -> with dashes, without values."""
    for quoted in re.findall(r"`([^`]+)`", cell):
        name = quoted.split()[0].split("=")[0]
        yield name if name.startswith("-") else "--" + name


def key_of(spelling):
    """Our name of a spelling, by the words in it."""
    plain = spelling.replace("_", "-")
    renamed = {"--prompt-len": "--prefill-seq-len", "--comp-ctx-lengths-prefill": "--ccl-prefill", "--comp-ctx-lengths-decode": "--ccl-decode",
               "--device-group": "--devices", "--mxfp6": "--mxfp6-matmul", "--mxint8": "--mxint8-kv-cache", "--qpc-path": "-o",
               "--mdp-num-partitions": "--mdp-partitions"}
    return renamed.get(plain, plain)


class Runner:
    def __init__(self, arguments, work):
        self.bin, self.root, self.work, self.exports = arguments.bin.resolve(), arguments.root.resolve(), work, {}
        (work / "nodes.yaml").write_text("FP32NodeInstanceNames: []\n")
        (work / "partition.json").write_text('{"connections": [], "partitions": []}\n')

    def onnx(self, options):
        key = tuple(options)
        if key not in self.exports:
            folder = self.work / f"onnx{len(self.exports)}"
            subprocess.run([self.bin / "qeff-export", self.root / "configs/demo-model", "-o", folder, "-q", *options], check=True,
                           stdout=subprocess.DEVNULL)
            self.exports[key] = folder
        return self.exports[key]

    def dry_run(self, spelling, value, export, needed):
        values = {"": [], "FILE": [self.work / "nodes.yaml"], "PARTITION": [self.work / "partition.json"]}.get(value, [value])
        if spelling == "--device_group":
            values = ["[0,1]"]
        out = [] if key_of(spelling) == "-o" else ["-o", "out"]
        command = [self.bin / "qeff-compile", self.onnx(export), "--backend", "aic100", "--dry-run", *out, *needed, spelling, *values]
        done = subprocess.run(command, cwd=self.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stdout, done.stderr


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    problems, outputs, covered = [], {}, set()
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(arguments, pathlib.Path(folder))
        for theirs, ours, _ in table_rows((arguments.root / "docs/cloud-ai-100.md").read_text()):
            if any(other in ours for other in OTHERS) and "`-o`" not in ours:
                continue
            for spelling in [*spellings(theirs), *spellings(ours)]:
                if spelling in ("--onnx_path", "--False"):
                    continue
                key = key_of(spelling)
                if key not in ROWS:
                    problems.append(f"{spelling}: no test knows this option")
                    continue
                value, export, needed, wanted = ROWS[key]
                code, out, err = runner.dry_run(spelling, value, export, needed)
                covered.add(key)
                flat = out.replace('":"', '": "')
                if code != 0 or wanted not in flat:
                    problems.append(f"{spelling} {value}: exit {code}, expected {wanted!r} in the output\n{err}")
                elif outputs.setdefault(key, out) != out:
                    problems.append(f"{spelling}: gives another command or other files than the option's other names")
        code, out, _ = runner.dry_run("--compiler-arg=-ols=2", "", [], [])
        if code != 0 or "-ols=2" not in out:
            problems.append("--compiler-arg: not passed on")
        onnx = runner.onnx([])
        for name in ("--onnx_path", "--onnx-path"):
            done = subprocess.run([runner.bin / "qeff-compile", name, onnx, "--backend", "aic100", "--dry-run"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
            if done.returncode != 0 or f"-m={onnx}" not in done.stdout:
                problems.append(f"{name}: {done.stderr}")
    for problem in problems:
        print(problem)
    print(f"{len(covered)} options, {len(problems)} problems")
    return 1 if problems or len(covered) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
