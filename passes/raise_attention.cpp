// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes attention over a cache that the contract's ops keep, whoever wrote the graph.
//   Before:  new_key = CtxScatter(past_key, position_ids, kh)         keys = CtxGather(new_key,
//   indices, n)
//            new_value = CtxScatter(past_value, position_ids, vh)     values = Where(invalid, 0,
//            CtxGather(new_value, indices, n)) p = Softmax(Where(mask, -inf, MatMul(qh,
//            Transpose(repeat(keys))) * scale)) o = Reshape(Transpose<0, 2, 1, 3>(MatMul(p,
//            repeat(values))), [0, 0, H * E])
//   After:   o, new_key, new_value = qeff.Attention<num_heads, num_kv_heads, scale, window_tokens,
//   softcap>(
//                q, k, v, position_ids, past_key, past_value, batch_index, comp_ctx_lengths, sinks,
//                key_mask, bias)
// with q = Reshape(Transpose(qh)) and so on; fold-reshapes removes what cancels. Also without a
// cache, when mask is made of the call's own positions. The mask must say: slot > position, or also
// slot <= position - window, or slot < position - position mod chunk; scores may have an ALiBi bias
// and a column of sinks as lower-attention makes them; indices must be the slots up to the row's
// largest position. Attention of encoders has no positions: all keys are seen, or those of a
// window around the query; a bias and padding made of a mask (padding_match.h) may be added to the
// scores; the scale may stand on query and key. Every part is checked: a mask of another form (a
// ring buffer) leaves the graph as it is, and the backends run it op by op. Requires: inferred
// types; no-op casts removed (drop-noop-casts), shape inputs constant (fold-shapes).
#include <cmath>

#include "lib/ops/attention.h"
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/padding_match.h"
#include "passes/pass.h"
#include "passes/tidy.h"

namespace qeff::passes {
namespace {

/// The values that one attention is made of.
struct Match {
  ir::Value* query = nullptr;             ///< [B, H, T, E]
  ir::Value* key = nullptr;               ///< [B, K, T, E], new tokens
  ir::Value* tokens_first_key = nullptr;  ///< [B, T, K, E] instead, where only that is there
  ir::Value* value = nullptr;
  ir::Value* past_key = nullptr;
  ir::Value* past_value = nullptr;
  ir::Node* key_scatter = nullptr;
  ir::Node* value_scatter = nullptr;
  ir::Value* positions = nullptr;  ///< [B, T]
  ir::Value* batch_index = nullptr;
  ir::Value* compute_lengths = nullptr;
  ir::Value* sinks = nullptr;     ///< [H]
  ir::Value* added = nullptr;     ///< to the scores: ALiBi or the bias
  ir::Value* bias = nullptr;      ///< [1 or B, 1 or H, 1 or T, S]
  ir::Value* key_mask = nullptr;  ///< [B, S]
  ops::AttentionAttributes attributes;
  DType dtype = DType::kF32;
};

/// Follows a Cast between float types.
ir::Value* BeforeFloatCast(ir::Value* value) {
  const ir::Node* cast = ProducedBy(value, "Cast");
  return cast != nullptr && cast->input(0)->type().dtype && IsFloat(*cast->input(0)->type().dtype)
             ? cast->input(0)
             : value;
}

/// True if `value` is a scalar, or a tensor of one repeated value, below any score: -inf.
bool IsMinusInfinity(const ir::Value* value) {
  const auto scalar = ir::ConstantFloat(value);
  return scalar && std::isinf(*scalar) && *scalar < 0;
}

/// If `value` has the data of position_ids as a column ([B, T, 1] or [B, 1, T, 1]), returns
/// position_ids.
ir::Value* PositionsOfColumn(ir::Value* value) {
  if (FixedDim(value, -1) != 1) return nullptr;
  ir::Value* data = SameData(value);
  return Rank(data) == 2 ? data : nullptr;
}

class Matcher {
 public:
  explicit Matcher(const ir::Graph& graph) : graph_(graph) {}

