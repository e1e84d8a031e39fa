// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "lib/onnx_io/proto.h"
#include "lib/onnx_io/weight_spec.h"
#include "lib/support/json.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

/// Builds recipes from JSON; everything that the builders of lib/ir require is checked here.
class RecipeReader {
 public:
  explicit RecipeReader(std::string path) : path_(std::move(path)) {}

  Status OpenSources(const Json& sources) {
    if (!sources.is_array()) return Bad("'sources' is not a list");
    for (const Json& json : sources) {
      const Json* name = Find(json, "path");
      const std::optional<int64_t> bytes = Number(json, "bytes");
      const std::optional<int64_t> head_bytes = Number(json, "head_bytes");
      const Json* hash = Find(json, "head_sha256");
      if (!name || !name->is_string() || !bytes || !head_bytes || !hash || !hash->is_string()) {
        return Bad("a source needs 'path', 'bytes', 'head_bytes' and 'head_sha256'");
      }
      const std::string& source_path = name->get_ref<const std::string&>();
      QEFF_ASSIGN_OR_RETURN(
          MappedFile file,
          MappedFile::Open(source_path)
              .WithNote(fmt::format(
                  "'{}' takes weights from this file; put it back, or export again", path_)));
      if (static_cast<int64_t>(file.bytes().size()) != *bytes || *head_bytes > *bytes ||
          HashHead(file, static_cast<size_t>(*head_bytes)) != hash->get_ref<const std::string&>()) {
        return InvalidInput(Location::File(source_path),
                            fmt::format("the file has changed since '{}' was written", path_),
                            {"run the stage that wrote it again"});
      }
      sources_.push_back(std::make_shared<const MappedFile>(std::move(file)));
    }
    return Status::Ok();
  }

  Result<ir::WeightPtr> Read(const std::string& name, const Json& json) {
    tensor_ = name;
    return ReadRecipe(json);
  }

 private:
  Status Bad(std::string message) const {
    return InvalidInput(Location::Tensor(path_, tensor_), std::move(message),
                        {"the file is damaged: run the stage that wrote it again"});
  }

  static std::optional<int64_t> Number(const Json& json, std::string_view key) {
    const Json* value = Find(json, key);
    if (!value || !value->is_number_integer()) return std::nullopt;
    if (value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{1} << 62) {
      return std::nullopt;
    }
    const auto number = value->get<int64_t>();
    return number < 0 ? std::nullopt : std::optional(number);
  }

  static std::optional<std::vector<int64_t>> Numbers(const Json& json, std::string_view key) {
    const Json* list = Find(json, key);
    if (!list || !list->is_array()) return std::nullopt;
    std::vector<int64_t> numbers;
    for (const Json& item : *list) {
      if (!item.is_number_unsigned() || item.get<uint64_t>() > uint64_t{1} << 62) {
        return std::nullopt;
      }
      numbers.push_back(item.get<int64_t>());
    }
    return numbers;
  }

  static std::optional<float> Float(const Json* json) {
    if (!json || !json->is_number()) return std::nullopt;
    const double value = json->get<double>();
    if (!(std::fabs(value) <= std::numeric_limits<float>::max())) return std::nullopt;
    return static_cast<float>(value);
  }

  Result<ir::WeightPtr> ReadRecipe(const Json& json) {
    const Json* op = Find(json, "op");
    const Json* dtype_name = Find(json, "dtype");
    std::optional<DType> dtype;
    if (dtype_name && dtype_name->is_string()) {
      dtype = DTypeFromName(dtype_name->get_ref<const std::string&>());
    }
    const std::optional<std::vector<int64_t>> dims = Numbers(json, "dims");
    if (!op || !op->is_string() || !dtype || !dims || !CheckedElementCount(*dims)) {
      return Bad("a recipe needs 'op', 'dtype' and 'dims'");
    }
    QEFF_ASSIGN_OR_RETURN(ir::WeightPtr weight,
                          Build(op->get_ref<const std::string&>(), json, *dtype, *dims));
    if (weight->dtype() != *dtype || weight->dims() != *dims) {
      return Bad(fmt::format("recipe '{}': expected {} [{}], got {}",
                             op->get_ref<const std::string&>(), DTypeName(*dtype),
                             fmt::join(*dims, ", "), weight->type().ToString()));
    }
    return weight;
  }

