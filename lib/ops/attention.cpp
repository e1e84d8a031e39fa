// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.Attention<num_heads, num_kv_heads, scale, window_tokens, chunk_tokens, softcap,
// alibi_slopes,
//                alibi_scale, alibi_in_bf16, ring_cache>(
//     q [B, T, H * E], k [B, T, K * E], v [B, T, K * Ev], position_ids i64 [B, T],
//     past_key [Bc, K, C, E], past_value [Bc, K, C, Ev], batch_index i64 [B, 1],
//     comp_ctx_lengths i64 [n], sinks [H], key_mask i64 [B, T], bias [1 or B, 1 or H, 1 or T, T])
//   -> (out [B, T, H * Ev], present_key, present_value like the past)
// With a past: k and v of token t go to slot position_ids[b, t] of cache row b (or batch_index[b]);
// positions outside of [0, C) write nothing. A query at position p then sees the slots j <= p of
// the first n (n = C without comp_ctx_lengths), of those the ones with j > p - window_tokens if
// there is a window, and those with j >= p - p mod chunk_tokens if there are chunks. Without a
// past: the key of token t' is seen if 0 <= j <= p for its position j = position_ids[b, t'], and
// the same of window and chunk. Without position_ids (an encoder) every key is seen, or with a
// window those with |t - t'| < window_tokens.
// With ring_cache token p goes to slot p mod C, after all writes of the call: slot s holds the last
// written token t with t mod C = s, and j is that token's position. A call of several tokens may so
// write over keys that its first tokens should see: this is what the original's files do.
//   score = softcap * tanh(scale * q.k / softcap)  (without softcap: scale * q.k)
//   score += alibi_scale * (alibi_slopes[h] * j)   (j and the product rounded to bf16 if
//   alibi_in_bf16) out = sum of softmax(score) * v;  query head h reads kv head h / (H / K)
// A sink is one more score of the softmax that has no value: out = sum of e^score * v /
// (sum of e^score + e^sinks[h]). Rows at negative positions, and rows that see nothing, are NaN;
// with sinks they are 0.
// Without a past there may be a key_mask, whose zeros mark padding, and a bias that is added to the
// scores. Padding is left out of the keys that a row sees, unless they all are padding: then none
// is left out. So rows of padding stay finite, and a sum may multiply them by zero.
#include "lib/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/ops/attention_inputs.h"
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

using enum AttentionInput::Index;

/// Channels of one head; unknown if the number of channels is.
Result<ir::Dim> HeadSize(const InferContext& context, size_t input, int64_t heads) {
  const ir::Dim& channels = context.shape(input)[2];
  if (!channels.is_number()) return ir::Dim();
  if (channels.value() % heads != 0) {
    return context.Invalid(fmt::format("input {}: expected {} heads of equal size, got {}", input,
                                       heads, context.TypeText(input)));
  }
  return ir::Dim(channels.value() / heads);
}

Status CheckPast(const InferContext& context, const ir::Dim& key_size, const ir::Dim& value_size) {
  const int64_t kv_heads = context.Int("num_kv_heads");
  if (!context.Has(kPositions)) return context.Invalid("a past needs position_ids");
  for (const size_t past : {kPastKey, kPastValue}) {
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(past));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(past, 4));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(past, 1, kv_heads));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(past, 3, past == kPastKey ? key_size : value_size));
  }
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kPastValue, 0, context.shape(kPastKey)[0]));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kPastValue, 2, context.shape(kPastKey)[2]));
  if (context.Has(kBatchIndex)) {
    QEFF_RETURN_IF_ERROR(context.ExpectInteger(kBatchIndex));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kBatchIndex, 2));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kBatchIndex, 0, context.shape(kQuery)[0]));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kBatchIndex, 1, 1));
  } else {
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kPastKey, 0, context.shape(kQuery)[0]));
  }
  if (context.Has(kComputeLengths)) {
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kComputeLengths, 1));
    const ir::Dim& reach = context.shape(kComputeLengths)[0];
    const ir::Dim& slots = context.shape(kPastKey)[2];
    if (reach.is_number() && slots.is_number() && reach.value() > slots.value()) {
      return context.Invalid(
          fmt::format("input {}: expected at most {} compute context tokens, "
                      "got {}",
                      size_t{kComputeLengths}, slots.value(), reach.value()));
    }
  }
  return Status::Ok();
}

