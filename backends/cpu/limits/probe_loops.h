// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The inner loops of the limit probe: independent instructions of one kind on registers, and
// reading memory in order, each in every instruction set that has it. Nothing else is in these
// loops, so what they reach is the most that any program can.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "backends/cpu/kernels/isa.h"
#include "lib/generation/run_profile.h"

namespace qeff::cpu {

struct ArithmeticLoop {
  Arithmetic kind;
  std::string_view instruction;  ///< "vdpbf16ps zmm"
  Isa isa;                       ///< the weakest set with it
  bool has_kernel;               ///< some kernel of that set is written with it
  double operations;             ///< of one turn; a multiplication and an addition are two
  void (*run)(int64_t turns);
};

/// The arithmetic loops that this machine can run.
const std::vector<ArithmeticLoop>& ArithmeticLoops();

/// Reads [data, data + size_bytes) once, 256 bytes in turn; returns something that depends on all
/// of it. `data` 64-byte aligned, size_bytes a multiple of 256.
uint64_t ReadBytes(const std::byte* data, size_t size_bytes);

}  // namespace qeff::cpu
