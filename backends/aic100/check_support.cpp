// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/check_support.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace qeff::aic100 {
namespace {

constexpr int64_t kLargestScannedBytes = int64_t{16} << 20;
constexpr float kLargestF16 = 65504;

/// Ops of ai.onnx in the recorded graphs of QEfficient, sorted.
constexpr auto kKnownOps = std::to_array<std::string_view>({"Abs",
                                                            "Add",
                                                            "And",
                                                            "ArgMax",
                                                            "AveragePool",
                                                            "Cast",
                                                            "Ceil",
                                                            "Clip",
                                                            "Concat",
                                                            "Constant",
                                                            "ConstantOfShape",
                                                            "Conv",
                                                            "Cos",
                                                            "CumSum",
                                                            "Div",
                                                            "Dropout",
                                                            "Einsum",
                                                            "Equal",
                                                            "Erf",
                                                            "Exp",
                                                            "Expand",
                                                            "Flatten",
                                                            "Floor",
                                                            "Gather",
                                                            "GatherElements",
                                                            "GatherND",
                                                            "Gemm",
                                                            "Greater",
                                                            "GreaterOrEqual",
                                                            "Identity",
                                                            "If",
                                                            "InstanceNormalization",
                                                            "LayerNormalization",
                                                            "Less",
                                                            "LessOrEqual",
                                                            "Log",
                                                            "MatMul",
                                                            "Max",
                                                            "Min",
                                                            "Mod",
                                                            "Mul",
                                                            "Neg",
                                                            "Not",
                                                            "OneHot",
                                                            "Or",
                                                            "Pad",
                                                            "Pow",
                                                            "Range",
                                                            "Reciprocal",
                                                            "ReduceMax",
                                                            "ReduceMean",
                                                            "ReduceSum",
                                                            "Reshape",
                                                            "ScatterElements",
                                                            "ScatterND",
                                                            "Shape",
                                                            "Sigmoid",
                                                            "Sign",
                                                            "Sin",
                                                            "Slice",
                                                            "Softmax",
                                                            "Softplus",
                                                            "Split",
                                                            "Sqrt",
                                                            "Squeeze",
                                                            "Sub",
                                                            "Tanh",
                                                            "Tile",
                                                            "TopK",
                                                            "Transpose",
                                                            "Unsqueeze",
                                                            "Where",
                                                            "Xor"});

bool IsKnownOp(std::string_view op) {
  return std::binary_search(kKnownOps.begin(), kKnownOps.end(), op);
}

/// Element types with a meaning on the card (the network description has no others).
bool IsCardType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBf16:
    case DType::kI8:
    case DType::kU8:
    case DType::kI16:
    case DType::kI32:
    case DType::kI64:
    case DType::kBool:
      return true;
    default:
      return false;
  }
}

void CheckNode(const ir::Node& node, int64_t index, Diagnostics& diagnostics) {
  const Location where = Location::Node("", node.name(), index);
  if (node.domain().empty()) {
    if (!IsKnownOp(node.op_type())) {
      diagnostics.AddWarning(
          where,
          fmt::format("op '{}' is in no graph that the compiler is known to take", node.op_type()),
          {"'qaic-compile -operators-supported=onnx' lists what yours takes"});
    }
    return;
  }
  if (node.domain() == ir::kCloudDomain || node.domain() == ir::kAiswDomain) return;
  if (node.domain() == ir::kQeffDomain) {
    diagnostics.AddError(where,
                         fmt::format("op '{}' has no meaning to the compiler", node.QualifiedOp()),
                         {"export the model first: qeff-export lowers it to ops that it has"});
  }
}

/// Warns once a constant, about its first value that the card cannot hold.
void CheckConstantValues(const ir::Value& value, Diagnostics& diagnostics) {
  const ir::Weight& weight = *value.constant();
  if (weight.size_bytes() > kLargestScannedBytes) return;
  const Location where = Location::Tensor("", value.name());
  if (weight.dtype() == DType::kF32 || weight.dtype() == DType::kBf16) {
    const Result<std::vector<float>> floats = ir::ReadFloats(weight);
    if (!floats.ok()) return;
    const auto beyond = std::find_if(floats->begin(), floats->end(), [](float element) {
      return std::isfinite(element) && std::fabs(element) > kLargestF16;
    });
    if (beyond == floats->end()) return;
    diagnostics.AddWarning(
        where,
        fmt::format("element {} is {}, beyond the largest f16, {}: it becomes infinite on the card",
                    beyond - floats->begin(), *beyond, kLargestF16),
        {"export again with qeff-export --clip-to-f16, or keep its nodes in f32 with "
         "--node-precision-info FILE"});
  } else if (weight.dtype() == DType::kI64) {
    const Result<std::vector<int64_t>> ints = ir::ReadInts(weight);
    if (!ints.ok()) return;
    // ONNX uses the ends of the range as "until the end" of slices.
    const auto beyond = std::find_if(ints->begin(), ints->end(), [](int64_t element) {
      return (element > INT32_MAX || element < INT32_MIN) && element != INT64_MAX &&
             element != INT64_MIN;
    });
    if (beyond == ints->end()) return;
    diagnostics.AddWarning(where,
                           fmt::format("element {} is {}: the card computes with 32-bit integers",
                                       beyond - ints->begin(), *beyond),
                           {"bring it into the range of 32 bits in the model"});
  }
}

void CheckType(const ir::Value& value, std::string_view what, Diagnostics& diagnostics) {
  const auto dtype = value.type().dtype;
  if (!dtype || IsCardType(*dtype)) return;
  diagnostics.AddError(
      Location::Tensor("", value.name()),
      fmt::format("{} has element type {}, which the card lacks", what, DTypeName(*dtype)),
      {"export with --dtype f32, f16 or bf16"});
}

}  // namespace

void CheckSupport(const ir::Graph& graph, Diagnostics& diagnostics) {
  int64_t index = 0;
  for (const auto& node : graph.nodes()) CheckNode(*node, index++, diagnostics);
  for (const ir::Value* input : graph.inputs()) CheckType(*input, "the input", diagnostics);
  for (const ir::Value* constant : graph.constants()) {
    CheckType(*constant, "the constant", diagnostics);
    CheckConstantValues(*constant, diagnostics);
  }
}

}  // namespace qeff::aic100
