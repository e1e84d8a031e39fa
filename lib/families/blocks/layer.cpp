// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/layer.h"

#include "lib/ops/activations.h"

namespace qeff::families {
namespace {

ir::Value* NormWeight(Builder& builder, const NormFacts& facts, const std::string& name,
                      int64_t size) {
  const std::string weight = name + "." + facts.weight_name;
  if (facts.has_weight && facts.weight_offset == 0) return builder.Weight(weight, {size});
  if (facts.has_weight) {
    return builder.Constant(weight,
                            ir::PlusConstant(builder.Take(weight, {size}), facts.weight_offset));
  }
  return builder.Ones(size);
}

ir::Value* SplitGroups(Builder& builder, const std::string& scope, ir::Value* x, int64_t groups,
                       int64_t size) {
  const std::vector<int64_t> dims = {0, 0, groups, size};
  return builder.Onnx(scope, "Reshape",
                      {x, builder.Constant("split_heads", ir::MakeIntVector(dims))});
}

ir::Value* MergeGroups(Builder& builder, const std::string& scope, ir::Value* x, int64_t channels) {
  const std::vector<int64_t> dims = {0, 0, channels};
  return builder.Onnx(scope, "Reshape",
                      {x, builder.Constant("merge_heads", ir::MakeIntVector(dims))});
}

}  // namespace

ir::Value* AddNorm(Builder& builder, const std::string& scope, const NormFacts& facts,
                   const std::string& name, ir::Value* x, int64_t size, int64_t groups) {
  if (facts.kind == NormKind::kRms) {
    ir::AttributeMap attributes = {{"epsilon", facts.epsilon}};
    if (groups > 1) attributes["num_groups"] = groups;
    return builder.Qeff(scope, "RmsNorm", {x, NormWeight(builder, facts, name, size)},
                        std::move(attributes));
  }
  if (groups > 1) x = SplitGroups(builder, scope, x, groups, size);
  std::vector<ir::Value*> inputs = {x, NormWeight(builder, facts, name, size)};
  if (facts.has_bias && facts.has_weight) inputs.push_back(builder.Weight(name + ".bias", {size}));
  x = builder.Onnx(scope, "LayerNormalization", std::move(inputs),
                   {{"axis", int64_t{-1}}, {"epsilon", facts.epsilon}});
  return groups > 1 ? MergeGroups(builder, scope, x, groups * size) : x;
}

ir::Value* AddLinear(Builder& builder, const std::string& scope, const std::string& name,
                     ir::Value* x, int64_t in, int64_t out, bool has_bias, LinearLayout layout) {
  const std::string weight = name + ".weight";
  std::vector<ir::Value*> inputs = {x};
  inputs.push_back(layout == LinearLayout::kOutIn
                       ? builder.Weight(weight, {out, in})
                       : builder.Constant(weight, ir::Transposed(builder.Take(weight, {in, out}))));
  if (has_bias) inputs.push_back(builder.Weight(name + ".bias", {out}));
  return builder.Qeff(scope, "Linear", std::move(inputs));
}

ir::Value* AddActivation(Builder& builder, const std::string& scope, const std::string& name,
                         ir::Value* x) {
  const std::string_view onnx = ops::OnnxActivation(name);
  return onnx.empty() ? builder.Qeff(scope, "Activation", {x}, {{"kind", name}})
                      : builder.Onnx(scope, onnx, {x});
}

ir::Value* AddScale(Builder& builder, const std::string& scope, ir::Value* x, float factor) {
  return factor == 1 ? x : builder.Onnx(scope, "Mul", {x, builder.Float(factor)});
}

ir::Value* AddSoftcap(Builder& builder, const std::string& scope, ir::Value* x, float cap) {
  if (cap == 0) return x;
  x = builder.Onnx(scope, "Div", {x, builder.Float(cap)});
  return builder.Onnx(scope, "Mul", {builder.Onnx(scope, "Tanh", {x}), builder.Float(cap)});
}

ir::Value* AddTokenWeights(Builder& builder, ir::Value* attention_mask) {
  ir::Value* axis = builder.Constant("axes", ir::MakeIntVector({{int64_t{2}}}));
  ir::Value* column = builder.Onnx("/mask", "Unsqueeze", {attention_mask, axis});
  return builder.Onnx("/mask", "Cast", {column}, {{"to", int64_t{1}}});  // f32
}

ir::Value* AddSlice(Builder& builder, const std::string& scope, ir::Value* x, int64_t axis,
                    int64_t begin, int64_t end) {
  const auto number = [&](std::string name, int64_t value) {
    return builder.Constant(std::move(name), ir::MakeIntVector(std::vector<int64_t>{value}));
  };
  return builder.Onnx(scope, "Slice",
                      {x, number("begin", begin), number("end", end), number("axis", axis)});
}

ir::Value* AddReshape(Builder& builder, const std::string& scope, ir::Value* x,
                      const std::vector<int64_t>& dims) {
  return builder.Onnx(scope, "Reshape", {x, builder.Constant("dims", ir::MakeIntVector(dims))});
}

}  // namespace qeff::families
