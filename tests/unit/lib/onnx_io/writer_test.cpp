// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/writer.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>

#include "lib/onnx_io/checker.h"
#include "lib/onnx_io/reader.h"
#include "lib/onnx_io/wire.h"
#include "lib/support/json.h"
#include "tests/unit/lib/onnx_io/onnx_test.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

/// Runs a program without a shell; its exit code.
int Run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

onnx::ModelProto Parse(const fs::path& path) {
  onnx::ModelProto model;
  REQUIRE(model.ParseFromString(ReadText(path)));
  return model;
}

const auto kNoData = [](const std::string&, std::span<const std::byte>) { return Status::Ok(); };

}  // namespace

TEST_CASE("every recorded export reads back the same after it is written") {
  for (const fs::path& path : RecordedModels()) {
    INFO(path.string());
    const Result<ir::Model> model = ReadOnnx(path);
    INFO((model.ok() ? "" : model.diagnostic().ToString()));
    REQUIRE(model.ok());
    REQUIRE(ir::VerifyStructure(model->graph).ok());
    const TemporaryFolder folder;
    WriteModel(*model, {}, folder.path());
    const Status checked = CheckOnnxFile(folder.path() / "model.onnx");
    INFO((checked.ok() ? "" : checked.diagnostic().ToString()));
    REQUIRE(checked.ok());
    const Result<ir::Model> again = ReadOnnx(folder.path());
    INFO((again.ok() ? "" : again.diagnostic().ToString()));
    REQUIRE(again.ok());
    RequireSameModel(*model, *again);
  }
}

TEST_CASE("interface, functions and imports of a rewritten export are those of the original") {
  for (const fs::path& path : RecordedModels()) {
    INFO(path.string());
    const Result<ir::Model> model = ReadOnnx(path);
    REQUIRE(model.ok());
    const TemporaryFolder folder;
    WriteModel(*model, {}, folder.path());
    const onnx::ModelProto original = Parse(path);
    const onnx::ModelProto ours = Parse(folder.path() / "model.onnx");
    REQUIRE(ours.ir_version() == original.ir_version());
    const auto require_same = [](const auto& a, const auto& b) {
      REQUIRE(a.size() == b.size());
      for (int i = 0; i < a.size(); ++i) REQUIRE(a[i].DebugString() == b[i].DebugString());
    };
    const auto require_same_imports = [](const auto& a, const auto& b) {
      REQUIRE(a.size() == b.size());
      for (int i = 0; i < a.size(); ++i) {
        REQUIRE(a[i].domain() == b[i].domain());
        REQUIRE(a[i].version() == b[i].version());
      }
    };
    require_same(ours.graph().input(), original.graph().input());
    require_same(ours.graph().output(), original.graph().output());
    require_same_imports(ours.opset_import(), original.opset_import());
    require_same(ours.metadata_props(), original.metadata_props());
    REQUIRE(ours.functions_size() == original.functions_size());
    for (int i = 0; i < ours.functions_size(); ++i) {
      REQUIRE(ours.functions(i).name() == original.functions(i).name());
      require_same_imports(ours.functions(i).opset_import(), original.functions(i).opset_import());
    }
  }
}

TEST_CASE("onnxruntime computes the recorded outputs from rewritten exports") {
  if (std::string_view(QEFF_TEST_PYTHON).empty()) {
    std::puts("SKIPPED: no Python with onnx and onnxruntime (QEFF_TEST_PYTHON)");
    return;
  }
  const fs::path shared = SharedData();
  if (shared.empty()) return;
  for (const auto& entry : fs::directory_iterator(shared / "goldens/qefficient/onnx")) {
    INFO(entry.path().string());
    const TemporaryFolder folder;
    std::vector<std::string> command = {QEFF_TEST_PYTHON, "tests/onnx/run_calls.py",
                                        entry.path().string()};
    for (const auto& file : fs::directory_iterator(entry.path())) {
      if (file.path().extension() != ".onnx") continue;
      const Result<ir::Model> model = ReadOnnx(file.path());
      REQUIRE(model.ok());
      const fs::path target = folder.path() / file.path().stem();
      fs::create_directory(target);
      WriteModel(*model, {}, target);
      command.insert(command.end(), {"--model", file.path().filename().string() + "=" +
                                                    (target / "model.onnx").string()});
    }
    REQUIRE(Run(command) == 0);
  }
}

