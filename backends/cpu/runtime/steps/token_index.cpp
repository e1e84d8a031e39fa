// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/step.h"
#include "backends/cpu/runtime/step_params.h"

namespace qeff::cpu {
namespace {

enum { kMask, kTokenIndex, kRowStarts, kKeyStarts, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<TokenIndexParams>();
  check.RequireSizes({p.batch, p.row_tokens});
  check.Require(p.keeps_first == 0 || p.keeps_first == 1, "keeps_first is neither 0 nor 1");
  check.ReadIndices(kMask, Product({p.batch, p.row_tokens}));
  check.Write(kTokenIndex, Product({p.batch, p.row_tokens}), 8);
  check.Write(kRowStarts, p.batch + 1, 8);
  if (check.has(kKeyStarts)) check.Write(kKeyStarts, p.batch, 8);
  check.Done(1);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<TokenIndexParams>();
  const int64_t* mask = run.operand<int64_t>(kMask);
  int64_t* index = run.operand<int64_t>(kTokenIndex);
  int64_t* starts = run.operand<int64_t>(kRowStarts);
  int64_t* key_starts = run.operand<int64_t>(kKeyStarts);
  const int64_t rows = p.batch * p.row_tokens;
  int64_t count = 0;
  for (int64_t b = 0; b < p.batch; ++b) {
    const int64_t first = b * p.row_tokens;
    const int64_t end = first + p.row_tokens;
    const bool keeps = p.keeps_first != 0 && first < end && mask[first] == 0 &&
                       std::any_of(mask + first, mask + end, [](int64_t m) { return m != 0; });
    starts[b] = count;
    if (key_starts != nullptr) key_starts[b] = count + (keeps ? 1 : 0);
    // At most one for each i, whatever the mask holds by now: count <= i.
    for (int64_t i = first; i < end; ++i) {
      if (mask[i] != 0 || (keeps && i == first)) index[count++] = i;
    }
  }
  starts[p.batch] = count;
  std::fill(index + count, index + rows, -1);
}

}  // namespace

extern constexpr StepDefinition kTokenIndexStep = {"token_index", sizeof(TokenIndexParams),
                                                   kOperandCount, Check, Run};

}  // namespace qeff::cpu