Status CheckHeads(const InferContext& context) {
  const int64_t heads = context.Int("num_heads");
  const int64_t kv_heads = context.Int("num_kv_heads");
  if (heads < 1 || kv_heads < 1 || heads % kv_heads != 0) {
    return context.Invalid(
        fmt::format("expected num_heads a multiple of num_kv_heads, got {} "
                    "and {}",
                    heads, kv_heads));
  }
  for (const char* span : {"window_tokens", "chunk_tokens"}) {
    if (context.Int(span) < 0) {
      return context.Invalid(
          fmt::format("attribute '{}': expected 0 or more, got {}", span, context.Int(span)));
    }
  }
  const size_t slopes = ReadAttentionAttributes(context.node()).alibi_slopes.size();
  if (slopes != 0 && static_cast<int64_t>(slopes) != heads) {
    return context.Invalid(
        fmt::format("attribute 'alibi_slopes': expected one a head ({}), got {}", heads, slopes));
  }
  return Status::Ok();
}

/// Windows, chunks and ALiBi ask where a key is.
Status CheckPositions(const InferContext& context) {
  if (context.Has(kPositions)) {
    QEFF_RETURN_IF_ERROR(context.ExpectInteger(kPositions));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kPositions, 2));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kPositions, 0, context.shape(kQuery)[0]));
    return context.ExpectSize(kPositions, 1, context.shape(kQuery)[1]);
  }
  if (!ReadAttentionAttributes(context.node()).alibi_slopes.empty() ||
      context.Int("chunk_tokens") != 0) {
    return context.Invalid("alibi_slopes and chunk_tokens need position_ids");
  }
  return Status::Ok();
}

/// Expects 1 or `size` where both are known.
Status CheckBroadcast(const InferContext& context, size_t axis, const ir::Dim& size) {
  const ir::Dim& given = context.shape(kBias)[axis];
  if (given.is_number() && given.value() == 1) return Status::Ok();
  return context.ExpectSize(kBias, axis, size);
}

Status CheckMaskAndBias(const InferContext& context) {
  const ir::Shape& query = context.shape(kQuery);
  if ((context.Has(kKeyMask) || context.Has(kBias)) && context.Has(kPastKey))
    return context.Invalid("key_mask and bias are for attention without a past");
  if (context.Has(kKeyMask)) {
    QEFF_RETURN_IF_ERROR(context.ExpectInteger(kKeyMask));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kKeyMask, 2));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kKeyMask, 0, query[0]));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kKeyMask, 1, query[1]));
  }
  if (!context.Has(kBias)) return Status::Ok();
  QEFF_RETURN_IF_ERROR(context.ExpectFloat(kBias));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(kBias, 4));
  QEFF_RETURN_IF_ERROR(CheckBroadcast(context, 0, query[0]));
  QEFF_RETURN_IF_ERROR(CheckBroadcast(context, 1, context.Int("num_heads")));
  QEFF_RETURN_IF_ERROR(CheckBroadcast(context, 2, query[1]));
  return context.ExpectSize(kBias, 3, query[1]);
}

Status InferAttention(InferContext& context) {
  QEFF_RETURN_IF_ERROR(CheckHeads(context));
  const ir::Shape& query = context.shape(kQuery);
  for (const size_t input : {kQuery, kKey, kValue}) {
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(input));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(input, 3));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(input, 0, query[0]));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(input, 1, query[1]));
  }
  const int64_t heads = context.Int("num_heads");
  const int64_t kv_heads = context.Int("num_kv_heads");
  QEFF_ASSIGN_OR_RETURN(const ir::Dim query_size, HeadSize(context, kQuery, heads));
  QEFF_ASSIGN_OR_RETURN(const ir::Dim key_size, HeadSize(context, kKey, kv_heads));
  QEFF_ASSIGN_OR_RETURN(const ir::Dim value_size, HeadSize(context, kValue, kv_heads));
  if (query_size.is_number() && key_size.is_number() && query_size != key_size) {
    return context.Invalid(
        fmt::format("expected keys of head size {}, got {}", query_size.value(), key_size.value()));
  }
  QEFF_RETURN_IF_ERROR(CheckPositions(context));
  QEFF_RETURN_IF_ERROR(CheckMaskAndBias(context));
  if (context.Has(kSinks)) {
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(kSinks));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kSinks, 1));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kSinks, 0, heads));
  }
  context.SetOutput(0, context.dtype(kQuery),
                    {query[0], query[1], (SymbolicInt::FromDim(value_size) * heads).ToDim()});
  const bool has_past = context.Has(kPastKey);
  if (has_past != context.Has(kPastValue) || context.output_count() != (has_past ? 3 : 1)) {
    return context.Invalid(
        "past_key, past_value and both present outputs come together or not "
        "at all");
  }
  if (!has_past) return Status::Ok();
  QEFF_RETURN_IF_ERROR(CheckPast(context, key_size, value_size));
  context.SetOutput(1, context.dtype(kPastKey), context.shape(kPastKey));
  context.SetOutput(2, context.dtype(kPastValue), context.shape(kPastValue));
  return Status::Ok();
}

