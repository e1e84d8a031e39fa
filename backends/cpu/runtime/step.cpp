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
    : step_(step), program_(program) {
  if (step.row_count.buffer < 0) return;
  Touch(step.row_count, /*operand=*/-1, sizeof(int64_t));
  indices_ = accesses_;
}

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
  } else {
    Touch(place, operand, static_cast<int64_t>(needs));
  }
}

void StepCheck::Touch(const Operand& place, int operand, int64_t size_bytes) {
  const Buffer& buffer = program_.buffers[place.buffer];
  if (buffer.area == Area::kConstants || size_bytes == 0) return;
  const uint64_t begin = buffer.offset_bytes + place.offset_bytes;
  accesses_.push_back({buffer.area, begin, begin + static_cast<uint64_t>(size_bytes)});
  operands_.push_back(operand);
}

void StepCheck::ReadIndices(int operand, int64_t count) {
  const size_t before = accesses_.size();
  Read(operand, count, sizeof(int64_t));
  indices_.insert(indices_.end(), accesses_.begin() + static_cast<ptrdiff_t>(before),
                  accesses_.end());
}

void StepCheck::Write(int operand, int64_t count, int64_t element_bytes) {
  const size_t before = accesses_.size();
  Read(operand, count, element_bytes);
  if (!problem_.empty()) return;
  Require(program_.buffers[step_.operands[operand].buffer].area != Area::kConstants,
          "a constant would be written");
  for (size_t i = before; i < accesses_.size(); ++i) accesses_[i].is_written = true;
}

void StepCheck::RequireApart() {
  for (size_t i = 0; i < accesses_.size(); ++i) {
    if (!accesses_[i].is_written) continue;
    const auto overlaps = [&](const Access& other) { return Overlap(accesses_[i], other); };
    if (std::ranges::any_of(indices_, overlaps))
      Require(false, fmt::format("operand {} would be written over indices", operands_[i]));
    for (size_t j = 0; j < i; ++j) {
      if (accesses_[j].is_written && overlaps(accesses_[j])) {
        Require(false, fmt::format("operands {} and {} would be written to one place", operands_[j],
                                   operands_[i]));
      }
    }
  }
}

void StepCheck::Done(int64_t units, int64_t scratch_bytes) {
  units_ = units;
  scratch_bytes_ = scratch_bytes;
  Require(scratch_bytes <= kLargestScratch, "too much scratch");
  Require(units <= largest_count_, "more units than elements");
  RequireApart();
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
