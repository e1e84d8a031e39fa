// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/limits/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>

namespace qeff::cpu {
namespace {

constexpr size_t kReadUnit = 256;
constexpr size_t kPage = size_t{2} << 20;
/// A run is shorter than a scheduler's time slice (a few milliseconds), so that some runs are
/// whole.
constexpr double kRunSeconds = 2e-3;
constexpr int kRuns = 12;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <typename Work>
double BestSeconds(ThreadPool& pool, int runs, const Work& work) {
  double best = 1e30;
  for (int run = 0; run < runs; ++run) {
    const double start = Seconds();
    pool.Run(work);
    best = std::min(best, Seconds() - start);
  }
  return best;
}

const ArithmeticLoop* StrongestLoop(Arithmetic kind, Isa isa) {
  const ArithmeticLoop* best = nullptr;
  for (const ArithmeticLoop& loop : ArithmeticLoops()) {
    if (loop.kind != kind || !Includes(isa, loop.isa) || !loop.has_kernel) continue;
    if (best == nullptr || loop.isa > best->isa) best = &loop;
  }
  return best;
}

}  // namespace

Result<std::unique_ptr<LimitProbe>> LimitProbe::Open(int threads, size_t largest_read_bytes) {
  const size_t bytes = (std::max<size_t>(largest_read_bytes, 1) + kPage - 1) / kPage * kPage;
  QEFF_ASSIGN_OR_RETURN(Memory memory, Memory::Allocate(bytes, "the memory of the limit probe"));
  std::memset(memory.data(), 1, bytes);
  return std::unique_ptr<LimitProbe>(new LimitProbe(threads, std::move(memory)));
}

double LimitProbe::Operations(const ArithmeticLoop& loop) {
  int64_t turns = 1000;
  double seconds = 0;
  while (true) {
    seconds = BestSeconds(pool_, 1, [&](int) { loop.run(turns); });
    if (seconds > kRunSeconds / 4) break;
    turns *= 4;
  }
  turns = std::max<int64_t>(
      1000, static_cast<int64_t>(static_cast<double>(turns) * kRunSeconds / seconds));
  seconds = BestSeconds(pool_, kRuns, [&](int) { loop.run(turns); });
  return loop.operations * static_cast<double>(turns) * threads() / seconds;
}

double LimitProbe::ReadBandwidth(size_t footprint_bytes) {
  const auto count = static_cast<size_t>(threads());
  const size_t whole = std::clamp(footprint_bytes, kReadUnit * count, memory_.size_bytes());
  const size_t part = whole / count / kReadUnit * kReadUnit;
  std::atomic<uint64_t> keep = 0;
  const auto read = [&](int thread) {
    keep += ReadBytes(memory_.data() + part * static_cast<size_t>(thread), part);
  };
  pool_.Run(read);  // a small footprint is in the caches from here on, as weights are in a run
  return static_cast<double>(part * count) / BestSeconds(pool_, kRuns / 2, read);
}

double LimitProbe::Peak(Arithmetic arithmetic, Isa isa) {
  constexpr double kProductsOfSplitF32 = 3;
  if (arithmetic == Arithmetic::kF32ByBf16 && Includes(isa, Isa::amx)) {
    return Peak(Arithmetic::kBf16, isa) / kProductsOfSplitF32;
  }
  const ArithmeticLoop* loop = StrongestLoop(arithmetic, isa);
  if (loop == nullptr) loop = StrongestLoop(Arithmetic::kF32, isa);
  QEFF_CHECK(loop != nullptr, "no loop for '{}'", IsaName(isa));
  return Operations(*loop);
}

}  // namespace qeff::cpu
