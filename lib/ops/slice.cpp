// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Slice(x, starts, ends, axes, steps): elements start, start + step, ... before `end` of each named
// axis. Negative bounds count from the end, bounds are clamped to the axis. Older files give
// starts, ends and axes as attributes.
#include <algorithm>
#include <limits>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

/// What a node says of one axis.
struct AxisSlice {
  int64_t axis = 0;
  SymbolicInt start;
  SymbolicInt end;
  SymbolicInt step = 1;
};

/// Where a slice of fixed numbers begins and how many elements it takes.
struct FixedSlice {
  int64_t begin = 0;
  int64_t count = 0;
};

FixedSlice ClampSlice(int64_t start, int64_t end, int64_t step, int64_t size) {
  // Forwards the first element lies in [0, size], backwards in [-1, size - 1].
  const int64_t low = step > 0 ? 0 : -1;
  const int64_t high = step > 0 ? size : size - 1;
  const auto clamp = [&](int64_t bound) {
    if (bound < 0) bound = bound < -size ? low : bound + size;
    return std::clamp(bound, low, std::max(low, high));
  };
  const int64_t begin = clamp(start);
  const int64_t limit = clamp(end);
  const int64_t distance = step > 0 ? limit - begin : begin - limit;
  if (distance <= 0) return {begin, 0};
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : -static_cast<uint64_t>(step);
  return {begin, static_cast<int64_t>((static_cast<uint64_t>(distance) - 1) / stride) + 1};
}

/// The bound as a position in [0, size]; unknown if that cannot be told. A symbolic bound is taken
/// to lie inside: models cut tables and caches to lengths that fit.
SymbolicInt ClampSymbolic(SymbolicInt bound, const SymbolicInt& size) {
  constexpr int64_t kToTheEnd = std::numeric_limits<int32_t>::max();
  if (bound.is_number() && bound.number() >= kToTheEnd) return size;
  if ((SymbolicInt(0) - bound).IsPositive()) bound = bound + size;  // from the end
  if ((SymbolicInt(1) - bound).IsPositive()) return 0;
  if ((bound - size).IsPositive()) return size;
  const bool is_inside = !bound.is_number() || (size - bound + 1).IsPositive();
  return is_inside ? bound : SymbolicInt();
}

ir::Dim SlicedSize(const AxisSlice& slice, const ir::Dim& dim) {
  const auto& [axis, start, end, step] = slice;
  const SymbolicInt size = SymbolicInt::FromDim(dim);
  if (size.is_number() && start.is_number() && end.is_number() && step.is_number()) {
    return ClampSlice(start.number(), end.number(), step.number(), size.number()).count;
  }
  if (step != SymbolicInt(1)) return {};
  const SymbolicInt count = ClampSymbolic(end, size) - ClampSymbolic(start, size);
  if ((count + 1).IsPositive()) return count.ToDim();
  return (SymbolicInt(1) - count).IsPositive() ? ir::Dim(int64_t{0}) : ir::Dim();
}

/// The numbers of input `input` or of the attribute that older files have instead.
std::optional<SymbolicInts> Parameter(const InferContext& context, size_t input,
                                      std::string_view attribute) {
  if (context.Has(input)) return context.Content(input);
  if (!context.HasAttribute(attribute)) return std::nullopt;
  return SymbolicInts(context.Ints(attribute).begin(), context.Ints(attribute).end());
}