/// The keys, or the values, that queries of one batch row and kv head can see.
struct Slots {
  const double* first = nullptr;
  int64_t stride = 0;  // elements between slots
  int64_t size = 0;    // channels
};

class AttentionLoop {
 public:
  explicit AttentionLoop(EvaluateContext& context)
      : context_(context),
        batch_(context.in(kQuery).dims[0]),
        tokens_(context.in(kQuery).dims[1]),
        heads_(context.Int("num_heads")),
        kv_heads_(context.Int("num_kv_heads")),
        window_(context.Int("window_tokens")),
        chunk_(context.Int("chunk_tokens")),
        is_ring_(context.Int("ring_cache") != 0 && context.Has(kPastKey)),
        slopes_(ReadAttentionAttributes(context.node()).alibi_slopes),
        key_size_(context.in(kKey).dims[2] / kv_heads_),
        value_size_(context.in(kValue).dims[2] / kv_heads_),
        has_past_(context.Has(kPastKey)) {}

  Status Run() {
    if (has_past_) {
      QEFF_RETURN_IF_ERROR(WriteCache(kKey, kPastKey, 1, key_size_));
      QEFF_RETURN_IF_ERROR(WriteCache(kValue, kPastValue, 2, value_size_));
    }
    for (int64_t b = 0; b < batch_; ++b) {
      for (int64_t t = 0; t < tokens_; ++t) {
        for (int64_t head = 0; head < heads_; ++head) Attend(b, t, head);
      }
    }
    return Status::Ok();
  }

 private:
  int64_t Position(int64_t b, int64_t t) const {
    return context_.in(kPositions).ints[static_cast<size_t>(b * tokens_ + t)];
  }

  int64_t CacheRow(int64_t b) const {
    return context_.Has(kBatchIndex) ? context_.in(kBatchIndex).ints[static_cast<size_t>(b)] : b;
  }

  Status WriteCache(size_t source, size_t past, size_t present, int64_t size) {
    Tensor& cache = context_.out(present);
    cache.floats = context_.in(past).floats;
    const int64_t rows = cache.dims[0];
    const int64_t slots = cache.dims[2];
    for (int64_t b = 0; b < batch_; ++b) {
      const int64_t row = CacheRow(b);
      if (row < 0 || row >= rows) {
        return context_.Invalid(fmt::format("batch_index {} is outside of [0, {})", row, rows));
      }
      for (int64_t t = 0; t < tokens_; ++t) {
        int64_t slot = Position(b, t);
        if (is_ring_ && slot >= 0) slot %= slots;
        if (slot < 0 || slot >= slots) continue;
        for (int64_t head = 0; head < kv_heads_; ++head) {
          std::copy_n(
              context_.in(source).floats.begin() + ((b * tokens_ + t) * kv_heads_ + head) * size,
              size, cache.floats.begin() + ((row * kv_heads_ + head) * slots + slot) * size);
        }
      }
    }
    return Status::Ok();
  }

  Slots Keys(int64_t b, int64_t kv_head) {
    if (!has_past_) {
      return {context_.in(kKey).floats.data() + (b * tokens_ * kv_heads_ + kv_head) * key_size_,
              kv_heads_ * key_size_, key_size_};
    }
    const Tensor& cache = context_.out(1);
    return {cache.floats.data() + (CacheRow(b) * kv_heads_ + kv_head) * cache.dims[2] * key_size_,
            key_size_, key_size_};
  }

