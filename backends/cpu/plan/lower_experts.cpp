// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Mixture of experts: the rows are sorted by expert, then each expert that has rows multiplies all
// of them at once. What an expert costs follows from the rows it gets, and an expert without rows
// costs nothing. Threads divide the columns of every expert, so the division does not depend on the
// routing, and neither does which thread computes what.
#include "backends/cpu/plan/activations.h"
#include "backends/cpu/plan/lowering.h"
#include "backends/cpu/runtime/packed_formats.h"

namespace qeff::cpu {
namespace {

enum Input : size_t {
  kX,
  kExpertIds,
  kExpertWeights,
  kGate,
  kUp,
  kDown,
  kGateBias,
  kUpBias,
  kDownBias
};

/// How the slots of a call are sorted.
struct Routing {
  View starts;
  View order;
  View places;
  View weights;
  int64_t rows = 0;
  int64_t choices = 0;
  int64_t experts = 0;
  int64_t slots() const { return rows * choices; }
};

struct RoutedSpec {
  std::string_view name;
  View weights;
  View bias;
  WeightFormat format = WeightFormat::kF32;
  int64_t depth = 0;
  int64_t columns = 0;
};

Status CheckOperands(GraphLowering& lowering, const ir::Node& node) {
  for (size_t input = kGate; input <= kDownBias; ++input) {
    const ir::Value* weight = node.input(input);
    if (weight == nullptr) continue;
    if (!weight->is_constant() || !IsFloat(weight->constant()->dtype())) {
      return lowering.Unsupported(node, fmt::format("expected input {} to be a constant", input));
    }
  }
  return Status::Ok();
}

/// Routing needs dense indices and weights.
Result<Routing> AddRoute(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*node.input(kExpertIds)));
  QEFF_ASSIGN_OR_RETURN(View ids, lowering.GetDense(node.input(kExpertIds)));
  ProgramBuilder& builder = lowering.builder();
  if (ids.dtype != DType::kI64) {
    View wide = builder.NewDense(DType::kI64, ids.dims);
    lowering.AddCopy(ids, wide, node.name());
    ids = wide;
  }
  Routing routing;
  routing.choices = dims.back();
  routing.rows = 1;
  for (size_t i = 0; i + 1 < dims.size(); ++i) routing.rows *= dims[i];
  routing.experts = node.input(kGate)->constant()->dims()[0];
  routing.starts = builder.NewDense(DType::kI64, {routing.experts + 1});
  routing.order = builder.NewDense(DType::kI64, {routing.slots()});
  routing.places = builder.NewDense(DType::kI64, {routing.slots()});
  QEFF_ASSIGN_OR_RETURN(routing.weights, lowering.GetDense(node.input(kExpertWeights)));
  builder.AddStep(
      StepOp::kRoute, node.name(),
      RouteParams{.slots = routing.slots(), .experts = routing.experts},
      {Reads(ids), Writes(routing.starts), Writes(routing.order), Writes(routing.places)},
      {.units = 1, .amount = static_cast<double>(routing.slots())});
  return routing;
}

/// The rows of `x` packed for each expert: rows of the call if `is_gathered`, else rows by place.
Result<View> AddPack(GraphLowering& lowering, const Routing& routing, const RoutedSpec& spec,
                     const View& x, bool is_gathered, const View& scales) {
  const RowFormat format = lowering.RowFormatFor(spec.format);
  const Rows rows = RowsOrDie(x);
  const View packed = lowering.builder().NewDense(
      DType::kF32, {routing.slots(), PackedRowBytes(format, spec.depth) / 4});
  const PackRoutedParams params = {.rows = is_gathered ? routing.rows : routing.slots(),
                                   .choices = routing.choices,
                                   .slots = routing.slots(),
                                   .experts = routing.experts,
                                   .depth = spec.depth,
                                   .x_stride = rows.stride,
                                   .format = format};
  lowering.builder().AddStep(
      StepOp::kPackRouted, spec.name, params,
      {Reads(x), Reads(routing.starts), is_gathered ? Reads(routing.order) : None(), Reads(scales),
       Writes(packed)},
      {.units = routing.experts, .amount = static_cast<double>(routing.slots() * spec.depth)});
  return packed;
}

