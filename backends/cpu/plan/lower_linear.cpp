// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Products with constant weights. Linears that read the same value become one product whose result
// they share as column ranges (q, k and v of a layer: one pass over the packed rows, one barrier).
// A residual that is added to the result, and to nothing else, is added in the product's epilogue,
// and an activation of the result is done there.
#include <algorithm>

#include "backends/cpu/plan/activations.h"
#include "backends/cpu/plan/lowering.h"
#include "backends/cpu/plan/weight_use.h"

namespace qeff::cpu {
namespace {

struct LinearSpec {
  View weights;
  View bias;
  WeightFormat format = WeightFormat::kF32;
  LinearEpilogue epilogue = LinearEpilogue::kPlain;
  Activation activation = Activation::kNone;
  View residual;
};

View FlatView(GraphLowering& lowering, const ConstantPlace& place) {
  const auto bytes = static_cast<int64_t>(place.size_bytes);
  return lowering.ConstantView(place, DType::kF32, {bytes / 4});
}

LinearParams ParamsOf(GraphLowering& lowering, const PackedRows& x, const LinearSpec& spec) {
  return {.rows = x.rows,
          .depth = x.depth,
          .weights = spec.format,
          .row_format = lowering.RowFormatFor(spec.format),
          .epilogue = spec.epilogue,
          .activation = spec.activation};
}

void AddStepOf(GraphLowering& lowering, std::string_view name, const PackedRows& x,
               const LinearSpec& spec, const LinearParams& params, const View& out,
               const View& packed) {
  lowering.builder().AddStep(StepOp::kLinear, name, params,
                             {Reads(x.view), Reads(spec.weights), Reads(spec.bias),
                              Reads(spec.residual), Writes(out), Writes(packed)},
                             {.units = PanelCount(params.columns),
                              .amount = static_cast<double>(x.rows) * x.depth * params.columns});
}

/// Adds the step; `out` has even rows as wide as the product.
void AddLinearStep(GraphLowering& lowering, std::string_view name, const PackedRows& x,
                   const LinearSpec& spec, const View& out) {
  const Rows out_rows = RowsOrDie(out);
  LinearParams params = ParamsOf(lowering, x, spec);
  params.columns = out_rows.width;
  params.out_stride = out_rows.stride;
  params.residual_stride = spec.residual.exists() ? RowsOrDie(spec.residual).stride : 0;
  AddStepOf(lowering, name, x, spec, params, out, View{});
}

/// The same, with `columns` columns that only products with rows of `format` read.
PackedRows AddLinearForProducts(GraphLowering& lowering, std::string_view name, const PackedRows& x,
                                const LinearSpec& spec, int64_t columns, RowFormat format) {
  LinearParams params = ParamsOf(lowering, x, spec);
  params.columns = columns;
  params.packed_format = format;
  const PackedRows packed = lowering.NewPacked(x.rows, columns, format);
  if (format == RowFormat::kBf16) {
    AddStepOf(lowering, name, x, spec, params, View{}, packed.view);
    return packed;
  }
  params.out_stride = columns;
  const View out = lowering.builder().NewDense(DType::kF32, {x.rows, columns});
  AddStepOf(lowering, name, x, spec, params, out, packed.view);
  return lowering.PackView(out, format, name, &packed);
}

/// The addition that can happen in the epilogue of a product whose result is `value`.
struct Residual {
  const ir::Node* add = nullptr;
  View view;
};

Result<Residual> FindResidual(GraphLowering& lowering, const ir::Value* value) {
  if (value->uses().size() != 1 || lowering.IsGraphOutput(value)) return Residual{};
  const ir::Node* add = value->uses()[0].node;
  if (!add->IsOnnx("Add") || add->inputs().size() != 2) return Residual{};
  const ir::Value* other = add->input(value->uses()[0].input_index == 0 ? 1 : 0);
  if (other == value || other->is_constant() || !lowering.IsPlaced(other)) return Residual{};
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*value));
  QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> other_dims, DimsOf(*other));
  QEFF_ASSIGN_OR_RETURN(View view, lowering.Get(other));
  if (dims != other_dims || view.dtype != DType::kF32 || !RowsOf(view)) return Residual{};
  return Residual{add, std::move(view)};
}

/// The activation that can happen in the epilogue of a product whose result is `value`, or null.
const ir::Node* FindActivationOf(GraphLowering& lowering, const ir::Value* value) {
  if (value->uses().size() != 1 || lowering.IsGraphOutput(value)) return nullptr;
  const ir::Node* node = value->uses()[0].node;
  return node->IsQeff("Activation") && FindCpuActivation(node->StringAttribute("kind", ""))
             ? node
             : nullptr;
}

bool IsFloatMatrix(const ir::Value* weight) {
  return weight != nullptr && weight->is_constant() && weight->constant()->dims().size() == 2 &&
         IsFloat(weight->constant()->dtype());
}

