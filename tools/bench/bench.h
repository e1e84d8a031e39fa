// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What qeff-bench measures and how its results are kept: a cell is one kind of run of one program,
// a row is a cell with the samples that were taken of it.
#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backends/cpu/limits/machine_limits.h"
#include "lib/generation/run_profile.h"
#include "lib/support/json.h"
#include "lib/support/status.h"

namespace qeff::bench {

/// One kind of run: `tokens` of each of `batch` rows, the first at position `depth`.
struct Cell {
  bool is_prefill = true;
  int64_t tokens = 0;
  int64_t depth = 0;
  int64_t batch = 1;

  /// As in llama-bench: "pp512", "tg128", "tg128 @ d4096".
  std::string Name() const;
};

/// The middle of an odd number of samples, the mean of the middle two of an even one.
struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
/// Requires at least one value.
Spread SpreadOf(std::vector<double> values);

/// One run with what was measured around it.
struct Sample {
  double tokens_per_s = 0;  ///< all rows of the batch together
  /// Least seconds by the limits over seconds; the better of the probes before and after counts.
  double share_of_limit = 0;
  double bytes_per_s = 0;                           ///< the limit
  std::array<double, kArithmeticCount> peaks = {};  ///< operations per second, by Arithmetic
  std::vector<double> peer_tokens_per_s;            ///< in the order of the peers; 0: no figure
};

struct Row {
  std::string model;
  int threads = 0;
  Cell cell;
  RunWork work;  ///< of the whole cell; zeros if the backend does not say
  std::vector<Sample> samples;
  std::vector<std::string> peer_errors;  ///< why a peer has no figure; empty: it has

  bool has_work() const { return work.bytes > 0; }
  /// What takes longer by the limits of the first sample: "read" or the name of the arithmetic that
  /// most operations are in.
  std::string_view Bound() const;
  Spread TokensPerSecond() const;
  Spread ShareOfLimit() const;
  Spread PeerTokensPerSecond(size_t peer) const;
  /// Ours over the peer's, sample by sample.
  Spread RatioToPeer(size_t peer) const;
};

/// What one loop of the probe reached on a number of threads.
struct LimitRow {
  int threads = 0;
  std::string name;
  double rate = 0;  ///< operations or bytes per second
  bool is_read = false;
};

struct Report {
  Json environment;  ///< strings and numbers by name
  std::vector<std::string> peers;
  std::vector<LimitRow> limits;
  std::vector<Row> rows;
};

enum class Format { kMarkdown, kJson, kCsv };
/// kCsv has one table: the limits if there are any, else the rows.
std::string FormatReport(const Report& report, Format format);

/// CPU, instruction set (`isa`, or the machine's best), memory, governor, load, kernel, version.
Json DescribeEnvironment(const std::string& isa);

}  // namespace qeff::bench
