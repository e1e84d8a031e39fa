// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/kernels/isa.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "backends/cpu/kernels/kernels.h"

namespace qeff::cpu {
namespace {

TEST_CASE("a set includes weaker ones of its own kind of processor and scalar, nothing else") {
  CHECK(Includes(Isa::amx, Isa::avx2));
  CHECK(!Includes(Isa::avx2, Isa::amx));
  CHECK(Includes(Isa::neon_bf16, Isa::neon));
  CHECK(!Includes(Isa::neon, Isa::neon_dotprod));
  CHECK(!Includes(Isa::neon_bf16, Isa::avx2));
  CHECK(!Includes(Isa::amx, Isa::neon));
  CHECK(!Includes(Isa::scalar, Isa::neon));
  CHECK(Includes(Isa::neon, Isa::scalar));
  CHECK(Includes(Isa::avx2, Isa::scalar));
}

TEST_CASE("every instruction set has a name of its own") {
  std::set<std::string_view> names;
  for (const Isa isa : AllIsas()) {
    names.insert(IsaName(isa));
    CHECK(IsaFromName(IsaName(isa)) == isa);
  }
  CHECK(names.size() == AllIsas().size());
}

TEST_CASE("the machine's processor decides which sets it supports") {
#if defined(__aarch64__)
  const Isa of_all_machines = Isa::neon;
  const Isa of_others = Isa::avx2;
#else
  const Isa of_all_machines = Isa::scalar;
  const Isa of_others = Isa::neon;
#endif
  const std::vector<Isa> supported = SupportedIsas();
  CHECK(supported.front() == Isa::scalar);
  CHECK(supported.back() == MachineIsa());
  CHECK(std::count(supported.begin(), supported.end(), of_all_machines) == 1);
  CHECK(std::count(supported.begin(), supported.end(), of_others) == 0);
  for (const Isa isa : supported) CHECK(KernelsFor(isa).linear_f32 != nullptr);
}

}  // namespace
}  // namespace qeff::cpu