/// How the rows of `value` are packed if nothing but one product reads it; else kF32.
Result<RowFormat> FormatForProduct(GraphLowering& lowering, const ir::Value* value) {
  if (value->uses().size() != 1 || lowering.IsGraphOutput(value)) return RowFormat::kF32;
  const ir::Use& use = value->uses()[0];
  if (!use.node->IsQeff("Linear") || use.input_index != 0 || !IsFloatMatrix(use.node->input(1))) {
    return RowFormat::kF32;
  }
  QEFF_ASSIGN_OR_RETURN(
      const ConstantPlace place,
      lowering.constants().AddPanels({use.node->input(1)->constant()}, UseOfWeights(*use.node)));
  return lowering.RowFormatFor(place.format);
}

/// Runs the last product of `node`, and the activation or the addition after it, if there is one.
Status AddLastLinear(GraphLowering& lowering, const ir::Node& node, const PackedRows& x,
                     LinearSpec spec) {
  const ir::Value* result = node.output();
  if (const ir::Node* activation = FindActivationOf(lowering, result)) {
    spec.epilogue = LinearEpilogue::kActivated;
    spec.activation = *FindCpuActivation(activation->StringAttribute("kind", ""));
    result = activation->output();
    lowering.Skip(activation);
  }
  QEFF_ASSIGN_OR_RETURN(const RowFormat next, FormatForProduct(lowering, result));
  if (next != RowFormat::kF32) {
    QEFF_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, DimsOf(*result));
    lowering.SetPacked(result, next,
                       AddLinearForProducts(lowering, node.name(), x, spec, dims.back(), next));
    return Status::Ok();
  }
  QEFF_ASSIGN_OR_RETURN(Residual residual, FindResidual(lowering, result));
  if (residual.add != nullptr) {
    result = residual.add->output();
    spec.residual = residual.view;
    lowering.Skip(residual.add);
  }
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(result));
  AddLinearStep(lowering, node.name(), x, spec, out);
  return Status::Ok();
}

Status CheckWeight(GraphLowering& lowering, const ir::Node& node, size_t input) {
  if (IsFloatMatrix(node.input(input))) return Status::Ok();
  return lowering.Unsupported(
      node, fmt::format("expected input {} to be a constant float matrix", input));
}

/// Linears with constant operands and weights of one use that read the operand of `first`, which
/// is among them.
std::vector<const ir::Node*> GroupOf(GraphLowering& lowering, const ir::Node& first) {
  std::vector<const ir::Node*> group;
  const WeightUse weight_use = UseOfWeights(first);
  for (const ir::Use& use : first.input(0)->uses()) {
    const ir::Node* node = use.node;
    const bool fits = node->IsQeff("Linear") && use.input_index == 0 &&
                      node->input(1)->is_constant() && node->input(1) != node->input(0) &&
                      (node->input(2) == nullptr || node->input(2)->is_constant()) &&
                      !lowering.IsGraphOutput(node->output()) && !lowering.IsSkipped(node) &&
                      UseOfWeights(*node) == weight_use;
    if (fits) group.push_back(node);
  }
  if (std::find(group.begin(), group.end(), &first) == group.end()) return {&first};
  return group;
}

Result<View> AddBias(GraphLowering& lowering, const std::vector<const ir::Value*>& biases,
                     const std::vector<int64_t>& columns) {
  if (std::all_of(biases.begin(), biases.end(), [](const auto* bias) { return bias == nullptr; })) {
    return View{};
  }
  std::vector<ir::WeightPtr> parts;
  int64_t total = 0;
  for (size_t i = 0; i < biases.size(); ++i) {
    total += columns[i];
    if (biases[i] != nullptr) {
      parts.push_back(biases[i]->constant());
    } else {
      const std::vector<float> zeros(static_cast<size_t>(columns[i]), 0.0f);
      parts.push_back(ir::MakeFloats({columns[i]}, zeros));
    }
  }
  for (ir::WeightPtr& part : parts) part = ir::Converted(part, DType::kF32);
  const ir::WeightPtr whole = parts.size() == 1 ? parts[0] : ir::Concatenated(parts, 0);
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace place,
                        lowering.constants().AddPanelBias({whole}, total));
  return FlatView(lowering, place);
}

/// Gives each node of a group its columns of the shared result.
Status ShareResult(GraphLowering& lowering, const std::vector<const ir::Node*>& group,
                   const View& out) {
  int64_t column = 0;
  for (const ir::Node* node : group) {
    QEFF_ASSIGN_OR_RETURN(std::vector<int64_t> dims, DimsOf(*node->output()));
    View view = out;
    view.offset = out.offset + column;
    column += dims.back();
    view.dims = dims;
    view.strides.assign(dims.size(), 1);
    int64_t stride = out.dims.back();
    for (size_t i = dims.size() - 1; i-- > 0;) {
      view.strides[i] = stride;
      stride *= dims[i];
    }
    lowering.Set(node->output(), std::move(view));
  }
  return Status::Ok();
}

}  // namespace

