// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Files that are damaged, lie about their tensors, or are no graph.
#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "lib/onnx_io/reader.h"
#include "tests/unit/lib/onnx_io/onnx_test.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

bool Contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// The error of a model that `change` has damaged; the weight is valid to begin with.
std::string ErrorAfter(const std::function<void(onnx::ModelProto*)>& change) {
  onnx::ModelProto model = AddModel();
  model.mutable_graph()->mutable_initializer(0)->set_raw_data(std::string(24, 'x'));
  change(&model);
  const TemporaryFolder folder;
  return ReadError(Store(model, folder.path()));
}

std::string ErrorAfterTensor(const std::function<void(onnx::TensorProto*)>& change) {
  return ErrorAfter(
      [&](onnx::ModelProto* model) { change(model->mutable_graph()->mutable_initializer(0)); });
}

/// Appends a length-delimited field.
std::string Nested(int number, const std::string& content) {
  std::string field(1, static_cast<char>(number << 3 | 2));
  size_t rest = content.size();
  for (; rest > 127; rest >>= 7) field += static_cast<char>((rest & 127) | 128);
  return field + static_cast<char>(rest) + content;
}

}  // namespace

TEST_CASE("bad_truncated and bad_flipped files give errors, never a crash") {
  const std::vector<fs::path> models = {"tests/data/onnx/llama_subfunctions.onnx"};
  for (const fs::path& path : models) {
    const std::string whole = ReadText(path);
    REQUIRE(whole.size() > 1000);
    const TemporaryFolder folder;
    const fs::path damaged = folder.path() / "model.onnx";
    for (size_t end = 0; end < whole.size(); end += 97) {
      WriteText(damaged, std::string_view(whole).substr(0, end));
      REQUIRE(ReadError(damaged) != "");
    }
    uint32_t seed = 1;
    for (int i = 0; i < 2000; ++i) {
      std::string flipped = whole;
      for (int flips = 0; flips < 3; ++flips) {
        seed = seed * 1664525 + 1013904223;
        flipped[seed % flipped.size()] ^= static_cast<char>(1U << (seed >> 29));
      }
      WriteText(damaged, flipped);
      ReadError(damaged);  // may or may not be an error
    }
  }
}

TEST_CASE("bad_file that is not ONNX names what was expected") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "model.onnx";
  WriteText(path, "");
  REQUIRE(Contains(ReadError(path), "without IR version or graph"));
  WriteText(path, "<!DOCTYPE html><html></html>");
  REQUIRE(Contains(ReadError(path), "expected an ONNX model, got"));
  REQUIRE(Contains(ReadError(folder.path() / "absent.onnx"), "cannot open the file"));
  fs::remove(path);
  REQUIRE(Contains(ReadError(folder.path()), "expected a folder with one .onnx file, got 0"));
  Store(AddModel(), folder.path());
  WriteText(folder.path() / "second.onnx", "");
  REQUIRE(Contains(ReadError(folder.path()), "expected a folder with one .onnx file, got 2"));
}

TEST_CASE("bad_nesting of a million messages is refused without recursion") {
  std::string nested;
  for (int i = 0; i < 100000; ++i) nested = Nested(6, nested).substr(0, 1 << 16);
  std::string attribute;
  for (int i = 0; i < 300; ++i) {
    attribute = Nested(1, Nested(5, Nested(6, attribute)));  // graph { node { attribute { g
  }
  const TemporaryFolder folder;
  for (const std::string& graph : {nested, attribute, std::string(1 << 20, '\x0b')}) {
    WriteText(folder.path() / "model.onnx", "\x08\x08" + Nested(7, graph));
    REQUIRE(ReadError(folder.path() / "model.onnx") != "");
  }
}

TEST_CASE("bad_tensor that does not hold what it declares is refused") {
  REQUIRE(ErrorAfterTensor([](onnx::TensorProto*) {}) == "");
  REQUIRE(Contains(ErrorAfterTensor([](auto* t) { t->set_raw_data("short"); }),
                   "expected 24 bytes of raw data for f32 [2, 3], got 5"));
  REQUIRE(Contains(ErrorAfterTensor([](auto* t) { t->add_float_data(1); }), "expected 24 bytes"));
  REQUIRE(
      Contains(ErrorAfterTensor([](auto* t) { t->clear_raw_data(); }), "expected 6 values, got 0"));
  for (const int64_t dim : {int64_t{-1}, int64_t{1} << 62, INT64_MAX, INT64_MIN}) {
    REQUIRE(ErrorAfterTensor([dim](auto* t) { t->set_dims(0, dim); }) != "");
    REQUIRE(ErrorAfterTensor([dim](auto* t) {
              t->set_dims(0, dim);
              t->set_dims(1, dim);
            }) != "");
  }
  REQUIRE(Contains(ErrorAfterTensor([](auto* t) {
                     for (int i = 0; i < 10000; ++i) t->add_dims(1);
                   }),
                   "are not those of a tensor"));
  REQUIRE(Contains(ErrorAfterTensor([](auto* t) { t->set_data_type(8); }), "ONNX element type 8"));
  REQUIRE(Contains(ErrorAfterTensor([](auto* t) { t->set_data_type(0); }), "ONNX element type 0"));
  REQUIRE(Contains(ErrorAfterTensor([](auto* t) { t->set_data_type(-7); }), "element type -7"));
  REQUIRE(Contains(ErrorAfterTensor([](auto* t) { t->mutable_segment()->set_begin(0); }),
                   "stored in segments"));
  REQUIRE(Contains(ErrorAfterTensor([](auto* t) {
                     t->clear_raw_data();
                     t->set_data_type(onnx::TensorProto::INT8);
                     for (int i = 0; i < 6; ++i) t->add_int32_data(200);
                   }),
                   "value 200 does not fit the element type"));
}

