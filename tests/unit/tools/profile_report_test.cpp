// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/common/profile_report.h"

#include <catch2/catch.hpp>

namespace qeff::tools {
namespace {

ProfileLine Step(const std::string& op, double seconds, double least_seconds) {
  return {.specialization = "Prefill",
          .op = op,
          .calls = 1,
          .seconds = seconds,
          .work = {},
          .least_seconds = least_seconds};
}

TEST_CASE("Shares over the limit are explained under the table, others are not") {
  const std::string usual = ProfileTable({Step("linear", 2.0, 1.0), Step("waiting", 0.5, 0.0)});
  CHECK(usual.find(" 50.0 %\n") != std::string::npos);
  CHECK(usual.find("over 100 %") == std::string::npos);
  const std::string over = ProfileTable({Step("linear", 2.0, 3.0), Step("waiting", 0.5, 0.0)});
  CHECK(over.find(" 150.0 %\n") != std::string::npos);
  const size_t note = over.find("\nover 100 %: ");
  REQUIRE(note != std::string::npos);
  CHECK(over.find('\n', note + 1) == over.size() - 1);  // one line, the last
}

}  // namespace
}  // namespace qeff::tools
