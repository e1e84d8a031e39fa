// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/batch_run.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/lib/embedding/sum_session.h"

namespace qeff {
namespace {

constexpr int64_t kRefusedId = 70;
constexpr int64_t kFatalId = 80;
constexpr int64_t kNoLimit = 1000;

/// Refuses calls with kRefusedId; others with kFatalId fail as a lost device does.
Status FailOnIds(std::span<const int64_t> ids) {
  if (std::ranges::find(ids, kRefusedId) != ids.end()) return InvalidInput({}, "no such id");
  if (std::ranges::find(ids, kFatalId) != ids.end())
    return Error(ErrorCode::kBackend, {}, "the device failed");
  return Status::Ok();
}

/// Keeps the sum of a text's ids; nothing of texts of the one id 0.
void KeepSum(const Encoding& encoding, std::span<const float> row, std::vector<float>& kept) {
  if (encoding.ids != std::vector<int64_t>{0}) kept.push_back(row[0]);
}

/// Texts with these ids in calls of two.
struct Outcome {
  BatchRun run;
  int64_t calls = 0;
};
Outcome RunTexts(const std::vector<std::vector<int64_t>>& texts) {
  SumSession session({{2, 4}});
  session.on_run = FailOnIds;
  auto program = EncoderProgram::Open(session, 0);
  REQUIRE(program.ok());
  std::vector<Encoding> encodings;
  for (const auto& ids : texts) encodings.push_back(Text(ids, 0));
  BatchRun run = RunInBatches(*program, encodings, kNoLimit, KeepSum);
  return {std::move(run), session.calls};
}

using Rows = std::vector<std::vector<float>>;

}  // namespace

TEST_CASE("rows come in the order of the texts, whatever order they run in") {
  const auto [run, calls] = RunTexts({{1, 2, 3}, {4}, {5, 6}, {7}, {8, 9, 10, 11}});
  CHECK(run.status.ok());
  CHECK(run.rows == Rows{{6}, {4}, {11}, {7}, {38}});
  CHECK_FALSE(run.refused);
  CHECK(calls == 3);
}

TEST_CASE("a row that is empty is not one that is missing") {
  const auto [run, calls] = RunTexts({{0}, {1, 2}, {0}});
  CHECK(run.status.ok());
  CHECK(run.rows == Rows{{}, {3}, {}});
  // The rows before the text that fails are all there, though one has nothing in it.
  const auto failed = RunTexts({{0}, {1}, {0}, {2}, {kFatalId, 2}, {0, 3}}).run;
  CHECK(failed.status.code() == ErrorCode::kBackend);
  CHECK(failed.rows == Rows{{}, {1}, {}, {2}});
}

TEST_CASE("bad_refused text: those before it in the list have rows, it is named") {
  const auto [run, calls] = RunTexts({{1}, {2}, {3}, {kRefusedId}, {4}, {5, 6}, {7, 8}});
  CHECK(run.status.code() == ErrorCode::kInvalidInput);
  CHECK(run.rows == Rows{{1}, {2}, {3}});
  CHECK(run.refused == 3);
  // 1 and 2; 3 and the refused one, together and each alone; nothing after it.
  CHECK(calls == 4);
}

TEST_CASE("bad_refused texts in two batches: the first in the list is named") {
  // Short texts run first: text 4 is refused before text 2 runs, and 0, 1 and 3 with it or after.
  const auto run =
      RunTexts({{1, 1, 1}, {2, 2, 2}, {kRefusedId, 3, 3}, {4, 4, 4}, {kRefusedId}}).run;
  CHECK(run.refused == 2);
  CHECK(run.rows == Rows{{3}, {6}});
}

TEST_CASE("bad_machine: nothing runs after its error, and no text is to blame") {
  // Texts 1 and 3 are shorter and run first, 0 and 2 then fail; 3 has a row, but comes after 0.
  const auto [run, calls] = RunTexts({{kFatalId, 1, 1}, {2}, {3, 3, 3}, {4}, {5, 5, 5, 5}});
  CHECK(run.status.code() == ErrorCode::kBackend);
  CHECK(run.rows.empty());
  CHECK_FALSE(run.refused);
  CHECK(calls == 2);
}

TEST_CASE("bad_machine after a refused text: the text is not named for it") {
  // Text 3 is refused; then the machine fails while text 0 runs.
  const auto [run, calls] = RunTexts({{kFatalId, 1}, {2, 2}, {3}, {kRefusedId}});
  CHECK(run.status.code() == ErrorCode::kBackend);
  CHECK(run.rows.empty());
  CHECK_FALSE(run.refused);
}

TEST_CASE("bad_machine while a refused text is looked for") {
  // Together texts 2 and 3 are refused; then text 2 alone loses the device.
  const auto [run, calls] = RunTexts({{1}, {2}, {kFatalId, 4}, {3, kRefusedId}});
  CHECK(run.status.code() == ErrorCode::kBackend);
  CHECK(run.rows == Rows{{1}, {2}});
  CHECK_FALSE(run.refused);
  CHECK(calls == 3);
}

}  // namespace qeff
