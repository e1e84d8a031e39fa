// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/compiler_command.h"

#include <catch2/catch.hpp>

namespace qeff::aic100 {
namespace {

// The order of the recorded calls is tested end to end (tests/e2e/check_compile_calls.py).
TEST_CASE("the older compiler is told to compile only, and another name of the card") {
  const CompilerCall call{.compiler = {"/sdk/exec/qaic-exec", true},
                          .hardware_version = "ai100",
                          .onnx = "/m.onnx",
                          .num_cores = 4,
                          .further = {},
                          .specializations_file = "/s.json",
                          .binary_folder = "/out/qpc"};
  CHECK(ComposeCommand(call) ==
        std::vector<std::string>{"/sdk/exec/qaic-exec", "-aic-hw", "-aic-hw-version=2.0",
                                 "-m=/m.onnx", "-compile-only", "-convert-to-fp16",
                                 "-aic-num-cores=4", "-network-specialization-config=/s.json",
                                 "-aic-binary-dir=/out/qpc"});
}

TEST_CASE("an option for the compiler is passed on as it is") {
  CHECK(**CheckCompilerArgument("-aic-num-of-activations=2") == "-aic-num-of-activations=2");
  CHECK(**CheckCompilerArgument("-multicast-weights") == "-multicast-weights");
  CHECK_FALSE(*CheckCompilerArgument("-compile-only"));
}

TEST_CASE("bad_compiler_arg: no option, or one that is set already") {
  for (const char* argument : {"", "-", "mos=2", "--mos=2"}) {
    const auto checked = CheckCompilerArgument(argument);
    REQUIRE_FALSE(checked.ok());
    CHECK(checked.diagnostic().code == ErrorCode::kUsage);
  }
  const auto owned = CheckCompilerArgument("-mos=2");
  REQUIRE_FALSE(owned.ok());
  CHECK(owned.diagnostic().notes == std::vector<std::string>{"use --mos"});
}

}  // namespace
}  // namespace qeff::aic100
