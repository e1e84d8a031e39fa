// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// WordLevel: each word is a token, or the unknown one.
#include "lib/tokenizer/config_node.h"
#include "lib/tokenizer/model.h"

namespace qeff {
namespace {

class WordLevel final : public Model {
 public:
  static Result<std::unique_ptr<Model>> Make(const ConfigNode& node) {
    auto model = std::make_unique<WordLevel>();
    model->file_ = node.file();
    const ConfigNode vocabulary = node.Member("vocab");
    QEFF_ASSIGN_OR_RETURN(const auto entries, vocabulary.TokenIds());
    QEFF_ASSIGN_OR_RETURN(model->vocabulary_, Vocabulary::Make(entries, vocabulary));
    QEFF_ASSIGN_OR_RETURN(const std::string unknown, node.Member("unk_token").StringOr("<unk>"));
    model->unknown_id_ = model->vocabulary_.Find(unknown);
    return {std::move(model)};
  }

  Status Encode(std::string_view word, std::vector<int64_t>& ids) const override {
    const std::optional<int64_t> found = vocabulary_.Find(word);
    const std::optional<int64_t> id = found.has_value() ? found : unknown_id_;
    if (!id.has_value()) return NoUnknownToken(word);
    ids.push_back(*id);
    return Status::Ok();
  }
};

}  // namespace

Result<std::unique_ptr<Model>> MakeWordLevel(const ConfigNode& node) {
  return WordLevel::Make(node);
}

}  // namespace qeff
