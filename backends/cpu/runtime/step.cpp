// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/runtime/step.h"

#include <algorithm>
#include <array>

namespace qeff::cpu {
namespace {

constexpr int64_t kLargestSize = int64_t{1} << 40;
constexpr int64_t kLargestScratch = int64_t{1} << 34;
constexpr int64_t kSaturated = int64_t{1} << 62;

}  // namespace

#define STEP(file, Name) extern const StepDefinition k##Name##Step;
#include "backends/cpu/runtime/steps.def"
#undef STEP

int64_t Product(std::initializer_list<int64_t> values) {
  int64_t product = 1;
  for (const int64_t value : values) {
    if (value == 0) return 0;
    if (__builtin_mul_overflow(product, value, &product) || product > kSaturated) {
      product = kSaturated;
    }
  }
  return product;
}

int64_t StridedExtent(int64_t rows, int64_t stride, int64_t width) {
  if (rows == 0 || width == 0) return 0;
  const int64_t start_of_last = Product({rows - 1, stride});
  return start_of_last >= kSaturated - width ? kSaturated : start_of_last + width;
}

StepCheck::StepCheck(const Step& step, const SpecializationProgram& program)
    : step_(step), program_(program) {}

void StepCheck::Require(bool condition, std::string_view what) {
  if (!condition && problem_.empty()) problem_ = what;
}

void StepCheck::RequireSizes(std::initializer_list<int64_t> values) {
  for (const int64_t value : values) {
    if ((value < 0 || value > kLargestSize) && problem_.empty()) {
      problem_ = fmt::format("size {} is not in [0, 2^40]", value);
    }
  }
}

void StepCheck::Read(int operand, int64_t count, int64_t element_bytes) {
  if (!problem_.empty()) return;
  const Operand& place = step_.operands[operand];
  if (place.buffer < 0) {
    problem_ = fmt::format("operand {} is missing", operand);
    return;
  }
  largest_count_ = std::max(largest_count_, count);
  const uint64_t has = program_.buffers[place.buffer].size_bytes - place.offset_bytes;
  const auto needs = static_cast<uint64_t>(Product({count, element_bytes}));
  if (needs > has) {
    problem_ = fmt::format("operand {} needs {} bytes, got {}", operand, needs, has);
  } else if (place.offset_bytes % static_cast<uint64_t>(element_bytes) != 0) {
    problem_ = fmt::format("operand {} is not aligned to {} bytes", operand, element_bytes);
  }
}

StepCheck::Bytes StepCheck::BytesOf(int operand, int64_t size_bytes) const {
  const Operand& place = step_.operands[operand];
  const Buffer& buffer = program_.buffers[place.buffer];
  const uint64_t begin = buffer.offset_bytes + place.offset_bytes;
  return {buffer.area, begin, begin + static_cast<uint64_t>(size_bytes)};
}

void StepCheck::ReadIndices(int operand, int64_t count) {
  constexpr int64_t kIndexBytes = 8;
  Read(operand, count, kIndexBytes);
  if (problem_.empty() && count > 0)
    indices_.push_back(BytesOf(operand, Product({count, kIndexBytes})));
}

void StepCheck::Write(int operand, int64_t count, int64_t element_bytes) {
  Read(operand, count, element_bytes);
  if (!problem_.empty()) return;
  const Bytes written = BytesOf(operand, Product({count, element_bytes}));
  Require(written.area != Area::kConstants, "a constant would be written");
  for (const Bytes& read : indices_) {
    if (read.area == written.area && read.begin < written.end && written.begin < read.end)
      Require(false, fmt::format("operand {} would be written over indices", operand));
  }
}

void StepCheck::Done(int64_t units, int64_t scratch_bytes) {
  units_ = units;
  scratch_bytes_ = scratch_bytes;
  Require(scratch_bytes <= kLargestScratch, "too much scratch");
  Require(units <= largest_count_, "more units than elements");
}

Status StepCheck::ToStatus(std::string_view path, int64_t index) const {
  std::string problem = problem_;
  if (problem.empty() && (step_.part_begin.front() != 0 || step_.part_begin.back() != units_)) {
    problem = fmt::format("expected parts over units [0, {}), got [{}, {})", units_,
                          step_.part_begin.front(), step_.part_begin.back());
  }
  if (problem.empty()) return Status::Ok();
  return InvalidInput(Location::Node(path, step_.name, index),
                      fmt::format("step '{}': {}", FindStep(step_.op)->name, problem),
                      {"the program is damaged: compile it again"});
}

const StepDefinition* FindStep(StepOp op) {
  static constexpr std::array kSteps = {
#define STEP(file, Name) &k##Name##Step,
#include "backends/cpu/runtime/steps.def"
#undef STEP
  };
  const auto index = static_cast<size_t>(op);
  return index < kSteps.size() ? kSteps[index] : nullptr;
}

}  // namespace qeff::cpu
