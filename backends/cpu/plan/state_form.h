// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How retained state is kept, which depends on who reads it in all specializations.
#pragma once

#include <string_view>
#include <vector>

#include "backends/backend.h"
#include "backends/cpu/runtime/program.h"
#include "lib/support/status.h"

namespace qeff::cpu {

struct StateForm {
  StateLayout layout = StateLayout::kPlain;
  CacheFormat format = CacheFormat::kF32;
};

/// The form of the state `name`: panels for keys that only attention reads; the format of
/// `kv_cache` for what only attention, or cache scatters and gathers, write and read; else plain
/// f32.
StateForm ChooseStateForm(const std::vector<SpecializedGraph>& graphs, std::string_view name,
                          KvCacheType kv_cache);

/// Says which states stay f32 although `kv_cache` asks for another format. Errors: kUnsupported if
/// all do.
Status CheckStateForms(const std::vector<StateTensor>& states, KvCacheType kv_cache);

}  // namespace qeff::cpu
