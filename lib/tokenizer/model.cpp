// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/model.h"

#include "lib/tokenizer/component_table.h"
#include "lib/tokenizer/config_node.h"

namespace qeff {
namespace {

constexpr ComponentEntry<Model> kModels[] = {
    {"BPE", MakeBpe},
    {"Unigram", MakeUnigram},
    {"WordLevel", MakeWordLevel},
    {"WordPiece", MakeWordPiece},
};

}  // namespace

Status Model::NoUnknownToken(std::string_view word) const {
  constexpr size_t kShownBytes = 40;
  return InvalidInput(
      Location::File(file_),
      fmt::format("'model.unk_token': the vocabulary has neither '{}{}' nor an unknown token",
                  word.substr(0, kShownBytes), word.size() > kShownBytes ? "..." : ""));
}

Result<std::unique_ptr<Model>> MakeModel(const ConfigNode& node) {
  if (!node.is_object()) return node.Expected("an object with a type");
  if (!node.Member("type").is_absent()) return MakeComponent<Model>(node, "model", kModels);
  // Files of the first releases have no type.
  if (!node.Member("merges").is_absent()) return MakeBpe(node);
  if (node.Member("vocab").is_array()) return MakeUnigram(node);
  if (!node.Member("continuing_subword_prefix").is_absent()) return MakeWordPiece(node);
  return MakeWordLevel(node);
}

std::optional<std::vector<int64_t>> ByteTokens(std::string_view text,
                                               const Vocabulary& vocabulary) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::vector<int64_t> ids;
  for (const char byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    const char token[] = {'<', '0', 'x', kHex[value >> 4], kHex[value & 15], '>'};
    const auto id = vocabulary.Find({token, sizeof(token)});
    if (!id.has_value()) return std::nullopt;
    ids.push_back(*id);
  }
  return ids;
}

}  // namespace qeff
