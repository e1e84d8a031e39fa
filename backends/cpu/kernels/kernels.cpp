// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/kernels.h"

#include <array>
#include <type_traits>
#include <utility>

namespace qeff::cpu {

#define KERNEL(op, function, isa) std::remove_pointer_t<decltype(Kernels::op)> function;
#include "backends/cpu/kernels/kernels_enabled.def"
#undef KERNEL

namespace {

constexpr Kernels MakeTable(Isa machine) {
  Kernels table;
#define KERNEL(op, function, isa) \
  if (Includes(machine, Isa::isa)) table.op = function;
#include "backends/cpu/kernels/kernels_enabled.def"
#undef KERNEL
  return table;
}

template <size_t... kIndex>
constexpr std::array<Kernels, kIsaCount> MakeTables(std::index_sequence<kIndex...>) {
  return {MakeTable(static_cast<Isa>(kIndex))...};
}
constexpr std::array<Kernels, kIsaCount> kTables =
    MakeTables(std::make_index_sequence<kIsaCount>());

}  // namespace

const Kernels& KernelsFor(Isa isa) { return kTables[static_cast<size_t>(isa)]; }

}  // namespace qeff::cpu
