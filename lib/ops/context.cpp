// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/context.h"

#include <cmath>

namespace qeff::ops {

AttributeSchema IntAttribute(std::string_view name, int64_t fallback) {
  return {.name = name, .kind = AttributeKind::kInt, .fallback = fallback};
}

AttributeSchema FloatAttribute(std::string_view name, float fallback) {
  return {.name = name, .kind = AttributeKind::kFloat, .fallback = fallback};
}

AttributeSchema StringAttribute(std::string_view name, std::string_view fallback) {
  return {.name = name, .kind = AttributeKind::kString, .fallback = std::string(fallback)};
}

AttributeSchema OptionalAttribute(std::string_view name, AttributeKind kind) {
  return {.name = name, .kind = kind};
}

AttributeSchema RequiredAttribute(std::string_view name, AttributeKind kind) {
  return {.name = name, .kind = kind, .is_required = true};
}

const ir::Attribute* NodeContext::Find(std::string_view name) const {
  if (const ir::Attribute* found = node_.FindAttribute(name)) return found;
  for (const AttributeSchema& attribute : schema_.attributes) {
    if (attribute.name == name && attribute.fallback) return &*attribute.fallback;
  }
  return nullptr;
}

const ir::Attribute& NodeContext::Get(std::string_view name) const {
  const ir::Attribute* found = Find(name);
  QEFF_CHECK(found != nullptr, "{} has no attribute '{}'", node_.QualifiedOp(), name);
  return *found;
}

Status NodeContext::Invalid(std::string message, std::vector<std::string> notes) const {
  return InvalidInput(Location::Node("", node_.name()),
                      fmt::format("{}: {}", node_.QualifiedOp(), message), std::move(notes));
}

Status NodeContext::Unsupported(std::string message, std::vector<std::string> notes) const {
  return qeff::Unsupported(Location::Node("", node_.name()),
                           fmt::format("{}: {}", node_.QualifiedOp(), message), std::move(notes));
}

std::optional<std::vector<int64_t>> InferContext::Numbers(size_t input) const {
  const std::optional<SymbolicInts> content = Content(input);
  if (!content) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const SymbolicInt& element : *content) {
    if (!element.is_number()) return std::nullopt;
    numbers.push_back(element.number());
  }
  return numbers;
}

std::optional<int64_t> InferContext::Number(size_t input) const {
  const std::optional<std::vector<int64_t>> numbers = Numbers(input);
  if (!numbers || numbers->size() != 1) return std::nullopt;
  return numbers->front();
}

void InferContext::SetOutput(size_t output, DType dtype, ir::Shape shape) {
  if (output < outputs_.size()) outputs_[output] = {dtype, std::move(shape)};
}

void InferContext::SetContent(size_t output, SymbolicInts elements) {
  if (output < outputs_.size()) output_contents_[output] = std::move(elements);
}

Status InferContext::ExpectRank(size_t input, int64_t expected) const {
  if (rank(input) == expected) return Status::Ok();
  return Invalid(
      fmt::format("input {}: expected rank {}, got {}", input, expected, TypeText(input)));
}

Status InferContext::ExpectSameDType(size_t a, size_t b) const {
  if (dtype(a) == dtype(b)) return Status::Ok();
  return Invalid(fmt::format("input {}: expected element type {} as input {} has, got {}", b,
                             DTypeName(dtype(a)), a, DTypeName(dtype(b))));
}

Status InferContext::ExpectFloat(size_t input) const {
  if (IsFloat(dtype(input))) return Status::Ok();
  return Invalid(fmt::format("input {}: expected a float, got {}", input, TypeText(input)));
}

Status InferContext::ExpectInteger(size_t input) const {
  if (!IsFloat(dtype(input)) && dtype(input) != DType::kBool) return Status::Ok();
  return Invalid(fmt::format("input {}: expected integers, got {}", input, TypeText(input)));
}

Status InferContext::ExpectDType(size_t input, DType expected) const {
  if (dtype(input) == expected) return Status::Ok();
  return Invalid(fmt::format("input {}: expected element type {}, got {}", input,
                             DTypeName(expected), TypeText(input)));
}

Status InferContext::ExpectSize(size_t input, int64_t axis, const ir::Dim& expected) const {
  const ir::Dim& actual = shape(input)[static_cast<size_t>(axis)];
  if (!actual.is_number() || !expected.is_number() || actual == expected) return Status::Ok();
  return Invalid(fmt::format("input {}: expected size {} on axis {}, got {}", input,
                             expected.ToString(), axis, TypeText(input)));
}

SymbolicInts ContentOf(const Tensor& tensor) {
  constexpr double kExact = 9007199254740992.0;  // 2^53: every smaller integer is a double
  SymbolicInts content;
  for (const int64_t value : tensor.ints) content.emplace_back(value);
  for (const double value : tensor.floats) {
    const bool is_integral = std::fabs(value) < kExact && value == std::trunc(value);
    content.push_back(is_integral ? SymbolicInt(static_cast<int64_t>(value)) : SymbolicInt());
  }
  return content;
}

}  // namespace qeff::ops