Status LowerLinear(GraphLowering& lowering, const ir::Node& node) {
  const std::vector<const ir::Node*> group = GroupOf(lowering, node);
  std::vector<ir::WeightPtr> weights;
  std::vector<const ir::Value*> biases;
  std::vector<int64_t> columns;
  for (const ir::Node* member : group) {
    QEFF_RETURN_IF_ERROR(CheckWeight(lowering, *member, 1));
    if (member->input(2) != nullptr && !member->input(2)->is_constant()) {
      return lowering.Unsupported(*member, "expected the bias to be a constant");
    }
    weights.push_back(member->input(1)->constant());
    biases.push_back(member->input(2));
    columns.push_back(weights.back()->dims()[0]);
    lowering.Skip(member);
  }
  if (weights.size() > 1) {
    const bool same_dtype = std::all_of(weights.begin(), weights.end(), [&](const auto& weight) {
      return weight->dtype() == weights[0]->dtype();
    });
    for (ir::WeightPtr& weight : weights) {
      if (!same_dtype) weight = ir::Converted(weight, DType::kF32);
    }
  }
  const ir::WeightPtr whole = weights.size() == 1 ? weights[0] : ir::Concatenated(weights, 0);
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace place,
                        lowering.constants().AddPanels({whole}, UseOfWeights(node)));
  LinearSpec spec = {.weights = FlatView(lowering, place), .format = place.format};
  QEFF_ASSIGN_OR_RETURN(spec.bias, AddBias(lowering, biases, columns));
  QEFF_ASSIGN_OR_RETURN(
      const PackedRows x,
      lowering.Pack(node.input(0), lowering.RowFormatFor(spec.format), node.name()));
  if (group.size() == 1) return AddLastLinear(lowering, node, x, spec);
  const View out = lowering.builder().NewDense(DType::kF32, {x.rows, whole->dims()[0]});
  AddLinearStep(lowering, node.name(), x, spec, out);
  return ShareResult(lowering, group, out);
}

Status LowerProduct(GraphLowering& lowering, const ir::Node& node, const ir::WeightPtr& weight,
                    const ir::Value* bias) {
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace place,
                        lowering.constants().AddPanels({weight}, UseOfWeights(node)));
  LinearSpec spec = {.weights = FlatView(lowering, place), .format = place.format};
  QEFF_ASSIGN_OR_RETURN(spec.bias, AddBias(lowering, {bias}, {weight->dims()[0]}));
  QEFF_ASSIGN_OR_RETURN(
      const PackedRows x,
      lowering.Pack(node.input(0), lowering.RowFormatFor(spec.format), node.name()));
  return AddLastLinear(lowering, node, x, spec);
}

Status LowerGatedMlp(GraphLowering& lowering, const ir::Node& node) {
  for (size_t input = 1; input <= 3; ++input) {
    QEFF_RETURN_IF_ERROR(CheckWeight(lowering, node, input));
  }
  const std::string name = node.StringAttribute("activation", "silu");
  const std::optional<Activation> activation = FindCpuActivation(name);
  if (!activation) return lowering.Unsupported(node, fmt::format("activation '{}'", name));
  const auto weight = [&](size_t input) { return node.input(input)->constant(); };
  const auto bias = [&](size_t input) {
    return node.input(input) == nullptr ? nullptr : node.input(input)->constant();
  };
  QEFF_ASSIGN_OR_RETURN(
      const ConstantPlace place,
      lowering.constants().AddPanels({weight(1), weight(2)}, WeightUse::kProduct));
  LinearSpec gated = {.weights = FlatView(lowering, place),
                      .format = place.format,
                      .epilogue = LinearEpilogue::kGated,
                      .activation = *activation};
  const int64_t width = weight(1)->dims()[0];
  if (bias(4) != nullptr || bias(5) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(const ConstantPlace bias_place,
                          lowering.constants().AddPanelBias({bias(4), bias(5)}, width));
    gated.bias = FlatView(lowering, bias_place);
  }
  QEFF_ASSIGN_OR_RETURN(
      const PackedRows x,
      lowering.Pack(node.input(0), lowering.RowFormatFor(gated.format), node.name()));
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace down_place,
                        lowering.constants().AddPanels({weight(3)}, WeightUse::kProduct));
  LinearSpec down = {.weights = FlatView(lowering, down_place), .format = down_place.format};
  QEFF_ASSIGN_OR_RETURN(down.bias, AddBias(lowering, {node.input(6)}, {weight(3)->dims()[0]}));
  const RowFormat next = lowering.RowFormatFor(down.format);
  if (next != RowFormat::kF32) {
    const PackedRows packed = AddLinearForProducts(lowering, node.name(), x, gated, width, next);
    return AddLastLinear(lowering, node, packed, down);
  }
  const View hidden = lowering.builder().NewDense(DType::kF32, {x.rows, width});
  AddLinearStep(lowering, node.name(), x, gated, hidden);
  return AddLastLinear(lowering, node, lowering.PackView(hidden, next, node.name()), down);
}

}  // namespace qeff::cpu
