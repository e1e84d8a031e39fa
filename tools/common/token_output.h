// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Entities and filled masks as lines: JSON with the keys of transformers' pipelines, or for people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "stages/token_results.h"

namespace qeff::tools {

enum class LineStyle { kJson, kTable };

/// {"index": 0, "entities": [...]}; as a table a line for each entity: text, label, score, place,
/// word.
std::string DescribeEntities(int64_t index, const std::vector<stages::Entity>& entities,
                             stages::Aggregation aggregation, LineStyle style);

/// {"index": 0, "masks": [[...], ...]}; as a table a line for each token: text, mask, score, token.
std::string DescribeMasks(int64_t index, const std::vector<std::vector<stages::MaskFill>>& masks,
                          LineStyle style);

}  // namespace qeff::tools
