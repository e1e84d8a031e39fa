// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What this machine can do at most: operations per second of each kind of arithmetic, and bytes per
// second read from memory, on a number of threads. Measured, not looked up, since clock and
// bandwidth depend on the machine, its neighbours and the moment: measure around the run that is
// compared. qeff-bench and `qeff-run --profile` give shares of these limits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "backends/cpu/kernels/isa.h"
#include "backends/cpu/limits/probe_loops.h"
#include "backends/cpu/runtime/memory.h"
#include "backends/cpu/runtime/thread_pool.h"
#include "lib/generation/run_profile.h"
#include "lib/support/status.h"

namespace qeff::cpu {

class LimitProbe {
 public:
  /// Starts the threads and takes `largest_read_bytes` of memory (rounded up to 2 MiB), which are
  /// filled so that each page is one of its own. Errors: kIo (memory).
  static Result<std::unique_ptr<LimitProbe>> Open(int threads, size_t largest_read_bytes);

  int threads() const { return pool_.thread_count(); }
  /// Operations per second of `loop`: the best of a few runs of some milliseconds, so that a
  /// neighbour who takes a processor for a moment does not lower the limit.
  double Operations(const ArithmeticLoop& loop);
  /// Operations per second that kernels of `isa` can reach in `arithmetic`: of the strongest loop
  /// that they have for it; of f32 where they have none. f32 by bf16 is three products of bf16
  /// where there are tiles.
  double Peak(Arithmetic arithmetic, Isa isa);
  /// Bytes per second of all threads reading `footprint_bytes` in order, each its own part, again
  /// and again: as weights are read by one decoding step after the other. The best of a few runs.
  double ReadBandwidth(size_t footprint_bytes);

 private:
  LimitProbe(int threads, Memory memory) : memory_(std::move(memory)), pool_(threads) {}
  Memory memory_;
  ThreadPool pool_;
};

/// The least time that `work` needs on a machine with these limits: the longer one of reading its
/// bytes and of computing its operations, each kind at its own peak. `peak_of` gives operations per
/// second.
template <typename PeakOf>
double LeastSeconds(const RunWork& work, double bytes_per_s, const PeakOf& peak_of) {
  double arithmetic_s = 0;
  for (const Arithmetic kind : kArithmetics) {
    if (work.operations[static_cast<int>(kind)] > 0) {
      arithmetic_s += work.operations[static_cast<int>(kind)] / peak_of(kind);
    }
  }
  return std::max(arithmetic_s, work.bytes / bytes_per_s);
}

}  // namespace qeff::cpu
