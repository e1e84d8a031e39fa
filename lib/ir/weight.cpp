// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ir/weight.h"

#include <algorithm>
#include <cstring>

namespace qeff::ir {
namespace {

WeightPtr Make(DType dtype, std::vector<int64_t> dims, Weight::Recipe recipe) {
  return std::make_shared<const Weight>(dtype, std::move(dims), std::move(recipe));
}

template <typename T>
WeightPtr MakeFrom(DType dtype, std::vector<int64_t> dims, std::span<const T> values) {
  QEFF_CHECK(ElementCount(dims) == static_cast<int64_t>(values.size()),
             "{} values for another shape", values.size());
  std::vector<std::byte> bytes(values.size_bytes());
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return MakeInline(dtype, std::move(dims), std::move(bytes));
}

bool IsIdentity(const std::vector<int64_t>& permutation) {
  for (size_t i = 0; i < permutation.size(); ++i) {
    if (permutation[i] != static_cast<int64_t>(i)) return false;
  }
  return true;
}

std::string DimsText(const std::vector<int64_t>& dims) {
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

/// What `weight` converts, if its elements can as well be moved before; else null. Conversions
/// stand outermost: less is moved, and two of them that undo each other meet.
const WeightPtr* MovableBeforeConversion(const Weight& weight) {
  const auto* conversion = std::get_if<ConvertOf>(&weight.recipe());
  if (conversion == nullptr || DTypeBits(conversion->source->dtype()) < 8) return nullptr;
  return &conversion->source;
}

bool IsWidening(DType from, DType to) {
  const bool is_half = from == DType::kBf16 || from == DType::kF16;
  return (is_half && (to == DType::kF32 || to == DType::kF64)) ||
         (from == DType::kF32 && to == DType::kF64);
}

}  // namespace

TensorType Weight::type() const { return {dtype_, Shape(dims_.begin(), dims_.end())}; }

WeightPtr MakeInline(DType dtype, std::vector<int64_t> dims, std::vector<std::byte> bytes) {
  QEFF_CHECK(DTypeBytes(dtype, ElementCount(dims)) == static_cast<int64_t>(bytes.size()),
             "{} bytes for {} {}", bytes.size(), DTypeName(dtype), DimsText(dims));
  return Make(dtype, std::move(dims), InlineBytes{std::move(bytes)});
}

WeightPtr MakeInts(std::vector<int64_t> dims, std::span<const int64_t> values) {
  return MakeFrom(DType::kI64, std::move(dims), values);
}

WeightPtr MakeIntVector(std::span<const int64_t> values) {
  return MakeInts({static_cast<int64_t>(values.size())}, values);
}

WeightPtr MakeIntScalar(int64_t value) { return MakeInts({}, std::span(&value, 1)); }

WeightPtr MakeFloats(std::vector<int64_t> dims, std::span<const float> values) {
  return MakeFrom(DType::kF32, std::move(dims), values);
}

WeightPtr MakeFloatScalar(float value) { return MakeFloats({}, std::span(&value, 1)); }

WeightPtr FromFile(MappedFilePtr file, int64_t offset_bytes, DType dtype,
                   std::vector<int64_t> dims) {
  const int64_t size_bytes = DTypeBytes(dtype, ElementCount(dims));
  QEFF_CHECK(offset_bytes >= 0 && size_bytes >= 0 &&
                 offset_bytes + size_bytes <= static_cast<int64_t>(file->bytes().size()),
             "weight lies outside of '{}'", file->path());
  return Make(dtype, std::move(dims), FileBytes{std::move(file), offset_bytes});
}

WeightPtr Transposed(WeightPtr source, std::vector<int64_t> permutation) {
  QEFF_CHECK(permutation.size() == source->dims().size(), "permutation of another rank");
  if (IsIdentity(permutation)) return source;
  if (const auto* inner = std::get_if<TransposeOf>(&source->recipe())) {
    for (int64_t& axis : permutation) axis = inner->permutation[static_cast<size_t>(axis)];
    return Transposed(inner->source, std::move(permutation));
  }
  if (const WeightPtr* inner = MovableBeforeConversion(*source)) {
    return Converted(Transposed(*inner, std::move(permutation)), source->dtype());
  }
  std::vector<int64_t> dims;
  for (const int64_t axis : permutation) dims.push_back(source->dims()[static_cast<size_t>(axis)]);
  const DType dtype = source->dtype();
  return Make(dtype, std::move(dims), TransposeOf{std::move(source), std::move(permutation)});
}

WeightPtr Transposed(WeightPtr source) { return Transposed(std::move(source), {1, 0}); }

WeightPtr Sliced(WeightPtr source, int axis, int64_t begin, int64_t end) {
  std::vector<int64_t> dims = source->dims();
  int64_t& dim = dims[static_cast<size_t>(axis)];
  QEFF_CHECK(0 <= begin && begin <= end && end <= dim, "slice [{}, {}) of {}", begin, end, dim);
  if (begin == 0 && end == dim) return source;
  dim = end - begin;
  if (const auto* inner = std::get_if<SliceOf>(&source->recipe()); inner && inner->axis == axis) {
    return Sliced(inner->source, axis, inner->begin + begin, inner->begin + end);
  }
  if (const WeightPtr* inner = MovableBeforeConversion(*source)) {
    return Converted(Sliced(*inner, axis, begin, end), source->dtype());
  }
  if (const auto* table = std::get_if<RopeTable>(&source->recipe());
      table && axis == 0 && begin == 0) {
    return Make(source->dtype(), std::move(dims), *table);
  }
  const DType dtype = source->dtype();
  return Make(dtype, std::move(dims), SliceOf{std::move(source), axis, begin, end});
}

WeightPtr Concatenated(std::vector<WeightPtr> parts, int axis) {
  QEFF_CHECK(!parts.empty(), "nothing to concatenate");
  if (parts.size() == 1) return parts.front();
  std::vector<int64_t> dims = parts.front()->dims();
  const DType dtype = parts.front()->dtype();
  for (size_t i = 1; i < parts.size(); ++i) {
    QEFF_CHECK(parts[i]->dtype() == dtype && parts[i]->dims().size() == dims.size(),
               "parts of a concatenation differ");
    dims[static_cast<size_t>(axis)] += parts[i]->dims()[static_cast<size_t>(axis)];
  }
  std::vector<WeightPtr> inner_parts;
  for (const WeightPtr& part : parts) {
    const WeightPtr* inner = MovableBeforeConversion(*part);
    if (inner != nullptr &&
        (inner_parts.empty() || (*inner)->dtype() == inner_parts.front()->dtype())) {
      inner_parts.push_back(*inner);
    }
  }
  if (inner_parts.size() == parts.size()) {
    return Converted(Concatenated(std::move(inner_parts), axis), dtype);
  }
  return Make(dtype, std::move(dims), ConcatOf{std::move(parts), axis});
}

WeightPtr Reshaped(WeightPtr source, std::vector<int64_t> dims) {
  QEFF_CHECK(ElementCount(dims) == source->element_count(), "reshape {} to {}",
             DimsText(source->dims()), DimsText(dims));
  if (dims == source->dims()) return source;
  const DType dtype = source->dtype();
  if (const auto* leaf = std::get_if<FileBytes>(&source->recipe()))
    return Make(dtype, std::move(dims), *leaf);
  if (const auto* leaf = std::get_if<InlineBytes>(&source->recipe())) {
    return Make(dtype, std::move(dims), *leaf);
  }
  if (const auto* inner = std::get_if<ReshapeOf>(&source->recipe())) {
    return Reshaped(inner->source, std::move(dims));
  }
  if (const WeightPtr* inner = MovableBeforeConversion(*source)) {
    return Converted(Reshaped(*inner, std::move(dims)), dtype);
  }
  return Make(dtype, std::move(dims), ReshapeOf{std::move(source)});
}

WeightPtr Converted(WeightPtr source, DType dtype) {
  if (source->dtype() == dtype) return source;
  if (const auto* inner = std::get_if<ConvertOf>(&source->recipe());
      inner && inner->source->dtype() == dtype && IsWidening(dtype, source->dtype())) {
    return inner->source;
  }
  std::vector<int64_t> dims = source->dims();
  return Make(dtype, std::move(dims), ConvertOf{std::move(source)});
}

WeightPtr PlusConstant(WeightPtr source, float constant) {
  std::vector<int64_t> dims = source->dims();
  return Make(DType::kF32, std::move(dims),
              PlusConstantOf{Converted(std::move(source), DType::kF32), constant});
}

WeightPtr MakeRopeTable(int64_t rows, RopeTable table) {
  const auto columns = static_cast<int64_t>(table.inverse_frequencies.size() * 2);
  return Make(DType::kF32, {rows, columns}, std::move(table));
}

std::vector<WeightPtr> Sources(const Weight& weight) {
  struct Visitor {
    std::vector<WeightPtr> operator()(const InlineBytes&) const { return {}; }
    std::vector<WeightPtr> operator()(const FileBytes&) const { return {}; }
    std::vector<WeightPtr> operator()(const RopeTable&) const { return {}; }
    std::vector<WeightPtr> operator()(const ConcatOf& recipe) const { return recipe.parts; }
    std::vector<WeightPtr> operator()(const TransposeOf& recipe) const { return {recipe.source}; }
    std::vector<WeightPtr> operator()(const SliceOf& recipe) const { return {recipe.source}; }
    std::vector<WeightPtr> operator()(const ReshapeOf& recipe) const { return {recipe.source}; }
    std::vector<WeightPtr> operator()(const ConvertOf& recipe) const { return {recipe.source}; }
    std::vector<WeightPtr> operator()(const PlusConstantOf& recipe) const {
      return {recipe.source};
    }
  };
  return std::visit(Visitor{}, weight.recipe());
}

bool SameRecipe(const Weight& a, const Weight& b) {
  if (&a == &b) return true;
  if (a.dtype() != b.dtype() || a.dims() != b.dims() || a.recipe().index() != b.recipe().index())
    return false;
  struct Visitor {
    const Weight::Recipe& other;
    bool operator()(const InlineBytes& recipe) const {
      return recipe.bytes == std::get<InlineBytes>(other).bytes;
    }
    bool operator()(const FileBytes& recipe) const {
      const auto& right = std::get<FileBytes>(other);
      return recipe.offset_bytes == right.offset_bytes && recipe.file->path() == right.file->path();
    }
    bool operator()(const TransposeOf& recipe) const {
      return recipe.permutation == std::get<TransposeOf>(other).permutation;
    }
    bool operator()(const SliceOf& recipe) const {
      const auto& right = std::get<SliceOf>(other);
      return recipe.axis == right.axis && recipe.begin == right.begin && recipe.end == right.end;
    }
    bool operator()(const ConcatOf& recipe) const {
      return recipe.axis == std::get<ConcatOf>(other).axis;
    }
    bool operator()(const ReshapeOf&) const { return true; }
    bool operator()(const ConvertOf&) const { return true; }
    bool operator()(const PlusConstantOf& recipe) const {
      return recipe.constant == std::get<PlusConstantOf>(other).constant;
    }
    bool operator()(const RopeTable& recipe) const {
      const auto& right = std::get<RopeTable>(other);
      return recipe.is_sine == right.is_sine && recipe.scale == right.scale &&
             recipe.inverse_frequencies == right.inverse_frequencies;
    }
  };
  if (!std::visit(Visitor{b.recipe()}, a.recipe())) return false;
  const std::vector<WeightPtr> left = Sources(a);
  const std::vector<WeightPtr> right = Sources(b);
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const WeightPtr& x, const WeightPtr& y) { return SameRecipe(*x, *y); });
}

