// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What is fuzzed: each target reads bytes that may be hostile as the programs do, and stops the
// process if a reader returns what it must not. True if the bytes were accepted.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace qeff::fuzz {

struct Target {
  const char* name;
  bool (*read)(std::span<const std::byte> bytes);
  int test_inputs = 6000;  ///< damaged ones for each good one in the test suite
};

/// "container", "network_description", "cpu_program", "cpu_program_on_two_threads".
const std::vector<Target>& AllTargets();

}  // namespace qeff::fuzz
