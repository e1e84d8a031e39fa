# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""ONNX files with the interface of a recorded graph and nothing behind it: what a compile call's command and side files depend on,
for graphs of which no file is recorded. Writes protobuf by hand, so that tests need no package."""

ELEMENT_TYPES = {"float": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "double": 11, "bfloat16": 16}


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def integer(field, number):
    return varint(field << 3) + varint(number)


def block(field, content):
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content


def value_info(value):
    dims = b"".join(block(1, integer(1, dim) if isinstance(dim, int) else block(2, str(dim))) for dim in value["dims"])
    tensor = integer(1, ELEMENT_TYPES[value["dtype"]]) + block(2, dims)
    return block(1, value["name"]) + block(2, block(1, tensor))


def node(index, source, output):
    """State passes through; anything else is some input in the output's type."""
    same = source["name"] + "_RetainedState" == output["name"]
    text = block(1, source["name"]) + block(2, output["name"]) + block(3, f"/stub/{index}")
    if same:
        return text + block(4, "Identity")
    to = block(1, "to") + integer(3, ELEMENT_TYPES[output["dtype"]]) + integer(20, 2)
    return text + block(4, "Cast") + block(5, to)


def stub(graph):
    """Returns the bytes of a model for `graph`, a record of ../shared/goldens/qefficient/graphs."""
    inputs = {value["name"]: value for value in graph["inputs"]}
    first = graph["inputs"][0]
    body = b""
    for index, output in enumerate(graph["outputs"]):
        source = inputs.get(output["name"].removesuffix("_RetainedState"), first)
        body += block(1, node(index, source, output))
    body += block(2, "main_graph")
    body += b"".join(block(11, value_info(value)) for value in graph["inputs"])
    body += b"".join(block(12, value_info(value)) for value in graph["outputs"])
    model = integer(1, 8) + block(2, "pytorch") + block(7, body) + block(8, block(1, "") + integer(2, 17))
    for key, text in graph["metadata"].items():
        model += block(14, block(1, key) + block(2, text))
    return model
