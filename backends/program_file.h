// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// programqpc.bin as all backends of ours write it: a QPC container with the network description
// that any reader of the format understands, the backend's program in a segment of its own, and the
// constants, page-aligned to be mapped.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/backend.h"

namespace qeff {

inline constexpr std::string_view kProgramFileName = "programqpc.bin";
/// Segment with the program of the CPU backend.
inline constexpr std::string_view kCpuProgramSegment = "qeff.cpu.program";

struct ProgramContent {
  std::string segment;  ///< name of the segment with the program
  std::string program;  ///< its bytes
  uint64_t constants_bytes = 0;
  /// Sends exactly constants_bytes bytes; not called if that is 0.
  std::function<Status(const std::function<Status(std::span<const std::byte>)>&)> write_constants;
};

/// Errors: kIo; kUnsupported (an input or output of a dtype that the format lacks).
Status WriteProgramFile(const std::vector<SpecializedGraph>& graphs, int num_cores,
                        const ProgramContent& content, artifact::ArtifactWriter& out);

}  // namespace qeff
