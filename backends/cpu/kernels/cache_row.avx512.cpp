// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/cache_row_body.h"

namespace qeff::cpu {

void CacheRowAvx512(const CacheRowArgs& args) { ConvertCacheRow(args); }

}  // namespace qeff::cpu
