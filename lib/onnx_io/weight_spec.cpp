// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/weight_spec.h"

#include <cmath>
#include <map>

#include "lib/support/byte_reader.h"
#include "lib/support/hash.h"
#include "lib/support/json.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "qeff-weight-spec";
constexpr int64_t kFormatMajor = 1;
/// Of a file without a header of known length.
constexpr size_t kHeadBytes = 65536;

/// The header of a safetensors file names all of its tensors; of other files, the first bytes.
size_t HeadBytes(const MappedFile& file) {
  const size_t file_bytes = file.bytes().size();
  if (file.path().ends_with(".safetensors")) {
    ByteReader reader(file.bytes(), file.path());
    const Result<uint64_t> header_bytes = reader.Read<uint64_t>("header length");
    if (header_bytes.ok() && *header_bytes <= file_bytes - 8) return 8 + *header_bytes;
  }
  return std::min(file_bytes, kHeadBytes);
}

class RecipeWriter {
 public:
  Result<Json> Write(const ir::Weight& weight) {
    Json json = {{"dtype", DTypeName(weight.dtype())}, {"dims", weight.dims()}};
    QEFF_RETURN_IF_ERROR(
        std::visit([&](const auto& recipe) { return Fill(recipe, &json); }, weight.recipe()));
    return json;
  }
  Json TakeSources() { return std::move(sources_); }

 private:
  Status Fill(const ir::InlineBytes& recipe, Json* json) {
    (*json)["op"] = "inline";
    std::string hex;
    for (const std::byte byte : recipe.bytes) hex += fmt::format("{:02x}", static_cast<int>(byte));
    (*json)["hex"] = std::move(hex);
    return Status::Ok();
  }
  Status Fill(const ir::FileBytes& recipe, Json* json) {
    (*json)["op"] = "file";
    (*json)["source"] = SourceIndex(*recipe.file);
    (*json)["offset"] = recipe.offset_bytes;
    return Status::Ok();
  }
  Status Fill(const ir::TransposeOf& recipe, Json* json) {
    (*json)["op"] = "transpose";
    (*json)["permutation"] = recipe.permutation;
    return AddOf(*recipe.source, json);
  }
  Status Fill(const ir::SliceOf& recipe, Json* json) {
    (*json)["op"] = "slice";
    (*json)["axis"] = recipe.axis;
    (*json)["begin"] = recipe.begin;
    (*json)["end"] = recipe.end;
    return AddOf(*recipe.source, json);
  }
  Status Fill(const ir::ConcatOf& recipe, Json* json) {
    (*json)["op"] = "concat";
    (*json)["axis"] = recipe.axis;
    Json parts = Json::array();
    for (const ir::WeightPtr& part : recipe.parts) {
      QEFF_ASSIGN_OR_RETURN(Json written, Write(*part));
      parts.push_back(std::move(written));
    }
    (*json)["of"] = std::move(parts);
    return Status::Ok();
  }
  Status Fill(const ir::ReshapeOf& recipe, Json* json) {
    (*json)["op"] = "reshape";
    return AddOf(*recipe.source, json);
  }
  Status Fill(const ir::ConvertOf& recipe, Json* json) {
    (*json)["op"] = "convert";
    return AddOf(*recipe.source, json);
  }
  Status Fill(const ir::PlusConstantOf& recipe, Json* json) {
    (*json)["op"] = "add";
    QEFF_RETURN_IF_ERROR(AddNumber("constant", recipe.constant, json));
    return AddOf(*recipe.source, json);
  }
  Status Fill(const ir::RopeTable& recipe, Json* json) {
    (*json)["op"] = recipe.is_sine ? "sin_table" : "cos_table";
    QEFF_RETURN_IF_ERROR(AddNumber("scale", recipe.scale, json));
    Json frequencies = Json::array();
    for (const float frequency : recipe.inverse_frequencies) {
      if (!std::isfinite(frequency)) return NotANumber("inverse_frequencies");
      frequencies.push_back(frequency);
    }
    (*json)["inverse_frequencies"] = std::move(frequencies);
    return Status::Ok();
  }

  Status AddOf(const ir::Weight& source, Json* json) {
    QEFF_ASSIGN_OR_RETURN((*json)["of"], Write(source));
    return Status::Ok();
  }
  static Status AddNumber(const char* key, float value, Json* json) {
    if (!std::isfinite(value)) return NotANumber(key);
    (*json)[key] = value;
    return Status::Ok();
  }
  static Status NotANumber(std::string_view key) {
    return Unsupported(Location::File(kWeightSpecFileName),
                       fmt::format("'{}' of a weight recipe is infinite or not a number", key));
  }

  size_t SourceIndex(const MappedFile& file) {
    const std::string path = fs::absolute(file.path()).lexically_normal().string();
    const auto [found, is_new] = indices_.emplace(path, sources_.size());
    if (is_new) {
      const size_t head_bytes = HeadBytes(file);
      sources_.push_back({{"path", path},
                          {"bytes", file.bytes().size()},
                          {"head_bytes", head_bytes},
                          {"head_sha256", HashHead(file, head_bytes)}});
    }
    return found->second;
  }

  Json sources_ = Json::array();
  std::map<std::string, size_t> indices_;
};

}  // namespace

std::string HashHead(const MappedFile& file, size_t head_bytes) {
  const auto head = file.bytes().first(head_bytes);
  return Sha256Hex({reinterpret_cast<const char*>(head.data()), head.size()});
}

Result<std::string> DumpWeightSpec(const NamedWeights& weights) {
  RecipeWriter writer;
  Json recipes = Json::object();
  for (const auto& [name, weight] : weights) {
    QEFF_ASSIGN_OR_RETURN(recipes[name], writer.Write(*weight));
  }
  return DumpPretty({{"format", kFormat},
                     {"version", fmt::format("{}.0", kFormatMajor)},
                     {"sources", writer.TakeSources()},
                     {"weights", std::move(recipes)}});
}

}  // namespace qeff::onnx_io
