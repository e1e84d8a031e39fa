// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/check.h"
#include "lib/ops/context.h"

namespace qeff::ops {
namespace {

/// Zeros of the inferred types.
Result<std::vector<Tensor>> MakeOutputs(const InferContext& context,
                                        const OpDefinition& definition) {
  std::vector<Tensor> outputs;
  for (const ir::TensorType& type : context.outputs()) {
    const auto dims = ir::StaticDims(*type.shape);
    if (dims && CheckedElementCount(*dims) < 0) {
      return context.Unsupported(
          fmt::format("a result {} is too large for the reference meaning", type.ToString()));
    }
    if (!dims && !definition.evaluate_sets_sizes) {
      return context.Invalid(
          fmt::format("expected inputs that give all sizes, got {}", type.ToString()));
    }
    outputs.push_back(ZeroTensor(*type.dtype, dims.value_or(std::vector<int64_t>{0})));
  }
  return outputs;
}

}  // namespace
Result<std::vector<Tensor>> EvaluateNode(const ir::Node& node,
                                         std::span<const Tensor* const> inputs) {
  QEFF_ASSIGN_OR_RETURN(const OpDefinition* definition, CheckNode(node));
  QEFF_CHECK(inputs.size() == node.inputs().size(), "wrong number of inputs for '{}'", node.name());
  std::vector<ir::TensorType> types;
  for (const Tensor* input : inputs) {
    types.push_back(input == nullptr ? ir::TensorType{}
                                     : ir::TensorType{input->dtype, ir::Shape(input->dims.begin(),
                                                                              input->dims.end())});
  }
  InferContext infer(node, definition->schema, std::move(types),
                     [&](size_t input) -> std::optional<SymbolicInts> {
                       if (inputs[input] == nullptr) return std::nullopt;
                       return ContentOf(*inputs[input]);
                     });
  QEFF_RETURN_IF_ERROR(definition->infer(infer));
  QEFF_ASSIGN_OR_RETURN(std::vector<Tensor> outputs, MakeOutputs(infer, *definition));
  EvaluateContext evaluate(node, definition->schema, inputs, std::move(outputs));
  QEFF_RETURN_IF_ERROR(definition->evaluate(evaluate));
  outputs = evaluate.TakeOutputs();
  for (const Tensor& output : outputs) {
    QEFF_CHECK(CheckedElementCount(output.dims) == output.element_count(),
               "{} gives {} elements for {}", node.QualifiedOp(), output.element_count(),
               output.TypeText());
  }
  return outputs;
}

}  // namespace qeff::ops
