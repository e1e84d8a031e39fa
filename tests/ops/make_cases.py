#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the case files of the ONNX ops; onnxruntime computes what is expected.

Usage: make_cases.py        (needs numpy, onnx, onnxruntime)
"""
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from case_file import Cases, tensor

RANDOM = np.random.default_rng(7)
CASES = Cases()
ELEMENT = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16,
           "int8": TensorProto.INT8, "int16": TensorProto.INT16, "int32": TensorProto.INT32, "int64": TensorProto.INT64,
           "uint8": TensorProto.UINT8, "bool": TensorProto.BOOL}


def floats(*dims, low=-2.0, high=2.0):
    return np.round(RANDOM.uniform(low, high, dims), 2).astype(np.float32)


def ints(values, dtype=np.int64):
    return np.array(values, dtype=dtype)


def case(op, inputs, outputs=1, opset=17, name="", **attributes):
    """Runs one node in onnxruntime; None leaves an input out."""
    inputs = [None if x is None else np.asarray(x) for x in inputs]
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    kept = [(n, x) for n, x in zip(names, inputs) if x is not None]
    onnx_attributes = {k: onnx.numpy_helper.from_array(v) if isinstance(v, np.ndarray) else v
                       for k, v in attributes.items()}
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], **onnx_attributes)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info(n, ELEMENT[str(x.dtype)], x.shape) for n, x in kept],
        [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    expected = session.run(None, dict(kept))
    attributes.pop("num_outputs", None)  # of opset 18; our graphs count the outputs themselves
    CASES.add("", op, name or f"case {len(CASES.files.get(('', op), []))}", attributes, [tensor(x) for x in inputs],
              [tensor(y) for y in expected])


SPECIAL = np.array([0.0, -0.0, 1.0, -1.5, 0.5, 2.5, np.inf, -np.inf, np.nan], dtype=np.float32)


def unary():
    for op in ["Cos", "Erf", "Exp", "Reciprocal", "Sigmoid", "Sin", "Softplus", "Softsign", "Tanh", "Ceil", "Floor",
               "Round", "Abs", "Neg", "Relu", "Sign", "Elu", "LeakyRelu", "HardSwish"]:
        case(op, [floats(2, 5)], name="random")
    for op in ["Ceil", "Floor", "Round", "Abs", "Neg", "Sign", "Exp", "Tanh", "Sigmoid", "Sqrt", "IsNaN", "IsInf"]:
        case(op, [SPECIAL], name="special values")
    for op in ["Log", "Sqrt"]:
        case(op, [floats(2, 5, low=0.1, high=9)], name="random")
    for op in ["Abs", "Neg", "Sign"]:
        case(op, [ints([[-3, 0, 7]])], name="integers")
    case("Neg", [ints([-128, 5], np.int8)], name="the lowest number wraps")
    case("Elu", [floats(6)], name="alpha", alpha=0.7)
    case("LeakyRelu", [floats(6)], name="alpha", alpha=0.3)
    for alpha in [0.3, 0.0, -0.5, 3.0]:
        case("LeakyRelu", [SPECIAL], name=f"special values, alpha {alpha}", alpha=alpha)
    case("IsInf", [SPECIAL], name="positive only", detect_negative=0)
    case("Not", [np.array([[True, False]])], name="bool")


def binary():
    for op in ["Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Equal", "Greater", "GreaterOrEqual", "Less",
               "LessOrEqual"]:
        low = 0.1 if op == "Pow" else -2.0
        case(op, [floats(2, 3, low=low), floats(2, 3)], name="same dims")
        case(op, [floats(2, 1, 3, low=low), floats(4, 1)], name="both broadcast")
        case(op, [np.float32(1.5), floats(2, 3)], name="scalar")
    for op in ["Add", "Sub", "Mul", "Div", "Max", "Min", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]:
        case(op, [ints([[7, -7, 0], [9, -9, 3]]), ints([2, -2, 3])], name="integers")
    for op in ["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Max", "Min", "Add", "Mul", "Div"]:
        case(op, [SPECIAL, np.roll(SPECIAL, 3)], name="special values")
    case("Add", [ints([2**31 - 1], np.int32), ints([1], np.int32)], name="int32 wraps")
    case("Pow", [ints([2, -3, 5]), ints([3, 2, 0])], name="integers")
    case("Pow", [floats(3, low=0.5), ints([2, 3, -1])], name="integer exponent")
    case("Pow", [floats(4), np.float32(2)], name="square of negatives")
    case("Mod", [ints([7, -7, 7, -7]), ints([3, 3, -3, -3])], name="sign of the divisor")
    case("Mod", [ints([7, -7, 7, -7]), ints([3, 3, -3, -3])], name="fmod of integers", fmod=1)
    case("Mod", [floats(6), floats(6)], name="fmod of floats", fmod=1)
    for op in ["And", "Or", "Xor"]:
        case(op, [np.array([[True], [False]]), np.array([True, False])], name="all pairs")
    case("BitShift", [ints([1, 200, 255], np.uint8), ints([1, 1, 7], np.uint8)], name="left", direction="LEFT")
    case("BitShift", [ints([1, 200, 255], np.uint8), ints([1, 3, 7], np.uint8)], name="right", direction="RIGHT")
    for op in ["Max", "Min", "Sum", "Mean"]:
        case(op, [floats(2, 3), floats(3), floats(2, 1)], name="three inputs")
        case(op, [floats(2, 3)], name="one input")


def select_and_cast():
    case("Where", [np.array([[True], [False]]), floats(3), floats(2, 3)], name="all broadcast")
    case("Where", [np.array([True, False]), ints([1, 2]), ints([3, 4])], name="integers")
    case("Clip", [floats(2, 4), np.float32(-0.5), np.float32(1)], name="both bounds")
    case("Clip", [floats(2, 4), None, np.float32(1)], name="maximum only")
    case("Clip", [ints([-5, 0, 5]), ints(-1), None], name="minimum only")
    case("Clip", [floats(3), np.float32(1), np.float32(-1)], name="minimum above maximum")
    case("Cast", [np.array([1.5, -1.5, 2.7, 0], np.float32)], name="float to int64", to=TensorProto.INT64)
    case("Cast", [np.array([1.5, 0, -0.0, np.inf], np.float32)], name="float to bool", to=TensorProto.BOOL)
    case("Cast", [ints([1, 300, -1])], name="int64 to uint8", to=TensorProto.UINT8)
    case("Cast", [ints([2**31, -2**31 - 1, 5])], name="int64 to int32", to=TensorProto.INT32)
    case("Cast", [ints([3, 2**24 + 1])], name="int64 to float", to=TensorProto.FLOAT)
    case("Cast", [np.array([True, False])], name="bool to float", to=TensorProto.FLOAT)
    half = np.array([1 + 2**-11, 1 + 2**-11 + 2**-16, 65519, 65520, 2**-25, 2**-25 * 1.01, 6.1e-5, -3.3], np.float32)
    case("Cast", [half], name="float to half rounds", to=TensorProto.FLOAT16)
    case("Cast", [half.astype(np.float16)], name="half to float", to=TensorProto.FLOAT)
    case("Cast", [np.array([1 + 2**-24, 1 / 3, 1e39, 1e-46], np.float64)], name="double to float rounds",
         to=TensorProto.FLOAT)
    case("CastLike", [floats(3), ints([1])], name="to int64")


def shapes():
    case("Shape", [floats(2, 3, 4)], name="all")
    case("Shape", [floats(2, 3, 4)], name="part", start=1, end=-1)
    case("Size", [floats(2, 3, 4)], name="all")
    case("Reshape", [floats(2, 6), ints([3, -1])], name="rest")
    case("Reshape", [floats(2, 6), ints([0, 2, 3])], name="copied size")
    case("Reshape", [floats(0, 6), ints([3, 0])], name="empty", allowzero=1)
    case("Reshape", [floats(1), ints([], np.int64)], name="to a scalar")
    case("Flatten", [floats(2, 3, 4)], name="default")
    case("Flatten", [floats(2, 3, 4)], name="front", axis=0)
    case("Flatten", [floats(2, 3, 4)], name="negative", axis=-1)
    case("Squeeze", [floats(1, 3, 1), ints([-1])], name="one axis")
    case("Squeeze", [floats(1, 3, 1)], name="all")
    case("Unsqueeze", [floats(3), ints([0, -1])], name="two axes")
    case("Identity", [floats(2, 2)], name="floats")
    case("Dropout", [floats(2, 2)], name="inference", outputs=2)
    case("Transpose", [floats(2, 3, 4)], name="reversed")
    case("Transpose", [floats(2, 3, 4)], name="permuted", perm=[1, 2, 0])
    case("Expand", [floats(3, 1), ints([2, 1, 4])], name="both ways")
    case("Tile", [floats(2, 2), ints([2, 3])], name="matrix")
    case("Concat", [floats(2, 1), floats(2, 3)], name="columns", axis=-1)
    case("Concat", [ints([1]), ints([2, 3]), ints([], np.int64)], name="vectors", axis=0)
    case("Split", [floats(2, 6)], outputs=3, name="equal", axis=1)
    case("Split", [floats(5, 2), ints([1, 4])], outputs=2, name="sizes", axis=0)
    case("Split", [floats(5, 2)], outputs=2, opset=18, name="shorter last part", axis=0, num_outputs=2)
    case("Constant", [], name="tensor", value=floats(2, 2))
    case("Constant", [], name="ints", value_ints=[4, 5])
    case("Constant", [], name="float", value_float=0.5)
    case("Constant", [], name="int", value_int=9)
    case("ConstantOfShape", [ints([2, 3])], name="zeros")
    case("ConstantOfShape", [ints([2])], name="value", value=ints([7]))
    case("Range", [ints(2), ints(9), ints(3)], name="integers")
    case("Range", [ints(5), ints(-1), ints(-2)], name="down")
    case("Range", [ints(5), ints(5), ints(1)], name="empty")
    case("Range", [np.float32(0), np.float32(1), np.float32(0.3)], name="fractions")


def indexing():
    x = floats(3, 4, 2)
    case("Slice", [x, ints([0, 1]), ints([2, 2**63 - 1])], name="no axes")
    case("Slice", [x, ints([-2]), ints([-1]), ints([1])], name="from the end")
    case("Slice", [x, ints([-1]), ints([-2**63]), ints([1]), ints([-1])], name="reversed")
    case("Slice", [x, ints([3]), ints([0]), ints([-2]), ints([-2])], name="down by two")
    case("Slice", [x, ints([5]), ints([9]), ints([0])], name="beyond the end")
    case("Slice", [x, ints([0, 1]), ints([9, 9]), ints([2, 1]), ints([1, 2])], name="two axes")
    case("Gather", [x, ints([[2, 0], [-1, 1]])], name="rows")
    case("Gather", [x, ints([3, 0], np.int32)], name="axis", axis=1)
    case("Gather", [x, ints(-1)], name="scalar index", axis=-1)
    case("GatherElements", [x, ints([[[0, 1], [1, 0]]])], name="last axis", axis=2)
    case("GatherElements", [x, ints([[[0, -1]], [[2, 1]]])], name="first axis")
    case("GatherND", [x, ints([[0, 1], [-1, 3]])], name="rows")
    case("GatherND", [x, ints([[[0]], [[3]], [[-2]]])], name="batch", batch_dims=1)
    case("ScatterElements", [floats(3, 3), ints([[1, 0, 2]]), floats(1, 3)], name="rows")
    case("ScatterElements", [floats(2, 3), ints([[0, 0], [2, -1]]), floats(2, 2)], name="sum", axis=1, reduction="add")
    case("ScatterElements", [floats(2, 3), ints([[0, 0], [2, 1]]), floats(2, 2)], name="maximum", axis=1, opset=18,
         reduction="max")
    case("ScatterND", [floats(4, 2), ints([[1], [3]]), floats(2, 2)], name="rows")
    case("ScatterND", [floats(2, 3), ints([[[0, 1]], [[1, -1]]]), floats(2, 1)], name="elements")
    case("ScatterND", [floats(4), ints([[1], [1]]), floats(2)], name="product", reduction="mul")
    case("ScatterND", [floats(4), ints([[1], [1]]), floats(2)], name="minimum", reduction="min", opset=18)
    case("OneHot", [ints([0, 2, -1, 9]), ints(3), np.array([0, 1], np.float32)], name="floats")
    case("OneHot", [ints([[1], [0]]), ints([2]), ints([5, 7])], name="first axis", axis=0)
    case("Pad", [x[:, :, 0], ints([1, 0, 0, 2])], name="zeros")
    case("Pad", [x[:, :, 0], ints([0, 1, 1, -1]), np.float32(9)], name="value and crop")
    case("Pad", [x[0], ints([2, 0, 1, 1])], name="reflect", mode="reflect")
    case("Pad", [x[0], ints([2, 0, 1, 1])], name="edge", mode="edge")
    case("Trilu", [x[:, :3, :].transpose(0, 2, 1).copy()], name="upper")
    case("Trilu", [x[0], ints(-1)], name="lower, other diagonal", upper=0)
    case("CumSum", [x[:, :, 0], ints(1)], name="rows")
    case("CumSum", [ints([1, 2, 3]), ints(0)], name="exclusive", exclusive=1)
    case("CumSum", [x[0], ints(-2)], name="reverse", reverse=1)
    case("TopK", [x[:, :, 0], ints([2])], outputs=2, name="largest")
    case("TopK", [ints([3, 1, 3, 2]), ints([3])], outputs=2, name="smallest, equal elements", largest=0)
    case("TopK", [x, ints([1])], outputs=2, name="first axis", axis=0)


def reductions():
    x = floats(2, 3, 4)
    for op in ["ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2"]:
        case(op, [x], name="all")
        case(op, [x], name="one axis", axes=[1], keepdims=0)
        case(op, [x], name="two axes", axes=[-1, 0])
    case("ReduceSum", [x], name="all")
    case("ReduceSum", [x, ints([1])], name="one axis", keepdims=0)
    case("ReduceSum", [x, ints([], np.int64)], name="no axes", noop_with_empty_axes=1)
    case("ReduceMax", [ints([[1, -7], [5, 2]])], name="integers", axes=[1])
    for op in ["ArgMax", "ArgMin"]:
        case(op, [x], name="first axis")
        case(op, [x], name="last axis", axis=-1, keepdims=0)
        case(op, [ints([[2, 1, 2, 1]])], name="first of equals", axis=1)
        case(op, [ints([[2, 1, 2, 1]])], name="last of equals", axis=1, select_last_index=1)


def matrices():
    case("MatMul", [floats(2, 3), floats(3, 4)], name="matrices")
    case("MatMul", [floats(2, 1, 3, 4), floats(5, 4, 2)], name="broadcast batches")
    case("MatMul", [floats(3), floats(3, 2)], name="row vector")
    case("MatMul", [floats(2, 3), floats(3)], name="column vector")
    case("MatMul", [floats(3), floats(3)], name="dot product")
    case("MatMul", [ints([[1, 2]]), ints([[3], [4]])], name="integers")
    case("Gemm", [floats(2, 3), floats(3, 4), floats(4)], name="bias")
    case("Gemm", [floats(3, 2), floats(4, 3), floats(2, 1)], name="transposed", transA=1, transB=1, alpha=0.5,
         beta=2.0)
    case("Gemm", [floats(2, 3), floats(3, 4)], name="no bias")
    case("Einsum", [floats(2, 3, 4), floats(2, 4, 5)], name="batches", equation="bij,bjk->bik")
    case("Einsum", [floats(3, 4), floats(4)], name="implicit output", equation="ij, j")
    case("Einsum", [floats(3, 3)], name="trace", equation="ii->")
    case("Conv", [floats(1, 2, 7), floats(3, 2, 3), floats(3)], name="one axis", pads=[1, 1], kernel_shape=[3])
    case("Conv", [floats(2, 2, 6, 5), floats(4, 2, 3, 2)], name="strides", strides=[2, 1], pads=[1, 0, 0, 1])
    case("Conv", [floats(1, 4, 5, 5), floats(4, 1, 2, 2), floats(4)], name="depthwise", group=4)
    case("Conv", [floats(1, 4, 8), floats(2, 2, 3)], name="dilated groups", group=2, dilations=[2])
    case("Softmax", [floats(2, 3, 4)], name="last axis")
    case("Softmax", [floats(2, 3, 4)], name="middle axis", axis=1)
    case("Softmax", [np.array([[1, -np.inf, 3], [1000, 1001, 999]], np.float32)], name="masked and large")
    case("LogSoftmax", [floats(2, 4)], name="last axis")
    case("LayerNormalization", [floats(2, 3, 8), floats(8), floats(8)], name="last axis")
    case("LayerNormalization", [floats(2, 3, 4), floats(3, 4)], name="two axes", axis=1, epsilon=0.01)


if __name__ == "__main__":
    for group in [unary, binary, select_and_cast, shapes, indexing, reductions, matrices]:
        group()
    CASES.write()