  Result<ir::WeightPtr> Build(const std::string& op, const Json& json, DType dtype,
                              const std::vector<int64_t>& dims) {
    if (op == "inline") return BuildInline(json, dtype, dims);
    if (op == "file") return BuildFile(json, dtype, dims);
    if (op == "sin_table" || op == "cos_table") return BuildTable(op == "sin_table", json, dims);
    if (op == "concat") return BuildConcat(json);
    const Json* of = Find(json, "of");
    if (!of) return Bad(fmt::format("recipe '{}' needs 'of'", op));
    QEFF_ASSIGN_OR_RETURN(ir::WeightPtr source, ReadRecipe(*of));
    if (op == "transpose") return BuildTranspose(json, std::move(source));
    if (op == "slice") return BuildSlice(json, std::move(source));
    if (op == "convert") return ir::Converted(std::move(source), dtype);
    if (op == "reshape" && CheckedElementCount(dims) == source->element_count()) {
      return ir::Reshaped(std::move(source), dims);
    }
    const std::optional<float> constant = Float(Find(json, "constant"));
    if (op == "add" && constant) return ir::PlusConstant(std::move(source), *constant);
    return Bad(fmt::format("recipe '{}' is unknown or does not fit its source", op));
  }

  Result<ir::WeightPtr> BuildInline(const Json& json, DType dtype,
                                    const std::vector<int64_t>& dims) {
    const Json* hex = Find(json, "hex");
    const int64_t size_bytes = DTypeBytes(dtype, ir::ElementCount(dims));
    if (!hex || !hex->is_string() ||
        hex->get_ref<const std::string&>().size() != static_cast<uint64_t>(size_bytes) * 2) {
      return Bad(fmt::format("expected {} bytes in 'hex'", size_bytes));
    }
    const auto digit = [](char c) {
      return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    const std::string& text = hex->get_ref<const std::string&>();
    std::vector<std::byte> bytes;
    for (size_t i = 0; i < text.size(); i += 2) {
      const int high = digit(text[i]);
      const int low = digit(text[i + 1]);
      if (high < 0 || low < 0) return Bad("'hex' has other characters than 0-9 and a-f");
      bytes.push_back(static_cast<std::byte>(high * 16 + low));
    }
    return ir::MakeInline(dtype, dims, std::move(bytes));
  }

  Result<ir::WeightPtr> BuildFile(const Json& json, DType dtype, const std::vector<int64_t>& dims) {
    const std::optional<int64_t> index = Number(json, "source");
    const std::optional<int64_t> offset_bytes = Number(json, "offset");
    if (!index || static_cast<size_t>(*index) >= sources_.size() || !offset_bytes) {
      return Bad("recipe 'file' needs the index of a source and an offset");
    }
    const ir::MappedFilePtr& file = sources_[static_cast<size_t>(*index)];
    const auto file_bytes = static_cast<int64_t>(file->bytes().size());
    const int64_t size_bytes = DTypeBytes(dtype, ir::ElementCount(dims));
    if (*offset_bytes > file_bytes || size_bytes > file_bytes - *offset_bytes) {
      return Bad(fmt::format("expected {} bytes at byte {} of '{}', which has {} bytes", size_bytes,
                             *offset_bytes, file->path(), file_bytes));
    }
    return ir::FromFile(file, *offset_bytes, dtype, dims);
  }

  Result<ir::WeightPtr> BuildTable(bool is_sine, const Json& json,
                                   const std::vector<int64_t>& dims) {
    ir::RopeTable table{.is_sine = is_sine};
    const std::optional<float> scale = Float(Find(json, "scale"));
    const Json* frequencies = Find(json, "inverse_frequencies");
    if (!scale || !frequencies || !frequencies->is_array() || dims.empty()) {
      return Bad("a table needs 'scale' and 'inverse_frequencies'");
    }
    table.scale = *scale;
    for (const Json& item : *frequencies) {
      const std::optional<float> frequency = Float(&item);
      if (!frequency) return Bad("'inverse_frequencies' holds something else than numbers");
      table.inverse_frequencies.push_back(*frequency);
    }
    return ir::MakeRopeTable(dims[0], std::move(table));
  }

  Result<ir::WeightPtr> BuildConcat(const Json& json) {
    const Json* of = Find(json, "of");
    const std::optional<int64_t> axis = Number(json, "axis");
    if (!of || !of->is_array() || of->empty() || !axis) {
      return Bad("recipe 'concat' needs 'axis' and 'of'");
    }
    std::vector<ir::WeightPtr> parts;
    for (const Json& item : *of) {
      QEFF_ASSIGN_OR_RETURN(ir::WeightPtr part, ReadRecipe(item));
      std::vector<int64_t> left = part->dims();
      std::vector<int64_t> right = parts.empty() ? left : parts.front()->dims();
      const auto at = static_cast<size_t>(*axis);
      const bool fits = at < left.size() && left.size() == right.size() &&
                        (parts.empty() || parts.front()->dtype() == part->dtype());
      if (fits) left[at] = right[at] = 0;
      if (!fits || left != right) return Bad("the parts of a concatenation do not fit");
      parts.push_back(std::move(part));
    }
    return ir::Concatenated(std::move(parts), static_cast<int>(*axis));
  }

  Result<ir::WeightPtr> BuildTranspose(const Json& json, ir::WeightPtr source) {
    const std::optional<std::vector<int64_t>> permutation = Numbers(json, "permutation");
    std::set<int64_t> axes;
    if (permutation) axes.insert(permutation->begin(), permutation->end());
    const size_t rank = source->dims().size();
    if (!permutation || permutation->size() != rank || axes.size() != rank ||
        (rank > 0 && *axes.rbegin() != static_cast<int64_t>(rank) - 1)) {
      return Bad(fmt::format("recipe 'transpose' needs a permutation of {} axes", rank));
    }
    return ir::Transposed(std::move(source), *permutation);
  }

  Result<ir::WeightPtr> BuildSlice(const Json& json, ir::WeightPtr source) {
    const std::optional<int64_t> axis = Number(json, "axis");
    const std::optional<int64_t> begin = Number(json, "begin");
    const std::optional<int64_t> end = Number(json, "end");
    const std::vector<int64_t>& dims = source->dims();
    if (!axis || !begin || !end || static_cast<size_t>(*axis) >= dims.size() || *begin > *end ||
        *end > dims[static_cast<size_t>(*axis)]) {
      return Bad("recipe 'slice' needs 'axis', 'begin' and 'end' within its source");
    }
    return ir::Sliced(std::move(source), static_cast<int>(*axis), *begin, *end);
  }

  std::string path_;
  std::string tensor_;
  std::vector<ir::MappedFilePtr> sources_;
};

}  // namespace

