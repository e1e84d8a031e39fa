// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The inputs of qeff.Attention by their number, for those who look at single ones of them. What
// they are is written in attention.cpp.
#pragma once

#include <cstddef>

namespace qeff::ops {

/// For `using enum ops::AttentionInput::Index`; its names alone would be those of other ops, too.
struct AttentionInput {
  enum Index : size_t {
    kQuery,
    kKey,
    kValue,
    kPositions,
    kPastKey,
    kPastValue,
    kBatchIndex,
    kComputeLengths,
    kSinks,
    kKeyMask,
    kBias
  };
};

}  // namespace qeff::ops
