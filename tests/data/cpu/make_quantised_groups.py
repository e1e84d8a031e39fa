#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Remakes quantised_groups.json: groups of weights and what int8, int4 and mxfp6 store of them.

Needs `pip install numpy==2.4.6 ml_dtypes==0.6.0`. Numbers of mxfp6 are those of ml_dtypes' float6_e2m3fn and scales those of
its float8_e8m0fnu; int8 and int4 are computed here with numpy from their definition (backends/cpu/plan/quantise.h).
Writes to stdout: floats as the hexadecimal bits of f32, stored numbers as in a panel, NaN as null.
"""
import json

import ml_dtypes
import numpy as np


def bits(value):
    return f"{np.float32(value).view(np.uint32):08x}"


def mxfp6(weights):
    largest = np.abs(weights).max()
    exponent = -127 if largest == 0 else int(np.clip(np.floor(np.log2(np.float64(largest))) - 2, -127, 127))
    scale = np.ldexp(np.float64(1), exponent)
    numbers = np.clip(weights.astype(np.float64) / scale, -7.5, 7.5).astype(np.float32)
    codes = numbers.astype(ml_dtypes.float6_e2m3fn).view(np.uint8) & 0x3F
    stored_scale = int(np.array(scale, np.float64).astype(ml_dtypes.float8_e8m0fnu).view(np.uint8))
    return {"scale": stored_scale, "stored": codes.tolist()}


def integers(weights, divisor, low, high, zero_point):
    signed = weights[np.abs(weights).argmax()]
    scale = np.float32(np.abs(signed) if divisor > 0 else signed) / np.float32(divisor) if signed != 0 else np.float32(0)
    scale = scale.astype(ml_dtypes.bfloat16)
    as_float = scale.astype(np.float32)
    numbers = np.zeros_like(weights) if as_float == 0 else np.rint(weights / as_float)
    stored = np.clip(numbers, low, high).astype(int) + zero_point
    return {"scale": int(scale.view(np.uint16)), "stored": stored.tolist()}


def groups():
    generator = np.random.default_rng(1)
    for size in (32, 128):
        yield np.zeros(size, np.float32)
        for spread in (1e-30, 1e-3, 0.02, 1, 300, 1e30):
            yield (generator.standard_normal(size) * spread).astype(np.float32)
        yield np.where(np.arange(size) == 7, -5, generator.standard_normal(size) * 0.01).astype(np.float32)
        yield (generator.integers(-64, 64, size) / 16).astype(np.float32)  # many ties
        yield np.linspace(-8, 8, size).astype(np.float32)
        yield np.full(size, -0.0, np.float32)
        yield (generator.standard_normal(size) * 1e-39).astype(np.float32)  # denormals


def main():
    cases = []
    for weights in groups():
        case = {"weights": [bits(weight) for weight in weights]}
        if len(weights) == 32:
            case["int4"] = integers(weights, -8, -8, 7, 8)
            case["mxfp6"] = mxfp6(weights)
        else:
            case["int8"] = integers(weights, 127, -127, 127, 128)
        cases.append(case)
    print("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]")


if __name__ == "__main__":
    main()
