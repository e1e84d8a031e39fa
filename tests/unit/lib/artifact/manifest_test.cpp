// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/artifact/manifest.h"

#include <catch2/catch.hpp>
#include <cstdlib>

#include "lib/artifact/cache.h"
#include "lib/artifact/input_identity.h"
#include "lib/support/file.h"
#include "tests/unit/lib/artifact/temporary_folder.h"

namespace qeff::artifact {
namespace {

constexpr std::string_view kExample = R"({
  "format": "qeff.onnx",
  "format_version": "1.0",
  "tool": "qeff-export",
  "tool_version": "0.1.0",
  "options": {
    "dtype": "f32",
    "lengths": [
      1,
      32
    ],
    "scale": 0.5,
    "subfunctions": true
  },
  "inputs": [
    {
      "role": "config",
      "name": "config.json",
      "identity": {
        "bytes": "2",
        "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
      }
    }
  ],
  "parents": [
    {
      "format": "qeff.graph",
      "manifest_sha256": "00"
    }
  ],
  "modules": [
    {
      "name": "model",
      "files": [
        "model.onnx"
      ]
    }
  ],
  "files": {
    "model.onnx": {
      "bytes": 3,
      "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    }
  }
}
)";

std::string MessageFor(std::string_view text) {
  const Result<Manifest> manifest = ParseManifest(text, "manifest.json");
  REQUIRE_FALSE(manifest.ok());
  CHECK(manifest.diagnostic().where.file == "manifest.json");
  return manifest.diagnostic().message;
}

std::string Replace(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

TEST_CASE("a manifest survives reading and writing") {
  const Result<Manifest> manifest = ParseManifest(kExample, "manifest.json");
  REQUIRE(manifest.ok());
  CHECK(manifest->options.at("subfunctions") == OptionValue(true));
  CHECK(manifest->options.at("lengths") == OptionValue(std::vector<int64_t>{1, 32}));
  CHECK(manifest->inputs.at(0).identity.at("bytes") == "2");
  CHECK(WriteManifest(*manifest) == kExample);
}

TEST_CASE("a later minor is read: unknown fields are ignored, absent ones have defaults") {
  const Result<Manifest> manifest = ParseManifest(
      R"({"format": "qeff.qpc", "format_version": "1.7", "colour": {"a": [1]}, "options": {"new": {"x": 1}, "b": 2}})",
      "manifest.json");
  REQUIRE(manifest.ok());
  CHECK(manifest->version.minor == 7);
  CHECK(manifest->options.size() == 1);
  CHECK(manifest->files.empty());
}

TEST_CASE("bad_version: another major is refused with both versions") {
  const Result<Manifest> manifest =
      ParseManifest(Replace(std::string(kExample), "\"1.0\"", "\"2.3\""), "manifest.json");
  REQUIRE_FALSE(manifest.ok());
  CHECK(manifest.diagnostic().code == ErrorCode::kVersionMismatch);
  CHECK(manifest.diagnostic().message ==
        "'qeff.onnx' has version 2.3, this program reads versions 1.x");
  CHECK(manifest.diagnostic().notes.at(0) ==
        "make it again with this release, or use the release that made it: qeff-export 0.1.0");
}

TEST_CASE("bad_manifest: wrong shapes are named") {
  const std::string example(kExample);
  CHECK(MessageFor("[]") == "expected the top to be an object, got array");
  CHECK(MessageFor("{}") == "expected 'format' to start with 'qeff.', got ''");
  CHECK(MessageFor(Replace(example, "\"1.0\"", "\"1\"")) ==
        "expected 'format_version' to be like '1.0', got '1'");
  CHECK(MessageFor(Replace(example, "\"1.0\"", "1.0")) ==
        "expected 'format_version' to be a string, got number");
  CHECK(MessageFor(Replace(example, "\"bytes\": 3", "\"bytes\": -3")) ==
        "expected 'files.model.onnx.bytes' to be a whole number that is not negative, got number");
  CHECK(MessageFor(Replace(example, "\"bytes\": 3", "\"bytes\": 18446744073709551615")) ==
        "expected 'files.model.onnx.bytes' to be a whole number that is not negative, got number");
  CHECK(MessageFor(Replace(example, "\"model.onnx\": {", "\"../model.onnx\": {")) ==
        "expected a path inside the folder, got '../model.onnx'");
  CHECK(MessageFor(Replace(example, "\"model.onnx\"\n", "\"other.onnx\"\n")) ==
        "expected 'modules[0].files[0]' to be one of 'files', got \"other.onnx\"");
  CHECK(MessageFor(Replace(example, "\"sha256\": \"ba", "\"md5\": \"ba")) ==
        "expected 'sha256' or 'xxh3' in 'files.model.onnx', got neither");
}

TEST_CASE("bad_manifest_truncated: every prefix is an error") {
  for (size_t length = 0; length + 2 < kExample.size(); ++length) {
    CHECK_FALSE(ParseManifest(kExample.substr(0, length), "manifest.json").ok());
  }
}

TEST_CASE(
    "bad_artifact: missing folder, missing manifest, other format, missing and damaged files") {
  const TemporaryFolder folder;
  const auto diagnostic = [&] { return ReadManifest(folder / "a", kOnnxFormat).diagnostic(); };
  CHECK(diagnostic().message == "there is no such folder");
  CHECK(diagnostic().code == ErrorCode::kIo);
  std::filesystem::create_directory(folder / "a");
  CHECK(diagnostic().message == "expected an artifact, got a folder without 'manifest.json'");
  WriteText(folder / "a" / "manifest.json", std::string(kExample));
  CHECK(diagnostic().message == "the manifest names this file, but it cannot be read");
  CHECK(diagnostic().where.file == (folder / "a" / "model.onnx").string());
  WriteText(folder / "a" / "model.onnx", "ab");
  CHECK(diagnostic().message == "expected 3 bytes, got 2");
  WriteText(folder / "a" / "model.onnx", "abd");
  const Result<Manifest> manifest = ReadManifest(folder / "a", kOnnxFormat);
  REQUIRE(manifest.ok());
  Diagnostics findings;
  VerifyFiles(folder / "a", *manifest, findings);
  REQUIRE(findings.error_count() == 1);
  CHECK(findings.findings().at(0).message.starts_with("expected sha256 ba7816bf"));
  const Result<Manifest> other = ReadManifest(folder / "a", kQpcFormat);
  REQUIRE_FALSE(other.ok());
  CHECK(other.diagnostic().message == "expected an artifact of format 'qeff.qpc', got 'qeff.onnx'");
}

TEST_CASE("a parent is named by the hash of its manifest") {
  const TemporaryFolder folder;
  WriteText(folder / "a" / "manifest.json", R"({"format": "qeff.graph", "format_version": "1.0"})");
  const Result<ParentEntry> parent = DescribeParent(folder / "a");
  REQUIRE(parent.ok());
  CHECK(parent->format == "qeff.graph");
  CHECK(parent->manifest_sha256 ==
        "18af4df89d3e9090d3171f3016b48843deba39f4d08cae1f4fcd298c3fba1fe1");
}

TEST_CASE("the cache key follows options, inputs and tool version, not the files") {
  Manifest manifest = *ParseManifest(kExample, "manifest.json");
  const std::string key = CacheKey(manifest);
  CHECK(key.size() == 16);
  manifest.files.clear();
  manifest.modules.clear();
  CHECK(CacheKey(manifest) == key);
  const auto key_with = [&manifest](auto change) {
    Manifest changed = manifest;
    change(changed);
    return CacheKey(changed);
  };
  CHECK(key_with([](Manifest& other) { other.options["dtype"] = std::string("f16"); }) != key);
  CHECK(key_with([](Manifest& other) { other.inputs[0].identity["sha256"] = "0"; }) != key);
  CHECK(key_with([](Manifest& other) { other.tool_version = "0.2.0"; }) != key);
  CHECK(key_with([](Manifest& other) { other.parents.clear(); }) != key);
}

/// Sets or removes an environment variable, and puts the old value back at the end of the scope.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~ScopedVariable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST_CASE("the cache root is where QEfficient has it") {
  const ScopedVariable home("HOME", "/home/x");
  const ScopedVariable no_xdg("XDG_CACHE_HOME", nullptr);
  const ScopedVariable no_root("QEFF_HOME", nullptr);
  CHECK(*DefaultCacheRoot() == "/home/x/.cache/qeff_models");
  const ScopedVariable xdg("XDG_CACHE_HOME", "/cache");
  CHECK(*DefaultCacheRoot() == "/cache/qeff_models");
  const ScopedVariable root("QEFF_HOME", "/models");
  CHECK(*DefaultCacheRoot() == "/models");
}

TEST_CASE("the identity of an input follows its content") {
  const TemporaryFolder folder;
  WriteText(folder / "config.json", "{}");
  const Result<InputEntry> small = IdentifyInput("config", folder / "config.json");
  REQUIRE(small.ok());
  CHECK(small->name == "config.json");
  CHECK(small->identity.at("sha256") ==
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");

  std::string weights("\x02\0\0\0\0\0\0\0{}", 10);
  weights += std::string(size_t{20} << 20, '\0');
  const auto identity = [&] {
    WriteText(folder / "m.safetensors", weights);
    const Result<InputEntry> entry = IdentifyInput("weights", folder / "m.safetensors");
    REQUIRE(entry.ok());
    return entry->identity.at("sampled_sha256");
  };
  const std::string first = identity();
  weights.back() = 'x';
  const std::string last_byte_differs = identity();
  CHECK(last_byte_differs != first);
  weights[9] = '!';
  CHECK(identity() != last_byte_differs);
  CHECK(IdentifyInput("weights", folder / "m.safetensors", IdentityDepth::kWhole)
            ->identity.contains("sha256"));
}

TEST_CASE("the name of a blob in a hub cache is its identity") {
  const TemporaryFolder folder;
  const std::string hash(64, 'a');
  WriteText(folder / "blobs" / hash, "content");
  std::filesystem::create_directory(folder / "snapshot");
  std::filesystem::create_symlink("../blobs/" + hash, folder / "snapshot" / "model.safetensors");
  const Result<InputEntry> entry =
      IdentifyInput("weights", folder / "snapshot" / "model.safetensors");
  REQUIRE(entry.ok());
  CHECK(entry->name == "model.safetensors");
  CHECK(entry->identity.at("sha256") == hash);
}

TEST_CASE("bad_input: a file that is not there") {
  CHECK(IdentifyInput("weights", "/nowhere/m.safetensors").diagnostic().code == ErrorCode::kIo);
}

TEST_CASE("paths that leave their folder are recognised") {
  CHECK(IsInsidePath("a"));
  CHECK(IsInsidePath("a/b.c"));
  for (const char* path : {"", "/a", "a/", "a//b", "..", "a/../b", "./a"})
    CHECK_FALSE(IsInsidePath(path));
}

}  // namespace
}  // namespace qeff::artifact