  /// `product` is the MatMul that mixes the values.
  std::optional<Match> MatchFrom(const ir::Node& product) {
    Match match;
    const ir::Node* softmax = MatchSoftmax(product.input(0));
    if (softmax == nullptr) return std::nullopt;
    ir::Value* masked = softmax->input(0);
    if (const ir::Node* concat = ProducedBy(masked, "Concat")) {
      match.sinks = MatchSinks(*concat);
      if (match.sinks == nullptr || softmax->output() == BeforeFloatCast(product.input(0)))
        return std::nullopt;
      masked = concat->input(0);
    } else if (softmax->output() != BeforeFloatCast(product.input(0))) {
      return std::nullopt;
    }
    const ir::Node* where = ProducedBy(WithoutAddedMask(masked), "Where");
    const int64_t axis = softmax->IntAttribute("axis", -1);
    if ((axis != -1 && axis != 3) || (where != nullptr && !IsMinusInfinity(where->input(1))))
      return std::nullopt;
    const ir::Node* scores =
        MatchScores(WithoutPadding(where != nullptr ? where->input(2) : masked, match), match);
    if (scores == nullptr) return std::nullopt;
    match.query = WithoutScale(scores->input(0), match);
    const ir::Node* transposed = WithoutScale(scores->input(1), match)->producer();
    ir::Value* values = BeforeRepeat(product.input(1));
    const ir::Node* masked_values = ProducedBy(values, "Where");
    // Without a cache, a repetition or a rotation two transposes have become one.
    const bool is_tokens_first = IsTranspose(transposed, {0, 2, 3, 1});
    if (!is_tokens_first && !IsTranspose(transposed, {0, 1, 3, 2})) return std::nullopt;
    ir::Value* keys = BeforeRepeat(transposed->input(0));
    if (is_tokens_first) {
      if (masked_values != nullptr) return std::nullopt;
      match.tokens_first_key = transposed->input(0);
      match.value = values;
    } else if (masked_values != nullptr) {
      if (!MatchCache(keys, *masked_values, match)) return std::nullopt;
    } else {
      match.key = keys;
      match.value = values;
    }
    if (where != nullptr && !MatchWindow(where->input(0), match) &&
        !MatchMask(where->input(0), match))
      return std::nullopt;
    if (match.added != nullptr && !MatchAdded(match)) return std::nullopt;
    if (match.past_key == nullptr && !KeysAreOfTheCall(match)) return std::nullopt;
    match.dtype = match.query->type().dtype.value_or(DType::kF32);
    return match;
  }

 private:
  /// Add(Where(mask, -inf, scores), Cast(mask)) -> the Where: -inf + 1 is -inf, and the others get
  /// 0.
  static ir::Value* WithoutAddedMask(ir::Value* masked) {
    const ir::Node* add = ProducedBy(masked, "Add");
    const ir::Node* where = add ? ProducedBy(add->input(0), "Where") : nullptr;
    const ir::Node* cast = add ? ProducedBy(add->input(1), "Cast") : nullptr;
    return where != nullptr && cast != nullptr && cast->input(0) == where->input(0) ? add->input(0)
                                                                                    : masked;
  }

  /// Add(scores, padding) -> scores.
  static ir::Value* WithoutPadding(ir::Value* value, Match& match) {
    const ir::Node* add = ProducedBy(value, "Add");
    match.key_mask = add != nullptr ? MaskOfPadding(add->input(1)) : nullptr;
    return match.key_mask != nullptr ? add->input(0) : value;
  }

  /// x * scalar -> x.
  static ir::Value* WithoutScale(ir::Value* value, Match& match) {
    const ir::Node* product = ProducedBy(value, "Mul");
    const auto operand = product ? FindScalarOperand(*product) : std::nullopt;
    if (!operand || Rank(operand->other) != 4) return value;
    match.attributes.scale *= operand->scalar;
    return operand->other;
  }

  /// Or(slots <= t - window, slots >= t + window), both of the tokens' numbers in the call.
  static bool MatchWindow(ir::Value* mask, Match& match) {
    const ir::Node* either = ProducedBy(SameData(mask), "Or");
    const ir::Node* before = either ? ProducedBy(either->input(0), "LessOrEqual") : nullptr;
    const ir::Node* after = either ? ProducedBy(either->input(1), "GreaterOrEqual") : nullptr;
    const ir::Node* first = before ? ProducedBy(before->input(1), "Sub") : nullptr;
    const ir::Node* last = after ? ProducedBy(after->input(1), "Add") : nullptr;
    const auto window = first ? ir::ConstantInt(first->input(1)) : std::nullopt;
    if (last == nullptr || !window || *window <= 0 || ir::ConstantInt(last->input(1)) != window ||
        match.past_key != nullptr) {
      return false;
    }
    for (const ir::Node* bound : {first, last}) {
      if (FixedDim(bound->input(0), -1) != 1 || !IsTokenNumbers(bound->input(0))) return false;
    }
    match.attributes.window_tokens = *window;
    return IsSlotRange(before->input(0)) && before->input(0) == after->input(0);
  }