TEST_CASE("bad_graph that is not in single assignment form or out of order is refused") {
  const auto graph_error = [](const std::function<void(onnx::GraphProto*)>& change) {
    return ErrorAfter([&](onnx::ModelProto* model) { change(model->mutable_graph()); });
  };
  REQUIRE(Contains(graph_error([](auto* g) { *g->add_initializer() = g->initializer(0); }),
                   "tensor 'w': error: two values have this name"));
  REQUIRE(Contains(graph_error([](auto* g) { *g->add_input() = g->input(0); }),
                   "tensor 'x': error: two values have this name"));
  REQUIRE(Contains(graph_error([](auto* g) { *g->add_output() = g->output(0); }),
                   "two outputs have this name"));
  REQUIRE(Contains(graph_error([](auto* g) { *g->add_node() = g->node(0); }),
                   "tensor 'y': error: two values have this name"));
  REQUIRE(Contains(graph_error([](auto* g) { g->mutable_node(0)->add_output("y"); }),
                   "output 'y' is given twice"));
  REQUIRE(Contains(graph_error([](auto* g) { g->mutable_node(0)->set_input(0, "y"); }),
                   "node 'add' (#0): error: input 'y' is made by nothing before this node"));
  REQUIRE(Contains(graph_error([](auto* g) { g->mutable_output(0)->set_name("z"); }),
                   "made by no node"));
  REQUIRE(Contains(graph_error([](auto* g) { g->mutable_node(0)->clear_output(); }),
                   "a node without outputs"));
  REQUIRE(Contains(graph_error([](auto* g) { g->mutable_input(0)->set_name("\xff"); }),
                   "not UTF-8 text"));
  REQUIRE(Contains(graph_error([](auto* g) { g->mutable_input(0)->set_name(""); }), "empty name"));
  REQUIRE(Contains(
      graph_error([](auto* g) { g->mutable_input(0)->mutable_type()->mutable_sequence_type(); }),
      "expected a tensor, got a sequence"));
  REQUIRE(Contains(graph_error([](auto* g) {
                     for (int i = 0; i < 2; ++i) {
                       auto* attribute = g->mutable_node(0)->add_attribute();
                       attribute->set_name("a");
                       attribute->set_type(onnx::AttributeProto::INT);
                     }
                   }),
                   "attribute 'a' is given twice"));
  REQUIRE(Contains(graph_error([](auto* g) {
                     auto* attribute = g->mutable_node(0)->add_attribute();
                     attribute->set_name("a");
                     attribute->set_ref_attr_name("b");
                   }),
                   "attribute 'a' refers to one of a call"));
}

TEST_CASE("bad_versions are refused") {
  REQUIRE(Contains(ErrorAfter([](auto* m) { m->set_ir_version(99); }), "got 99"));
  REQUIRE(Contains(ErrorAfter([](auto* m) { m->mutable_opset_import(0)->set_version(10); }),
                   "expected ONNX opset 11 to 21, got 10"));
  REQUIRE(
      Contains(ErrorAfter([](auto* m) { m->mutable_opset_import(0)->set_version(22); }), "got 22"));
  REQUIRE(Contains(ErrorAfter([](auto* m) { *m->add_opset_import() = m->opset_import(0); }),
                   "imported twice"));
  REQUIRE(
      Contains(ErrorAfter([](auto* m) { m->mutable_graph()->mutable_node(0)->set_domain("d"); }),
               "domain 'd' of op 'Add' is not imported"));
}

TEST_CASE("bad_functions that call each other without end are refused") {
  const auto add = [](onnx::ModelProto* model, const char* name, const char* callee) {
    onnx::FunctionProto* function = model->add_functions();
    function->set_name(name);
    function->set_domain("local");
    auto* import = function->add_opset_import();
    import->set_domain("local");
    import->set_version(1);
    function->add_input("a");
    function->add_output("b");
    onnx::NodeProto* node = function->add_node();
    node->set_domain("local");
    node->set_op_type(callee);
    node->add_input("a");
    node->add_output("b");
  };
  REQUIRE(Contains(ErrorAfter([&](auto* m) { add(m, "F", "F"); }), "the function calls itself"));
  REQUIRE(Contains(ErrorAfter([&](auto* m) {
                     add(m, "F", "G");
                     add(m, "G", "F");
                   }),
                   "the function calls itself"));
  REQUIRE(ErrorAfter([&](auto* m) {
            add(m, "F", "G");
            add(m, "G", "Op");
          }) == "");
  REQUIRE(Contains(ErrorAfter([&](auto* m) {
                     add(m, "F", "Op");
                     add(m, "F", "Op");
                   }),
                   "two functions have this domain and name"));
  REQUIRE(Contains(ErrorAfter([&](auto* m) {
                     for (int i = 0; i < 40; ++i) {
                       add(m, ("F" + std::to_string(i)).c_str(),
                           ("F" + std::to_string(i + 1)).c_str());
                     }
                   }),
                   "more than 32 deep"));
}

}  // namespace qeff::onnx_io
