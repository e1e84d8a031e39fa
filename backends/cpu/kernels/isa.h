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

enum class Isa {
  scalar,
  avx2,
  avx512,
  avx512_vnni,   ///< products of 8-bit integers
  avx512_bf16,   ///< and permutations of bytes (VBMI)
  amx,           ///< matrix tiles of bf16 and int8
  neon,          ///< what every 64-bit ARM processor has
  neon_dotprod,  ///< sums of products of 8-bit integers
  neon_bf16,     ///< products of small matrices of bf16 and int8 (BF16 and I8MM, Armv8.6)
};               // lower case: kernels.def and file names spell them so
inline constexpr int kIsaCount = static_cast<int>(Isa::neon_bf16) + 1;

/// True if a machine that has `set` can run code of `part`: a set includes scalar and the sets
/// before it for the same kind of processor. The order of Isa alone says nothing across kinds.
constexpr bool Includes(Isa set, Isa part) {
  const bool same_kind = (set >= Isa::neon) == (part >= Isa::neon);
  return part == Isa::scalar || (same_kind && part <= set);
}

/// Returns the strongest set of this machine.
Isa MachineIsa();
/// All sets there are, weakest first.
std::vector<Isa> AllIsas();
/// All sets that this machine can run, weakest first.
std::vector<Isa> SupportedIsas();
std::string_view IsaName(Isa isa);
std::optional<Isa> IsaFromName(std::string_view name);

}  // namespace qeff::cpu