/// The slices of a node. Unknown starts and ends are left unknown. Errors: unknown axes, parameters
/// of different lengths.
Result<std::vector<AxisSlice>> ReadSlices(const InferContext& context) {
  const bool has_inputs = context.Has(1) && context.Has(2);
  if (!has_inputs && !(context.HasAttribute("starts") && context.HasAttribute("ends"))) {
    return context.Invalid("starts or ends are missing");
  }
  for (size_t input = 1; input <= 4; ++input) {
    if (context.Has(input)) QEFF_RETURN_IF_ERROR(context.ExpectInteger(input));
  }
  const int64_t rank = context.rank(0);
  std::optional<SymbolicInts> starts = Parameter(context, 1, "starts");
  std::optional<SymbolicInts> ends = Parameter(context, 2, "ends");
  std::optional<SymbolicInts> axes = Parameter(context, 3, "axes");
  std::optional<SymbolicInts> steps = Parameter(context, 4, "steps");
  if (!axes && context.Has(3)) return context.Unsupported("the axes are not known");
  size_t count = axes ? axes->size() : 0;
  if (!axes) {
    const ir::Dim length = has_inputs && context.rank(1) == 1 ? context.shape(1)[0] : ir::Dim();
    if (!starts && !length.is_number()) return context.Unsupported("the axes are not known");
    count = starts ? starts->size() : static_cast<size_t>(length.value());
    if (count > static_cast<size_t>(rank)) {
      return context.Invalid(fmt::format("{} axes for {}", count, context.TypeText(0)));
    }
    axes.emplace();
    for (size_t i = 0; i < count; ++i) axes->push_back(static_cast<int64_t>(i));
  }
  if (!starts) starts.emplace(count);
  if (!ends) ends.emplace(count);
  if (!steps) steps.emplace(count, context.Has(4) ? SymbolicInt() : SymbolicInt(1));
  if (starts->size() != count || ends->size() != count || steps->size() != count) {
    return context.Invalid(fmt::format("expected {} starts, ends and steps, got {}, {} and {}",
                                       count, starts->size(), ends->size(), steps->size()));
  }
  std::vector<AxisSlice> slices;
  std::vector<int64_t> seen;
  for (size_t i = 0; i < count; ++i) {
    if (!(*axes)[i].is_number()) return context.Unsupported("the axes are not known");
    if ((*steps)[i] == SymbolicInt(0)) return context.Invalid("the step is 0");
    seen.push_back((*axes)[i].number());
    slices.push_back({0, (*starts)[i], (*ends)[i], (*steps)[i]});
  }
  QEFF_ASSIGN_OR_RETURN(seen, NormalizeAxes(context, std::move(seen), rank));
  for (size_t i = 0; i < count; ++i) slices[i].axis = seen[i];
  return slices;
}

Status InferSlice(InferContext& context) {
  QEFF_ASSIGN_OR_RETURN(const std::vector<AxisSlice> slices, ReadSlices(context));
  ir::Shape shape = context.shape(0);
  for (const AxisSlice& slice : slices) {
    ir::Dim& dim = shape[static_cast<size_t>(slice.axis)];
    dim = SlicedSize(slice, dim);
  }
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

/// Numbers of input `input`, else of the attribute, else `fallback(i)` for each of `count` axes.
template <typename Fallback>
std::vector<int64_t> Numbers(const EvaluateContext& context, size_t input,
                             std::string_view attribute, size_t count, const Fallback& fallback) {
  if (context.Has(input)) return context.in(input).ints;
  if (context.HasAttribute(attribute)) return context.Ints(attribute);
  std::vector<int64_t> numbers;
  for (size_t i = 0; i < count; ++i) numbers.push_back(fallback(static_cast<int64_t>(i)));
  return numbers;
}

Status EvaluateSlice(EvaluateContext& context) {
  const Tensor& x = context.in(0);
  const auto none = [](int64_t) { return int64_t{0}; };
  const std::vector<int64_t> starts = Numbers(context, 1, "starts", 0, none);
  const std::vector<int64_t> ends = Numbers(context, 2, "ends", 0, none);
  const std::vector<int64_t> axes =
      Numbers(context, 3, "axes", starts.size(), [](int64_t i) { return i; });
  const std::vector<int64_t> steps =
      Numbers(context, 4, "steps", starts.size(), [](int64_t) { return int64_t{1}; });
  std::vector<int64_t> strides = Strides(x.dims);
  int64_t origin = 0;
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto axis =
        static_cast<size_t>(axes[i] < 0 ? axes[i] + static_cast<int64_t>(x.dims.size()) : axes[i]);
    const FixedSlice slice = ClampSlice(starts[i], ends[i], steps[i], x.dims[axis]);
    origin += slice.begin * strides[axis];
    // One element is taken whatever the step; a huge step must not overflow.
    strides[axis] = slice.count > 1 ? strides[axis] * steps[i] : 0;
  }
  std::vector<int64_t> sources = Offsets(context.out().dims, strides);
  for (int64_t& source : sources) source += origin;
  Take(x, sources, context.out());
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> SliceOps() {
  return {{{.domain = "",
            .op_type = "Slice",
            .max_inputs = 5,
            .attributes = {OptionalAttribute("starts", AttributeKind::kInts),
                           OptionalAttribute("ends", AttributeKind::kInts),
                           OptionalAttribute("axes", AttributeKind::kInts)}},
           InferSlice,
           EvaluateSlice,
           {.moved_inputs = 0b1}}};
}

}  // namespace qeff::ops
