// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <sys/utsname.h>

#include <fstream>
#include <sstream>

#include "backends/cpu/kernels/isa.h"
#include "lib/support/version.h"
#include "tools/bench/bench.h"

namespace qeff::bench {
namespace {

/// Files of /proc and /sys have no size, so they are read as streams.
std::string ReadText(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The value of the first line "key : value".
std::string ValueOf(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    if (start != std::string::npos) return line.substr(start);
  }
  return "unknown";
}

std::string FirstWord(const std::string& text, const char* otherwise) {
  std::istringstream words(text);
  std::string word;
  return words >> word ? word : otherwise;
}

/// "always [madvise] never" to "madvise".
std::string Bracketed(const std::string& text) {
  const size_t open = text.find('[');
  const size_t close = text.find(']');
  return open == std::string::npos || close == std::string::npos
             ? "unknown"
             : text.substr(open + 1, close - open - 1);
}

}  // namespace

Json DescribeEnvironment(const std::string& isa) {
  utsname system = {};
  ::uname(&system);
  return {{"version", std::string(Version())},
          {"cpu", ValueOf(ReadText("/proc/cpuinfo"), "model name")},
          {"processors", cpu::UsableProcessors()},
          {"instruction set", isa.empty() ? std::string(cpu::IsaName(cpu::MachineIsa())) : isa},
          {"memory", ValueOf(ReadText("/proc/meminfo"), "MemTotal")},
          {"governor", FirstWord(ReadText("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
                                 "not visible")},
          {"huge pages", Bracketed(ReadText("/sys/kernel/mm/transparent_hugepage/enabled"))},
          {"kernel", fmt::format("{} {}", system.sysname, system.release)},
          {"load before", FirstWord(ReadText("/proc/loadavg"), "unknown")}};
}

}  // namespace qeff::bench