  /// 0, 1, ..., n - 1 in some shape.
  static bool IsTokenNumbers(ir::Value* value) {
    const ir::Node* range = ProducedBy(SameData(value), "Range");
    return range != nullptr && ir::ConstantInt(range->input(0)) == 0 &&
           ir::ConstantInt(range->input(2)) == 1;
  }

  /// What is added to the scores is ALiBi or, without a cache, any bias.
  static bool MatchAdded(Match& match) {
    const ops::AttentionAttributes before = match.attributes;
    if (MatchAlibi(match)) return true;
    match.attributes = before;
    if (match.past_key != nullptr || Rank(match.added) != 4 || Rank(match.query) != 4) return false;
    const ir::Shape& bias = *match.added->type().shape;
    const ir::Shape& query = *match.query->type().shape;
    const ir::Dim expected[] = {query[0], query[1], query[2], query[2]};
    for (size_t axis = 0; axis < 4; ++axis) {
      const bool is_one = bias[axis].is_number() && bias[axis].value() == 1 && axis < 3;
      if (!is_one && !ir::SameSize(bias[axis], expected[axis])) return false;
    }
    match.bias = match.added;
    return true;
  }

  /// As many keys as queries: attention to other tokens is something else.
  static bool KeysAreOfTheCall(const Match& match) {
    const ir::Value* key = match.key != nullptr ? match.key : match.tokens_first_key;
    if (Rank(key) != 4 || Rank(match.query) != 4 || Rank(match.value) != 4) return false;
    const ir::Shape& query = *match.query->type().shape;
    const size_t tokens_axis = match.key != nullptr ? 2 : 1;
    return ir::SameSize((*key->type().shape)[tokens_axis], query[2]) &&
           ir::SameSize((*key->type().shape)[0], query[0]) &&
           ir::SameSize((*match.value->type().shape)[2], query[2]);
  }

  /// Takes a slice that drops the last column off.
  static const ir::Node* MatchSoftmax(const ir::Value* weights) {
    weights = BeforeFloatCast(const_cast<ir::Value*>(weights));
    if (const ir::Node* softmax = ProducedBy(weights, "Softmax")) return softmax;
    const ir::Node* slice = ProducedBy(weights, "Slice");
    if (slice == nullptr || slice->inputs().size() < 4) return nullptr;
    const auto step = slice->input(4) != nullptr ? ir::ConstantInt(slice->input(4)) : 1;
    const auto axis = ir::ConstantInt(slice->input(3));
    const bool drops_last = ir::ConstantInt(slice->input(1)) == 0 &&
                            ir::ConstantInt(slice->input(2)) == -1 && step == 1 &&
                            (axis == 3 || axis == -1);
    return drops_last ? ProducedBy(slice->input(0), "Softmax") : nullptr;
  }

  /// Concat<3>(scores, Expand(Unsqueeze(sinks [H], [0, 2, 3]), .)) -> sinks.
  static ir::Value* MatchSinks(const ir::Node& concat) {
    const int64_t axis = concat.IntAttribute("axis", 0);
    if (concat.inputs().size() != 2 || (axis != 3 && axis != -1)) return nullptr;
    const ir::Node* expand = ProducedBy(BeforeFloatCast(concat.input(1)), "Expand");
    if (expand == nullptr || FixedDim(expand->output(), -1) != 1) return nullptr;
    const ir::Node* unsqueeze = ProducedBy(BeforeFloatCast(expand->input(0)), "Unsqueeze");
    if (unsqueeze == nullptr || Rank(unsqueeze->input(0)) != 1) return nullptr;
    const bool stands_at_heads =
        FixedDim(unsqueeze->output(), 1) == FixedDim(unsqueeze->input(0), 0);
    return Rank(unsqueeze->output()) == 4 && stands_at_heads ? unsqueeze->input(0) : nullptr;
  }

