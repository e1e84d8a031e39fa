// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Ops that repeat elements or put constants between them.
#include "backends/cpu/plan/lowering.h"
#include "backends/cpu/plan/strided_params.h"

namespace qeff::cpu {
namespace {

/// A zero of `dtype`, repeated as often as a reader asks.
Result<View> Zero(GraphLowering& lowering, DType dtype) {
  const ir::WeightPtr zero =
      ir::MakeInline(dtype, {}, std::vector<std::byte>(static_cast<size_t>(ElementBytes(dtype))));
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace place, lowering.constants().AddPlain(zero));
  return lowering.ConstantView(place, dtype, {});
}

}  // namespace

Status LowerTile(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  QEFF_ASSIGN_OR_RETURN(View out, lowering.NewOutput(node.output()));
  if (2 * x.dims.size() > static_cast<size_t>(kMaxStepRank)) {
    return lowering.Unsupported(node, "expected a rank of at most 4");
  }
  // Both sides with each dimension as [repeats, size].
  View from = x;
  View to = out;
  from.dims.clear();
  from.strides.clear();
  to.dims.clear();
  to.strides.clear();
  for (size_t i = 0; i < x.dims.size(); ++i) {
    if (x.dims[i] == 0) return Status::Ok();
    from.dims.insert(from.dims.end(), {1, x.dims[i]});
    from.strides.insert(from.strides.end(), {0, x.strides[i]});
    to.dims.insert(to.dims.end(), {out.dims[i] / x.dims[i], x.dims[i]});
    to.strides.insert(to.strides.end(), {out.strides[i] * x.dims[i], out.strides[i]});
  }
  lowering.AddCopy(from, to, node.name());
  return Status::Ok();
}

Status LowerPad(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  const auto pads = ir::ConstantInts(node.input(1));
  const size_t rank = x.dims.size();
  bool is_known = pads && pads->size() == 2 * rank && node.input(3) == nullptr &&
                  node.StringAttribute("mode", "constant") == "constant";
  for (size_t i = 0; is_known && i < pads->size(); ++i) is_known = (*pads)[i] >= 0;
  if (!is_known) {
    return lowering.Unsupported(node, "expected constant pads of all axes, none negative");
  }
  View value;
  if (node.input(2) != nullptr) {
    QEFF_ASSIGN_OR_RETURN(value, lowering.Get(node.input(2)));
  } else {
    QEFF_ASSIGN_OR_RETURN(value, Zero(lowering, x.dtype));
  }
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  lowering.AddCopy(value, out, node.name());
  View inner = out;
  inner.dims = x.dims;
  for (size_t i = 0; i < rank; ++i) inner.offset += (*pads)[i] * out.strides[i];
  if (ElementCount(x) > 0) lowering.AddCopy(x, inner, node.name());
  return Status::Ok();
}

Status LowerTrilu(GraphLowering& lowering, const ir::Node& node) {
  QEFF_ASSIGN_OR_RETURN(const View x, lowering.Get(node.input(0)));
  const auto given = node.input(1) == nullptr ? 0 : ir::ConstantInt(node.input(1));
  constexpr int64_t kLargestMask = int64_t{1} << 28;
  if (!given || x.dims.size() < 2 || x.dims[x.dims.size() - 2] * x.dims.back() > kLargestMask) {
    return lowering.Unsupported(node, "expected matrices and a constant diagonal");
  }
  const int64_t rows = x.dims[x.dims.size() - 2];
  const int64_t columns = x.dims.back();
  const bool keeps_upper = node.IntAttribute("upper", 1) != 0;
  std::vector<std::byte> mask;
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const bool keeps = keeps_upper ? j - i >= *given : j - i <= *given;
      mask.push_back(static_cast<std::byte>(keeps ? 1 : 0));
    }
  }
  QEFF_ASSIGN_OR_RETURN(const ConstantPlace place,
                        lowering.constants().AddPlain(
                            ir::MakeInline(DType::kBool, {rows, columns}, std::move(mask))));
  const View condition = lowering.ConstantView(place, DType::kBool, {rows, columns});
  QEFF_ASSIGN_OR_RETURN(const View zero, Zero(lowering, x.dtype));
  QEFF_ASSIGN_OR_RETURN(const View out, lowering.NewOutput(node.output()));
  return AddWhere(lowering, node, {condition, x, zero}, out);
}

}  // namespace qeff::cpu
