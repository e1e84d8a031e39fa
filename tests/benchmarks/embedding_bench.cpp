// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// How long one text takes in a running process, tokenization included: each line of a file by
// itself, after a warm-up.
//   embedding_bench TEXT_FILE QPC...
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <vector>

#include "stages/encoder.h"

namespace qeff {
namespace {

constexpr size_t kWarmUpTexts = 20;

using Clock = std::chrono::steady_clock;

Result<std::vector<std::string>> ReadLines(const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(TextSource source, TextSource::Open(path, {}));
  std::vector<std::string> lines;
  while (true) {
    std::string line;
    QEFF_ASSIGN_OR_RETURN(const bool has_line, source.Next(line));
    if (!has_line) break;
    lines.push_back(std::move(line));
  }
  if (lines.empty()) return InvalidInput(Location::File(path.string()), "the file has no line");
  return lines;
}

Status Measure(const std::filesystem::path& qpc, const std::vector<std::string>& lines) {
  QEFF_ASSIGN_OR_RETURN(stages::EncoderModel model, stages::EncoderModel::Open(qpc, {}));
  const auto ignore = [](const stages::EncodedRow&) { return Status::Ok(); };
  std::vector<double> milliseconds;
  for (size_t i = 0; i < kWarmUpTexts + lines.size(); ++i) {
    const TextPair text = {.first = lines[i % lines.size()], .second = {}};
    const auto start = Clock::now();
    QEFF_RETURN_IF_ERROR(model.Run(std::span(&text, 1), {}, {}, ignore));
    const std::chrono::duration<double, std::milli> time = Clock::now() - start;
    if (i >= kWarmUpTexts) milliseconds.push_back(time.count());
  }
  std::ranges::sort(milliseconds);
  const size_t count = milliseconds.size();
  fmt::print("{:40} one text: median {:.3f} ms, nine tenths {:.3f} ms\n", qpc.string(),
             milliseconds[count / 2], milliseconds[count * 9 / 10]);
  return Status::Ok();
}

}  // namespace
}  // namespace qeff

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: embedding_bench TEXT_FILE QPC...\n");
    return 2;
  }
  const auto run = [&]() -> qeff::Status {
    QEFF_ASSIGN_OR_RETURN(const std::vector<std::string> lines, qeff::ReadLines(argv[1]));
    for (int i = 2; i < argc; ++i) QEFF_RETURN_IF_ERROR(qeff::Measure(argv[i], lines));
    return qeff::Status::Ok();
  };
  const qeff::Status status = run();
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", status.diagnostic().ToString());
  return 1;
}
