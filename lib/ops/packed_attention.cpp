// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.PackedAttention<num_heads, num_kv_heads, scale, softcap, window_tokens, is_causal>(
//     q [1, N, H * E], k [1, N, K * E], v [1, N, K * Ev], token_index i64 [1, N],
//     row_starts i64 [B + 1], bias [1 or B, 1 or H, 1 or S, S], key_starts i64 [B])
//   -> [1, N, H * Ev]
// Attention of batches without their padding (padding.cpp; N = B * S): a token sees the tokens of
// its batch row, with key_starts those from key_starts[b] on. Bidirectional, with a window it sees
// those with |t - t'| < window_tokens, where t = token_index mod S. Causal, token n sees those with
// n' <= n, with a window n' > n - window_tokens: the tokens count, not the padding between them.
// Scores and the bias as in qeff.Attention. Rows that see nothing are NaN; those after the last
// token are nobody's.
#include <cmath>

#include "lib/ops/attention.h"
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

enum Input : size_t { kQuery, kKey, kValue, kTokenIndex, kRowStarts, kBias, kKeyStarts };

Status InferPackedAttention(InferContext& context) {
  const int64_t heads = context.Int("num_heads");
  const int64_t kv_heads = context.Int("num_kv_heads");
  if (heads < 1 || kv_heads < 1 || heads % kv_heads != 0 || context.Int("window_tokens") < 0)
    return context.Invalid("expected num_heads a multiple of num_kv_heads, window_tokens >= 0");
  const ir::Shape& query = context.shape(kQuery);
  for (const size_t input : {kQuery, kKey, kValue}) {
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(input));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(input, 3));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(input, 0, 1));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(input, 1, query[1]));
  }
  for (const size_t input : {kTokenIndex, kRowStarts})
    QEFF_RETURN_IF_ERROR(context.ExpectDType(input, DType::kI64));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(kTokenIndex, 2));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kTokenIndex, 1, query[1]));
  QEFF_RETURN_IF_ERROR(context.ExpectRank(kRowStarts, 1));
  if (context.Has(kBias)) {
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(kBias));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kBias, 4));
  }
  if (context.Has(kKeyStarts)) {
    QEFF_RETURN_IF_ERROR(context.ExpectDType(kKeyStarts, DType::kI64));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kKeyStarts, 1));
  }
  const ir::Dim& channels = context.shape(kKey)[2];
  const ir::Dim& value_channels = context.shape(kValue)[2];
  if (!query[2].is_number() || !channels.is_number() || !value_channels.is_number() ||
      query[2].value() % heads != 0 || value_channels.value() % kv_heads != 0 ||
      channels.value() != query[2].value() / heads * kv_heads) {
    return context.Invalid("expected q [1, N, H * E], k [1, N, K * E], v [1, N, K * Ev]");
  }
  context.SetOutput(0, context.dtype(kQuery),
                    {1, query[1], value_channels.value() / kv_heads * heads});
  return Status::Ok();
}

class PackedAttentionLoop {
 public:
  explicit PackedAttentionLoop(EvaluateContext& context)
      : context_(context),
        heads_(context.Int("num_heads")),
        group_(heads_ / context.Int("num_kv_heads")),
        window_(context.Int("window_tokens")),
        is_causal_(context.Int("is_causal") != 0),
        key_size_(context.in(kQuery).dims[2] / heads_),
        value_size_(context.out().dims[2] / heads_),
        batch_(context.in(kRowStarts).dims[0] - 1),
        row_tokens_(batch_ > 0 ? context.in(kQuery).dims[1] / batch_ : 0) {}

  Status Run() {
    const std::vector<int64_t>& starts = context_.in(kRowStarts).ints;
    if (batch_ < 1 || context_.in(kQuery).dims[1] % batch_ != 0)
      return context_.Invalid("expected N = B * S rows for row_starts [B + 1]");
    QEFF_RETURN_IF_ERROR(CheckBias());
    if (context_.Has(kKeyStarts) && context_.in(kKeyStarts).dims[0] != batch_)
      return context_.Invalid("expected key_starts [B]");
    for (int64_t b = 0; b < batch_; ++b) {
      const int64_t begin = starts[static_cast<size_t>(b)];
      const int64_t end = starts[static_cast<size_t>(b) + 1];
      if (begin < 0 || end > context_.in(kQuery).dims[1])
        return context_.Invalid(fmt::format("row {} has the tokens {} to {}", b, begin, end));
      const int64_t keys =
          context_.Has(kKeyStarts) ? context_.in(kKeyStarts).ints[static_cast<size_t>(b)] : begin;
      if (keys < begin || keys > end)
        return context_.Invalid(fmt::format("row {} has keys from {} on", b, keys));
      for (int64_t n = begin; n < end; ++n) {
        const int64_t token = context_.in(kTokenIndex).ints[static_cast<size_t>(n)];
        if (token < b * row_tokens_ || token >= (b + 1) * row_tokens_)
          return context_.Invalid(fmt::format("token {} is none of row {}", token, b));
        for (int64_t head = 0; head < heads_; ++head) Attend(b, n, head, keys, end);
      }
    }
    return Status::Ok();
  }