  /// The last S columns of a constant table [H, 1, n] that rises evenly along its last axis: that
  /// is slope * slot and a number for each row, which the softmax does not see.
  static bool MatchLinearTable(Match& match) {
    const ir::Node* expand = ProducedBy(match.added, "Expand");
    const ir::Value* bias = SameData(expand != nullptr ? expand->input(0) : match.added);
    const ir::Node* slice = ProducedBy(bias, "Slice");
    if (match.past_key == nullptr || slice == nullptr || Rank(slice->output()) != 3 ||
        !slice->input(0)->is_constant()) {
      return false;
    }
    const auto axis = ir::ConstantInt(slice->input(3));
    const auto step = slice->input(4) != nullptr ? ir::ConstantInt(slice->input(4)) : 1;
    const ir::Shape& cache = *match.past_key->type().shape;
    const bool has_slots = ir::SameSize((*slice->output()->type().shape)[2], cache[2]);
    const ir::Weight& table = *slice->input(0)->constant();
    if ((axis != 2 && axis != -1) || step != 1 || !has_slots || table.dims()[1] != 1 ||
        table.dims()[2] < 2 || FixedDim(match.query, 1) != table.dims()[0]) {
      return false;
    }
    const Result<std::vector<float>> values = ir::ReadFloats(table);
    if (!values.ok()) return false;
    const auto columns = static_cast<size_t>(table.dims()[2]);
    std::vector<float> slopes;
    for (size_t row = 0; row < values->size(); row += columns) {
      // The table ends in zero, so the last step has the smallest rounding error.
      const float last = (*values)[row + columns - 1];
      const float slope = last - (*values)[row + columns - 2];
      for (size_t i = 0; i < columns; ++i) {
        const float expected = last - slope * static_cast<float>(columns - 1 - i);
        if (std::fabs((*values)[row + i] - expected) > 1e-6F * std::fabs(expected)) return false;
      }
      slopes.push_back(slope);
    }
    match.attributes.alibi_slopes = std::move(slopes);
    return true;
  }

  /// The bias is alibi_scale * bf16(bf16(Cast(slots)) * slopes), the scale where it is not 1, the
  /// roundings both or neither.
  static bool MatchAlibi(Match& match) {
    if (MatchLinearTable(match)) return true;
    ops::AttentionAttributes& attributes = match.attributes;
    ir::Value* value = match.added;
    for (int steps = 0; steps < 4; ++steps) {
      const ir::Node* node = value->producer();
      if (node == nullptr) return false;
      if (node->IsOnnx("Cast")) {
        const ir::Node* rounded = ProducedBy(node->input(0), "Cast");
        if (rounded == nullptr || node->input(0)->type().dtype != DType::kBf16) return false;
        attributes.alibi_in_bf16 = true;
        value = rounded->input(0);
        continue;
      }
      if (!node->IsOnnx("Mul")) return false;
      const auto scale = FindScalarOperand(*node);
      if (scale && !attributes.alibi_in_bf16 &&
          FixedDim(node->output(), 1) == FixedDim(scale->other, 1)) {
        attributes.alibi_scale *= scale->scalar;
        value = scale->other;
        continue;
      }
      return MatchSlopes(*node, match);
    }
    return false;
  }

  /// Mul(Cast(slots), slopes [1, H, 1, 1]), the slots rounded to bf16 if alibi_in_bf16.
  static bool MatchSlopes(const ir::Node& product, Match& match) {
    const ir::Value* slopes = product.input(1);
    if (!slopes->is_constant() || Rank(slopes) != 4 ||
        FixedDim(slopes, 1) != slopes->constant()->element_count()) {
      return false;
    }
    const ir::Node* numbers = ProducedBy(product.input(0), "Cast");
    if (match.attributes.alibi_in_bf16) {
      const ir::Node* rounded = numbers ? ProducedBy(numbers->input(0), "Cast") : nullptr;
      if (rounded == nullptr || rounded->output()->type().dtype != DType::kBf16) return false;
      numbers = ProducedBy(rounded->input(0), "Cast");
    }
    if (numbers == nullptr || !IsSlots(numbers->input(0), match)) return false;
    Result<std::vector<float>> values = ir::ReadFloats(*slopes->constant());
    if (!values.ok()) return false;
    match.attributes.alibi_slopes = std::move(*values);
    return FixedDim(match.query, 1) == FixedDim(slopes, 1);
  }

