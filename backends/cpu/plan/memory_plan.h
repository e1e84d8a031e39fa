// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The memory that a session on the CPU takes, known from the plan of its program.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/cpu/plan/compile.h"
#include "lib/support/status.h"

namespace qeff::cpu {

/// Sizes in bytes.
struct MemoryPlan {
  uint64_t weight_bytes = 0;  ///< mapped from the file, shared by all sessions of it
  uint64_t state_bytes = 0;   ///< retained state
  uint64_t arena_bytes = 0;   ///< intermediate values, of the specialization that needs most
  uint64_t io_bytes = 0;      ///< inputs and outputs of all specializations
  /// Of all threads: as many as the program is divided for, not more than this machine runs at
  /// once.
  uint64_t scratch_bytes = 0;
  /// Of the program that opens the session, its code, libraries and tokenizer: as measured,
  /// qeff-run had 12 to 16 MiB on Debian 12.
  uint64_t process_bytes = uint64_t{14} << 20;
  uint64_t total_bytes() const {
    return weight_bytes + state_bytes + arena_bytes + io_bytes + scratch_bytes + process_bytes;
  }
};

/// Plans the program of `graphs` and writes nothing. Errors: those of CompileForCpu.
Result<MemoryPlan> PlanMemory(const std::vector<SpecializedGraph>& graphs,
                              const CpuCompileOptions& options);

}  // namespace qeff::cpu
