// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Runs a program on this machine. Opening checks the program and allocates everything; running
// allocates nothing and takes no lock.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "backends/cpu/kernels/isa.h"
#include "lib/generation/run_profile.h"
#include "lib/generation/session.h"

namespace qeff::cpu {

/// What a program is opened from. The spans must stay valid while `owner` lives; the session keeps
/// it.
struct ProgramImage {
  std::span<const std::byte> program;  ///< the segment that WriteProgram made
  std::span<const std::byte>
      constants;     ///< 64-byte aligned, kAreaSlackBytes longer than the program says
  std::string path;  ///< for messages
  int64_t program_offset_bytes = 0;  ///< where `program` starts in that file
  std::shared_ptr<const void> owner;
};

struct CpuRunOptions {
  /// Threads; unset: as many as the program was divided for, but not more than the machine has, and
  /// fewer while other programs keep its processors busy (ThreadChoice) unless steps are recorded.
  std::optional<int> thread_count;
  /// Kernels for this set instead of the machine's best.
  std::optional<Isa> isa;
  /// Records steps while it is told to; null: never.
  std::shared_ptr<RunProfile> profile;
  /// For tests: how many of the threads the next run has, instead of all or of a choice.
  std::function<int()> count_of_run;
};

/// Errors: kInvalidInput (damaged program, constants too short), kVersionMismatch, kUsage (an
/// instruction set that the machine does not have), kIo (memory).
Result<std::unique_ptr<Session>> OpenCpuSession(ProgramImage image,
                                                const CpuRunOptions& options = {});

}  // namespace qeff::cpu
