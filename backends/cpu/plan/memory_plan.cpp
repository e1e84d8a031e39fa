// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/memory_plan.h"

#include <algorithm>

#include "backends/cpu/runtime/program.h"
#include "backends/cpu/runtime/thread_pool.h"

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
  const uint32_t threads = std::min(program.part_count, static_cast<uint32_t>(UsableProcessors()));
  memory.scratch_bytes = ScratchBytes(program) * threads;
  return memory;
}

}  // namespace qeff::cpu