std::string DescribeWeight(const Weight& weight) {
  struct Visitor {
    const Weight& weight;
    std::string operator()(const InlineBytes&) const { return "inline"; }
    std::string operator()(const FileBytes& recipe) const {
      const std::string& path = recipe.file->path();
      return fmt::format("{}@{}", path.substr(path.rfind('/') + 1), recipe.offset_bytes);
    }
    std::string operator()(const TransposeOf& recipe) const {
      return fmt::format("transpose({}, {})", DescribeWeight(*recipe.source),
                         DimsText(recipe.permutation));
    }
    std::string operator()(const SliceOf& recipe) const {
      return fmt::format("slice({}, axis {}, {}:{})", DescribeWeight(*recipe.source), recipe.axis,
                         recipe.begin, recipe.end);
    }
    std::string operator()(const ConcatOf& recipe) const {
      std::string text = fmt::format("concat(axis {}", recipe.axis);
      for (const WeightPtr& part : recipe.parts) text += ", " + DescribeWeight(*part);
      return text + ")";
    }
    std::string operator()(const ReshapeOf& recipe) const {
      return fmt::format("reshape({})", DescribeWeight(*recipe.source));
    }
    std::string operator()(const ConvertOf& recipe) const {
      return fmt::format("convert({})", DescribeWeight(*recipe.source));
    }
    std::string operator()(const PlusConstantOf& recipe) const {
      return fmt::format("add({}, {})", DescribeWeight(*recipe.source), recipe.constant);
    }
    std::string operator()(const RopeTable& recipe) const {
      return fmt::format("{} table", recipe.is_sine ? "sin" : "cos");
    }
  };
  return fmt::format("{} {} {}", std::visit(Visitor{weight}, weight.recipe()),
                     DTypeName(weight.dtype()), DimsText(weight.dims()));
}

}  // namespace qeff::ir