TEST_CASE("the same model gives the same bytes") {
  for (const fs::path& path : RecordedModels()) {
    const TemporaryFolder first, second;
    for (const auto* folder : {&first, &second}) {
      const Result<ir::Model> model = ReadOnnx(path);
      REQUIRE(model.ok());
      WriteModel(*model, {}, folder->path());
    }
    for (const char* name : {"model.onnx", "model.onnx.data"}) {
      REQUIRE(ReadText(first.path() / name) == ReadText(second.path() / name));
    }
  }
}

TEST_CASE("large constants start at pages of the data file, small ones are in the model") {
  ir::Model model;
  ir::Value* x = model.graph.AddInput("x", {DType::kF32, ir::Shape{300}});
  const std::vector<float> large(300, 1.5F);
  ir::Value* a = model.graph.AddConstant("a", ir::MakeFloats({300}, large));
  ir::Value* b = model.graph.AddConstant("b", ir::MakeFloats({300}, large));
  ir::Value* c = model.graph.AddConstant("c", ir::MakeFloatScalar(2));
  for (ir::Value* constant : {a, b, c}) x = model.graph.Add({"", "Add", {x, constant}});
  x->set_type({DType::kF32, ir::Shape{300}});
  model.graph.AddOutput("y", x);
  const TemporaryFolder folder;
  WriteModel(model, {}, folder.path());
  const onnx::ModelProto proto = Parse(folder.path() / "model.onnx");
  REQUIRE(proto.graph().initializer_size() == 3);
  REQUIRE(proto.graph().initializer(1).external_data(1).value() == "4096");
  REQUIRE(proto.graph().initializer(1).external_data(2).value() == "1200");
  REQUIRE(proto.graph().initializer(2).raw_data().size() == 4);
  REQUIRE(fs::file_size(folder.path() / "model.onnx.data") == 4096 + 1200);
  REQUIRE(CheckOnnxFile(folder.path() / "model.onnx").ok());
}

TEST_CASE("split data files are as large as allowed, and a larger tensor has one of its own") {
  ir::Model model;
  std::vector<ir::Value*> constants;
  for (const int64_t elements : {300, 300, 100, 900, 400}) {
    const std::vector<float> values(static_cast<size_t>(elements), static_cast<float>(elements));
    constants.push_back(model.graph.AddConstant(fmt::format("c{}", constants.size()),
                                                ir::MakeFloats({elements}, values)));
  }
  ir::Value* all = model.graph.Add({"", "Concat", constants, {{"axis", int64_t{0}}}});
  all->set_type({DType::kF32, ir::Shape{2000}});
  model.graph.AddOutput("y", all);
  const TemporaryFolder folder;
  // 1200 + 1200 bytes fill the first file; 400 bytes stay in the model; 3600 are beyond any file.
  WriteModel(model, {.split_data_bytes = 2400}, folder.path());
  const onnx::ModelProto proto = Parse(folder.path() / "model.onnx");
  std::vector<std::string> files;
  for (const onnx::TensorProto& tensor : proto.graph().initializer())
    files.push_back(tensor.external_data_size() == 0 ? "" : tensor.external_data(0).value());
  REQUIRE(files == std::vector<std::string>{"model_0.onnx.data", "model_0.onnx.data", "",
                                            "model_1.onnx.data", "model_2.onnx.data"});
  REQUIRE(fs::file_size(folder.path() / "model_0.onnx.data") == 4096 + 1200);
  REQUIRE(fs::file_size(folder.path() / "model_1.onnx.data") == 3600);
  REQUIRE(fs::file_size(folder.path() / "model_2.onnx.data") == 1600);
  REQUIRE(CheckOnnxFile(folder.path() / "model.onnx").ok());
  const Result<ir::Model> again = ReadOnnx(folder.path());
  REQUIRE(again.ok());
  for (const ir::Value* constant : again->graph.constants()) {
    const Result<std::vector<float>> values = ir::ReadFloats(*constant->constant());
    REQUIRE(values.ok());
    REQUIRE(values->front() == static_cast<float>(values->size()));
  }
}

