// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/emitter.h"

namespace qeff::passes {
namespace {

ir::Value* FindShared(const ir::Graph& graph, std::string_view name, const ir::Weight& weight) {
  ir::Value* found = graph.FindValue(name);
  if (found == nullptr || !found->is_constant()) return nullptr;
  return ir::SameRecipe(*found->constant(), weight) ? found : nullptr;
}

}  // namespace

std::string ScopeOf(std::string_view node_name) {
  const size_t slash = node_name.rfind('/');
  return std::string(node_name.substr(0, slash == std::string_view::npos ? 0 : slash));
}

int64_t OnnxDType(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 1;
    case DType::kU8:
      return 2;
    case DType::kI8:
      return 3;
    case DType::kU16:
      return 4;
    case DType::kI16:
      return 5;
    case DType::kI32:
      return 6;
    case DType::kI64:
      return 7;
    case DType::kBool:
      return 9;
    case DType::kF16:
      return 10;
    case DType::kF64:
      return 11;
    case DType::kU32:
      return 12;
    case DType::kU64:
      return 13;
    case DType::kBf16:
      return 16;
    case DType::kF8E4M3:
      return 17;
    case DType::kF8E5M2:
      return 19;
    case DType::kU4:
      return 21;
    case DType::kI4:
      return 22;
    default:
      break;
  }
  QEFF_CHECK(false, "ONNX has no element type for {}", DTypeName(dtype));
}

void ReplaceNode(ir::Graph& graph, ir::Node* node, ir::Value* value) {
  const std::string name = node->output()->name();
  graph.ReplaceAllUses(node->output(), value);
  graph.EraseNode(node);
  if (value->producer() != nullptr) graph.RenameValue(value, name);
}

Emitter::Emitter(ir::Graph& graph, const ir::Node* before)
    : graph_(graph), before_(before), scope_(ScopeOf(before->name())) {}

ir::Value* Emitter::Op(std::string_view op_type, std::vector<ir::Value*> inputs,
                       ir::AttributeMap attributes, std::string_view domain) const {
  return Multi(domain, op_type, std::move(inputs), std::move(attributes), {""})->output();
}

ir::Node* Emitter::Multi(std::string_view domain, std::string_view op_type,
                         std::vector<ir::Value*> inputs, ir::AttributeMap attributes,
                         std::vector<std::string> output_names) const {
  return graph_.AddNode({.domain = domain,
                         .op_type = op_type,
                         .inputs = std::move(inputs),
                         .attributes = std::move(attributes),
                         .name = fmt::format("{}/{}", scope_, op_type),
                         .output_names = std::move(output_names)},
                        before_);
}

ir::Value* Emitter::Shared(std::string name, ir::WeightPtr weight) const {
  if (ir::Value* found = FindShared(graph_, name, *weight)) return found;
  return graph_.AddConstant(std::move(name), std::move(weight));
}

ir::Value* Emitter::Ints(std::vector<int64_t> values) const {
  return Shared(fmt::format("ints_{}", fmt::join(values, "_")), ir::MakeIntVector(values));
}

ir::Value* Emitter::Int(int64_t value) const {
  return Shared(fmt::format("int_{}", value), ir::MakeIntScalar(value));
}

ir::Value* Emitter::Float(float value) const {
  return Shared(fmt::format("float_{}", value), ir::MakeFloatScalar(value));
}

ir::Value* Emitter::Reshape(ir::Value* x, std::vector<int64_t> dims) const {
  return Op("Reshape", {x, Ints(std::move(dims))});
}

ir::Value* Emitter::Transpose(ir::Value* x, std::vector<int64_t> permutation) const {
  return Op("Transpose", {x}, {{"perm", std::move(permutation)}});
}

ir::Value* Emitter::Unsqueeze(ir::Value* x, std::vector<int64_t> axes) const {
  return Op("Unsqueeze", {x, Ints(std::move(axes))});
}

ir::Value* Emitter::Slice(ir::Value* x, int64_t axis, int64_t begin, int64_t end,
                          int64_t step) const {
  std::vector<ir::Value*> inputs = {x, Ints({begin}), Ints({end}), Ints({axis})};
  if (step != 1) inputs.push_back(Ints({step}));
  return Op("Slice", std::move(inputs));
}

ir::Value* Emitter::Concat(std::vector<ir::Value*> parts, int64_t axis) const {
  return Op("Concat", std::move(parts), {{"axis", axis}});
}

ir::Value* Emitter::Cast(ir::Value* x, DType dtype) const {
  return Op("Cast", {x}, {{"to", OnnxDType(dtype)}});
}

}  // namespace qeff::passes
