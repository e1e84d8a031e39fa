// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.GatedDeltaRule<num_key_heads, num_value_heads>(q [B, T, Hk * E], k [B, T, Hk * E],
//     v [B, T, Hv * Ev], g [B, T, Hv], beta [B, T, Hv], position_ids i64 [B, T],
//     state [Bc, Hv, E, Ev], batch_index i64 [B, 1])
//   -> (o [B, T, Hv * Ev], state after the call)
// Linear attention with a decaying state S [E, Ev] for each value head, corrected towards each
// token's value; value head h reads key head h / (Hv / Hk). For the tokens of a row in turn:
//   S = exp(g) S      u = beta (v - S^T k)      S = S + k u^T      o = S^T q
// (torch_recurrent_gated_delta_rule of transformers, with q and k normalized and q scaled before.)
// Without a state a row starts from zeros. At padding o is 0. Rows and states: state_rows.h.
#include <cmath>

#include "lib/ops/state_rows.h"

namespace qeff::ops {
namespace {

enum Input : size_t { kQuery, kKey, kValue, kDecay, kBeta, kPositions, kState, kBatchIndex };
constexpr StateInputs kStateInputs = {kPositions, kState, kBatchIndex};

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

Status InferGatedDeltaRule(InferContext& context) {
  const int64_t key_heads = context.Int("num_key_heads");
  const int64_t value_heads = context.Int("num_value_heads");
  if (key_heads < 1 || value_heads < 1 || value_heads % key_heads != 0) {
    return context.Invalid(
        fmt::format("expected num_value_heads a multiple of num_key_heads, got {} and {}",
                    value_heads, key_heads));
  }
  const ir::Shape& query = context.shape(kQuery);
  for (const size_t input : {kQuery, kKey, kValue, kDecay, kBeta}) {
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(input));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(input, 3));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(input, 0, query[0]));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(input, 1, query[1]));
  }
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kKey, 2, query[2]));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kDecay, 2, value_heads));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kBeta, 2, value_heads));
  QEFF_ASSIGN_OR_RETURN(const ir::Dim key_size, HeadSize(context, kQuery, key_heads));
  QEFF_ASSIGN_OR_RETURN(const ir::Dim value_size, HeadSize(context, kValue, value_heads));
  if (context.Has(kState)) {
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kState, 4));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kState, 1, value_heads));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kState, 2, key_size));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kState, 3, value_size));
  }
  QEFF_RETURN_IF_ERROR(InferState(context, kStateInputs, kQuery));
  context.SetOutput(0, context.dtype(kQuery), context.shape(kValue));
  return Status::Ok();
}

/// One head of one token.
struct TokenHead {
  const double* q;
  const double* k;
  const double* v;
  double g;
  double beta;
  double* o;
};

void Step(const TokenHead& head, int64_t key_size, int64_t value_size, double* state) {
  for (int64_t j = 0; j < value_size; ++j) {
    double remembered = 0;
    for (int64_t i = 0; i < key_size; ++i) {
      double& element = state[i * value_size + j];
      element *= std::exp(head.g);
      remembered += element * head.k[i];
    }
    const double correction = head.beta * (head.v[j] - remembered);
    for (int64_t i = 0; i < key_size; ++i) {
      double& element = state[i * value_size + j];
      element += head.k[i] * correction;
      head.o[j] += element * head.q[i];
    }
  }
}

Status EvaluateGatedDeltaRule(EvaluateContext& context) {
  const int64_t key_heads = context.Int("num_key_heads");
  const int64_t value_heads = context.Int("num_value_heads");
  const int64_t tokens = context.in(kQuery).dims[1];
  const int64_t key_size = context.in(kQuery).dims[2] / key_heads;
  const int64_t value_size = context.in(kValue).dims[2] / value_heads;
  StateRows rows(context, kStateInputs);
  QEFF_RETURN_IF_ERROR(rows.CopyState());
  for (int64_t b = 0; b < context.in(kQuery).dims[0]; ++b) {
    std::vector<double> state = rows.Before(b, value_heads * key_size * value_size);
    for (int64_t t = 0; t < tokens; ++t) {
      if (!rows.HasToken(b, t)) continue;
      const int64_t row = b * tokens + t;
      for (int64_t head = 0; head < value_heads; ++head) {
        const int64_t key_head = row * key_heads + head / (value_heads / key_heads);
        const int64_t value_head = row * value_heads + head;
        const auto at = static_cast<size_t>(value_head);
        Step({.q = context.in(kQuery).floats.data() + key_head * key_size,
              .k = context.in(kKey).floats.data() + key_head * key_size,
              .v = context.in(kValue).floats.data() + value_head * value_size,
              .g = context.in(kDecay).floats[at],
              .beta = context.in(kBeta).floats[at],
              .o = context.out().floats.data() + value_head * value_size},
             key_size, value_size, state.data() + head * key_size * value_size);
      }
    }
    rows.SetAfter(b, state);
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> GatedDeltaRuleOps() {
  return {{{.domain = ir::kQeffDomain,
            .op_type = "GatedDeltaRule",
            .min_inputs = 6,
            .max_inputs = 8,
            .max_outputs = 2,
            .attributes = {RequiredAttribute("num_key_heads", AttributeKind::kInt),
                           RequiredAttribute("num_value_heads", AttributeKind::kInt)}},
           InferGatedDeltaRule,
           EvaluateGatedDeltaRule}};
}

}  // namespace qeff::ops