Result<NamedWeights> ReadWeightSpec(const fs::path& path) {
  QEFF_ASSIGN_OR_RETURN(const Json json, ReadJsonFile(path));
  const Location where = Location::File(path.string());
  const Json* format = Find(json, "format");
  const Json* version = Find(json, "version");
  const Json* sources = Find(json, "sources");
  const Json* weights = Find(json, "weights");
  if (!format || *format != "qeff-weight-spec" || !version || !version->is_string() || !sources ||
      !weights || !weights->is_object()) {
    return InvalidInput(where, "expected a weight specification of qeff, got another JSON file",
                        {"a weight_spec.json beside a model must be the one that was written with "
                         "it: move it away if it belongs to something else"});
  }
  if (!version->get_ref<const std::string&>().starts_with("1.")) {
    return Error(ErrorCode::kVersionMismatch, where,
                 fmt::format("expected format version 1.x, got '{}'",
                             version->get_ref<const std::string&>()),
                 {"use a newer qeff, or run the stage that wrote it again"});
  }
  RecipeReader reader(path.string());
  QEFF_RETURN_IF_ERROR(reader.OpenSources(*sources));
  NamedWeights result;
  for (const auto& [name, recipe] : weights->items()) {
    QEFF_ASSIGN_OR_RETURN(ir::WeightPtr weight, reader.Read(name, recipe));
    result.emplace_back(name, std::move(weight));
  }
  return result;
}

}  // namespace qeff::onnx_io
