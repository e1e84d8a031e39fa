// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/support/json.h"
#include "lib/tokenizer/tokenizer.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

/// Members that hold the parts of a sequence of components.
constexpr const char* kSequenceKeys[] = {"normalizers", "pretokenizers", "processors", "decoders"};
constexpr int kDeepestSequence = 8;

/// "ByteLevel", or "Sequence(Split, ByteLevel)"; nothing if the file has no such component.
Cell ComponentName(const Json* component, int depth = 0) {
  if (component == nullptr || component->is_null()) return {};
  const Json* type = Find(*component, "type");
  if (type == nullptr || !type->is_string()) return std::string("without type");
  std::string name = type->get<std::string>();
  for (const char* key : kSequenceKeys) {
    const Json* parts = Find(*component, key);
    if (parts == nullptr || !parts->is_array() || depth == kDeepestSequence) continue;
    std::vector<std::string> names;
    for (const Json& part : *parts) {
      const Cell cell = ComponentName(&part, depth + 1);
      if (const auto* text = std::get_if<std::string>(&cell)) names.push_back(*text);
    }
    name += fmt::format("({})", fmt::join(names, ", "));
  }
  return name;
}

/// Number of elements of a list or an object.
Cell Count(const Json* value) {
  if (value == nullptr || !(value->is_array() || value->is_object())) return {};
  return static_cast<int64_t>(value->size());
}

Cell Text(const Json* value) {
  return value != nullptr && value->is_string() ? Cell(value->get<std::string>()) : Cell();
}

Cell Number(const Json* value) {
  return value != nullptr && value->is_number_integer() ? Cell(value->get<int64_t>()) : Cell();
}

Cell Boolean(const Json* value) {
  return value != nullptr && value->is_boolean() ? Cell(value->get<bool>()) : Cell();
}

/// A tokenizer without tokenizer.json: what its files come to.
Status ReadOlderTokenizer(const std::filesystem::path& file, Report& report) {
  QEFF_ASSIGN_OR_RETURN(const Tokenizer tokenizer, Tokenizer::Load(file.parent_path()));
  Fields summary;
  summary.Add("file", file.filename().string());
  summary.Add("vocabulary", tokenizer.vocab_size());
  const auto add = [&](const char* name, const std::optional<int64_t>& id) {
    summary.Add(name, id.has_value() ? Cell(tokenizer.IdToToken(*id).value_or("")) : Cell());
  };
  add("start_token", tokenizer.bos_id());
  add("end_token", tokenizer.eos_id());
  add("padding_token", tokenizer.pad_id());
  add("unknown_token", tokenizer.unk_id());
  report.Add(std::move(summary));
  return Status::Ok();
}

}  // namespace

Status ReadTokenizer(const std::filesystem::path& file, Report& report) {
  if (file.filename() != "tokenizer.json") return ReadOlderTokenizer(file, report);
  QEFF_ASSIGN_OR_RETURN(const Json root, ReadJsonFile(file));
  const Json* model = Find(root, "model");
  if (model == nullptr || !model->is_object()) {
    return InvalidInput(Location::File(file.string()), "expected a tokenizer, got no 'model' in it",
                        {"tokenizer.json is the file that the tokenizers package writes"});
  }
  Fields summary;
  summary.Add("file", file.filename().string());
  summary.Add("model", Text(Find(*model, "type")));
  summary.Add("vocabulary", Count(Find(*model, "vocab")));
  summary.Add("merges", Count(Find(*model, "merges")));
  summary.Add("byte_fallback", Boolean(Find(*model, "byte_fallback")));
  summary.Add("unknown_token", Text(Find(*model, "unk_token")));
  for (const char* part : {"normalizer", "pre_tokenizer", "post_processor", "decoder"})
    summary.Add(part, ComponentName(Find(root, part)));
  report.Add(std::move(summary));
  Table added{.name = "added_tokens", .columns = {"id", "token", "special"}, .rows = {}};
  if (const Json* tokens = Find(root, "added_tokens"); tokens != nullptr && tokens->is_array()) {
    for (const Json& token : *tokens) {
      added.rows.push_back({Number(Find(token, "id")), Text(Find(token, "content")),
                            Boolean(Find(token, "special"))});
    }
  }
  report.Add(std::move(added));
  return Status::Ok();
}

}  // namespace qeff::inspect
