// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/families/blocks/rotary.h"

namespace qeff::families {
namespace {

constexpr const char* kScope = "/model/rotary_emb";

RotaryValues GatherTables(Builder& builder, const RotaryFacts& facts,
                          const std::vector<float>& frequencies, const std::string& suffix,
                          ir::Value* position_ids) {
  const auto gather = [&](bool is_sine) {
    ir::Value* table = builder.Constant(
        std::string(is_sine ? "model.sin_cached" : "model.cos_cached") + suffix,
        ir::MakeRopeTable(
            facts.table_rows,
            {.is_sine = is_sine, .inverse_frequencies = frequencies, .scale = facts.scale}));
    return builder.Onnx(kScope, "Gather", {table, position_ids}, {{"axis", int64_t{0}}});
  };
  ir::Value* cosine = gather(false);
  return {cosine, gather(true)};
}

RotaryValues ChooseByContext(Builder& builder, const RotaryFacts& facts, const std::string& suffix,
                             ir::Value* position_ids) {
  const RotaryValues near =
      GatherTables(builder, facts, facts.inverse_frequencies, suffix, position_ids);
  const RotaryValues far =
      GatherTables(builder, facts, facts.long_inverse_frequencies, suffix + "_long", position_ids);
  ir::Value* length = builder.Qeff(kScope, "ContextLength", {position_ids});
  ir::Value* is_long =
      builder.Onnx(kScope, "Greater", {length, builder.Int(facts.original_context_tokens)});
  return {builder.Onnx(kScope, "Where", {is_long, far.cosine, near.cosine}),
          builder.Onnx(kScope, "Where", {is_long, far.sine, near.sine})};
}

RotaryValues GrowWithLength(Builder& builder, const RotaryFacts& facts, ir::Value* position_ids) {
  const auto op = [&](std::string_view type, std::vector<ir::Value*> inputs,
                      ir::AttributeMap attributes = {}) {
    return builder.Onnx(kScope, type, std::move(inputs), std::move(attributes));
  };
  const auto axes = [&](std::vector<int64_t> values) {
    return builder.Constant("axes", ir::MakeIntVector(values));
  };
  const int64_t channels = facts.rotary_channels;
  const auto original = static_cast<float>(facts.original_context_tokens);
  // length = max(largest position + 1, original), [B, 1, 1]
  ir::Value* largest = op("ReduceMax", {position_ids},
                          {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{1}}});
  ir::Value* length = op("Cast", {op("Unsqueeze", {largest, axes({2})})}, {{"to", int64_t{1}}});
  length = op("Max", {op("Add", {length, builder.Float(1)}), builder.Float(original)});
  ir::Value* growth =
      op("Sub",
         {op("Div", {op("Mul", {length, builder.Float(facts.factor)}), builder.Float(original)}),
          builder.Float(facts.factor - 1)});
  const float exponent = static_cast<float>(channels) / static_cast<float>(channels - 2);
  ir::Value* base =
      op("Mul", {op("Pow", {growth, builder.Float(exponent)}), builder.Float(facts.base)});
  std::vector<float> exponents;
  for (int64_t i = 0; i < channels / 2; ++i)
    exponents.push_back(static_cast<float>(2 * i) / static_cast<float>(channels));
  ir::Value* powers =
      builder.Constant("model.rotary_emb.exponents", ir::MakeFloats({channels / 2}, exponents));
  ir::Value* frequencies = op("Reciprocal", {op("Pow", {base, powers})});  // [B, 1, R / 2]
  ir::Value* positions =
      op("Cast", {op("Unsqueeze", {position_ids, axes({2})})}, {{"to", int64_t{1}}});
  ir::Value* half = op("Mul", {positions, frequencies});
  ir::Value* angle = op("Concat", {half, half}, {{"axis", int64_t{2}}});
  const auto scaled = [&](ir::Value* value) {
    return facts.scale == 1 ? value : op("Mul", {value, builder.Float(facts.scale)});
  };
  ir::Value* cosine = scaled(op("Cos", {angle}));
  return {cosine, scaled(op("Sin", {angle}))};
}

}  // namespace

ir::Value* AddTokenPositions(Builder& builder, ir::Value* input_ids) {
  const auto op = [&](std::string_view type, std::vector<ir::Value*> inputs) {
    return builder.Onnx("/model/position_ids", type, std::move(inputs));
  };
  ir::Value* dims = op("Shape", {input_ids});
  ir::Value* tokens = op("Gather", {dims, builder.Int(1)});
  return op("Expand", {op("Range", {builder.Int(0), tokens, builder.Int(1)}), dims});
}

RotaryValues AddRotary(Builder& builder, const RotaryFacts& facts, ir::Value* position_ids,
                       size_t index) {
  const std::string suffix = index == 0 ? "" : fmt::format("_{}", index);
  switch (facts.kind) {
    case RotaryKind::kTable:
      return GatherTables(builder, facts, facts.inverse_frequencies, suffix, position_ids);
    case RotaryKind::kByContext:
      return ChooseByContext(builder, facts, suffix, position_ids);
    case RotaryKind::kDynamic:
      return GrowWithLength(builder, facts, position_ids);
  }
  QEFF_CHECK(false, "rotary kind");
}

}  // namespace qeff::families
