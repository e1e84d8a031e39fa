// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The decoder's attention and feed-forward blocks in an encoder, for families that rotate queries
// and keys, pack projections, gate the feed-forward block, or have heads of another size than D /
// H.
#pragma once

#include "lib/families/blocks/decoder.h"
#include "lib/families/blocks/encoder.h"

namespace qeff::families {

/// Returns what the blocks need to know of an encoder: its sizes, and layers without rotation. All
/// attend both ways.
DecoderFacts DecoderPartsOf(const EncoderFacts& facts);

/// Lets all layers of `facts` compute with the blocks that `parts` describes: attention, mlp,
/// rotaries and, layer by layer, window and rotation. Tokens stand at 0 .. T - 1. Leaves alone
/// EncoderFacts::prepare, which is called after the rotation's tables are there.
void UseDecoderBlocks(DecoderFacts parts, EncoderFacts& facts);

}  // namespace qeff::families
