// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kIds, kStarts, kOrder, kPlaces, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<RouteParams>();
  check.RequireSizes({p.slots, p.experts});
  check.Require(p.experts > 0, "no experts");
  check.ReadIndices(kIds, p.slots);
  check.Write(kStarts, p.experts + 1, 8);
  check.Write(kOrder, p.slots, 8);
  check.Write(kPlaces, p.slots, 8);
  check.Done(1);
}

/// Counting sort: stable, so that the slots of one expert stay in order.
void Run(const StepRun& run) {
  if (run.begin == run.end) return;
  const auto p = run.params_as<RouteParams>();
  const int64_t* ids = run.operand<int64_t>(kIds);
  int64_t* starts = run.operand<int64_t>(kStarts);
  const auto expert_of = [&](int64_t slot) {
    return ids[slot] < 0 || ids[slot] >= p.experts ? 0 : ids[slot];
  };
  std::fill_n(starts, p.experts + 1, 0);
  for (int64_t slot = 0; slot < p.slots; ++slot) {
    if (ids[slot] < 0 || ids[slot] >= p.experts) {
      run.fault.Report(run.step_index, ids[slot], p.experts);
    }
    ++starts[expert_of(slot) + 1];
  }
  for (int64_t expert = 0; expert < p.experts; ++expert) starts[expert + 1] += starts[expert];
  // starts[e] moves on while the places of e are given out, and ends where e + 1 begins.
  for (int64_t slot = 0; slot < p.slots; ++slot) {
    const int64_t place = starts[expert_of(slot)]++;
    run.operand<int64_t>(kOrder)[place] = slot;
    run.operand<int64_t>(kPlaces)[slot] = place;
  }
  std::copy_backward(starts, starts + p.experts, starts + p.experts + 1);
  starts[0] = 0;
}

}  // namespace

extern constexpr StepDefinition kRouteStep = {"route", sizeof(RouteParams), kOperandCount, Check,
                                              Run};

}  // namespace qeff::cpu