  /// Takes scale, soft cap and bias off; returns the MatMul of the scores.
  const ir::Node* MatchScores(ir::Value* value, Match& match) {
    for (int steps = 0; steps < 6; ++steps) {
      value = BeforeFloatCast(value);
      const ir::Node* node = value->producer();
      if (node == nullptr) return nullptr;
      if (node->IsOnnx("MatMul")) return node;
      if (node->IsOnnx("Add") && steps == 0) {
        match.added = node->input(1);
        value = node->input(0);
        continue;
      }
      const auto operand = FindScalarOperand(*node);
      if (!operand) return nullptr;
      const ir::Node* tanh = ProducedBy(operand->other, "Tanh");
      if (node->IsOnnx("Mul") && tanh != nullptr && match.attributes.softcap == 0 &&
          match.attributes.scale == 1) {
        const ir::Node* division = ProducedBy(tanh->input(0), "Div");
        const auto cap = division ? FindScalarOperand(*division) : std::nullopt;
        if (!cap || cap->scalar != operand->scalar || division->input(0) != cap->other)
          return nullptr;
        match.attributes.softcap = operand->scalar;
        value = cap->other;
      } else if (node->IsOnnx("Mul")) {
        match.attributes.scale *= operand->scalar;
        value = operand->other;
      } else if (node->IsOnnx("Div") && node->input(0) == operand->other) {
        match.attributes.scale /= operand->scalar;
        value = operand->other;
      } else {
        return nullptr;
      }
    }
    return nullptr;
  }

  /// keys = CtxGather(CtxScatter(past, positions, new), indices, n); values the same under
  /// Where(invalid, 0, .).
  bool MatchCache(ir::Value* keys, const ir::Node& masked_values, Match& match) {
    if (ir::ConstantFloat(masked_values.input(1)) != 0.0F) return false;
    const ir::Node* key_gather = MatchGather(keys, match);
    const ir::Node* value_gather = MatchGather(masked_values.input(2), match);
    if (key_gather == nullptr || value_gather == nullptr) return false;
    match.key_scatter = MatchScatter(key_gather->input(0), match);
    match.value_scatter = MatchScatter(value_gather->input(0), match);
    if (match.key_scatter == nullptr || match.value_scatter == nullptr) return false;
    const size_t last = match.key_scatter->inputs().size() - 1;
    match.past_key = match.key_scatter->input(0);
    match.past_value = match.value_scatter->input(0);
    match.key = match.key_scatter->input(last);
    match.value = match.value_scatter->input(last);
    return MatchIndices(*key_gather, match) && MatchIndices(*value_gather, match) &&
           IsInvalid(masked_values.input(0), match) && MatchLength(*key_gather, match) &&
           MatchLength(*value_gather, match);
  }

  static const ir::Node* MatchGather(const ir::Value* value, Match& match) {
    if (const ir::Node* plain = ProducedBy(value, ir::kCloudDomain, "CtxGather")) return plain;
    const ir::Node* slots = ProducedBy(value, ir::kCloudDomain, "CtxGatherCB");
    if (slots == nullptr || (match.batch_index != nullptr && match.batch_index != slots->input(1)))
      return nullptr;
    match.batch_index = slots->input(1);
    return slots;
  }

  static ir::Node* MatchScatter(const ir::Value* value, Match& match) {
    ir::Node* node =
        ProducedBy(value, ir::kCloudDomain, match.batch_index ? "CtxScatterCB" : "CtxScatter");
    if (node == nullptr || !node->input(0)->is_input()) return nullptr;
    if (match.batch_index != nullptr && node->input(1) != match.batch_index) return nullptr;
    ir::Value* positions = node->input(match.batch_index ? 2 : 1);
    // Padding may be marked by a number that no cache has: Where(position < 0, 2147483647,
    // position).
    if (const ir::Node* where = ProducedBy(positions, "Where")) {
      const ir::Node* less = ProducedBy(where->input(0), "Less");
      if (less == nullptr || ir::ConstantInt(less->input(1)) != 0 ||
          SameData(less->input(0)) != SameData(where->input(2)) ||
          !ir::ConstantInt(where->input(1))) {
        return nullptr;
      }
      positions = where->input(2);
    }
    positions = SameData(positions);
    if (match.positions != nullptr && match.positions != positions) return nullptr;
    match.positions = positions;
    return node;
  }

