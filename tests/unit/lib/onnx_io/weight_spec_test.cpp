// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/weight_spec.h"

#include <catch2/catch.hpp>

#include "lib/onnx_io/checker.h"
#include "lib/onnx_io/reader.h"
#include "lib/support/json.h"
#include "tests/unit/lib/onnx_io/onnx_test.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHeaderBytes = 8 + 2;

/// A file that looks like a safetensors file: an empty header, then 4096 floats 0, 1, 2, ...
ir::MappedFilePtr MakeCheckpoint(const fs::path& path) {
  std::string content("\2\0\0\0\0\0\0\0{}", kHeaderBytes);
  for (int i = 0; i < 4096; ++i) {
    const auto value = static_cast<float>(i);
    content.append(reinterpret_cast<const char*>(&value), 4);
  }
  WriteText(path, content);
  Result<MappedFile> file = MappedFile::Open(path);
  REQUIRE(file.ok());
  return std::make_shared<const MappedFile>(std::move(file).value());
}

/// One weight of each kind of recipe.
NamedWeights MakeWeights(const ir::MappedFilePtr& file) {
  const ir::WeightPtr leaf = ir::FromFile(file, kHeaderBytes, DType::kF32, {64, 64});
  const ir::WeightPtr half = ir::Converted(leaf, DType::kBf16);
  return {
      {"leaf", leaf},
      {"transposed", ir::Transposed(leaf)},
      {"sliced", ir::Sliced(leaf, 0, 3, 60)},
      {"joined", ir::Concatenated({leaf, ir::Transposed(leaf)}, 1)},
      {"reshaped", ir::Reshaped(ir::Transposed(leaf), {16, 256})},
      {"converted", half},
      {"shifted", ir::PlusConstant(half, 1.1F)},
      {"table",
       ir::MakeRopeTable(
           100, {.is_sine = true, .inverse_frequencies = {1.0F, 0.1F, 0.01F}, .scale = 1.3F})},
      {"inline", ir::MakeInline(DType::kU8, {3}, {std::byte{0}, std::byte{255}, std::byte{16}})}};
}

/// A model that uses them all.
ir::Model MakeModel(const NamedWeights& weights) {
  ir::Model model;
  ir::Value* x = model.graph.AddInput("x", {DType::kF32, ir::Shape{1}});
  model.graph.AddOutput("y", model.graph.Add({"", "Relu", {x}}));
  model.graph.outputs()[0].value->set_type(x->type());
  for (const auto& [name, weight] : weights) {
    ir::Value* constant = model.graph.AddConstant(name, weight);
    model.graph.AddOutput(name + "_out", model.graph.Add({"", "Identity", {constant}}));
    model.graph.outputs().back().value->set_type(weight->type());
  }
  return model;
}

std::string SpecError(const fs::path& path) {
  const Result<NamedWeights> weights = ReadWeightSpec(path);
  return weights.ok() ? "" : weights.diagnostic().ToString();
}

}  // namespace

TEST_CASE("recipes of every kind survive weight_spec.json") {
  const TemporaryFolder folder;
  const NamedWeights weights = MakeWeights(MakeCheckpoint(folder.path() / "model.safetensors"));
  const Result<std::string> text = DumpWeightSpec(weights);
  REQUIRE(text.ok());
  WriteText(folder.path() / "weight_spec.json", *text);
  const Result<NamedWeights> again = ReadWeightSpec(folder.path() / "weight_spec.json");
  INFO((again.ok() ? "" : again.diagnostic().ToString()));
  REQUIRE(again.ok());
  REQUIRE(again->size() == weights.size());
  for (size_t i = 0; i < weights.size(); ++i) {
    INFO(weights[i].first);
    REQUIRE((*again)[i].first == weights[i].first);
    REQUIRE(ir::SameRecipe(*(*again)[i].second, *weights[i].second));
  }
}

TEST_CASE("a model written by reference has its weights as inputs, and reads back whole") {
  const TemporaryFolder folder;
  const ir::Model model =
      MakeModel(MakeWeights(MakeCheckpoint(folder.path() / "model.safetensors")));
  WriteModel(model, {.weights = WriteOptions::Weights::kReference}, folder.path());
  REQUIRE(!fs::exists(folder.path() / "model.onnx.data"));
  REQUIRE(CheckOnnxFile(folder.path() / "model.onnx").ok());
  const Result<ir::Model> joined = ReadOnnx(folder.path());
  INFO((joined.ok() ? "" : joined.diagnostic().ToString()));
  REQUIRE(joined.ok());
  REQUIRE(joined->graph.inputs().size() == 1);
  for (const ir::Value* constant : model.graph.constants()) {
    bool found = false;
    for (const ir::Value* other : joined->graph.constants()) {
      if (other->name() != constant->name()) continue;
      found = ir::SameRecipe(*other->constant(), *constant->constant());
    }
    INFO(constant->name());
    REQUIRE(found);
  }
  const Result<ir::Model> alone =
      ReadOnnx(folder.path(), {.weight_spec = ReadOptions::WeightSpec::kIgnore});
  REQUIRE(alone.ok());
  REQUIRE(alone->graph.inputs().size() == 9);
  REQUIRE(alone->graph.inputs()[0]->name() == "x");
}

