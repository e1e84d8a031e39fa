// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "lib/checkpoint/checkpoint.h"
#include "lib/checkpoint/safetensors.h"
#include "lib/support/json.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

/// A value of config.json under one name, however a family spells it.
struct ConfigKey {
  const char* name;
  std::vector<const char*> spellings;  ///< the first that is there counts
};

const std::vector<ConfigKey>& ConfigKeys() {
  static const std::vector<ConfigKey> keys = {
      {"model_type", {"model_type"}},
      {"layers", {"num_hidden_layers", "n_layer", "n_layers", "num_layers"}},
      {"hidden_width", {"hidden_size", "n_embd", "d_model", "dim"}},
      {"attention_heads", {"num_attention_heads", "n_head", "n_heads"}},
      {"key_value_heads", {"num_key_value_heads", "num_kv_heads", "n_head_kv"}},
      {"head_width", {"head_dim"}},
      {"ffn_width", {"intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"}},
      {"experts", {"num_local_experts", "num_experts", "n_routed_experts"}},
      {"vocabulary", {"vocab_size"}},
      {"max_positions", {"max_position_embeddings", "n_positions", "max_seq_len"}},
      {"sliding_window_tokens", {"sliding_window"}},
      {"activation", {"hidden_act", "hidden_activation", "activation_function"}},
      {"embeddings_are_tied", {"tie_word_embeddings"}},
      {"dtype", {"dtype", "torch_dtype"}},
  };
  return keys;
}

/// Nothing for what is no single value.
Cell ToCell(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  return {};
}

/// The rope type of either spelling of transformers; nothing if the config does not speak of it.
Cell RopeType(const Json& config) {
  for (const char* section : {"rope_scaling", "rope_parameters"}) {
    const Json* rope = Find(config, section);
    if (rope == nullptr) continue;
    for (const char* key : {"rope_type", "type"}) {
      if (const Json* type = Find(*rope, key)) return ToCell(*type);
    }
  }
  return {};
}

Fields SummarizeConfig(const Json& config) {
  Fields summary;
  const Json* text = Find(config, "text_config");
  for (const ConfigKey& key : ConfigKeys()) {
    Cell cell;
    for (const char* spelling : key.spellings) {
      const Json* value = Find(config, spelling);
      if (value == nullptr && text != nullptr) value = Find(*text, spelling);
      if (value == nullptr || value->is_null()) continue;
      cell = ToCell(*value);
      break;
    }
    summary.Add(key.name, std::move(cell));
  }
  Cell rope = RopeType(config);
  if (text != nullptr && std::holds_alternative<std::monostate>(rope)) rope = RopeType(*text);
  summary.Add("rope_type", std::move(rope));
  return summary;
}

/// The longest context that the config speaks of.
int64_t MaxPositions(const Fields& summary) {
  for (const Field& field : summary.fields) {
    const auto* number = std::get_if<int64_t>(&field.value);
    if (field.name == "max_positions" && number != nullptr && *number > 0) return *number;
  }
  constexpr int64_t kFallback = 4096;
  return kFallback;
}

struct DTypeTotal {
  int64_t tensors = 0;
  int64_t elements = 0;
  int64_t size_bytes = 0;
};

/// "tensors", "parameters" and "weight_bytes" at the top, then a line for each dtype.
template <typename Tensors>
void AddTotals(const Tensors& tensors, Fields& summary, Report& report) {
  std::map<DType, DTypeTotal> totals;
  DTypeTotal all;
  for (const auto& tensor : tensors) {
    for (DTypeTotal* total : {&totals[tensor.dtype], &all}) {
      ++total->tensors;
      total->elements += ir::ElementCount(tensor.shape);
      total->size_bytes += tensor.size_bytes;
    }
  }
  summary.Add("tensors", all.tensors);
  summary.Add("parameters", all.elements);
  summary.Add("weight_bytes", all.size_bytes);
  report.Add(std::move(summary));
  Table dtypes{
      .name = "dtypes", .columns = {"dtype", "tensors", "parameters", "size_bytes"}, .rows = {}};
  for (const auto& [dtype, total] : totals) {
    dtypes.rows.push_back(
        {std::string(DTypeName(dtype)), total.tensors, total.elements, total.size_bytes});
  }
  report.Add(std::move(dtypes));
}

ir::Shape ToShape(const std::vector<int64_t>& dims) { return {dims.begin(), dims.end()}; }

}  // namespace

Status ReadCheckpoint(const std::filesystem::path& folder, const ReadOptions& options,
                      Report& report) {
  QEFF_ASSIGN_OR_RETURN(const checkpoint::Checkpoint checkpoint,
                        checkpoint::Checkpoint::Open(folder));
  QEFF_ASSIGN_OR_RETURN(const Json config, ReadJsonFile(folder / "config.json"));
  Fields summary = SummarizeConfig(config);
  const int64_t max_positions = MaxPositions(summary);
  AddTotals(checkpoint.tensors(), summary, report);
  QEFF_RETURN_IF_ERROR(ReadSupport(checkpoint, max_positions, report));
  Table files{.name = "files", .columns = {"name", "role", "size_bytes"}, .rows = {}};
  for (const checkpoint::InputFile& file : checkpoint.input_files()) {
    std::error_code error;
    const auto size_bytes = std::filesystem::file_size(file.path, error);
    if (error)
      return IoError(Location::File(file.path.string()), "cannot read the size", error.value());
    files.rows.push_back(
        {file.path.filename().string(), file.role, static_cast<int64_t>(size_bytes)});
  }
  report.Add(std::move(files));
  Table warnings{.name = "warnings", .columns = {"message"}, .rows = {}};
  for (const Diagnostic& warning : checkpoint.warnings())
    warnings.rows.push_back({warning.ToString()});
  report.Add(std::move(warnings));
  if (!options.list_tensors) return Status::Ok();
  Table tensors{.name = "tensors_by_name",
                .columns = {"name", "dtype", "dims", "size_bytes", "file"},
                .rows = {}};
  for (const checkpoint::TensorRef& tensor : checkpoint.tensors()) {
    tensors.rows.push_back({tensor.name, std::string(DTypeName(tensor.dtype)),
                            ToShape(tensor.shape), tensor.size_bytes,
                            checkpoint.weight_files()[tensor.file_index].filename().string()});
  }
  report.Add(std::move(tensors));
  return Status::Ok();
}

Status ReadSafetensors(const std::filesystem::path& path, Report& report) {
  QEFF_ASSIGN_OR_RETURN(const checkpoint::SafetensorsFile file,
                        checkpoint::SafetensorsFile::Open(path));
  Fields summary;
  summary.Add("file_bytes", static_cast<int64_t>(file.file()->bytes().size()));
  summary.Add("header_bytes", file.header_bytes());
  AddTotals(file.tensors(), summary, report);
  Fields metadata{.name = "metadata", .fields = {}};
  for (const auto& [key, value] : file.metadata()) metadata.Add(key, value);
  report.Add(std::move(metadata));
  Table tensors{.name = "tensors_by_name",
                .columns = {"name", "dtype", "dims", "size_bytes", "offset_bytes"},
                .rows = {}};
  for (const checkpoint::StoredTensor& tensor : file.tensors()) {
    tensors.rows.push_back({tensor.name, std::string(DTypeName(tensor.dtype)),
                            ToShape(tensor.shape), tensor.size_bytes, tensor.offset_bytes});
  }
  report.Add(std::move(tensors));
  return Status::Ok();
}

}  // namespace qeff::inspect
