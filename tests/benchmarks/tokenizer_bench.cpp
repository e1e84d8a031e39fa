// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How long a tokenizer takes to load, and how fast it encodes and decodes a text on one thread:
//   tokenizer_bench TEXT_FILE FOLDER...
// Best of several runs; "first" is the first run after loading, when nothing is remembered yet.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "lib/support/file.h"
#include "lib/tokenizer/tokenizer.h"

namespace qeff {
namespace {

constexpr int kRuns = 5;

/// Processor time of this thread, which other work on the machine does not count in.
double Now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

Status Measure(const std::filesystem::path& folder, const std::string& text) {
  double load_seconds = 1e30;
  double first_seconds = 1e30;
  double encode_seconds = 1e30;
  double decode_seconds = 1e30;
  size_t id_count = 0;
  size_t decoded_bytes = 0;
  for (int run = 0; run < kRuns; ++run) {
    double start = Now();
    QEFF_ASSIGN_OR_RETURN(const Tokenizer tokenizer, Tokenizer::Load(folder));
    load_seconds = std::min(load_seconds, Now() - start);
    std::vector<int64_t> ids;
    for (int round = 0; round < 2; ++round) {
      start = Now();
      QEFF_ASSIGN_OR_RETURN(ids, tokenizer.Encode(text, {}));
      double& best = round == 0 ? first_seconds : encode_seconds;
      best = std::min(best, Now() - start);
    }
    id_count = ids.size();
    start = Now();
    QEFF_ASSIGN_OR_RETURN(const std::string decoded, tokenizer.Decode(ids, {}));
    decode_seconds = std::min(decode_seconds, Now() - start);
    decoded_bytes = decoded.size();
  }
  const double megabytes = static_cast<double>(text.size()) * 1e-6;
  fmt::print(
      "{:40} load {:6.0f} ms  encode {:7.1f} MB/s (first {:7.1f})  decode {:7.1f} MB/s  {} ids\n",
      folder.filename().string(), load_seconds * 1e3, megabytes / encode_seconds,
      megabytes / first_seconds, static_cast<double>(decoded_bytes) * 1e-6 / decode_seconds,
      id_count);
  return Status::Ok();
}

}  // namespace
}  // namespace qeff

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: tokenizer_bench TEXT_FILE FOLDER...\n");
    return 2;
  }
  constexpr size_t kMaxTextFileBytes = size_t{256} << 20;
  const auto run = [&]() -> qeff::Status {
    QEFF_ASSIGN_OR_RETURN(const std::string text, qeff::ReadSmallFile(argv[1], kMaxTextFileBytes));
    for (int i = 2; i < argc; ++i) QEFF_RETURN_IF_ERROR(qeff::Measure(argv[i], text));
    return qeff::Status::Ok();
  };
  const qeff::Status status = run();
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", status.diagnostic().ToString());
  return 1;
}