TEST_CASE("bad_checkpoint that changed or went is named") {
  const TemporaryFolder folder;
  const fs::path checkpoint = folder.path() / "model.safetensors";
  WriteModel(MakeModel(MakeWeights(MakeCheckpoint(checkpoint))),
             {.weights = WriteOptions::Weights::kReference}, folder.path());
  const std::string whole = ReadText(checkpoint);
  const std::string changed = checkpoint.string() + ": error: the file has changed since '" +
                              (folder.path() / "weight_spec.json").string() + "' was written\n" +
                              "note: run the stage that wrote it again";
  WriteText(checkpoint, whole + "x");
  REQUIRE(ReadError(folder.path()) == changed);
  std::string other_header = whole;
  other_header[8] = ' ';
  WriteText(checkpoint, other_header);
  REQUIRE(ReadError(folder.path()) == changed);
  fs::remove(checkpoint);
  REQUIRE(ReadError(folder.path()).find("cannot open the file") != std::string::npos);
}

TEST_CASE("bad_weight_spec with recipes that do not fit is refused") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "weight_spec.json";
  const Result<std::string> text =
      DumpWeightSpec(MakeWeights(MakeCheckpoint(folder.path() / "model.safetensors")));
  const Json good = *ParseJson(*text, "spec");
  const auto error = [&](const std::string& pointer, Json value) {
    Json changed = good;
    changed[Json::json_pointer(pointer)] = std::move(value);
    WriteText(path, DumpPretty(changed));
    return SpecError(path);
  };
  REQUIRE(error("/format", "qeff-weight-spec") == "");
  REQUIRE(error("/format", "other").find("got another JSON file") != std::string::npos);
  REQUIRE(error("/version", "2.0").find("expected format version 1.x, got '2.0'") !=
          std::string::npos);
  const std::vector<std::pair<std::string, Json>> changes = {
      {"/sources", 1},
      {"/sources/0/bytes", -1},
      {"/sources/0/head_bytes", 1 << 30},
      {"/sources/0/path", "/dev/zero"},
      {"/weights/leaf/dtype", "f31"},
      {"/weights/leaf/dims", {64, 65}},
      {"/weights/leaf/dims", {-1, 2}},
      {"/weights/leaf/dims", {int64_t{1} << 62, 4}},
      {"/weights/leaf/offset", 11},
      {"/weights/leaf/offset", -1},
      {"/weights/leaf/offset", UINT64_MAX},
      {"/weights/leaf/source", 1},
      {"/weights/leaf/op", "unknown"},
      {"/weights/transposed/permutation", {0, 0}},
      {"/weights/transposed/permutation", {0, 2}},
      {"/weights/transposed/permutation", {0}},
      {"/weights/transposed/of", nullptr},
      {"/weights/sliced/axis", 2},
      {"/weights/sliced/begin", 61},
      {"/weights/sliced/end", 65},
      {"/weights/joined/axis", 2},
      {"/weights/joined/axis", 0},
      {"/weights/joined/of", Json::array()},
      {"/weights/reshaped/dims", {16, 255}},
      {"/weights/shifted/constant", "1"},
      {"/weights/table/dims", {100, 8}},
      {"/weights/table/dims", Json::array()},
      {"/weights/table/scale", nullptr},
      {"/weights/table/inverse_frequencies/0", 1e300},
      {"/weights/inline/hex", "00ff1"},
      {"/weights/inline/hex", "00ffXX"},
  };
  for (const auto& [pointer, value] : changes) {
    INFO(pointer << " " << value.dump());
    REQUIRE(error(pointer, value) != "");
  }
}

TEST_CASE("bad_weight_spec of another model is refused") {
  const TemporaryFolder folder;
  const ir::MappedFilePtr file = MakeCheckpoint(folder.path() / "model.safetensors");
  NamedWeights weights = MakeWeights(file);
  WriteModel(MakeModel(weights), {.weights = WriteOptions::Weights::kReference}, folder.path());
  const auto rewrite = [&](const NamedWeights& changed) {
    WriteText(folder.path() / "weight_spec.json", *DumpWeightSpec(changed));
    return ReadError(folder.path());
  };
  weights.pop_back();  // 'inline' is small: it is in the model, not in the specification
  REQUIRE(rewrite(weights) == "");
  NamedWeights renamed = weights;
  renamed[0].first = "other";
  REQUIRE(rewrite(renamed).find("weight_spec.json has 8 weights, 7 are graph inputs") !=
          std::string::npos);
  NamedWeights reshaped = weights;
  reshaped[0].second = ir::FromFile(file, kHeaderBytes, DType::kF32, {4096});
  REQUIRE(rewrite(reshaped).find("expected a weight f32 [64, 64], got f32 [4096]") !=
          std::string::npos);
}

}  // namespace qeff::onnx_io
