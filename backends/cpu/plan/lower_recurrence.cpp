// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Causal convolutions and gated delta rules: one step each, which replaces the state in place.
#include "backends/cpu/plan/activations.h"
#include "backends/cpu/plan/lowering.h"

namespace qeff::cpu {
namespace {

/// What both ops have: rows of tokens, and a state for each.
struct CallRows {
  int64_t batch = 0;
  int64_t tokens = 0;
  View positions;
  View state;  ///< without storage: none
  View state_index;
  int64_t state_rows = 0;
};

struct RowInputs {
  size_t positions;
  size_t state;
  size_t state_index;
};

/// The state's place, to be changed there: where the program keeps it, or a copy where somebody
/// else reads it or nobody keeps it.
Result<View> PlaceState(GraphLowering& lowering, const ir::Node& node, const ir::Value* state) {
  QEFF_ASSIGN_OR_RETURN(View before, lowering.GetDense(state));
  if (before.dtype != DType::kF32) {
    return lowering.Unsupported(node, "expected a state of floats");
  }
  if (lowering.StateOf(state) != nullptr && state->uses().size() == 1) {
    lowering.Set(node.output(1), before);
    return before;
  }
  QEFF_ASSIGN_OR_RETURN(View place, lowering.NewOutput(node.output(1)));
  if (place.dtype != DType::kF32) return lowering.Unsupported(node, "expected a state of floats");
  lowering.AddCopy(before, place, node.name());
  return place;
}

Result<CallRows> ReadRows(GraphLowering& lowering, const ir::Node& node, const RowInputs& inputs) {
  CallRows rows;
  QEFF_ASSIGN_OR_RETURN(rows.positions, lowering.GetDense(node.input(inputs.positions)));
  if (rows.positions.dims.size() != 2 || rows.positions.dtype != DType::kI64) {
    return lowering.Unsupported(node, "expected i64 positions [B, T]");
  }
  rows.batch = rows.positions.dims[0];
  rows.tokens = rows.positions.dims[1];
  const ir::Value* state = node.input(inputs.state);
  if (state == nullptr) return rows;
  QEFF_ASSIGN_OR_RETURN(rows.state, PlaceState(lowering, node, state));
  rows.state_rows = rows.state.dims[0];
  if (node.input(inputs.state_index) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(rows.state_index, lowering.GetDense(node.input(inputs.state_index)));
    if (rows.state_index.dtype != DType::kI64) {
      return lowering.Unsupported(node, "expected i64 batch_index [B, 1]");
    }
  }
  return rows;
}

}  // namespace

Status LowerCausalConv(GraphLowering& lowering, const ir::Node& node) {
  enum { kX, kWeight, kPositions, kBias, kState, kBatchIndex };
  const std::string kind = node.StringAttribute("activation", "");
  const auto activation = kind.empty() ? Activation::kNone : FindCpuActivation(kind);
  if (!activation) return lowering.Unsupported(node, fmt::format("no activation '{}'", kind));
  QEFF_ASSIGN_OR_RETURN(const CallRows rows,
                        ReadRows(lowering, node, {kPositions, kState, kBatchIndex}));
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.GetRows(node.input(kX)));
  QEFF_ASSIGN_OR_RETURN(const View weight, lowering.GetDense(node.input(kWeight)));
  View bias;
  if (node.input(kBias) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(bias, lowering.GetDense(node.input(kBias)));
  }
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const CausalConvParams params = {.batch = rows.batch,
                                   .tokens = rows.tokens,
                                   .channels = x.dims[2],
                                   .taps = weight.dims[2],
                                   .state_rows = rows.state_rows,
                                   .x_stride = RowsOrDie(x).stride,
                                   .out_stride = RowsOrDie(out).stride,
                                   .activation = *activation};
  lowering.builder().AddStep(
      StepOp::kCausalConv, node.name(), params,
      {Reads(x), Reads(weight), Reads(bias), Reads(rows.positions), Writes(rows.state),
       Reads(rows.state_index), Writes(out)},
      {.units = rows.batch * ((params.channels + kConvBlock - 1) / kConvBlock),
       .amount = static_cast<double>(rows.batch * rows.tokens * params.channels * params.taps)});
  return Status::Ok();
}

Status LowerGatedDeltaRule(GraphLowering& lowering, const ir::Node& node) {
  enum { kQuery, kKey, kValue, kDecay, kBeta, kPositions, kState, kBatchIndex };
  QEFF_ASSIGN_OR_RETURN(const CallRows rows,
                        ReadRows(lowering, node, {kPositions, kState, kBatchIndex}));
  View views[kPositions];
  for (const size_t input : {kQuery, kKey, kValue, kDecay, kBeta}) {
    QEFF_ASSIGN_OR_RETURN(views[input], lowering.GetRows(node.input(input)));
  }
  const auto stride = [&](size_t input) { return RowsOrDie(views[input]).stride; };
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  const int64_t key_heads = node.IntAttribute("num_key_heads", 1);
  const int64_t heads = node.IntAttribute("num_value_heads", 1);
  const DeltaRuleParams params = {.batch = rows.batch,
                                  .tokens = rows.tokens,
                                  .key_heads = key_heads,
                                  .value_heads = heads,
                                  .key_size = views[kQuery].dims[2] / key_heads,
                                  .value_size = views[kValue].dims[2] / heads,
                                  .state_rows = rows.state_rows,
                                  .q_stride = stride(kQuery),
                                  .k_stride = stride(kKey),
                                  .v_stride = stride(kValue),
                                  .decay_stride = stride(kDecay),
                                  .beta_stride = stride(kBeta),
                                  .out_stride = RowsOrDie(out).stride};
  lowering.builder().AddStep(
      StepOp::kDeltaRule, node.name(), params,
      {Reads(views[kQuery]), Reads(views[kKey]), Reads(views[kValue]), Reads(views[kDecay]),
       Reads(views[kBeta]), Reads(rows.positions), Writes(rows.state), Reads(rows.state_index),
       Writes(out)},
      {.units = rows.batch * heads,
       .amount = 4.0 * static_cast<double>(rows.batch * rows.tokens * heads * params.key_size *
                                           params.value_size)});
  return Status::Ok();
}

}  // namespace qeff::cpu
