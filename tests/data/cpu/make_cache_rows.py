#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Remakes cache_rows.json: rows of keys or values and what caches in bf16, f16 and mxint8 hold of them.

Needs `pip install numpy==2.4.6 ml_dtypes==0.6.0`. bf16 is that of ml_dtypes, f16 that of numpy. MXINT8 is computed here in float64
from the OCP Microscaling Formats specification 1.0: section 5.2 and table 7 (blocks of 32, INT8 with the implied scale 2^-6), section 6.3
(shared exponent: that of the largest power of two in the largest magnitude, less that of the largest element's, which is 0), scales
as ml_dtypes' float8_e8m0fnu. A block with an infinity or NaN is kept as the scale NaN with zeros. Writes to stdout: floats as the
hexadecimal bits of f32, 16-bit floats as their bits, NaN as null.
"""
import json
import math

import ml_dtypes
import numpy as np


def bits(values):
    return [f"{bit:08x}" for bit in np.asarray(values, np.float32).view(np.uint32)]


def halves(row, dtype):
    with np.errstate(over="ignore", invalid="ignore"):
        return [None if math.isnan(x) else int(x.view(np.uint16)) for x in row.astype(dtype)]


def mxint8(row):
    scales, elements, values = [], [], []
    for first in range(0, len(row), 32):
        block = row[first:first + 32].astype(np.float64)
        largest = float(np.abs(block).max())
        if not math.isfinite(largest):
            scales.append(255)
            elements += [0] * len(block)
            values += [math.nan] * len(block)
            continue
        exponent = -127 if largest == 0 else max(-127, math.frexp(largest)[1] - 1)
        numbers = np.clip(np.rint(np.ldexp(block, 6 - exponent)), -127, 127).astype(int)  # rint: ties to even
        scales.append(int(np.array(2.0**exponent).astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)))
        elements += numbers.tolist()
        values += np.ldexp(numbers.astype(np.float64), exponent - 6).tolist()
    return {"scales": scales, "elements": elements, "values": bits(values)}


def rows():
    generator = np.random.default_rng(2)
    for size in (1, 8, 20, 31, 32, 33, 64, 80):
        for spread in (1e-41, 1e-30, 1e-3, 1, 300, 1e6, 1e37):
            yield generator.standard_normal(size) * spread
    yield np.zeros(40)
    yield np.full(33, -0.0)
    yield generator.integers(-512, 512, 64) / 256  # many ties
    yield np.arange(-16, 16) / 8 + 1 / 128
    yield np.concatenate([[2.0, 1.9999999, -1.9999999, 1.9921875, 127.5 / 64], np.full(40, 3.99999)])  # beyond 127 / 64
    yield np.float64(2.0) ** np.arange(-149, -85)  # subnormals, and the smallest scale
    yield np.array([3.4e38, -3.4e38, 1.0, 65519.0, 65520.0, 65536.0, 6.1e-5, 5.9e-8, 2.9e-8])
    yield np.where(np.arange(64) == 40, np.nan, 1.5)
    yield np.where(np.arange(64) == 3, -np.inf, 1.5)


def main():
    cases = []
    for row in rows():
        row = row.astype(np.float32)
        cases.append({"x": bits(row), "bf16": halves(row, ml_dtypes.bfloat16), "f16": halves(row, np.float16), "mxint8": mxint8(row)})
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


if __name__ == "__main__":
    main()
