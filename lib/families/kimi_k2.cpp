// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Kimi K2: DeepSeek-V3 under a model_type of its own, with more experts in one group.
#include "lib/families/family.h"

namespace qeff::families {

Result<ir::Graph> DeepseekV3(const FamilyInputs& inputs);  // deepseek_v3.cpp

Result<ir::Graph> KimiK2(const FamilyInputs& inputs) { return DeepseekV3(inputs); }

}  // namespace qeff::families
