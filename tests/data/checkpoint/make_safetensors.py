# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Writes package.safetensors with the `safetensors` package (0.8.0): the bytes our writer must give, too.

Needs safetensors and numpy. The test makes the same tensors: element i of each is i, names and shapes as below.

    python3 make_safetensors.py
"""

import numpy
from safetensors.numpy import save_file

TENSORS = {
    "logits.0": ("float32", [2, 3]),
    "ids": ("int64", [3]),
    "b": ("float16", [5]),
    "a": ("float16", [1]),
    "mask": ("bool", [2]),
    'na"me\\\n\u00e9\x01': ("uint8", [3]),
    "empty": ("int32", [0, 4]),
    "scalar": ("float64", []),
    "small": ("int8", [1]),
    "count": ("uint32", [1]),
}


def main():
    tensors = {}
    for name, (dtype, shape) in TENSORS.items():
        count = int(numpy.prod(shape, dtype="int64"))
        tensors[name] = numpy.arange(count).astype(dtype).reshape(shape)
    save_file(tensors, "package.safetensors", metadata={"format": "np"})


if __name__ == "__main__":
    main()
