#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Reads the first tokens of an exported encoder by their place, in forms that exporters write, and compares what the backends compute
with onnxruntime, also for texts whose first token the mask calls padding.

usage: check_first_token.py --bin BIN --checkpoint FOLDER

Each form is a graph of its own: the exported one with nodes after its hidden states [B, S, D]. Allowed: 2e-4 * max(1, largest value).
Needs numpy, onnx and onnxruntime.
Exit: 0 all match, 1 some do not, 77 there is nothing to run."""
import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile

from check_encoders import Programs
from check_goldens import run
from check_masks import MASKS, TOKENS, compare_backends, texts_of

FARTHEST = 2**63 - 1

# ONNX's text from `states` [B, S, D] to `first`, and constants.
FORMS = {
    "an identity": ("copy = Identity (states)  first = Gather <axis = 1> (copy, i)", {"i": [0]}),
    "heads": ("heads = Reshape (states, shape)  first = Gather <axis = 1> (heads, i)", {"shape": [0, 0, 4, -1], "i": [0]}),
    "a function of each element": ("sizes = Abs (states)  first = Gather <axis = 1> (sizes, i)", {"i": [0]}),
    "axes in another order": ("turned = Transpose <perm = [1, 0, 2]> (states)  first = Gather (turned, i)", {"i": [0]}),
    "one list of tokens": ("list = Reshape (states, shape)  first = Gather (list, i)",
                           {"shape": [-1, "D"], "i": [TOKENS * text for text in range(len(MASKS))]}),
    "a place from the end": ("first = Gather <axis = 1> (states, i)", {"i": [-TOKENS]}),
    "several places": ("first = Gather <axis = 1> (states, i)", {"i": [0, 0]}),
    "a slice of two axes": ("first = Slice (states, begin, end, axes)", {"begin": [5, 0], "end": [20, 1], "axes": [2, 1]}),
    "a slice without axes": ("first = Slice (states, begin, end)", {"begin": [0, 0], "end": [FARTHEST, 1]}),
    "a slice from the end": ("first = Slice (states, begin, end, axes)", {"begin": [-TOKENS], "end": [1 - TOKENS], "axes": [1]}),
    "a slice from beyond the end": ("first = Slice (states, begin, end, axes)", {"begin": [-FARTHEST], "end": [1], "axes": [-2]}),
    "a split": ("first, rest = Split <axis = 1> (states, sizes)", {"sizes": [1, TOKENS - 1]}),
}


def write_form(exported, form, folder):
    """Writes the exported model with the form's nodes after its hidden states and one output, `first`."""
    import onnx
    folder.mkdir()
    for path in exported.iterdir():
        if path.name != "manifest.json":
            shutil.copy(path, folder)
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    model = onnx.load(exported / "model.onnx", load_external_data=False)
    text, constants = FORMS[form]
    for node in onnx.parser.parse_graph(f"g (float[b, s, d] states) => (float[n] first) {{ {text} }}").node:
        renamed = {"states": "output", **{name: f"form_{name}" for name in constants}}
        names = [renamed.get(name, name) for name in node.input]
        del node.input[:]
        node.input.extend(names)
        model.graph.node.append(node)
    for name, values in constants.items():
        numbers = [width if value == "D" else value for value in values]
        model.graph.initializer.append(onnx.helper.make_tensor(f"form_{name}", onnx.TensorProto.INT64, [len(numbers)], numbers))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("first", onnx.TensorProto.FLOAT, None))
    onnx.save(onnx.shape_inference.infer_shapes(model), folder / "model.onnx")


class Form(Programs):
    """What runs a graph that is there already."""

    def __init__(self, args, env, work, onnx_folder, backend):
        self.args = argparse.Namespace(bin=args.bin, backend=backend)
        self.env, self.work, self.batch, self.made, self.onnx = env, work, len(MASKS), {}, onnx_folder
        if backend == "onnxruntime":
            self.open_onnxruntime()


def check_form(args, env, exported, form, texts, work):
    write_form(exported, form, work / "onnx")
    shape, problems = compare_backends(lambda backend, place: Form(args, env, place, work / "onnx", backend), texts, work)
    print(f"{'FAILED' if problems else 'ok':<6} {form:<28} {shape}", flush=True)
    for problem in problems:
        print("       " + problem, flush=True)
    return bool(problems)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--checkpoint", type=pathlib.Path, required=True)
    args = parser.parse_args()
    args.bin = args.bin.resolve()
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as missing:
        print(f"SKIPPED: {missing}")
        return 77
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        env = dict(os.environ, QEFF_HOME=str(work / "home"))
        exported = pathlib.Path(run([args.bin / "qeff-export", args.checkpoint, "-o", work / "onnx", "-q", "--pooling", "none"], env).strip())
        for i, form in enumerate(FORMS):
            place = work / str(i)
            place.mkdir()
            failed |= check_form(args, env, exported, form, texts_of(args.checkpoint), place)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