  /// indices = Where(invalid, any, slots).
  static bool MatchIndices(const ir::Node& gather, const Match& match) {
    const ir::Node* where = ProducedBy(SameData(gather.input(match.batch_index ? 2 : 1)), "Where");
    return where != nullptr && IsInvalid(where->input(0), match) &&
           ir::ConstantInt(where->input(1)) && IsSlotRange(where->input(2));
  }

  /// invalid = Greater(slots, largest position of the row).
  static bool IsInvalid(ir::Value* value, const Match& match) {
    const ir::Node* greater = ProducedBy(SameData(value), "Greater");
    if (greater == nullptr || !IsSlotRange(greater->input(0))) return false;
    const ir::Node* limit = ProducedBy(SameData(greater->input(1)), "ReduceMax");
    return limit != nullptr && SameData(limit->input(0)) == match.positions &&
           limit->IntsAttribute("axes") == std::vector<int64_t>{1};
  }

  /// The gathered length is the cache's, or that of the input comp_ctx_lengths.
  bool MatchLength(const ir::Node& gather, Match& match) {
    const auto& gathered = gather.output()->type().shape;
    const auto& cached = gather.input(0)->type().shape;
    if (!gathered || !cached || gathered->size() != 4 || cached->size() != 4) return false;
    if (ir::SameSize((*gathered)[2], (*cached)[2])) return true;
    for (ir::Value* input : graph_.inputs()) {
      const auto& shape = input->type().shape;
      if (shape && shape->size() == 1 && (*shape)[0].is_symbol() &&
          ir::SameSize((*shape)[0], (*gathered)[2])) {
        match.compute_lengths = input;
        return true;
      }
    }
    return false;
  }

  /// mask = slot > position, perhaps Or(slot <= position - window), perhaps Or(slot < 0) without a
  /// cache.
  bool MatchMask(ir::Value* mask, Match& match) {
    const ir::Node* node = SameData(mask)->producer();
    if (node == nullptr) return false;
    if (node->IsOnnx("Or")) {
      return MatchMask(node->input(0), match) && MatchMask(node->input(1), match);
    }
    if (node->IsOnnx("Greater")) {
      ir::Value* positions = PositionsOfColumn(node->input(1));
      return positions != nullptr && SetPositions(positions, match) &&
             IsSlots(node->input(0), match);
    }
    if (node->IsOnnx("LessOrEqual")) {
      const ir::Node* oldest = ProducedBy(node->input(1), "Sub");
      const auto window = oldest ? ir::ConstantInt(oldest->input(1)) : std::nullopt;
      if (!window || *window <= 0 || match.attributes.window_tokens != 0 ||
          !IsSlots(node->input(0), match))
        return false;
      match.attributes.window_tokens = *window;
      return PositionsOfColumn(oldest->input(0)) == match.positions;
    }
    if (!node->IsOnnx("Less") || !IsSlots(node->input(0), match)) return false;
    if (ir::ConstantInt(node->input(1)) == 0) return match.past_key == nullptr;
    return MatchChunk(node->input(1), match);
  }

  /// oldest = position - position mod chunk.
  static bool MatchChunk(const ir::Value* oldest, Match& match) {
    const ir::Node* difference = ProducedBy(oldest, "Sub");
    const ir::Node* rest = difference ? ProducedBy(difference->input(1), "Mod") : nullptr;
    const auto chunk = rest ? ir::ConstantInt(rest->input(1)) : std::nullopt;
    if (!chunk || *chunk <= 0 || match.attributes.chunk_tokens != 0 ||
        rest->IntAttribute("fmod", 0) != 0 || rest->input(0) != difference->input(0)) {
      return false;
    }
    match.attributes.chunk_tokens = *chunk;
    return PositionsOfColumn(difference->input(0)) == match.positions;
  }

  static bool SetPositions(ir::Value* positions, Match& match) {
    if (match.positions == nullptr) match.positions = positions;
    return match.positions == positions;
  }

  static bool IsSlots(ir::Value* value, const Match& match) {
    if (match.past_key != nullptr) return IsSlotRange(value);
    return Rank(value) >= 3 && FixedDim(value, -2) == 1 && SameData(value) == match.positions;
  }