  Slots Values(int64_t b, int64_t kv_head) {
    if (!has_past_) {
      return {context_.in(kValue).floats.data() + (b * tokens_ * kv_heads_ + kv_head) * value_size_,
              kv_heads_ * value_size_, value_size_};
    }
    const Tensor& cache = context_.out(2);
    return {cache.floats.data() + (CacheRow(b) * kv_heads_ + kv_head) * cache.dims[2] * value_size_,
            value_size_, value_size_};
  }

  int64_t Reach() const {
    if (!has_past_) return tokens_;
    if (context_.Has(kComputeLengths) && !is_ring_) return context_.in(kComputeLengths).dims[0];
    return context_.in(kPastKey).dims[2];
  }

  bool Sees(int64_t b, int64_t t, int64_t slot) const {
    if (!context_.Has(kPositions)) return window_ == 0 || std::abs(t - slot) < window_;
    const int64_t query = Position(b, t);
    const int64_t key = KeyPosition(b, slot);
    return key >= 0 && key <= query && (window_ == 0 || key > query - window_) &&
           (chunk_ == 0 || key >= query - query % chunk_);
  }

  /// Negative: the slot has not been written.
  int64_t KeyPosition(int64_t b, int64_t slot) const {
    if (!is_ring_) return has_past_ ? slot : Position(b, slot);
    int64_t last = -1;
    for (int64_t t = 0; t < tokens_; ++t) last = std::max(last, Position(b, t));
    const int64_t slots = context_.in(kPastKey).dims[2];
    return last - ((last - slot) % slots + slots) % slots;
  }

  double Alibi(int64_t head, int64_t position) const {
    if (slopes_.empty()) return 0;
    const auto round = [this](double value) {
      return context_.Int("alibi_in_bf16") != 0 ? RoundToFloat(value, DType::kBf16) : value;
    };
    const double slope = slopes_[static_cast<size_t>(head)];
    return context_.Float("alibi_scale") * round(slope * round(static_cast<double>(position)));
  }

  double Bias(int64_t b, int64_t head, int64_t t, int64_t slot) const {
    if (!context_.Has(kBias)) return 0;
    const Tensor& bias = context_.in(kBias);
    const int64_t row = bias.dims[0] == 1 ? 0 : b;
    const int64_t plane = row * bias.dims[1] + (bias.dims[1] == 1 ? 0 : head);
    const int64_t line = plane * bias.dims[2] + (bias.dims[2] == 1 ? 0 : t);
    return bias.floats[static_cast<size_t>(line * tokens_ + slot)];
  }

  bool IsPadding(int64_t b, int64_t slot) const {
    return context_.Has(kKeyMask) &&
           context_.in(kKeyMask).ints[static_cast<size_t>(b * tokens_ + slot)] == 0;
  }

  /// The slots that a query sees.
  std::vector<int64_t> Seen(int64_t b, int64_t t) const {
    std::vector<int64_t> seen;
    for (int64_t slot = 0; slot < Reach(); ++slot) {
      if (Sees(b, t, slot)) seen.push_back(slot);
    }
    const auto is_padding = [&](int64_t slot) { return IsPadding(b, slot); };
    if (!std::all_of(seen.begin(), seen.end(), is_padding)) std::erase_if(seen, is_padding);
    return seen;
  }

  void Attend(int64_t b, int64_t t, int64_t head) {
    const int64_t kv_head = head / (heads_ / kv_heads_);
    const Slots keys = Keys(b, kv_head);
    const Slots values = Values(b, kv_head);
    const double* query =
        context_.in(kQuery).floats.data() + ((b * tokens_ + t) * heads_ + head) * key_size_;
    double* out = context_.out().floats.data() + ((b * tokens_ + t) * heads_ + head) * value_size_;
    const double softcap = context_.Float("softcap");
    std::vector<std::pair<int64_t, double>> scores;  // of the slots that are seen
    double largest = -std::numeric_limits<double>::infinity();
    for (const int64_t slot : Seen(b, t)) {
      double score = 0;
      for (int64_t i = 0; i < keys.size; ++i)
        score += query[i] * keys.first[slot * keys.stride + i];
      score *= context_.Float("scale");
      if (softcap != 0) score = softcap * std::tanh(score / softcap);
      if (!slopes_.empty()) score += Alibi(head, KeyPosition(b, slot));
      score += Bias(b, head, t, slot);
      scores.emplace_back(slot, score);
      largest = std::fmax(largest, score);
    }
    const bool has_sink = context_.Has(kSinks);
    const double sink = has_sink ? context_.in(kSinks).floats[static_cast<size_t>(head)] : 0;
    if (has_sink) largest = std::fmax(largest, sink);
    double sum = has_sink ? std::exp(sink - largest) : 0;
    for (auto& [slot, score] : scores) sum += score = std::exp(score - largest);
    for (int64_t i = 0; i < values.size; ++i) {
      double mean = scores.empty() && !has_sink ? std::numeric_limits<double>::quiet_NaN() : 0;
      for (const auto& [slot, weight] : scores) {
        mean += weight / sum * values.first[slot * values.stride + i];
      }
      out[i] = mean;
    }
  }

