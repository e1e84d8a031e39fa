// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kX, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<ActivateParams>();
  check.RequireSizes({p.count});
  check.Require(p.kind >= Activation::kNone && static_cast<int32_t>(p.kind) < kActivationCount,
                "unknown activation");
  check.Read(kX, p.count, 4);
  check.Write(kOut, p.count, 4);
  check.Done((p.count + kActivateBlock - 1) / kActivateBlock);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<ActivateParams>();
  const int64_t begin = run.begin * kActivateBlock;
  const int64_t end = std::min(run.end * kActivateBlock, p.count);
  if (begin >= end) return;
  run.kernels.activate({.kind = p.kind,
                        .x = run.operand<float>(kX) + begin,
                        .out = run.operand<float>(kOut) + begin,
                        .count = end - begin});
}

constexpr RowLimit kActivateRows = {[](const std::byte* bytes, int64_t total) {
                                      ActivateParams p;
                                      std::memcpy(&p, bytes, sizeof(p));
                                      return p.count % total == 0;
                                    },
                                    [](std::byte* bytes, int64_t total, int64_t rows) {
                                      ActivateParams p;
                                      std::memcpy(&p, bytes, sizeof(p));
                                      p.count = p.count / total * rows;
                                      std::memcpy(bytes, &p, sizeof(p));
                                      return (p.count + kActivateBlock - 1) / kActivateBlock;
                                    }};

}  // namespace

extern constexpr StepDefinition kActivateStep = {
    "activate", sizeof(ActivateParams), kOperandCount, Check, Run, kActivateRows};

}  // namespace qeff::cpu
