// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Takes the samples: opens each program on each number of threads and runs every cell again and
// again, between two runs of the limit probe and beside the peers, so that a machine that changes
// its speed changes all of them.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "lib/support/status.h"
#include "tools/bench/bench.h"
#include "tools/bench/peer.h"

namespace qeff::bench {

struct BenchOptions {
  std::vector<std::filesystem::path> programs;
  std::vector<int64_t> prompt_tokens = {512};
  std::vector<int64_t> new_tokens = {128};
  std::vector<int64_t> batches;  ///< empty: as many as each program has slots
  std::vector<int64_t> depths = {0};
  std::vector<int> threads;  ///< empty: as many as each program was divided for
  std::string isa;           ///< of the kernels and of their limits; empty: the machine's best
  int repetitions = 5;
};

/// Fills `rows` and `peers` of `report`; `peers` are asked for every cell. Errors: those of
/// opening, and kUsage for a cell that a program cannot run (longer than its context, more rows
/// than slots, more threads than it was divided for), both before anything is measured; those of
/// the peers. The rows that were measured until then are kept.
Status MeasureRows(const BenchOptions& options, const std::vector<std::unique_ptr<Peer>>& peers,
                   Report& report);

/// Measures every loop of the probe, and reading 1 GiB, on each number of threads.
Status MeasureLimits(const std::vector<int>& threads, Report& report);

}  // namespace qeff::bench