  EvaluateContext& context_;
  int64_t batch_;
  int64_t tokens_;
  int64_t heads_;
  int64_t kv_heads_;
  int64_t window_;
  int64_t chunk_;
  bool is_ring_;
  std::vector<float> slopes_;
  int64_t key_size_;
  int64_t value_size_;
  bool has_past_;
};

Status EvaluateAttention(EvaluateContext& context) { return AttentionLoop(context).Run(); }

}  // namespace

AttentionAttributes ReadAttentionAttributes(const ir::Node& node) {
  AttentionAttributes read{.num_heads = node.IntAttribute("num_heads", 0),
                           .num_kv_heads = node.IntAttribute("num_kv_heads", 0),
                           .scale = node.FloatAttribute("scale", 1),
                           .window_tokens = node.IntAttribute("window_tokens", 0),
                           .chunk_tokens = node.IntAttribute("chunk_tokens", 0),
                           .softcap = node.FloatAttribute("softcap", 0),
                           .alibi_slopes = {},
                           .alibi_scale = node.FloatAttribute("alibi_scale", 1),
                           .alibi_in_bf16 = node.IntAttribute("alibi_in_bf16", 0) != 0,
                           .ring_cache = node.IntAttribute("ring_cache", 0) != 0};
  const auto slopes = node.attributes().find("alibi_slopes");
  if (slopes != node.attributes().end()) {
    const auto* values = std::get_if<std::vector<float>>(&slopes->second);
    if (values != nullptr) read.alibi_slopes = *values;
  }
  return read;
}

ir::AttributeMap ToAttributeMap(const AttentionAttributes& attributes) {
  ir::AttributeMap map = {{"num_heads", attributes.num_heads},
                          {"num_kv_heads", attributes.num_kv_heads},
                          {"scale", attributes.scale}};
  if (attributes.window_tokens > 0) map["window_tokens"] = attributes.window_tokens;
  if (attributes.chunk_tokens > 0) map["chunk_tokens"] = attributes.chunk_tokens;
  if (attributes.softcap > 0) map["softcap"] = attributes.softcap;
  if (!attributes.alibi_slopes.empty()) {
    map["alibi_slopes"] = attributes.alibi_slopes;
    if (attributes.alibi_scale != 1) map["alibi_scale"] = attributes.alibi_scale;
    if (attributes.alibi_in_bf16) map["alibi_in_bf16"] = int64_t{1};
  }
  if (attributes.ring_cache) map["ring_cache"] = int64_t{1};
  return map;
}

std::vector<OpDefinition> AttentionOps() {
  return {{{.domain = ir::kQeffDomain,
            .op_type = "Attention",
            .min_inputs = 3,
            .max_inputs = 11,
            .max_outputs = 3,
            .attributes = {RequiredAttribute("num_heads", AttributeKind::kInt),
                           RequiredAttribute("num_kv_heads", AttributeKind::kInt),
                           RequiredAttribute("scale", AttributeKind::kFloat),
                           IntAttribute("window_tokens", 0), IntAttribute("chunk_tokens", 0),
                           FloatAttribute("softcap", 0),
                           OptionalAttribute("alibi_slopes", AttributeKind::kFloats),
                           FloatAttribute("alibi_scale", 1), IntAttribute("alibi_in_bf16", 0),
                           IntAttribute("ring_cache", 0)}},
           InferAttention,
           EvaluateAttention}};
}

}  // namespace qeff::ops
