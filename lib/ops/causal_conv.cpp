// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qeff.CausalConv<activation>(x [B, T, C], weight [C, 1, N], position_ids i64 [B, T], bias [C],
//     state [Bc, C, N], batch_index i64 [B, 1])
//   -> (y [B, T, C], state after the call): each channel convolved over time with N taps of its
//   own,
// the last of which meets the token itself, as ONNX's Conv with a group for each channel:
//   s = the state, N columns, then the row's tokens, padding as zeros (without a state: zeros
//   first) y[t] = f(bias + sum over j < N of weight[j] * s[t + 1 + j])
// After the call the state of a row with n tokens holds s[n] .. s[n + N - 1]: its N latest tokens.
// Padding stands behind the tokens of its row. Rows and states: state_rows.h. bias, state and
// batch_index may be left out; an empty activation is none.
#include "lib/ops/activations.h"
#include "lib/ops/state_rows.h"

namespace qeff::ops {
namespace {

enum Input : size_t { kX, kWeight, kPositions, kBias, kState, kBatchIndex };
constexpr StateInputs kStateInputs = {kPositions, kState, kBatchIndex};

Status InferCausalConv(InferContext& context) {
  const std::string& activation = context.String("activation");
  if (!activation.empty() && !FindActivation(activation)) {
    return context.Unsupported(fmt::format("unknown activation '{}'", activation),
                               {fmt::format("known: {}", fmt::join(ActivationNames(), ", "))});
  }
  for (const size_t input : {kX, kWeight}) {
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(input));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(input, 3));
  }
  const ir::Dim& channels = context.shape(kX)[2];
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kWeight, 0, channels));
  QEFF_RETURN_IF_ERROR(context.ExpectSize(kWeight, 1, 1));
  if (context.shape(kWeight)[2] == ir::Dim(int64_t{0}))
    return context.Invalid("expected at least one tap");
  if (context.Has(kBias)) {
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(kBias));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kBias, 1));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kBias, 0, channels));
  }
  if (context.Has(kState)) {
    QEFF_RETURN_IF_ERROR(context.ExpectRank(kState, 3));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kState, 1, channels));
    QEFF_RETURN_IF_ERROR(context.ExpectSize(kState, 2, context.shape(kWeight)[2]));
  }
  QEFF_RETURN_IF_ERROR(InferState(context, kStateInputs, kX));
  context.SetOutput(0, context.dtype(kX), context.shape(kX));
  return Status::Ok();
}

Status EvaluateCausalConv(EvaluateContext& context) {
  const Tensor& x = context.in(kX);
  const int64_t tokens = x.dims[1];
  const int64_t channels = x.dims[2];
  const int64_t taps = context.in(kWeight).dims[2];
  const std::string& activation = context.String("activation");
  const ActivationFunction function = activation.empty() ? nullptr : *FindActivation(activation);
  StateRows rows(context, kStateInputs);
  QEFF_RETURN_IF_ERROR(rows.CopyState());
  for (int64_t b = 0; b < x.dims[0]; ++b) {
    const std::vector<double> before = rows.Before(b, channels * taps);
    std::vector<double> after(before.size());
    const int64_t count = rows.CountTokens(b);
    for (int64_t c = 0; c < channels; ++c) {
      std::vector<double> s(before.begin() + c * taps, before.begin() + (c + 1) * taps);
      for (int64_t t = 0; t < tokens; ++t) {
        const auto at = static_cast<size_t>((b * tokens + t) * channels + c);
        s.push_back(rows.HasToken(b, t) ? x.floats[at] : 0);
        double sum = context.Has(kBias) ? context.in(kBias).floats[static_cast<size_t>(c)] : 0;
        for (int64_t j = 0; j < taps; ++j) {
          sum += context.in(kWeight).floats[static_cast<size_t>(c * taps + j)] *
                 s[static_cast<size_t>(t + 1 + j)];
        }
        context.out().floats[at] = function == nullptr ? sum : function(sum);
      }
      std::copy_n(s.begin() + count, taps, after.begin() + c * taps);
    }
    rows.SetAfter(b, after);
  }
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> CausalConvOps() {
  return {{{.domain = ir::kQeffDomain,
            .op_type = "CausalConv",
            .min_inputs = 3,
            .max_inputs = 6,
            .max_outputs = 2,
            .attributes = {StringAttribute("activation", "")}},
           InferCausalConv,
           EvaluateCausalConv}};
}

}  // namespace qeff::ops
