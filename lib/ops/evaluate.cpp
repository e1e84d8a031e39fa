// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/check.h"
#include "lib/ops/context.h"

namespace qeff::ops {
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
  std::vector<Tensor> outputs;
  for (const ir::TensorType& type : infer.outputs()) {
    // Sizes that depend on elements (Range over fractions) are left to the op.
    const auto dims = ir::StaticDims(*type.shape);
    if (dims && CheckedElementCount(*dims) < 0) {
      return infer.Unsupported(
          fmt::format("a result {} is too large for the reference meaning", type.ToString()));
    }
    outputs.push_back(dims ? ZeroTensor(*type.dtype, *dims)
                           : Tensor{.dtype = *type.dtype, .dims = {}, .floats = {}, .ints = {}});
  }
  EvaluateContext evaluate(node, definition->schema, inputs, std::move(outputs));
  QEFF_RETURN_IF_ERROR(definition->evaluate(evaluate));
  return evaluate.TakeOutputs();
}

}  // namespace qeff::ops