View AddProduct(GraphLowering& lowering, const Routing& routing, const RoutedSpec& spec,
                const View& packed, RoutedLinearParams params) {
  params.slots = routing.slots();
  params.experts = routing.experts;
  params.depth = spec.depth;
  params.columns = spec.columns;
  params.weights = spec.format;
  params.row_format = lowering.RowFormatFor(spec.format);
  const View out = lowering.builder().NewDense(DType::kF32, {params.slots, params.columns});
  lowering.builder().AddStep(
      StepOp::kRoutedLinear, spec.name, params,
      {Reads(packed), Reads(routing.starts), Reads(spec.weights), Reads(spec.bias), Writes(out)},
      {.units = PanelCount(params.columns),
       .amount = static_cast<double>(params.slots) * static_cast<double>(params.depth) *
                 static_cast<double>(params.columns)});
  return out;
}

/// Panels of one or two stacks of weights [X, N, K] and their biases.
Result<RoutedSpec> AddWeights(GraphLowering& lowering, const ir::Node& node,
                              const std::vector<size_t>& weights,
                              const std::vector<size_t>& biases) {
  std::vector<ir::WeightPtr> stacks;
  for (const size_t input : weights) stacks.push_back(node.input(input)->constant());
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace place,
                        lowering.constants().AddPanels(stacks, WeightUse::kProduct));
  RoutedSpec spec = {.name = node.name(),
                     .weights = lowering.ConstantView(place, DType::kF32,
                                                      {static_cast<int64_t>(place.size_bytes) / 4}),
                     .format = place.format,
                     .depth = stacks[0]->dims()[2],
                     .columns = stacks[0]->dims()[1]};
  std::vector<ir::WeightPtr> offsets;
  bool has_bias = false;
  for (const size_t input : biases) {
    offsets.push_back(node.input(input) == nullptr ? nullptr : node.input(input)->constant());
    has_bias |= offsets.back() != nullptr;
  }
  if (has_bias) {
    QEFF_ASSIGN_OR_RETURN(const ConstantPlace bias,
                          lowering.constants().AddPanelBias(offsets, spec.columns));
    spec.bias =
        lowering.ConstantView(bias, DType::kF32, {static_cast<int64_t>(bias.size_bytes) / 4});
  }
  return spec;
}

}  // namespace

Status LowerExperts(GraphLowering& lowering, const ir::Node& node) {
  QEFF_RETURN_IF_ERROR(CheckOperands(lowering, node));
  const std::string name = node.StringAttribute("activation", "");
  const std::optional<Activation> activation = FindCpuActivation(name);
  if (!activation) return lowering.Unsupported(node, fmt::format("activation '{}'", name));
  const bool scales_inputs = node.IntAttribute("weights_scale_inputs", 0) != 0;
  QEFF_ASSIGN_OR_RETURN(const Routing routing, AddRoute(lowering, node));
  QEFF_ASSIGN_OR_RETURN(const RoutedSpec gated,
                        AddWeights(lowering, node, {kGate, kUp}, {kGateBias, kUpBias}));
  QEFF_ASSIGN_OR_RETURN(const RoutedSpec down, AddWeights(lowering, node, {kDown}, {kDownBias}));

  QEFF_ASSIGN_OR_RETURN(const View x, lowering.GetRows(node.input(kX)));
  QEFF_ASSIGN_OR_RETURN(const View packed, AddPack(lowering, routing, gated, x, true,
                                                   scales_inputs ? routing.weights : View{}));
  const View hidden = AddProduct(lowering, routing, gated, packed,
                                 {.epilogue = LinearEpilogue::kGated,
                                  .activation = *activation,
                                  .limit = node.FloatAttribute("limit", 0),
                                  .up_offset = node.FloatAttribute("up_offset", 0)});
  QEFF_ASSIGN_OR_RETURN(const View packed_hidden,
                        AddPack(lowering, routing, down, hidden, false, View{}));
  const View y = AddProduct(lowering, routing, down, packed_hidden, {});

  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  lowering.builder().AddStep(
      StepOp::kCombineRouted, node.name(),
      CombineRoutedParams{.rows = routing.rows, .choices = routing.choices, .width = down.columns},
      {Reads(y), Reads(routing.places), scales_inputs ? None() : Reads(routing.weights),
       Writes(out)},
      {.units = routing.rows, .amount = static_cast<double>(routing.slots() * down.columns)});
  return Status::Ok();
}

}  // namespace qeff::cpu