TEST_CASE("weights of many blocks are written in the right order") {
  // Both need more than a block for one index of the first axis: 3 of 24 MB, then 1 of 72 MB.
  std::vector<float> values(3 * 2000 * 3000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const ir::WeightPtr source = ir::MakeFloats({3, 2000, 3000}, values);
  const std::vector<ir::WeightPtr> weights = {
      ir::Transposed(source, {0, 2, 1}),
      ir::Transposed(ir::Reshaped(source, {1, 3000, 6000}), {0, 2, 1})};
  for (const ir::WeightPtr& weight : weights) {
    ir::Model model;
    ir::Value* constant = model.graph.AddConstant("w", weight);
    model.graph.AddOutput("y", model.graph.Add({"", "Identity", {constant}}));
    model.graph.outputs()[0].value->set_type(weight->type());
    const TemporaryFolder folder;
    WriteModel(model, {}, folder.path());
    const Result<std::vector<std::byte>> expected = ir::ReadWholeWeight(*weight);
    REQUIRE(expected.ok());
    const std::string written = ReadText(folder.path() / "model.onnx.data");
    REQUIRE(written.size() == expected->size());
    REQUIRE(std::memcmp(written.data(), expected->data(), written.size()) == 0);
  }
}

TEST_CASE("an output that is an input, a constant or given twice is written through Identity") {
  ir::Model model;
  ir::Value* x = model.graph.AddInput("x", {DType::kF32, ir::Shape{2}});
  ir::Value* relu = model.graph.Add({"", "Relu", {x}, {}, "relu", {"hidden"}});
  relu->set_type(x->type());
  model.graph.AddOutput("same", x);
  model.graph.AddOutput("first", relu);
  model.graph.AddOutput("second", relu);
  const TemporaryFolder folder;
  WriteModel(model, {}, folder.path());
  REQUIRE(CheckOnnxFile(folder.path() / "model.onnx").ok());
  const onnx::ModelProto proto = Parse(folder.path() / "model.onnx");
  REQUIRE(proto.graph().node_size() == 3);
  REQUIRE(proto.graph().node(0).output(0) == "first");
  REQUIRE(proto.graph().node(1).op_type() == "Identity");
  REQUIRE(proto.graph().node(2).input(0) == "first");
}

TEST_CASE("a declared shape wins over the inferred one") {
  ir::Model model;
  ir::Value* x = model.graph.AddInput("x", {DType::kF32, ir::Shape{"batch_size", 4}});
  model.graph.AddOutput("y", model.graph.Add({"", "Relu", {x}}));
  model.graph.outputs()[0].value->set_type(x->type());
  model.graph.outputs()[0].declared_shape = ir::Shape{"batch_size", "y_dim_1"};
  const TemporaryFolder folder;
  WriteModel(model, {}, folder.path());
  const onnx::ModelProto proto = Parse(folder.path() / "model.onnx");
  REQUIRE(proto.graph().output(0).type().tensor_type().shape().dim(1).dim_param() == "y_dim_1");
}

TEST_CASE("semantic ops are written as they are and pass the structural check") {
  ir::Model model;
  ir::Value* x = model.graph.AddInput("x", {DType::kF32, ir::Shape{2, 4}});
  ir::Value* gamma = model.graph.AddConstant("gamma", ir::MakeFloats({4}, std::vector<float>(4)));
  ir::Value* y = model.graph.Add({"qeff", "RmsNorm", {x, gamma}, {{"epsilon", 1e-5F}}});
  y->set_type(x->type());
  model.graph.AddOutput("y", y);
  const TemporaryFolder folder;
  WriteModel(model, {}, folder.path());
  REQUIRE(CheckOnnxFile(folder.path() / "model.onnx").ok());
  const onnx::ModelProto proto = Parse(folder.path() / "model.onnx");
  REQUIRE(proto.opset_import(1).domain() == "qeff");
  REQUIRE(proto.functions_size() == 0);
  const Result<ir::Model> again = ReadOnnx(folder.path());
  REQUIRE(again.ok());
  REQUIRE(again->graph.nodes().front()->IsQeff("RmsNorm"));
}

TEST_CASE("bad_output_without_type is refused") {
  ir::Model model;
  ir::Value* x = model.graph.AddInput("x", {DType::kF32, ir::Shape{2}});
  model.graph.AddOutput("y", model.graph.Add({"", "Relu", {x}}));
  const Result<WrittenModel> written = WriteOnnx(model, {}, kNoData);
  REQUIRE(!written.ok());
  REQUIRE(written.diagnostic().ToString() ==
          "tensor 'y': error: the element type is unknown\n"
          "note: run shape inference before the graph is written");
}

TEST_CASE("an error of the sink ends the writing") {
  ir::Model model;
  ir::Value* w = model.graph.AddConstant("w", ir::MakeFloats({300}, std::vector<float>(300)));
  model.graph.AddOutput("y", w);
  const auto full = [](const std::string&, std::span<const std::byte>) {
    return IoError({}, "no space left");
  };
  const Result<WrittenModel> written = WriteOnnx(model, {}, full);
  REQUIRE(!written.ok());
  REQUIRE(written.diagnostic().code == ErrorCode::kIo);
}

}  // namespace qeff::onnx_io
