// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/routed_rows.h"
#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kY, kPlaces, kWeights, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<CombineRoutedParams>();
  check.RequireSizes({p.rows, p.choices, p.width});
  const int64_t slots = Product({p.rows, p.choices});
  check.Read(kY, Product({slots, p.width}), 4);
  check.ReadIndices(kPlaces, slots);
  check.ReadOptional(kWeights, slots, 4);
  check.Write(kOut, Product({p.rows, p.width}), 4);
  check.Done(p.rows);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<CombineRoutedParams>();
  const int64_t slots = p.rows * p.choices;
  const float* weights = run.operand<float>(kWeights);
  for (int64_t row = run.begin; row < run.end; ++row) {
    float* out = run.operand<float>(kOut) + row * p.width;
    std::fill_n(out, p.width, 0.0f);
    for (int64_t choice = 0; choice < p.choices; ++choice) {
      const int64_t slot = row * p.choices + choice;
      const int64_t place = RoutedIndex(run.operand<int64_t>(kPlaces)[slot], slots);
      const float* y = run.operand<float>(kY) + place * p.width;
      const float weight = weights == nullptr ? 1.0f : weights[slot];
      for (int64_t i = 0; i < p.width; ++i) out[i] += weight * y[i];
    }
  }
}

}  // namespace

extern constexpr StepDefinition kCombineRoutedStep = {"combine_routed", sizeof(CombineRoutedParams),
                                                      kOperandCount, Check, Run};

}  // namespace qeff::cpu
