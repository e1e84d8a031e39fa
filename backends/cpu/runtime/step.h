// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The interface of a step: a check that runs once when a program is opened, and the work itself. To
// add a step: a struct in step_params.h, a file in steps/ that defines its StepDefinition, a line
// in steps.def.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/cpu/kernels/kernels.h"
#include "backends/cpu/runtime/barriers.h"
#include "backends/cpu/runtime/program.h"
#include "lib/support/status.h"

namespace qeff::cpu {

/// Which input of a model a fault comes from.
enum class FaultCause {
  kIndices,  ///< token ids, positions, batch indices
  kMask,     ///< the first token of a text is padding and would see nothing but padding
};

/// The first index of a run that input data made invalid. Filled by any thread.
class RunFault {
 public:
  void Clear() { state_.store(0, std::memory_order_relaxed); }
  void Report(int64_t step, int64_t value, int64_t limit, FaultCause cause = FaultCause::kIndices) {
    int expected = 0;
    if (!state_.compare_exchange_strong(expected, 1)) return;
    step_ = step;
    value_ = value;
    limit_ = limit;
    cause_ = cause;
    state_.store(2, std::memory_order_release);
  }
  bool reported() const { return state_.load(std::memory_order_acquire) == 2; }
  int64_t step() const { return step_; }
  int64_t value() const { return value_; }
  int64_t limit() const { return limit_; }  ///< the value should lie in [0, limit)
  FaultCause cause() const { return cause_; }

 private:
  std::atomic<int> state_ = 0;
  int64_t step_ = 0;
  int64_t value_ = 0;
  int64_t limit_ = 0;
  FaultCause cause_ = FaultCause::kIndices;
};

/// What one thread needs to do units [begin, end) of one step.
struct StepRun {
  const Kernels& kernels;
  const std::byte* params;
  std::byte* const* operands;  ///< null where left out
  int64_t begin;
  int64_t end;
  std::byte* scratch;  ///< 64-byte aligned
  RunFault& fault;
  int64_t step_index;
  StreamStarts* starts = nullptr;  ///< filled by a step that streams weights; null: not wanted

  /// Copied, since parameters have no alignment.
  template <typename Params>
  Params params_as() const {
    Params result;
    std::memcpy(&result, params, sizeof(result));
    return result;
  }
  template <typename T>
  T* operand(int index) const {
    return reinterpret_cast<T*>(operands[index]);
  }
};

/// Checks one step: sizes first as numbers (every product saturates), then each operand against the
/// bytes it has, then what the step writes against what else it touches.
class StepCheck {
 public:
  StepCheck(const Step& step, const SpecializationProgram& program);

  template <typename Params>
  Params params_as() const {
    Params result;
    std::memcpy(&result, step_.params.data(), sizeof(result));
    return result;
  }
  bool has(int operand) const { return step_.operands[operand].buffer >= 0; }
  /// Fails the check unless `condition`.
  void Require(bool condition, std::string_view what);
  /// Fails the check unless each value is in [0, 2^40].
  void RequireSizes(std::initializer_list<int64_t> values);
  /// The operand must be there, with at least `count` elements.
  void Read(int operand, int64_t count, int64_t element_bytes);
  /// The same for i64 that say where the step reads or writes. What is written must not lie on
  /// them, or they would be other numbers after they were checked.
  void ReadIndices(int operand, int64_t count);
  /// Like Read, and it must not be a constant, lie on indices or on what else the step writes.
  void Write(int operand, int64_t count, int64_t element_bytes);
  void ReadOptional(int operand, int64_t count, int64_t element_bytes) {
    if (has(operand)) Read(operand, count, element_bytes);
  }
  void ReadOptionalIndices(int operand, int64_t count) {
    if (has(operand)) ReadIndices(operand, count);
  }
  /// Says how many units the step has, not more than the elements of its largest operand, and what
  /// scratch a thread needs. Call once, last.
  void Done(int64_t units, int64_t scratch_bytes = 0);

  Status ToStatus(std::string_view path, int64_t index) const;
  int64_t units() const { return units_; }
  /// Of operands that the check has asked for, and of the number of rows.
  const std::vector<Access>& accesses() const { return accesses_; }
  int64_t scratch_bytes() const { return scratch_bytes_; }

 private:
  void Touch(const Operand& place, int operand, int64_t size_bytes);
  void RequireApart();

  const Step& step_;
  const SpecializationProgram& program_;
  std::vector<Access> accesses_;
  std::vector<int> operands_;  ///< of accesses_; -1: the number of rows
  std::vector<Access> indices_;
  std::string problem_;
  int64_t units_ = 0;
  int64_t scratch_bytes_ = 0;
  int64_t largest_count_ = 0;
};

/// Product that saturates at 2^62; requires values >= 0.
int64_t Product(std::initializer_list<int64_t> values);
/// Elements from the first of `rows` rows, `stride` apart, to the end of the last, `width` wide; 0
/// if there are none.
int64_t StridedExtent(int64_t rows, int64_t stride, int64_t width);

/// How a step whose rows are independent of each other does only the first of them.
struct RowLimit {
  /// True if the step has `total` rows.
  bool (*has_rows)(const std::byte* params, int64_t total);
  /// Changes the parameters of a step of `total` rows to its first `rows`; returns how many units
  /// are left.
  int64_t (*limit)(std::byte* params, int64_t total, int64_t rows);
};
template <typename Params>
int64_t UnitIsRow(const Params& params) {
  return params.rows;
}
/// For parameters with a member `rows`; kUnitsOf gives the units.
template <typename Params, int64_t (*kUnitsOf)(const Params&) = UnitIsRow<Params>>
constexpr RowLimit LimitOfRows() {
  return {[](const std::byte* bytes, int64_t total) {
            Params params;
            std::memcpy(&params, bytes, sizeof(params));
            return params.rows == total;
          },
          [](std::byte* bytes, int64_t, int64_t rows) {
            Params params;
            std::memcpy(&params, bytes, sizeof(params));
            params.rows = rows;
            std::memcpy(bytes, &params, sizeof(params));
            return kUnitsOf(params);
          }};
}

/// Units that a thread takes at a time: fewer the less is left, but at least `least` and at most
/// `most`. `least` is 0 if they are better divided beforehand.
struct UnitsTaken {
  int64_t least = 0;
  int64_t most = 0;
};

struct StepDefinition {
  std::string_view name;
  size_t params_bytes;
  size_t operand_count;
  void (*check)(StepCheck&);
  void (*run)(const StepRun&);
  /// Set if the step can leave out rows at the end.
  std::optional<RowLimit> row_limit = std::nullopt;
  /// Null, or how many units threads take in turn instead of dividing all of them beforehand: then
  /// none waits for one that was held up after its first share or has the longer units. Only for
  /// steps whose results do not depend on which units a call gets together.
  UnitsTaken (*units_taken)(const std::byte* params) = nullptr;
};
/// No step has more bytes of parameters.
inline constexpr size_t kMostParamsBytes = 512;

/// Null for a number that no step has.
const StepDefinition* FindStep(StepOp op);

}  // namespace qeff::cpu
