// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a register tile asks memory for while it multiplies. In a burst between tiles the requests
// would take all the places for misses, and the next tile's own loads would wait for one.
#pragma once

#include "backends/cpu/kernels/vector.h"

namespace qeff::cpu {
namespace {

/// Runs of kFetchBytes each, to be brought into the second-level cache.
constexpr int64_t kFetchBytes = 128;
struct TileFetch {
  struct Runs {
    const char* at;
    int64_t stride;  ///< in bytes
    int64_t count;
  };
  static constexpr int kMostKinds = 4;
  Runs kinds[kMostKinds];
  int kind_count = 0;
  int64_t total = 0;

  QEFF_INLINE void Add(const void* at, int64_t stride, int64_t count) {
    kinds[kind_count++] = {static_cast<const char*>(at), stride, count};
    total += count;
  }
};

/// step() `count` times; the runs of `fetch` are asked for in between, evenly. If they are more
/// than the steps, as with the last few k, all are asked for first.
template <typename Step>
QEFF_INLINE void StepAndFetch(int64_t count, const TileFetch& fetch, Step step) {
  constexpr int kSecondLevel = 2;
  const int64_t between = fetch.total > 0 ? count / fetch.total : 0;
  for (int kind = 0; kind < fetch.kind_count; ++kind) {
    const char* at = fetch.kinds[kind].at;
    for (int64_t run = 0; run < fetch.kinds[kind].count; ++run, at += fetch.kinds[kind].stride) {
      __builtin_prefetch(at, 0, kSecondLevel);
      __builtin_prefetch(at + kFetchBytes / 2, 0, kSecondLevel);
      for (int64_t i = 0; i < between; ++i) step();
    }
  }
  for (int64_t i = between * fetch.total; i < count; ++i) step();
}

}  // namespace
}  // namespace qeff::cpu
