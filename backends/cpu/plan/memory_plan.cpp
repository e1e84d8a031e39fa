// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/memory_plan.h"

#include <algorithm>

#include "backends/cpu/runtime/program.h"

namespace qeff::cpu {

Result<MemoryPlan> PlanMemory(const std::vector<SpecializedGraph>& graphs,
                              const CpuCompileOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const CpuPlan plan, CompileForCpu(graphs, options));
  const Program& program = plan.program;
  MemoryPlan memory{.weight_bytes = program.constants_bytes, .state_bytes = program.state_bytes};
  for (const SpecializationProgram& specialization : program.specializations) {
    memory.arena_bytes = std::max(memory.arena_bytes, specialization.arena_bytes);
    memory.io_bytes += specialization.io_bytes;
  }
  memory.scratch_bytes = ScratchBytes(program) * program.part_count;
  return memory;
}

}  // namespace qeff::cpu
