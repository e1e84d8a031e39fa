// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/text.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "lib/onnx_io/reader.h"
#include "tests/unit/lib/onnx_io/onnx_test.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCanonical = R"(<
   ir_version: 8,
   opset_import: ["" : 17, "com.qualcomm.cloud" : 1, "local" : 1, "qeff" : 1],
   metadata_props: ["a \"key\"": "value \\ 1"]
>
main_graph (float[batch_size,?,64] "past_key.0", int64 step, float[] any) => (float[N,4] "logits.1", int64 next)
<
   float16[2] half = {15360, 0},
   int4[3] nibbles = {-8, 7, 1},
   uint4[2] unsigned = {15, 0},
   bool[2] flags = {1, 0},
   double tenth = {0.1},
   float[2,2] special = {inf, -inf, 1e-05, -0},
   int64[0] nothing = {},
   int64[1] big = {-9223372036854775808},
   uint64 bigger = {18446744073709551615},
   int8[2] bytes = {-128, 127},
   float[batch_size,4] hidden
>
{
   ["/layers.0/add"] hidden, second = com.qualcomm.cloud.CtxGather <a: int = -1, b: float = 1e-05, c: string = "x\"y\\", d: ints = [1, 2], e: ints = [], f: floats = [1, 2.5], g: strings = ["a", "b c"], h: tensor = int32[2] {1, -2}> ("past_key.0", "", step)
   "logits.1" = qeff.Attention (hidden)
   next = local."Layer.1" (step)
}
<domain: "local", opset_import: ["" : 17]>
"Layer.1" <epsilon> (x) => (y)
{
   one = Constant <value: tensor = int64 {1}> ()
   e = Constant <value_float = @epsilon> ()
   y = Add (x, one)
}
)";

std::string ParseError(std::string_view text) {
  const Result<ir::Model> model = ParseText(text, "g.txt");
  return model.ok() ? "" : model.diagnostic().ToString();
}

}  // namespace

TEST_CASE("canonical text parses and prints as it is") {
  const Result<ir::Model> model = ParseText(kCanonical, "g.txt");
  INFO((model.ok() ? "" : model.diagnostic().ToString()));
  REQUIRE(model.ok());
  REQUIRE(ir::VerifyStructure(model->graph).ok());
  REQUIRE(PrintText(*model) == kCanonical);
  const ir::Node& node = *model->graph.nodes().front();
  REQUIRE(node.name() == "/layers.0/add");
  REQUIRE(node.domain() == "com.qualcomm.cloud");
  REQUIRE(node.input(1) == nullptr);
  REQUIRE(node.output(0)->type().ToString() == "f32 [batch_size, 4]");
  REQUIRE(model->graph.inputs()[1]->type().ToString() == "i64 []");
  REQUIRE(!model->graph.inputs()[2]->type().shape);
  REQUIRE(model->graph.outputs()[0].declared_shape == ir::Shape{"N", 4});
}

TEST_CASE("recorded exports print, parse and print the same") {
  std::vector<fs::path> models = RecordedModels();
  models.emplace_back("tests/data/onnx/llama_subfunctions.onnx");
  for (const fs::path& path : models) {
    INFO(path.string());
    const Result<ir::Model> model = ReadOnnx(path);
    REQUIRE(model.ok());
    PrintOptions options{.element_limit = int64_t{1} << 40};
    const std::string text = PrintText(*model, options);
    const Result<ir::Model> again = ParseText(text, "g.txt");
    INFO((again.ok() ? "" : again.diagnostic().ToString()));
    REQUIRE(again.ok());
    REQUIRE(PrintText(*again, options) == text);
    RequireSameModel(*model, *again);
    options.names = PrintOptions::Names::kRenumber;
    const std::string numbered = PrintText(*model, options);
    const Result<ir::Model> renumbered = ParseText(numbered, "g.txt");
    REQUIRE(renumbered.ok());
    REQUIRE(PrintText(*renumbered, options) == numbered);
  }
}

