// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/kernels.h"

#include <array>
#include <type_traits>

namespace qeff::cpu {

#define KERNEL(op, function, isa) std::remove_pointer_t<decltype(Kernels::op)> function;
#include "backends/cpu/kernels/kernels_enabled.def"
#undef KERNEL

namespace {

constexpr Kernels MakeTable(Isa machine) {
  Kernels table;
#define KERNEL(op, function, isa) \
  if (Isa::isa <= machine) table.op = function;
#include "backends/cpu/kernels/kernels_enabled.def"
#undef KERNEL
  return table;
}

constexpr std::array kTables = {MakeTable(Isa::scalar),      MakeTable(Isa::avx2),
                                MakeTable(Isa::avx512),      MakeTable(Isa::avx512_vnni),
                                MakeTable(Isa::avx512_bf16), MakeTable(Isa::amx)};

}  // namespace

const Kernels& KernelsFor(Isa isa) { return kTables[static_cast<size_t>(isa)]; }

}  // namespace qeff::cpu
