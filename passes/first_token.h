// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Who reads the first token of a text by its place, as models do whose first token stands for the
// text: remove-padding must compute it also where the mask says that it is padding.
#pragma once

#include "passes/padding_region.h"

namespace qeff::passes {

/// True if a node outside of `region` may take the first token of a text, by its place, from what
/// nodes inside compute, or from what others make of that with its axis of tokens (as Identity) or
/// of the same data (as Reshape):
///   Gather<axis>(x, indices)    a constant index is 0 or below -1
///   Slice(x, starts, ends, ..)  on one of its axes: begins at 0 or below -1 or at a place that the
///                               graph computes, or goes backwards
///   Split<axis>(x)
/// along an axis of S tokens; or anywhere along one of unknown size or B * S, which has the first
/// tokens of all texts. A place that counts from the end is the first for some S; -1 only for texts
/// of one token, of which nothing is left where it is padding. An index of Gather that the graph
/// computes is taken to be that of a token.
bool ReadsFirstToken(const ir::Graph& graph, const PaddingRegion& region);

}  // namespace qeff::passes
