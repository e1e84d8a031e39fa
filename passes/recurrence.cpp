// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/recurrence.h"

#include <limits>
#include <numeric>

namespace qeff::passes {
namespace {

constexpr const char* kScope = "/model/recurrence";
/// A position that the device writes nothing to.
constexpr int64_t kDoNotTouch = std::numeric_limits<int32_t>::max();

/// An f32 value in another dtype.
ir::Value* Narrowed(const Emitter& emit, ir::Value* x, DType dtype) {
  return dtype == DType::kF32 ? x : emit.Cast(x, dtype);
}

/// 0 in the dtype of the others.
ir::Value* Zero(const Emitter& emit, DType dtype) {
  if (dtype == DType::kF32) return emit.Float(0);
  return emit.graph().AddConstant("zero", ir::Converted(ir::MakeFloatScalar(0), dtype));
}

}  // namespace

RecurrenceEmitter::RowFacts& RecurrenceEmitter::Rows(const Emitter& emit, ir::Value* positions) {
  RowFacts& facts = rows_[positions];
  if (facts.padding == nullptr) {
    const Emitter shared = emit.InScope(kScope);
    const ir::AttributeMap over_tokens = {{"axes", std::vector<int64_t>{1}},
                                          {"keepdims", int64_t{1}}};
    facts.padding = shared.Op("Less", {positions, shared.Int(0)});
    ir::Value* tokens = shared.Cast(shared.Op("Not", {facts.padding}), DType::kI64);
    facts.count = shared.Op("ReduceSum", {tokens, shared.Ints({1})}, {{"keepdims", int64_t{1}}});
    ir::Value* nearest = shared.Op("ReduceMin", {shared.Op("Abs", {positions})}, over_tokens);
    facts.starts = shared.Op("Equal", {nearest, shared.Int(0)});
    facts.has_tokens = shared.Op("Greater", {facts.count, shared.Int(0)});
  }
  return facts;
}

/// 0, 1, ... for the slots of a state: its axis before the last. i64 [slots].
ir::Value* RecurrenceEmitter::AllSlots(const Emitter& emit, const ir::Value* state) {
  const ir::Shape& shape = *state->type().shape;
  const int64_t slots = shape[shape.size() - 2].value();
  const Emitter shared = emit.InScope(kScope);
  ir::Value*& range = slots_[slots];
  if (range == nullptr) {
    range = shared.Op("Range", {shared.Int(0), shared.Int(slots), shared.Int(1)});
  }
  return range;
}

ir::Value* RecurrenceEmitter::ReadState(const Emitter& emit, const StateAccess& access) {
  if (access.state == nullptr || access.batch_index == nullptr) return access.state;
  ir::Value* slots = AllSlots(emit, access.state);
  if (access.state->type().shape->size() == 3) {
    return emit.Op("CtxGatherCB3D",
                   {access.state, access.batch_index, Unsqueezed(emit, slots, {0})}, {},
                   ir::kCloudDomain);
  }
  const int64_t count = access.state->type().shape->at(2).value();
  return emit.Op(
      "CtxGatherCB",
      {access.state, access.batch_index, Unsqueezed(emit, slots, {0, 1}), emit.Int(count)}, {},
      ir::kCloudDomain);
}

ir::Value* RecurrenceEmitter::WriteState(const Emitter& emit, const StateAccess& access,
                                         ir::Value* rows) {
  if (access.batch_index == nullptr) return rows;
  ir::Value* slots = AllSlots(emit, access.state);
  const bool has_heads = access.state->type().shape->size() == 4;
  ir::Value* places =
      emit.Op("Where", {Rows(emit, access.positions).has_tokens, slots, emit.Int(kDoNotTouch)});
  return emit.Op(has_heads ? "CtxScatterCB" : "CtxScatterCB3D",
                 {access.state, access.batch_index, places, rows}, {}, ir::kCloudDomain);
}

void ReplaceState(ir::Graph& graph, ir::Value* old, ir::Value* state) {
  const std::string name = old->name();
  graph.ReplaceAllUses(old, state);
  graph.RenameValue(old, name + "_old");
  graph.RenameValue(state, name);
}

ir::Value* RecurrenceEmitter::Unsqueezed(const Emitter& emit, ir::Value* value,
                                         std::vector<int64_t> axes) {
  ir::Value*& result = unsqueezed_[{value, axes}];
  if (result == nullptr) result = emit.InScope(kScope).Unsqueeze(value, axes);
  return result;
}

// The last N columns of a row's tokens stand where its n tokens end: behind the N columns of the
// state they are columns n .. n + N - 1.
RecurrenceResult RecurrenceEmitter::CausalConv(const Emitter& emit,
                                               const CausalConvValues& values) {
  const ir::Shape& shape = *values.weight->type().shape;
  const int64_t channels = shape[0].value();
  const int64_t taps = shape[2].value();
  const DType dtype = *values.x->type().dtype;
  const RowFacts& rows = Rows(emit, values.positions);
  ir::Value* zero = Zero(emit, dtype);
  ir::Value* sequence =
      emit.Op("Where", {Unsqueezed(emit, rows.padding, {2}), zero, values.x});  // [B, T, C]
  ir::AttributeMap attributes = {{"group", channels}};
  ir::Value* window = sequence;
  if (values.state != nullptr) {
    ir::Value* before = emit.Op("Where", {Unsqueezed(emit, rows.starts, {2}), zero, values.state});
    sequence = emit.Concat({emit.Transpose(before, {0, 2, 1}), sequence}, 1);  // [B, N + T, C]
    window = emit.Slice(sequence, 1, 1, std::numeric_limits<int64_t>::max());
  } else {
    attributes["pads"] = std::vector<int64_t>{taps - 1, 0};
  }
  std::vector<ir::Value*> inputs = {emit.Transpose(window, {0, 2, 1}), values.weight};
  if (values.bias != nullptr) inputs.push_back(values.bias);
  RecurrenceResult result;
  result.y = emit.Transpose(emit.Op("Conv", std::move(inputs), std::move(attributes)), {0, 2, 1});
  if (values.state != nullptr) {
    std::vector<int64_t> columns(static_cast<size_t>(taps));
    std::iota(columns.begin(), columns.end(), 0);
    ir::Value* latest = emit.Op("Add", {rows.count, emit.Ints(std::move(columns))});  // [B, N]
    ir::Value* kept = emit.Op("CtxGather3D", {sequence, latest}, {}, ir::kCloudDomain);
    result.state = emit.Transpose(kept, {0, 2, 1});
  }
  return result;
}

const RecurrenceEmitter::Masks& RecurrenceEmitter::TokenMasks(const Emitter& emit,
                                                              ir::Value* positions) {
  Masks& masks = masks_[positions];
  if (masks.future != nullptr) return masks;
  const Emitter shared = emit.InScope(kScope);
  // A call longer than the table gets an index too short to broadcast: an error instead of a result
  // that halves too seldom.
  std::vector<int64_t> all(static_cast<size_t>(kLongestDeltaRuleCall));
  std::iota(all.begin(), all.end(), 0);
  ir::Value* table = emit.graph().AddConstant("token_index", ir::MakeIntVector(all));
  ir::Value* count = shared.Op("Gather", {shared.Op("Shape", {positions}), shared.Ints({1})});
  ir::Value* index = shared.Op("Slice", {table, shared.Ints({0}), count, shared.Ints({0})});
  const auto same_block = [&](int64_t tokens) {
    ir::Value* block = tokens == 1 ? index : shared.Op("Div", {index, shared.Int(tokens)});
    return shared.Op("Equal", {shared.Unsqueeze(block, {1}), shared.Unsqueeze(block, {0})});
  };
  ir::Value* same = same_block(1);
  masks.identity = shared.Cast(same, DType::kF32);
  for (int64_t tokens = 1; tokens < kLongestDeltaRuleCall; tokens *= 2) {
    ir::Value* same_pair = same_block(2 * tokens);
    masks.halves.push_back(shared.Op("And", {same_pair, shared.Op("Not", {same})}));
    same = same_pair;
  }
  masks.future = shared.Op("Greater", {shared.Unsqueeze(index, {0}), shared.Unsqueeze(index, {1})});
  return masks;
}

// The inverse X of I + N, N strictly lower: of blocks of one token it is I; and of two neighbouring
// blocks, whose inverses stand in X already, with N' the part of N between them,
//   inverse of [P 0; N' Q] = [X 0; 0 X] - X N' X.
// As accurate as substitution row by row, unlike the product of I + (-N)^(2^i), whose powers can
// grow beyond any float where keys are alike.
ir::Value* RecurrenceEmitter::InvertUnitLower(const Emitter& emit, ir::Value* lower,
                                              const Masks& masks) {
  ir::Value* inverse = masks.identity;
  for (size_t level = 0; level < masks.halves.size(); ++level) {
    ir::Value* between = emit.Op("Where", {masks.halves[level], lower, emit.Float(0)});
    if (level > 0) {
      between = emit.Op("MatMul", {emit.Op("MatMul", {inverse, between}), inverse});
    }
    inverse = emit.Op("Sub", {inverse, between});
  }
  return inverse;
}

// With G the running sum of g, D[t, j] = exp(G[t] - G[j]) for j <= t and S the state before:
//   u[t] + beta[t] * sum over j < t of D[t, j] (k[t] . k[j]) u[j] = beta[t] (v[t] - exp(G[t]) S^T
//   k[t])
// is a unit lower triangular system (I + N) U = R; then
//   o = exp(G) (q S) + (q k^T * D) U      S after = exp(G[last]) S + (k exp(G[last] - G))^T U.
// Padding has q, k, v, beta and g zero: it changes nothing. Where, not Mul, makes them so, since
// padding may hold NaN.
RecurrenceResult RecurrenceEmitter::GatedDeltaRule(const Emitter& emit,
                                                   const GatedDeltaRuleValues& values,
                                                   DType dtype) {
  const Masks& masks = TokenMasks(emit, values.positions);
  const RowFacts& rows = Rows(emit, values.positions);
  ir::Value* padding = Unsqueezed(emit, rows.padding, {1, 3});
  ir::Value* zero = emit.Float(0);
  const auto widen = [&](ir::Value* x) {
    return dtype == DType::kF32 ? x : emit.Cast(x, DType::kF32);
  };
  const auto masked = [&](ir::Value* x) { return emit.Op("Where", {padding, zero, widen(x)}); };
  const auto op = [&](std::string_view type, ir::Value* a, ir::Value* b) {
    return emit.Op(type, {a, b});
  };
  const auto swapped = [&](ir::Value* x) { return emit.Transpose(x, {0, 1, 3, 2}); };
  ir::Value* q = masked(values.query);
  ir::Value* k = masked(values.key);
  ir::Value* v = masked(values.value);
  ir::Value* g = masked(values.decay);
  ir::Value* beta = masked(values.beta);

  ir::Value* sum = op("CumSum", g, emit.Int(2));  // G [B, H, T, 1]
  ir::Value* apart = op("Sub", sum, swapped(sum));
  ir::Value* never = emit.Float(-std::numeric_limits<float>::infinity());
  ir::Value* fading = emit.Op("Exp", {emit.Op("Where", {masks.future, never, apart})});  // D
  ir::Value* columns = swapped(k);
  ir::Value* lower = op("Mul", op("Mul", op("MatMul", k, columns), beta), fading);
  ir::Value* inverse = InvertUnitLower(emit, lower, masks);
  ir::Value* scores = op("Mul", op("MatMul", q, columns), fading);
  if (values.state == nullptr) {
    ir::Value* corrections = op("MatMul", inverse, op("Mul", beta, v));
    return {.y = Narrowed(emit, op("MatMul", scores, corrections), dtype)};
  }
  ir::Value* starts = Unsqueezed(emit, rows.starts, {2, 3});
  ir::Value* before = emit.Op("Where", {starts, zero, values.state});
  ir::Value* since_start = emit.Op("Exp", {sum});
  ir::Value* unexpected = op("Sub", v, op("Mul", since_start, op("MatMul", k, before)));
  ir::Value* corrections = op("MatMul", inverse, op("Mul", beta, unexpected));  // U
  ir::Value* recalled = op("Mul", since_start, op("MatMul", q, before));
  RecurrenceResult result;
  result.y = Narrowed(emit, op("Add", recalled, op("MatMul", scores, corrections)), dtype);
  ir::Value* total = emit.Op("ReduceSum", {g, emit.Ints({2})}, {{"keepdims", int64_t{1}}});
  ir::Value* until_end = op("Mul", k, emit.Op("Exp", {op("Sub", total, sum)}));
  ir::Value* kept = op("Mul", emit.Op("Exp", {total}), before);
  result.state = op("Add", kept, op("MatMul", swapped(until_end), corrections));
  return result;
}

}  // namespace qeff::passes
