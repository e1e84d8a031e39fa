// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes what keeps attention from tokens that are padding: what exporters add to its scores,
// and positions after those of all tokens.
#pragma once

#include "lib/ir/graph.h"

namespace qeff::passes {

/// If `padding` [B, 1, 1 or T, S] is 0 for tokens and at most -65504 for padding, the same for all
/// queries, returns the mask that it is made of: i64 [B, S], 1 for tokens, 0 for padding; else
/// null. Forms, with m the mask in the shape of `padding`:
///   Where(m == 0, low, 0)               lower-attention's
///   Where(bool(1 - m), low, 1 - m)      QEfficient's, for BERT and its kin
///   (1 - m) * low                       transformers' own, in QEfficient's files of MPNet
/// low is -65504 in files with constants clipped to f16, else the least f32. They are the same but
/// for rows without any token, which have no result.
ir::Value* MaskOfPadding(ir::Value* padding);

/// If `positions` i64 [B, S] number the tokens of each row from 0 and its padding from their count
/// on, so that causal attention shows padding to no token, returns the mask that says which is
/// which: i64 [B, S], 0 for padding; else null. Form, with t = Cast(Not(m == 0)) and c =
/// CumSum(t): Where(m == 0, (range - c) + ReduceSum(t), c - 1).
ir::Value* MaskOfOrder(const ir::Value* positions);

}  // namespace qeff::passes
