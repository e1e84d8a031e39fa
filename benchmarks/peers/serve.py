# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""The peer's side of the protocol of `qeff-bench --against` (README.md), and the command line of the adapters."""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path


class Unable(Exception):
    """A request that the engine cannot do, with the reason."""


def any_ids(count, vocab):
    """Token ids that qeff-bench uses, too; the work does not depend on them."""
    return [(i * 7919 + 13) % vocab for i in range(count)]


def prepared(home, engine, checkpoint, weights, make):
    """Returns the folder with the checkpoint in the engine's own form, made by make(folder) if it is not there."""
    checkpoint = Path(checkpoint).resolve()
    stamp = (checkpoint / "model.safetensors").stat()
    identity = hashlib.sha256(f"{checkpoint} {stamp.st_size} {stamp.st_mtime_ns}".encode()).hexdigest()[:10]
    folder = Path(home) / "models" / f"{engine}-{checkpoint.name}-{weights}-{identity}"
    if not folder.exists():
        part = folder.with_name(folder.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        make(checkpoint, part)
        part.rename(folder)
    return folder


def config_of(checkpoint):
    return json.loads((Path(checkpoint) / "config.json").read_text(encoding="utf-8"))


def answers():
    """Takes standard output for the answers; what engines print there goes to standard error from now on."""
    stream = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return stream


def serve(engine, measure, stream):
    """Answers every request with measure(request), tokens per second."""
    for line in sys.stdin:
        try:
            answer = {"engine": engine, "tok_s": measure(json.loads(line))}
        except Unable as reason:
            answer = {"engine": engine, "error": str(reason)}
        stream.write(json.dumps(answer) + "\n")
        stream.flush()


def main(prepare, open_engine):
    """prepare(home, checkpoint, weights) makes what is missing and returns its folder; open_engine(folder, checkpoint,
    weights, home) returns (name, measure)."""
    action, home, checkpoint, weights = sys.argv[1:5]
    stream = answers()
    try:
        folder = prepare(home, checkpoint, weights)
    except Unable as reason:
        sys.exit(f"error: {reason}")
    if action == "prepare":
        stream.write(f"{folder}\n")
        return
    name, measure = open_engine(folder, checkpoint, weights, home)
    serve(name, measure, stream)
