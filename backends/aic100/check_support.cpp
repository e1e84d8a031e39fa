// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/check_support.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

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

/// Domain and name of each function of a model.
using FunctionNames = std::set<std::pair<std::string, std::string>>;

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

/// Nothing for a type that the card has.
void CheckType(const ir::Value& value, const Location& where, std::string_view what,
               Diagnostics& diagnostics) {
  const auto dtype = value.type().dtype;
  if (!dtype || IsCardType(*dtype)) return;
  diagnostics.AddError(
      where, fmt::format("{} has element type {}, which the card lacks", what, DTypeName(*dtype)),
      {"export with --dtype f32, f16 or bf16"});
}

/// The program's description counts dimensions in 32 bits.
void CheckDims(const ir::Value& value, const Location& where, std::string_view what,
               Diagnostics& diagnostics) {
  for (const ir::Dim& dim : value.type().shape.value_or(ir::Shape{})) {
    if (!dim.is_number() || (dim.value() >= 0 && dim.value() <= INT32_MAX)) continue;
    diagnostics.AddError(where,
                         fmt::format("{} has a dimension of {}, the card's limit is {}", what,
                                     dim.value(), INT32_MAX),
                         {"split the tensor in the model"});
  }
}

void CheckNode(const ir::Node& node, int64_t index, const FunctionNames* functions,
               Diagnostics& diagnostics) {
  const Location where = Location::Node("", node.name(), index);
  for (const ir::Value* output : node.outputs()) {
    if (output == nullptr) continue;
    const std::string what =
        fmt::format("output '{}' of op '{}'", output->name(), node.QualifiedOp());
    CheckType(*output, where, what, diagnostics);
    CheckDims(*output, where, what, diagnostics);
  }
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
  } else if (functions != nullptr && !functions->contains({node.domain(), node.op_type()})) {
    diagnostics.AddError(
        where,
        fmt::format("op '{}' is neither of ONNX nor a function of the model", node.QualifiedOp()),
        {"write it with ops of ONNX, or as a function of the model"});
  }
}

/// A dimension must have a name, so that a specialization can give it a number.
void CheckInput(const ir::Value& input, Diagnostics& diagnostics) {
  const Location where = Location::Tensor("", input.name());
  CheckType(input, where, "the input", diagnostics);
  CheckDims(input, where, "the input", diagnostics);
  const auto& shape = input.type().shape;
  // Inputs of functions have no type of their own.
  const bool is_open = input.type().dtype &&
                       (!shape || std::any_of(shape->begin(), shape->end(), [](const ir::Dim& dim) {
                         return !dim.is_number() && !dim.is_symbol();
                       }));
  if (is_open) {
    diagnostics.AddError(where, "the input's shape is open: no specialization can fix it",
                         {"export it with a number or a name for each dimension"});
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

void CheckGraph(const ir::Graph& graph, const FunctionNames* functions, Diagnostics& diagnostics) {
  int64_t index = 0;
  for (const auto& node : graph.nodes()) CheckNode(*node, index++, functions, diagnostics);
  for (const ir::Value* constant : graph.constants()) {
    const Location where = Location::Tensor("", constant->name());
    CheckType(*constant, where, "the constant", diagnostics);
    CheckDims(*constant, where, "the constant", diagnostics);
    CheckConstantValues(*constant, diagnostics);
  }
}

}  // namespace

std::span<const std::string_view> KnownOps() { return kKnownOps; }

void CheckSupport(const ir::Graph& graph, Diagnostics& diagnostics) {
  for (const ir::Value* input : graph.inputs()) CheckInput(*input, diagnostics);
  CheckGraph(graph, nullptr, diagnostics);
}

void CheckSupport(const ir::Model& model, Diagnostics& diagnostics) {
  FunctionNames functions;
  for (const ir::Function& function : model.functions)
    functions.emplace(function.domain, function.name);
  for (const ir::Value* input : model.graph.inputs()) CheckInput(*input, diagnostics);
  CheckGraph(model.graph, &functions, diagnostics);
  for (const ir::Function& function : model.functions)
    CheckGraph(function.body, &functions, diagnostics);
}

}  // namespace qeff::aic100