  const ir::Graph& graph_;
};

/// [B, T, heads, E] -> [B, T, heads * E].
ir::Value* MergeTokensFirst(const Emitter& emit, ir::Value* x) {
  const ir::Shape& shape = *x->type().shape;
  const int64_t channels = *FixedDim(x, 2) * *FixedDim(x, 3);
  ir::Value* merged = emit.Reshape(x, {0, 0, channels});
  merged->set_type({x->type().dtype, ir::Shape{shape[0], shape[1], channels}});
  return merged;
}

/// [B, heads, T, E] -> [B, T, heads * E].
ir::Value* MergeHeads(const Emitter& emit, ir::Value* x) {
  const ir::Shape& shape = *x->type().shape;
  ir::Value* tokens_first = emit.Transpose(x, {0, 2, 1, 3});
  tokens_first->set_type({x->type().dtype, ir::Shape{shape[0], shape[2], shape[1], shape[3]}});
  return MergeTokensFirst(emit, tokens_first);
}

Status Replace(ir::Graph& graph, const Match& match, ir::Node* product) {
  const Emitter emit(graph, product);
  const int64_t heads = *FixedDim(match.query, 1);
  const int64_t value_size = *FixedDim(match.value, 3);
  ops::AttentionAttributes attributes = match.attributes;
  attributes.num_heads = heads;
  attributes.num_kv_heads =
      match.key != nullptr ? *FixedDim(match.key, 1) : *FixedDim(match.tokens_first_key, 2);
  ir::Value* query = MergeHeads(emit, match.query);
  ir::Value* key = match.key != nullptr ? MergeHeads(emit, match.key)
                                        : MergeTokensFirst(emit, match.tokens_first_key);
  std::vector<ir::Value*> inputs = {query, key, MergeHeads(emit, match.value), match.positions};
  std::vector<std::string> names = {""};
  if (match.past_key != nullptr) {
    inputs.insert(inputs.end(),
                  {match.past_key, match.past_value, match.batch_index, match.compute_lengths});
    names.insert(names.end(), {"", ""});
  }
  inputs.resize(8, nullptr);
  inputs.insert(inputs.end(), {match.sinks, match.key_mask, match.bias});
  while (inputs.back() == nullptr) inputs.pop_back();
  ir::Node* made = emit.Multi(ir::kQeffDomain, "Attention", std::move(inputs),
                              ops::ToAttributeMap(attributes), std::move(names));
  const ir::Shape& shape = *product->output()->type().shape;
  made->output()->set_type({match.dtype, ir::Shape{shape[0], shape[2], heads * value_size}});
  if (match.past_key != nullptr) {
    for (const auto& [output, scatter] :
         {std::pair(size_t{1}, match.key_scatter), std::pair(size_t{2}, match.value_scatter)}) {
      const std::string name = scatter->output()->name();
      made->output(output)->set_type(scatter->output()->type());
      graph.ReplaceAllUses(scatter->output(), made->output(output));
      graph.RenameValue(scatter->output(), name + "_old");
      graph.RenameValue(made->output(output), name);
    }
  }
  ir::Value* split = emit.Reshape(made->output(), {0, 0, heads, value_size});
  split->set_type({match.dtype, ir::Shape{shape[0], shape[2], heads, value_size}});
  ir::Value* result = emit.Transpose(split, {0, 2, 1, 3});
  result->set_type(product->output()->type());
  graph.ReplaceAllUses(product->output(), result);
  return Status::Ok();
}

}  // namespace

Result<Change> RaiseAttention(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> candidates;
  for (const auto& node : graph.nodes()) {
    if (node->IsOnnx("MatMul") && Rank(node->output()) == 4) candidates.push_back(node.get());
  }
  Change change = Change::kNone;
  for (ir::Node* product : candidates) {
    const auto match = Matcher(graph).MatchFrom(*product);
    if (!match) continue;
    const auto fixed = [](const ir::Value* x, int heads_axis = 1) {
      return Rank(x) == 4 && FixedDim(x, heads_axis) && FixedDim(x, 3);
    };
    const bool key_is_fixed =
        match->key != nullptr ? fixed(match->key) : fixed(match->tokens_first_key, 2);
    if (!fixed(match->query) || !key_is_fixed || !fixed(match->value)) continue;
    QEFF_RETURN_IF_ERROR(Replace(graph, *match, product));
    change = Change::kChanged;
  }
  if (change == Change::kChanged) QEFF_RETURN_IF_ERROR(DropDeadAndSort(model));
  return change;
}

}  // namespace qeff::passes