TEST_CASE("onnx's own parser reads our text") {
  if (std::string_view(QEFF_TEST_PYTHON).empty()) {
    std::puts("SKIPPED: no Python with onnx (QEFF_TEST_PYTHON)");
    return;
  }
  const Result<ir::Model> model = ReadOnnx("tests/data/onnx/llama_subfunctions.onnx");
  REQUIRE(model.ok());
  const TemporaryFolder folder;
  WriteText(folder.path() / "text", PrintText(*model, {.element_limit = int64_t{1} << 40}));
  WriteText(
      folder.path() / "check.py",
      "import onnx, sys\n"
      "ours = onnx.parser.parse_model(open(sys.argv[1]).read())\n"
      "original = onnx.load(sys.argv[2])\n"
      "names = lambda graph: [node.op_type for node in graph.node if node.op_type != 'Constant']\n"
      "assert names(ours.graph) == names(original.graph)\n"
      "assert names(ours.functions[0]) == names(original.functions[0])\n"
      "assert [i.name for i in ours.graph.input] == [i.name for i in original.graph.input]\n"
      "assert list(ours.graph.output) == list(original.graph.output)\n");
  const std::string command =
      fmt::format("{} {} {} tests/data/onnx/llama_subfunctions.onnx", QEFF_TEST_PYTHON,
                  (folder.path() / "check.py").string(), (folder.path() / "text").string());
  REQUIRE(std::system(command.c_str()) == 0);
}

TEST_CASE("renumbered text does not depend on names") {
  const auto text = [](std::string_view value, std::string_view constant, std::string_view label) {
    return fmt::format(
        "g (float[2] x) => (float[2] y)\n<float[2] {1} = {{1, 2}}>\n"
        "{{ {2} {0} = Add (x, {1})\n y = Relu ({0}) }}",
        value, constant, label);
  };
  const PrintOptions options{.names = PrintOptions::Names::kRenumber};
  const Result<ir::Model> first = ParseText(text("a", "b", "[n1]"), "g.txt");
  const Result<ir::Model> second = ParseText(text("v1", "v0", ""), "g.txt");
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  REQUIRE(PrintText(*first, options) == PrintText(*second, options));
  REQUIRE(PrintText(*first, options).find("v0 = Add (x, c0)") != std::string::npos);
}

TEST_CASE("large constants are printed as a hash, which cannot be parsed") {
  const Result<ir::Model> model = ParseText(
      "g (float[3] x) => (float[3] y) <float[3] w = {1, 2, 3}> { y = Add (x, w) }", "g.txt");
  REQUIRE(model.ok());
  const std::string text = PrintText(*model, {.element_limit = 2});
  REQUIRE(text.find("float[3] w = [\"xxh3_128\": \"") != std::string::npos);
  REQUIRE(ParseError(text).find("were not printed") != std::string::npos);
}

TEST_CASE("bad_text is refused with line and column") {
  REQUIRE(ParseError("") == "g.txt:1:1: error: expected the name of the graph, got the end");
  REQUIRE(ParseError("g (float x) =>\n (float y) { y = Add (z) }") ==
          "g.txt:2:23: error: 'z' is made by nothing before this node");
  REQUIRE(ParseError("g (strange x)") ==
          "g.txt:1:4: error: expected an element type, got 'strange'");
  REQUIRE(ParseError("g () => (float y) { }") ==
          "g.txt:1:22: error: output 'y' is made by no node");
  REQUIRE(ParseError("g (float x, float x) => () {}") ==
          "g.txt:1:19: error: two values are named 'x'");
  REQUIRE(ParseError("g () => () <float[2] w = {1}> {}") ==
          "g.txt:1:28: error: expected 2 elements for f32 [2], got 1");
  REQUIRE(ParseError("g () => () <int8 w = {128}> {}") ==
          "g.txt:1:23: error: expected an element from -128 to 127, got 128");
  REQUIRE(ParseError("g () => () <int64 w = {9223372036854775808}> {}") ==
          "g.txt:1:24: error: expected an integer, got '9223372036854775808'");
  REQUIRE(ParseError("<opset_import: [\"\" : 16]> g () => () {}") ==
          "g.txt:1:22: error: expected opset 17, got 16");
  REQUIRE(ParseError("g () => () { \"a") == "g.txt:1:14: error: a string without closing quote");
  REQUIRE(ParseError("g () => () { ! }") ==
          "g.txt:1:14: error: a character that starts nothing here");
  REQUIRE(ParseError("g (float x) => () { y = Op <a: int = 1, a: int = 2> (x) }") ==
          "g.txt:1:41: error: attribute 'a' is given twice");
  REQUIRE(ParseError("g () => () <float[9999999999999,9999999999999] w = {}> {}") ==
          "g.txt:1:52: error: expected a constant of a known type, got f32 [9999999999999, "
          "9999999999999]");
}

TEST_CASE("bad_text cut or changed at any byte gives no crash") {
  const std::string whole = kCanonical;
  for (size_t end = 0; end + 2 < whole.size(); ++end) {
    std::string text = whole.substr(0, end);
    (void)ParseError(text);
    text = whole;
    text[end] = static_cast<char>("(){}<>[]\",=-0."[end % 14]);
    (void)ParseError(text);
  }
}

}  // namespace qeff::onnx_io
