// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "backends/cpu/runtime/index_blocks.h"

namespace qeff::cpu {
namespace {

enum { kData, kIndices, kOut, kOperandCount };

void Check(StepCheck& check) {
  const auto p = check.params_as<IndexBlocksParams>();
  const int64_t elements = CheckIndexBlocks(check, p);
  check.Read(kData, elements, p.element_bytes);
  check.ReadIndices(kIndices, Product({std::min(p.units, p.tuple_count), p.tuple}));
  check.Write(kOut, Product({p.units, p.block}), p.element_bytes);
  check.Done(p.units);
}

void Run(const StepRun& run) {
  const auto p = run.params_as<IndexBlocksParams>();
  const int64_t block_bytes = p.block * p.element_bytes;
  for (int64_t unit = run.begin; unit < run.end; ++unit) {
    const int64_t offset = IndexedOffset(run, p, run.operand<int64_t>(kIndices), unit);
    if (offset < 0) continue;
    std::memcpy(run.operands[kOut] + unit * block_bytes,
                run.operands[kData] + offset * p.element_bytes, static_cast<size_t>(block_bytes));
  }
}

}  // namespace

extern constexpr StepDefinition kGatherBlocksStep = {"gather_blocks", sizeof(IndexBlocksParams),
                                                     kOperandCount, Check, Run};

}  // namespace qeff::cpu