 private:
  Status CheckBias() const {
    if (!context_.Has(kBias)) return Status::Ok();
    const std::vector<int64_t>& dims = context_.in(kBias).dims;
    const auto fits = [](int64_t dim, int64_t size) { return dim == 1 || dim == size; };
    if (fits(dims[0], batch_) && fits(dims[1], heads_) && fits(dims[2], row_tokens_) &&
        dims[3] == row_tokens_) {
      return Status::Ok();
    }
    return context_.Invalid("expected a bias [1 or B, 1 or H, 1 or S, S]");
  }

  int64_t Token(int64_t n) const {
    return context_.in(kTokenIndex).ints[static_cast<size_t>(n)] % row_tokens_;
  }
  const double* Row(size_t input, int64_t n, int64_t head, int64_t size) const {
    const Tensor& x = context_.in(input);
    return x.floats.data() + n * x.dims[2] + head * size;
  }
  double Bias(int64_t b, int64_t head, int64_t t, int64_t key) const {
    if (!context_.Has(kBias)) return 0;
    const Tensor& bias = context_.in(kBias);
    const int64_t plane =
        (bias.dims[0] == 1 ? 0 : b) * bias.dims[1] + (bias.dims[1] == 1 ? 0 : head);
    const int64_t line = plane * bias.dims[2] + (bias.dims[2] == 1 ? 0 : t);
    return bias.floats[static_cast<size_t>(line * bias.dims[3] + key)];
  }

  bool Sees(int64_t n, int64_t m) const {
    if (is_causal_) return m <= n && (window_ == 0 || m > n - window_);
    return window_ == 0 || std::abs(Token(n) - Token(m)) < window_;
  }

  void Attend(int64_t b, int64_t n, int64_t head, int64_t begin, int64_t end) {
    const double softcap = context_.Float("softcap");
    const double* q = Row(kQuery, n, head, key_size_);
    std::vector<double> scores(static_cast<size_t>(end - begin));
    double largest = -INFINITY;
    for (int64_t m = begin; m < end; ++m) {
      double& score = scores[static_cast<size_t>(m - begin)];
      score = -INFINITY;
      if (!Sees(n, m)) continue;
      const double* k = Row(kKey, m, head / group_, key_size_);
      score = 0;
      for (int64_t e = 0; e < key_size_; ++e) score += q[e] * k[e];
      score *= context_.Float("scale");
      if (softcap > 0) score = softcap * std::tanh(score / softcap);
      score += Bias(b, head, Token(n), Token(m));
      largest = std::max(largest, score);
    }
    double total = 0;
    double* out = context_.out().floats.data() + (n * heads_ + head) * value_size_;
    for (int64_t m = begin; m < end; ++m) {
      const double weight = std::exp(scores[static_cast<size_t>(m - begin)] - largest);
      const double* v = Row(kValue, m, head / group_, value_size_);
      for (int64_t e = 0; e < value_size_; ++e) out[e] += weight * v[e];
      total += weight;
    }
    for (int64_t e = 0; e < value_size_; ++e) out[e] /= total;
  }

  EvaluateContext& context_;
  const int64_t heads_;
  const int64_t group_;
  const int64_t window_;
  const bool is_causal_;
  const int64_t key_size_;
  const int64_t value_size_;
  const int64_t batch_;
  const int64_t row_tokens_;
};

Status EvaluatePackedAttention(EvaluateContext& context) {
  return PackedAttentionLoop(context).Run();
}

}  // namespace

std::vector<OpDefinition> PackedAttentionOps() {
  return {{{.domain = ir::kQeffDomain,
            .op_type = "PackedAttention",
            .min_inputs = 5,
            .max_inputs = 7,
            .attributes = {RequiredAttribute("num_heads", AttributeKind::kInt),
                           RequiredAttribute("num_kv_heads", AttributeKind::kInt),
                           RequiredAttribute("scale", AttributeKind::kFloat),
                           FloatAttribute("softcap", 0), IntAttribute("window_tokens", 0),
                           IntAttribute("is_causal", 0)}},
           InferPackedAttention,
           EvaluatePackedAttention}};
}

}  // namespace qeff::ops
