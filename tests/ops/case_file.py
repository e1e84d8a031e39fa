# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""The case files of tests/ops: one JSON file per op with inputs, attributes and expected outputs.

{"domain": "", "op": "Add", "cases": [{"name": ..., "attributes": {"axis": {"int": 1}},
 "inputs": [{"dtype": "f32", "dims": [2], "data": [1, "nan"]} or null], "outputs": [...]}]}
"""
import json
import math
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent
DTYPES = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "int8": "i8", "int16": "i16",
          "int32": "i32", "int64": "i64", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64",
          "bool": "bool"}


def number(value):
    if isinstance(value, (bool, np.bool_)):
        return int(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    value = float(value)
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(f"{value:.9g}")  # enough for every f32


def tensor(array, dtype=None):
    if array is None:
        return None
    array = np.asarray(array)
    return {"dtype": dtype or DTYPES[str(array.dtype)], "dims": list(array.shape),
            "data": [number(x) for x in array.reshape(-1)]}


def attribute(value):
    if isinstance(value, np.ndarray):
        return {"tensor": tensor(value)}
    if isinstance(value, bool):
        raise TypeError("write 0 or 1")
    if isinstance(value, int):
        return {"int": value}
    if isinstance(value, float):
        return {"float": value}
    if isinstance(value, str):
        return {"string": value}
    if any(isinstance(x, float) for x in value):
        return {"floats": [float(x) for x in value]}
    return {"ints": [int(x) for x in value]}


class Cases:
    """Collects the cases of many ops and writes a file for each."""

    def __init__(self):
        self.files = {}

    def add(self, domain, op, name, attributes, inputs, outputs):
        entry = self.files.setdefault((domain, op), [])
        entry.append({"name": name, "attributes": {k: attribute(v) for k, v in attributes.items()},
                      "inputs": inputs, "outputs": outputs})

    def write(self):
        for (domain, op), cases in sorted(self.files.items()):
            lines = ",\n  ".join(json.dumps(case, separators=(",", ":")) for case in cases)
            path = FOLDER / f"{domain + '.' if domain else ''}{op}.json"
            path.write_text(f'{{"domain": "{domain}", "op": "{op}", "cases": [\n  {lines}\n]}}\n')
        print(f"{len(self.files)} files")
