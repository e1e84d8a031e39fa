// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/profile_report.h"

#include <algorithm>
#include <array>
#include <map>

#include "backends/cpu/limits/machine_limits.h"
#include "lib/support/file.h"

namespace qeff::tools {
namespace {

constexpr double kNs = 1e-9;

constexpr char kOverLimit[] =
    "over 100 %: the machine was faster during the run than during the probe after it, or matrix "
    "tiles did f32 products in parts of bf16, which are counted against the f32 instruction\n";

/// Operations and bytes per second that the profiled threads can reach.
struct Limits {
  std::array<double, kArithmeticCount> peaks = {};
  double bytes_per_s = 1;
};

Result<Limits> MeasureLimits(const RunProfile& profile, cpu::Isa isa) {
  RunWork all;
  double footprint_bytes = 0;
  for (const RunProfile::Run& run : profile.runs()) {
    const RunWork work = profile.WorkOf(run);
    footprint_bytes = std::max(footprint_bytes, work.bytes);
    all += work;
  }
  Limits limits;
  const auto bytes = static_cast<size_t>(footprint_bytes);
  QEFF_ASSIGN_OR_RETURN(const auto probe, cpu::LimitProbe::Open(profile.thread_count(), bytes));
  for (const Arithmetic kind : kArithmetics) {
    const auto index = static_cast<size_t>(kind);
    if (all.operations[index] == 0) continue;
    limits.peaks[index] = probe->Peak(kind, isa);
  }
  limits.bytes_per_s = probe->ReadBandwidth(bytes);
  return limits;
}

using LinesByName = std::map<std::pair<size_t, std::string>, ProfileLine>;

/// Adds the work and the calls, and the time of the runs as "waiting".
void AddRuns(const RunProfile& profile, LinesByName& lines) {
  for (const RunProfile::Run& run : profile.runs()) {
    const RunProfile::Specialization& specialization =
        profile.specializations()[run.specialization];
    for (size_t step = 0; step < run.work.size(); ++step) {
      ProfileLine& line = lines[{run.specialization, specialization.steps[step].op}];
      ++line.calls;
      line.work += run.work[step];
    }
    ProfileLine& waiting = lines[{run.specialization, "waiting"}];
    ++waiting.calls;
    waiting.seconds += static_cast<double>(run.end_ns - run.start_ns) * kNs;
  }
}

/// Moves the time of each event from "waiting" to its step.
void AddEvents(const RunProfile& profile, LinesByName& lines) {
  for (int thread = 0; thread < profile.thread_count(); ++thread) {
    for (const RunProfile::Event& event : profile.events(thread)) {
      const size_t index = profile.runs()[static_cast<size_t>(event.run)].specialization;
      const auto& steps = profile.specializations()[index].steps;
      const double seconds = static_cast<double>(event.end_ns - event.start_ns) * kNs /
                             static_cast<double>(profile.thread_count());
      lines[{index, steps[static_cast<size_t>(event.step)].op}].seconds += seconds;
      lines[{index, "waiting"}].seconds -= seconds;
    }
  }
}

std::string Share(double part, double whole) {
  return whole > 0 ? fmt::format("{:.1f} %", 100 * part / whole) : "-";
}

Json LineJson(const ProfileLine& line) {
  return {{"specialization", line.specialization},
          {"op", line.op},
          {"calls", line.calls},
          {"seconds", line.seconds},
          {"bytes", line.work.bytes},
          {"operations", line.work.total_operations()},
          {"least_seconds", line.least_seconds}};
}

std::string TrackName(int track, const std::string& name) {
  return fmt::format(R"({{"ph":"M","pid":1,"tid":{},"name":"thread_name","args":{{"name":{}}}}})",
                     track, DumpText(name));
}

/// A complete event; nanoseconds become the fraction of microseconds.
std::string CompleteEvent(int track, const std::string& name, std::string_view category,
                          int64_t start_ns, int64_t end_ns, const RunWork& work) {
  return fmt::format(
      R"({{"ph":"X","pid":1,"tid":{},"name":{},"cat":"{}","ts":{:.3f},"dur":{:.3f},"args":{{"bytes":{:.0f},"operations":{:.0f}}}}})",
      track, DumpText(name), category, static_cast<double>(start_ns) / 1e3,
      static_cast<double>(end_ns - start_ns) / 1e3, work.bytes, work.total_operations());
}

}  // namespace

Result<std::vector<ProfileLine>> SummarizeProfile(const RunProfile& profile,
                                                  const std::string& isa) {
  if (profile.runs().empty()) return std::vector<ProfileLine>();
  const cpu::Isa kernels = cpu::IsaFromName(isa).value_or(cpu::MachineIsa());
  QEFF_ASSIGN_OR_RETURN(const Limits limits, MeasureLimits(profile, kernels));
  LinesByName by_name;
  AddRuns(profile, by_name);
  AddEvents(profile, by_name);
  std::vector<ProfileLine> lines;
  for (auto& [key, line] : by_name) {
    line.specialization = profile.specializations()[key.first].name;
    line.op = key.second;
    line.least_seconds = cpu::LeastSeconds(line.work, limits.bytes_per_s, [&](Arithmetic kind) {
      return limits.peaks[static_cast<size_t>(kind)];
    });
    lines.push_back(std::move(line));
  }
  std::stable_sort(lines.begin(), lines.end(), [](const ProfileLine& a, const ProfileLine& b) {
    if (a.specialization != b.specialization) return a.specialization < b.specialization;
    const bool a_waits = a.op == "waiting";
    const bool b_waits = b.op == "waiting";
    return a_waits != b_waits ? b_waits : a.seconds > b.seconds;
  });
  return lines;
}

std::string ProfileTable(const std::vector<ProfileLine>& lines) {
  std::map<std::string, double> totals;
  for (const ProfileLine& line : lines) totals[line.specialization] += line.seconds;
  std::string text = fmt::format("{:<12} {:<16} {:>9} {:>10} {:>8} {:>9} {:>9} {:>9}\n", "run",
                                 "step", "calls", "ms", "of time", "GB/s", "GOP/s", "of limit");
  for (const ProfileLine& line : lines) {
    const auto rate = [&](double amount) {
      return amount > 0 && line.seconds > 0 ? fmt::format("{:.1f}", amount / line.seconds / 1e9)
                                            : "-";
    };
    text += fmt::format("{:<12} {:<16} {:>9} {:>10.3f} {:>8} {:>9} {:>9} {:>9}\n",
                        line.specialization, line.op, line.calls, 1e3 * line.seconds,
                        Share(line.seconds, totals[line.specialization]), rate(line.work.bytes),
                        rate(line.work.total_operations()),
                        line.least_seconds > 0 ? Share(line.least_seconds, line.seconds) : "-");
  }
  const auto is_over = [](const ProfileLine& line) {
    return line.seconds > 0 && line.least_seconds > line.seconds;
  };
  return std::ranges::any_of(lines, is_over) ? text + kOverLimit : text;
}

Status WriteTrace(const std::filesystem::path& path, const RunProfile& profile,
                  const std::vector<ProfileLine>& lines) {
  std::string text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n" + TrackName(0, "runs");
  for (int thread = 0; thread < profile.thread_count(); ++thread) {
    text += ",\n" + TrackName(thread + 1, fmt::format("thread {}", thread));
  }
  for (const RunProfile::Run& run : profile.runs()) {
    text += ",\n" + CompleteEvent(0, profile.specializations()[run.specialization].name, "run",
                                  run.start_ns, run.end_ns, profile.WorkOf(run));
  }
  for (int thread = 0; thread < profile.thread_count(); ++thread) {
    for (const RunProfile::Event& event : profile.events(thread)) {
      const RunProfile::Run& run = profile.runs()[static_cast<size_t>(event.run)];
      const auto index = static_cast<size_t>(event.step);
      const ProfiledStep& step = profile.specializations()[run.specialization].steps[index];
      text += ",\n" + CompleteEvent(thread + 1, step.name.empty() ? step.op : step.name, step.op,
                                    event.start_ns, event.end_ns, run.work[index]);
    }
  }
  Json summary = Json::array();
  for (const ProfileLine& line : lines) summary.push_back(LineJson(line));
  text += fmt::format("\n],\"dropped_runs\":{},\"summary\":{}}}\n", profile.dropped_runs(),
                      summary.dump());
  return WriteFileAtomically(path, text);
}

}  // namespace qeff::tools
