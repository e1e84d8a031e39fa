// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Instruction sets for which kernels exist, weakest first, and what the machine at hand can run.
// Kernels are compiled per set (kernels.def) and chosen at run time; nothing in a program names
// one.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace qeff::cpu {

/// A set includes the sets before it.
enum class Isa {
  scalar,
  avx2,
  avx512,
  avx512_vnni,  ///< products of 8-bit integers
  avx512_bf16,  ///< and permutations of bytes (VBMI)
  amx,          ///< matrix tiles of bf16 and int8
};              // lower case: kernels.def and file names spell them so

/// Returns the strongest set of this machine.
Isa MachineIsa();
/// All sets there are, weakest first.
std::vector<Isa> AllIsas();
/// All sets that this machine can run, weakest first.
std::vector<Isa> SupportedIsas();
std::string_view IsaName(Isa isa);
std::optional<Isa> IsaFromName(std::string_view name);

}  // namespace qeff::cpu
