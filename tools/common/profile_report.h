// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What --profile shows: a table of the kinds of steps, and a file with every step on every thread
// in the Trace Event Format, which Perfetto and chrome://tracing open.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/generation/run_profile.h"
#include "lib/support/json.h"
#include "lib/support/status.h"

namespace qeff::tools {

/// All steps of one kind in all runs of one specialization. Seconds are those of the threads,
/// divided by their number: with "waiting", the lines of a specialization add up to the time of its
/// runs.
struct ProfileLine {
  std::string specialization;
  std::string op;  ///< "linear"; "waiting": threads that wait for others, or have no part of a step
  int64_t calls = 0;
  double seconds = 0;
  RunWork work;
  double least_seconds = 0;  ///< that the machine needs for the work at its limits; 0: no work
};

/// Lines by specialization, the longest first, "waiting" last. The limits are measured now, on as
/// many threads as were profiled, for kernels of `isa` (empty: the machine's best). Errors: kIo
/// (memory for the probe).
Result<std::vector<ProfileLine>> SummarizeProfile(const RunProfile& profile,
                                                  const std::string& isa);

/// A heading, a line each, and what a share of the limit over 100 % says if there is one.
std::string ProfileTable(const std::vector<ProfileLine>& lines);

/// Writes the events. Times are microseconds since the profile was made; track 0 holds the runs,
/// track n thread n; "summary" repeats the lines. Errors: kIo.
Status WriteTrace(const std::filesystem::path& path, const RunProfile& profile,
                  const std::vector<ProfileLine>& lines);

}  // namespace qeff::tools
