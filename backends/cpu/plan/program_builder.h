// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Collects the steps of one specialization, then places its buffers, divides the work and finds
// where threads must wait. Knows nothing of graphs.
#pragma once

#include <string>
#include <vector>

#include "backends/cpu/plan/view.h"
#include "backends/cpu/runtime/barriers.h"
#include "backends/cpu/runtime/program.h"

namespace qeff::cpu {

/// One operand of a step that is added; a view without storage is left out.
struct OperandUse {
  View view;
  bool is_written = false;
};
inline OperandUse Reads(View view) { return {std::move(view), false}; }
inline OperandUse Writes(View view) { return {std::move(view), true}; }
inline OperandUse None() { return {}; }

/// How the units of a step are divided.
struct Work {
  int64_t units = 0;
  /// About how many elements the whole step touches or multiplies: small steps are not divided.
  double amount = 0;
};

class ProgramBuilder {
 public:
  explicit ProgramBuilder(uint32_t part_count) : part_count_(part_count) {}

  /// A new storage in the arena.
  int32_t AddArena(int64_t size_bytes);
  /// A storage at a fixed place of another area.
  int32_t AddFixed(Area area, uint64_t offset_bytes, uint64_t size_bytes);
  /// A new dense value in the arena.
  View NewDense(DType dtype, std::vector<int64_t> dims);

  template <typename Params>
  void AddStep(StepOp op, std::string_view name, const Params& params,
               std::vector<OperandUse> operands, const Work& work) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&params);
    AddStepBytes(op, name, {bytes, bytes + sizeof(params)}, std::move(operands), work);
  }

  /// From here on, steps of `total` rows that can do only the first ones do as many as `count`, i64
  /// [1], says. Without a count: all rows again.
  void FollowRows(View count, int64_t total) {
    row_count_ = std::move(count);
    row_total_ = total;
  }

  /// Fills arena_bytes, buffers and steps. Call once.
  void Finish(SpecializationProgram& program);

 private:
  struct Storage {
    Buffer buffer;
    int64_t first_step = -1;
    int64_t last_step = -1;
  };
  struct PendingStep {
    Step step;
    std::vector<OperandUse> operands;
    View row_count;
  };

  void AddStepBytes(StepOp op, std::string_view name, std::vector<std::byte> params,
                    std::vector<OperandUse> operands, const Work& work);
  std::vector<int64_t> Divide(const Work& work) const;
  void PlaceArena(SpecializationProgram& program);
  std::vector<Access> AccessesOf(const PendingStep& pending) const;
  void FindBarriers();

  uint32_t part_count_;
  View row_count_;
  int64_t row_total_ = 0;
  std::vector<Storage> storages_;
  std::vector<PendingStep> steps_;
};

}  // namespace qeff::cpu
