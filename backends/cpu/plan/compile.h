// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Compiles specialised graphs for the CPU: support check, fusion, choice of weight layouts,
// placement, division of the work. The result is a program (backends/cpu/runtime) and a plan of its
// constants, which are written afterwards in bounded pieces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/backend.h"
#include "backends/cpu/plan/background_sink.h"
#include "backends/cpu/plan/constant_pool.h"
#include "backends/cpu/runtime/program.h"
#include "lib/ir/graph.h"
#include "lib/support/status.h"

namespace qeff::cpu {

struct CpuCompileOptions {
  int part_count = 1;  ///< threads that the work is divided for
  WeightStorage weights = WeightStorage::kAuto;
  ComputeType compute = ComputeType::kF32;
  KvCacheType kv_cache = KvCacheType::kF32;
  std::string path;  ///< of the model, for messages
};

struct CpuPlan {
  Program program;
  ConstantPool constants{WeightStorage::kAuto};

  /// Bytes that WriteConstants sends.
  uint64_t constants_bytes() const { return program.constants_bytes + kAreaSlackBytes; }
  /// Sends the constants segment, to be mapped at a 64-byte aligned address (page-aligned in the
  /// file). `sink` is called on another thread, which has ended when this returns.
  Status WriteConstants(const ByteSink& sink) const;
};

/// Adds an error for each node that has no step on the CPU.
void CheckCpuSupport(const ir::Graph& graph, std::string_view path, Diagnostics& diagnostics);

/// Errors: kUnsupported (a node, with its name), kInvalidInput (a dimension without a number,
/// states that differ).
Result<CpuPlan> CompileForCpu(const std::vector<SpecializedGraph>& graphs,
                              const CpuCompileOptions& options);

}  // namespace qeff::cpu
