// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/pipeline_stages.h"

#include <catch2/catch.hpp>
#include <fstream>

namespace qeff::aic100 {
namespace {

using onnx_io::NamedNode;
using onnx_io::NodeNames;

NamedNode NodeNamed(std::string name, std::vector<std::string> inputs = {"x"},
                    std::string op_type = "Add", std::string domain = "") {
  return {.domain = std::move(domain),
          .op_type = std::move(op_type),
          .name = name,
          .inputs = std::move(inputs),
          .outputs = {name + ":0"}};
}

// The recorded partition of a whole model is compared in tests/e2e/check_compile_calls.py; these
// are the rules that it does not show.
TEST_CASE("layers that do not divide go to the middle stages, then to the first") {
  using Counts = std::vector<int64_t>;
  CHECK(SplitLayers(8, 4) == Counts{2, 2, 2, 2});
  CHECK(SplitLayers(3, 2) == Counts{2, 1});
  CHECK(SplitLayers(10, 3) == Counts{3, 4, 3});
  CHECK(SplitLayers(11, 3) == Counts{4, 4, 3});
  CHECK(SplitLayers(9, 4) == Counts{2, 3, 2, 2});
  CHECK(SplitLayers(10, 4) == Counts{2, 3, 3, 2});
  CHECK(SplitLayers(11, 4) == Counts{3, 3, 3, 2});
  CHECK(SplitLayers(31, 5) == Counts{6, 6, 7, 6, 6});
  CHECK(SplitLayers(32, 5) == Counts{6, 6, 7, 7, 6});
  CHECK(SplitLayers(33, 5) == Counts{6, 7, 7, 7, 6});
  CHECK(SplitLayers(34, 5) == Counts{7, 7, 7, 7, 6});
}

TEST_CASE("nodes go to the stage of their layer, others to that of the node before") {
  NodeNames names;
  for (const char* name : {"/embed", "/h.0/a", "Constant_1", "/h.1/a", "", "/path.9/with.h.0",
                           "/h.1/c", "/transformer/ln_f"})
    names.nodes.push_back(NodeNamed(name));
  const auto stages = AssignStages(names, 2, "m.onnx");
  REQUIRE(stages.ok());
  CHECK(stages->at(0) == std::vector<std::string>{"/embed", "/h.0/a", "Constant_1"});
  CHECK(stages->at(1) ==
        std::vector<std::string>{"/h.1/a", "/path.9/with.h.0", "/h.1/c", "/transformer/ln_f"});
}

TEST_CASE("what the compiler computes in advance is in no stage") {
  NodeNames names;
  names.initializers = {"w"};
  names.nodes = {NodeNamed("/layers.0/c", {}, "Constant"),
                 NodeNamed("/layers.0/folded", {"w", "/layers.0/c:0"}),
                 NodeNamed("/layers.0/folded_too", {"/layers.0/folded:0", ""}, "Cast"),
                 NodeNamed("/layers.0/kept", {"w"}, "Identity"),
                 NodeNamed("/layers.0/reads_kept", {"/layers.0/kept:0"}, "Cast"),
                 NodeNamed("/layer_1/x", {"x", "w"})};
  const auto stages = AssignStages(names, 1, "m.onnx");
  REQUIRE(stages.ok());
  CHECK(stages->at(0) == std::vector<std::string>{"/layers.0/c", "/layers.0/kept",
                                                  "/layers.0/reads_kept", "/layer_1/x"});
}

TEST_CASE("a call stands for the nodes of a small function, unless the compiler has it as an op") {
  NodeNames names;
  names.functions[{"d", "Small"}] = {"n0", "", "n1"};
  names.functions[{"d", "CustomRMSNorm"}] = {"n0", "n1"};
  names.functions[{"d", "Large"}] = std::vector<std::string>(100, "n");
  names.nodes = {NodeNamed("/layers.0/s", {"x"}, "Small", "d"),
                 NodeNamed("/layers.0/norm", {"x"}, "CustomRMSNorm", "d"),
                 NodeNamed("/layers.0/l", {"x"}, "Large", "d")};
  const auto stages = AssignStages(names, 1, "m.onnx");
  REQUIRE(stages.ok());
  CHECK(stages->at(0) == std::vector<std::string>{"/layers.0/s/n0", "/layers.0/s/n1",
                                                  "/layers.0/norm", "/layers.0/l"});
}

TEST_CASE("bad_stages: no layers, more stages than layers") {
  NodeNames names;
  names.nodes = {NodeNamed("/embed"), NodeNamed("/ends_with_h.")};
  CHECK(AssignStages(names, 2, "m.onnx").diagnostic().message ==
        "no node's name says its layer: expected layers.N, h.N or layer_N");
  names.nodes.push_back(NodeNamed("/layers.0/x"));
  CHECK(AssignStages(names, 2, "m.onnx").diagnostic().message ==
        "the model has 1 layers, too few for 2 stages");
  names.nodes.push_back(NodeNamed("/layers.99999999/x"));
  CHECK(AssignStages(names, 2, "m.onnx").diagnostic().message == "layer 99999999 is beyond 65536");
}

}  // namespace
}  // namespace qeff::aic100
