// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/builder.h"

#include <algorithm>

namespace qeff::families {
namespace {

/// Buffers that checkpoints of several ages carry along; transformers ignores them too: causal
/// masks [1, 1, n, n], the value of masked scores, frequencies.
bool IsKnownBuffer(std::string_view name, const ir::Weight& weight) {
  const bool is_mask = (name.ends_with(".attn.bias") || name.ends_with(".attention.bias") ||
                        name.ends_with(".attn.causal_mask")) &&
                       weight.dims().size() == 4;
  return is_mask || name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".attn.bias_mask") ||
         name.ends_with(".attn.masked_bias") || name.ends_with(".attention.masked_bias");
}

/// A constant of the right type costs nothing: the graph is thrown away in Finish.
ir::WeightPtr StandIn(const std::vector<int64_t>& dims) {
  return std::make_shared<const ir::Weight>(DType::kF32, dims, ir::InlineBytes{});
}

}  // namespace

bool WeightTable::HasEnding(std::string_view end) const {
  return std::any_of(weights.begin(), weights.end(),
                     [&](const auto& entry) { return entry.first.ends_with(end); });
}

ir::Value* Builder::Op(std::string_view scope, std::string_view domain, std::string_view op_type,
                       std::vector<ir::Value*> inputs, ir::AttributeMap attributes) {
  return graph_.Add({.domain = domain,
                     .op_type = op_type,
                     .inputs = std::move(inputs),
                     .attributes = std::move(attributes),
                     .name = fmt::format("{}/{}", scope, op_type)});
}

ir::Value* Builder::Float(float value) {
  ir::Value*& constant = constants_[fmt::format("float_{}", value)];
  if (constant == nullptr)
    constant = graph_.AddConstant(fmt::format("float_{}", value), ir::MakeFloatScalar(value));
  return constant;
}

ir::Value* Builder::Int(int64_t value) {
  ir::Value*& constant = constants_[fmt::format("int_{}", value)];
  if (constant == nullptr)
    constant = graph_.AddConstant(fmt::format("int_{}", value), ir::MakeIntScalar(value));
  return constant;
}

ir::Value* Builder::Ones(int64_t size) {
  const std::string name = fmt::format("ones_{}", size);
  ir::Value*& constant = constants_[name];
  if (constant == nullptr) {
    const std::vector<float> ones(static_cast<size_t>(size), 1.0F);
    constant = graph_.AddConstant(name, ir::MakeFloats({size}, ones));
  }
  return constant;
}

ir::Value* Builder::Weight(const std::string& name, const std::vector<int64_t>& dims) {
  ir::Value*& constant = constants_["weight " + name];
  if (constant == nullptr) constant = graph_.AddConstant(name, Take(name, dims));
  return constant;
}

ir::WeightPtr Builder::Take(const std::string& name, const std::vector<int64_t>& dims) {
  used_.insert(name);
  const auto found = weights_.weights.find(name);
  const Location where = weights_.Place(name);
  if (found == weights_.weights.end()) {
    // Beyond the limit errors are only counted: no time for advice.
    if (diagnostics_.error_count() >= Diagnostics::kLimit) {
      diagnostics_.AddError(where, "missing tensor");
      return StandIn(dims);
    }
    std::vector<std::string> names;
    for (const auto& [key, value] : weights_.weights) names.push_back(key);
    std::vector<std::string> notes;
    if (const auto nearest = Nearest(name, names))
      notes.push_back(fmt::format("the checkpoint has '{}{}'", weights_.prefix, *nearest));
    notes.push_back(
        "config.json asks for it: config and weights do not belong together, or the checkpoint is "
        "incomplete");
    diagnostics_.AddError(where, "missing tensor", notes);
  } else if (found->second->dims() != dims) {
    const auto keys = shape_keys_.find(name);
    diagnostics_.AddError(
        where,
        fmt::format("expected shape [{}], got [{}]", fmt::join(dims, ", "),
                    fmt::join(found->second->dims(), ", ")),
        {"the expected shape follows from " +
         (keys == shape_keys_.end() ? std::string("config.json") : keys->second)});
  } else if (!IsFloat(found->second->dtype()) || DTypeBits(found->second->dtype()) < 16) {
    diagnostics_.AddError(
        where, fmt::format("expected f32, f16 or bf16, got {}", DTypeName(found->second->dtype())),
        {"quantized checkpoints are not supported yet: use one in f32, f16 or bf16"});
  } else {
    return ir::Converted(found->second, DType::kF32);
  }
  return StandIn(dims);
}

void Builder::IgnorePrefix(std::string_view prefix) {
  for (auto found = weights_.weights.lower_bound(prefix);
       found != weights_.weights.end() && found->first.starts_with(prefix); ++found) {
    used_.insert(found->first);
  }
}

Result<ir::Graph> Builder::Finish() && {
  for (const auto& [name, weight] : weights_.weights) {
    if (used_.contains(name) || IsKnownBuffer(name, *weight)) continue;
    diagnostics_.AddError(weights_.Place(name),
                          fmt::format("tensor {} [{}] has no place in this model",
                                      DTypeName(weight->dtype()), fmt::join(weight->dims(), ", ")),
                          {"config.json describes a model without it"});
  }
  QEFF_RETURN_IF_ERROR(diagnostics_.ToStatus());
  return std::move(graph_);
}

}  // namespace qeff::families
