// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The entry points of libFuzzer; the environment variable QEFF_FUZZ_TARGET names the target.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/fuzz/targets.h"

namespace {

const qeff::fuzz::Target* chosen = nullptr;

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* name = std::getenv("QEFF_FUZZ_TARGET");
  for (const qeff::fuzz::Target& target : qeff::fuzz::AllTargets())
    if (name != nullptr && std::strcmp(name, target.name) == 0) chosen = &target;
  if (chosen == nullptr) {
    std::fputs("QEFF_FUZZ_TARGET must be one of:", stderr);
    for (const qeff::fuzz::Target& target : qeff::fuzz::AllTargets())
      std::fprintf(stderr, " %s", target.name);
    std::fputs("\n", stderr);
    std::exit(2);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  (void)chosen->read(std::as_bytes(std::span(data, size_bytes)));
  return 0;
}
