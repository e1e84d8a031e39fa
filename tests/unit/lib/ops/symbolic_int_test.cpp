// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/ops/symbolic_int.h"

#include <catch2/catch.hpp>
#include <limits>

namespace qeff::ops {
namespace {

SymbolicInt S(const char* text) { return SymbolicInt::FromDim(text); }

}  // namespace

TEST_CASE("symbolic integers add, multiply and print canonically") {
  CHECK((S("b") * S("a") + 0).ToString() == "a*b");
  CHECK((S("a") + S("a")).ToString() == "2*a");
  CHECK((S("a") - 1).ToString() == "a - 1");
  CHECK((SymbolicInt(1) + S("a")).ToString() == "a + 1");
  CHECK((S("a") - S("a")) == SymbolicInt(0));
  CHECK((S("a") * S("a") - S("b") * 3 + 4).ToString() == "a*a - 3*b + 4");
  CHECK((SymbolicInt(0) - S("a")).ToString() == "-1*a");
  CHECK((S("a") + SymbolicInt()).is_unknown());
  CHECK(SymbolicInt().ToString() == "?");
}

TEST_CASE("symbolic integers survive being dimensions") {
  for (const char* text :
       {"seq_len", "2*seq_len", "batch_size*seq_len", "seq_len + 1", "a*a - 3*b + 4", "-1*a + 2",
        "Cast/logits.dim-0", "floor_div(a+1,2) + 3"}) {
    CHECK(S(text).ToDim() == ir::Dim(text));
  }
  CHECK(S("past_length + 1") - S("past_length") == SymbolicInt(1));
  CHECK(S("2*a").Symbols() == std::vector<std::string>{"a"});
  // Text that is no sum of products is one symbol.
  CHECK(S("strange text + * 2").Symbols() == std::vector<std::string>{"strange text + * 2"});
  CHECK(SymbolicInt(-1).ToDim().is_unknown());
  CHECK(SymbolicInt(7).ToDim() == ir::Dim(7));
}

TEST_CASE("symbolic integers divide only where nothing is left over") {
  CHECK((S("4*a") + 8) / 4 == S("a") + 2);
  CHECK(S("a*b") / S("b") == S("a"));
  CHECK((S("a") / 2).is_unknown());
  CHECK((SymbolicInt(7) / 2).is_unknown());
  CHECK((S("a") / (S("a") + 1)).is_unknown());
  CHECK((S("a") / 0).is_unknown());
  CHECK(SymbolicInt(0) / S("a") == SymbolicInt(0));
  CHECK((S("a") * -2) / -1 == S("2*a"));
  CHECK((S("a") + 3).FloorDivide(2).ToString() == "floor_div(a+1,2) + 1");
  CHECK((S("2*a") + 3).FloorDivide(2).ToString() == "a + 1");
  CHECK((S("a") - 56).FloorDivide(56).ToString() == "floor_div(a,56) - 1");
}

TEST_CASE("symbols are at least one") {
  CHECK(S("a").IsPositive());
  CHECK(S("a*b").IsPositive());
  CHECK((S("a") + 1).IsPositive());
  CHECK_FALSE((S("a") - 1).IsPositive());
  CHECK_FALSE((S("a") - S("b")).IsPositive());
  CHECK_FALSE(SymbolicInt(0).IsPositive());
  CHECK_FALSE(SymbolicInt().IsPositive());
}

TEST_CASE("symbols are replaced by numbers") {
  CHECK((S("a*b") + 1).Substitute({{"a", 3}, {"b", 4}}) == SymbolicInt(13));
  CHECK((S("a*b") + 1).Substitute({{"a", 3}}) == S("3*b") + 1);
}

TEST_CASE("bad overflow and growth give unknown") {
  const SymbolicInt most(std::numeric_limits<int64_t>::max());
  const SymbolicInt least(std::numeric_limits<int64_t>::min());
  CHECK((most + 1).is_unknown());
  CHECK((most * S("a") * 2).is_unknown());
  CHECK((SymbolicInt(0) - least).is_unknown());
  CHECK((least / -1).is_unknown());
  CHECK((least / S("a") * -1).is_unknown());
  CHECK(least.ToString() == "-9223372036854775808");
  SymbolicInt power = S("a");
  for (int i = 0; i < 20; ++i) power = power * S("a");
  CHECK(power.is_unknown());
  SymbolicInt sum(0);
  for (int i = 0; i < 20; ++i) sum = sum + S(("s" + std::to_string(i)).c_str());
  CHECK(sum.is_unknown());
}

}  // namespace qeff::ops
