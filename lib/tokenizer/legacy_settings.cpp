// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/legacy_settings.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace qeff {
namespace {

constexpr std::string_view kRoleKeys[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};
constexpr size_t kRoleCount = std::size(kRoleKeys);

struct StyleEntry {
  LegacyStyle style;
  std::array<std::string_view, kRoleCount> roles;  ///< in the order of kRoleKeys; empty: none
  bool mask_takes_space = false;
  bool adds_mask = false;  ///< behind the vocabulary, if that has none
};

constexpr std::string_view kEnd = "<|endoftext|>";
constexpr StyleEntry kStyles[] = {
    {LegacyStyle::kSentencePiece, {}},
    {LegacyStyle::kLlama, {"<s>", "</s>", "<unk>"}},
    {LegacyStyle::kGemma, {"<bos>", "<eos>", "<unk>", "", "<pad>"}},
    {LegacyStyle::kT5, {"", "</s>", "<unk>", "", "<pad>"}},
    {LegacyStyle::kXlmRoberta, {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}, true},
    {LegacyStyle::kAlbert, {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"}, true},
    {LegacyStyle::kDebertaV2,
     {"[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"},
     false,
     true},
    {LegacyStyle::kGpt2, {kEnd, kEnd, kEnd}},
    {LegacyStyle::kQwen2, {"", kEnd, kEnd, "", kEnd}},
    {LegacyStyle::kRoberta, {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}, true},
    {LegacyStyle::kClip, {"<|startoftext|>", kEnd, kEnd, "", kEnd}},
    {LegacyStyle::kWhisper, {kEnd, kEnd, kEnd}},
    {LegacyStyle::kBert, {"", "", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}},
    {LegacyStyle::kTiktoken, {}},
};

const StyleEntry& EntryOf(LegacyStyle style) {
  return *std::ranges::find(kStyles, style, &StyleEntry::style);
}

struct ClassEntry {
  std::string_view name;  ///< of the class, without "Tokenizer" and "Fast"; or a model_type
  LegacyStyle style;
};

constexpr ClassEntry kClasses[] = {
    {"Albert", LegacyStyle::kAlbert},
    {"Bart", LegacyStyle::kRoberta},
    {"Bert", LegacyStyle::kBert},
    {"CLIP", LegacyStyle::kClip},
    {"CodeGen", LegacyStyle::kGpt2},
    {"CodeLlama", LegacyStyle::kLlama},
    {"ConvBert", LegacyStyle::kBert},
    {"DebertaV2", LegacyStyle::kDebertaV2},
    {"DistilBert", LegacyStyle::kBert},
    {"DPRContextEncoder", LegacyStyle::kBert},
    {"DPRQuestionEncoder", LegacyStyle::kBert},
    {"DPRReader", LegacyStyle::kBert},
    {"Electra", LegacyStyle::kBert},
    {"GPT2", LegacyStyle::kGpt2},
    {"Gemma", LegacyStyle::kGemma},
    {"LED", LegacyStyle::kRoberta},
    {"LayoutLM", LegacyStyle::kBert},
    {"Llama", LegacyStyle::kLlama},
    {"Longformer", LegacyStyle::kRoberta},
    {"MobileBert", LegacyStyle::kBert},
    {"Mvp", LegacyStyle::kRoberta},
    {"Qwen2", LegacyStyle::kQwen2},
    {"Roberta", LegacyStyle::kRoberta},
    {"SqueezeBert", LegacyStyle::kBert},
    {"T5", LegacyStyle::kT5},
    {"Whisper", LegacyStyle::kWhisper},
    {"XLMRoberta", LegacyStyle::kXlmRoberta},
};

constexpr ClassEntry kModelTypes[] = {
    {"albert", LegacyStyle::kAlbert},
    {"bart", LegacyStyle::kRoberta},
    {"bert", LegacyStyle::kBert},
    {"clip", LegacyStyle::kClip},
    {"clip_text_model", LegacyStyle::kClip},
    {"code_llama", LegacyStyle::kLlama},
    {"codegen", LegacyStyle::kGpt2},
    {"deberta-v2", LegacyStyle::kDebertaV2},
    {"deepseek_v2", LegacyStyle::kLlama},
    {"deepseek_v3", LegacyStyle::kLlama},
    {"distilbert", LegacyStyle::kBert},
    {"electra", LegacyStyle::kBert},
    {"gemma", LegacyStyle::kGemma},
    {"gemma2", LegacyStyle::kGemma},
    {"gemma3", LegacyStyle::kGemma},
    {"gemma3_text", LegacyStyle::kGemma},
    {"gpt2", LegacyStyle::kGpt2},
    {"gpt_bigcode", LegacyStyle::kGpt2},
    {"gpt_neo", LegacyStyle::kGpt2},
    {"gptj", LegacyStyle::kGpt2},
    {"granite", LegacyStyle::kGpt2},
    {"granitemoe", LegacyStyle::kGpt2},
    {"llama", LegacyStyle::kLlama},
    {"llava", LegacyStyle::kLlama},
    {"mistral", LegacyStyle::kLlama},
    {"mixtral", LegacyStyle::kLlama},
    {"opt", LegacyStyle::kGpt2},
    {"phi", LegacyStyle::kGpt2},
    {"phi3", LegacyStyle::kLlama},
    {"qwen2", LegacyStyle::kQwen2},
    {"qwen2_5_vl", LegacyStyle::kQwen2},
    {"qwen2_moe", LegacyStyle::kQwen2},
    {"qwen2_vl", LegacyStyle::kQwen2},
    {"qwen3", LegacyStyle::kQwen2},
    {"qwen3_moe", LegacyStyle::kQwen2},
    {"roberta", LegacyStyle::kRoberta},
    {"starcoder2", LegacyStyle::kGpt2},
    {"t5", LegacyStyle::kT5},
    {"umt5", LegacyStyle::kT5},
    {"whisper", LegacyStyle::kWhisper},
    {"xlm-roberta", LegacyStyle::kXlmRoberta},
    {"xlm-roberta-xl", LegacyStyle::kXlmRoberta},
};

std::optional<LegacyStyle> Lookup(std::span<const ClassEntry> table, std::string_view name) {
  const auto found = std::ranges::find(table, name, &ClassEntry::name);
  if (found == table.end()) return std::nullopt;
  return found->style;
}

/// The class that the files name, without the suffixes; empty for the ones that name no rules.
std::string ClassName(const Json& config) {
  const Json* name = Find(config, "tokenizer_class");
  if (name == nullptr || !name->is_string()) return {};
  std::string_view text = name->get_ref<const std::string&>();
  if (text == "PreTrainedTokenizer" || text == "PreTrainedTokenizerFast") return {};
  if (text.ends_with("Fast")) text.remove_suffix(4);
  if (text.ends_with("Tokenizer")) text.remove_suffix(9);
  return std::string(text);
}

/// The text of "token" or {"content": "token"}; none for other values.
std::optional<std::string> TokenText(const Json* value) {
  if (value != nullptr && value->is_object()) value = Find(*value, "content");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

Json TokenJson(std::string_view content, bool is_special, bool takes_space_before) {
  return {{"id", nullptr},        {"content", std::string(content)},
          {"single_word", false}, {"lstrip", takes_space_before},
          {"rstrip", false},      {"normalized", !is_special},
          {"special", is_special}};
}

}  // namespace

/// The elements of "added_tokens", by content.
class LegacySettings::TokenList {
 public:
  /// Replaces a token of the same content.
  void Put(Json token) {
    const auto [place, is_new] = index_.emplace(Content(token), tokens_.size());
    if (is_new) {
      tokens_.push_back(std::move(token));
    } else {
      tokens_[place->second] = std::move(token);
    }
  }

  /// Adds a token, "token" or {"content": "token", ...}, as special. If it is there, it becomes
  /// special, and takes blanks before it if the class says so of a mere text.
  void PutSpecial(const Json& value, std::optional<bool> takes_space_before) {
    const std::optional<std::string> content = TokenText(&value);
    if (!content.has_value()) return;
    const auto found = index_.find(*content);
    Json token = found != index_.end() ? tokens_[found->second] : TokenJson(*content, true, false);
    token["special"] = true;
    if (takes_space_before.has_value() && value.is_string()) token["lstrip"] = *takes_space_before;
    if (found == index_.end() && value.is_object()) {
      for (const char* flag : {"single_word", "lstrip", "rstrip", "normalized"}) {
        const Json* own = qeff::Find(value, flag);
        if (own != nullptr && own->is_boolean()) token[flag] = *own;
      }
    }
    Put(std::move(token));
  }

  /// Returns the list with all ids filled in: those of the vocabulary, then new ones behind it.
  Json Finish(LegacyVocabulary& vocabulary) && {
    Json result = Json::array();
    std::vector<Json> without_id;
    for (Json& token : tokens_) {
      const auto id = vocabulary.Find(Content(token));
      if (token["id"].is_null() && id.has_value()) token["id"] = *id;
      if (token["id"].is_null()) {
        without_id.push_back(std::move(token));
        continue;
      }
      if (!id.has_value() && token["id"].is_number_integer()) {
        vocabulary.Add(Content(token), token["id"].get<int64_t>());
      }
      result.push_back(std::move(token));
    }
    for (Json& token : without_id) {
      token["id"] = vocabulary.next_id();
      vocabulary.Add(Content(token), vocabulary.next_id());
      result.push_back(std::move(token));
    }
    return result;
  }

 private:
  static const std::string& Content(const Json& token) {
    return token["content"].get_ref<const std::string&>();
  }

  std::vector<Json> tokens_;
  std::unordered_map<std::string, size_t> index_;
};

void LegacyVocabulary::Add(std::string token, int64_t id) {
  ids_.insert_or_assign(std::move(token), id);
  next_id_ = std::max(next_id_, id + 1);
}

std::optional<int64_t> LegacyVocabulary::Find(const std::string& token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

Result<Json> LegacySettings::ReadIfThere(std::string_view name) const {
  const std::filesystem::path path = folder_ / name;
  if (!std::filesystem::exists(path)) return Json();
  QEFF_ASSIGN_OR_RETURN(Json json, ReadJsonFile(path));
  if (!json.is_object()) {
    return InvalidInput(Location::File(path.string()), "expected an object");
  }
  return json;
}

Result<LegacySettings> LegacySettings::Read(const std::filesystem::path& folder) {
  LegacySettings settings;
  settings.folder_ = folder;
  QEFF_ASSIGN_OR_RETURN(settings.config_, settings.ReadIfThere("tokenizer_config.json"));
  QEFF_ASSIGN_OR_RETURN(settings.special_map_, settings.ReadIfThere("special_tokens_map.json"));
  const std::string name = ClassName(settings.config_);
  if (!name.empty()) {
    settings.style_ = Lookup(kClasses, name);
    if (settings.style_.has_value()) return settings;
    std::vector<std::string_view> known;
    for (const ClassEntry& entry : kClasses) known.push_back(entry.name);
    return Unsupported(
        Location::File((folder / "tokenizer_config.json").string()),
        fmt::format("there is no tokenizer.json, and the rules of class '{}Tokenizer' are not "
                    "implemented",
                    name),
        {fmt::format("implemented: {}", fmt::join(known, ", ")),
         fmt::format("or write tokenizer.json with transformers: "
                     "AutoTokenizer.from_pretrained('{0}').save_pretrained('{0}')",
                     folder.string())});
  }
  QEFF_ASSIGN_OR_RETURN(const Json model, settings.ReadIfThere("config.json"));
  if (const Json* type = qeff::Find(model, "model_type"); type != nullptr && type->is_string()) {
    settings.style_ = Lookup(kModelTypes, type->get_ref<const std::string&>());
  }
  return settings;
}

Result<bool> LegacySettings::Flag(std::string_view key, bool value) const {
  const Json* flag = qeff::Find(config_, key);
  if (flag == nullptr || flag->is_null()) return value;
  if (!flag->is_boolean()) {
    return InvalidInput(Location::File((folder_ / "tokenizer_config.json").string()),
                        fmt::format("'{}': expected true or false", key));
  }
  return flag->get<bool>();
}

std::optional<std::string> LegacySettings::Role(std::string_view key, LegacyStyle style) const {
  for (const Json* file : {&config_, &special_map_}) {
    if (const Json* value = qeff::Find(*file, key)) return TokenText(value);
  }
  const auto index = static_cast<size_t>(std::ranges::find(kRoleKeys, key) - kRoleKeys);
  const std::string_view token = EntryOf(style).roles[index];
  if (token.empty()) return std::nullopt;
  return std::string(token);
}

std::vector<std::pair<std::string, std::string>> LegacySettings::ClassRoles(
    LegacyStyle style) const {
  std::vector<std::pair<std::string, std::string>> roles;
  for (const std::string_view key : kRoleKeys) {
    if (qeff::Find(config_, key) != nullptr || qeff::Find(special_map_, key) != nullptr) continue;
    if (auto token = Role(key, style)) roles.emplace_back(key, *std::move(token));
  }
  return roles;
}

/// Puts the tokens of "added_tokens_decoder", else those of added_tokens.json.
Status LegacySettings::PutFileTokens(TokenList& tokens) const {
  const Json* listed = qeff::Find(config_, "added_tokens_decoder");
  if (listed != nullptr && listed->is_object()) {
    for (const auto& [key, value] : listed->get_ref<const Json::object_t&>()) {
      int64_t id = 0;
      const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
      const bool is_number = parsed.ec == std::errc() && parsed.ptr == key.data() + key.size();
      if (!is_number || !value.is_object() || !TokenText(&value).has_value()) {
        return InvalidInput(
            Location::File((folder_ / "tokenizer_config.json").string()),
            fmt::format("'added_tokens_decoder.{}': expected an id and {{\"content\": ...}}", key));
      }
      Json token = value;
      token["id"] = id;
      tokens.Put(std::move(token));
    }
    return Status::Ok();
  }
  QEFF_ASSIGN_OR_RETURN(const Json older, ReadIfThere("added_tokens.json"));
  if (older.is_null()) return Status::Ok();
  for (const auto& [content, id] : older.get_ref<const Json::object_t&>()) {
    Json token = TokenJson(content, false, false);
    token["id"] = id;
    tokens.Put(std::move(token));
  }
  return Status::Ok();
}

Result<Json> LegacySettings::AddedTokens(std::span<const LegacyToken> own, LegacyStyle style,
                                         LegacyVocabulary& vocabulary) const {
  TokenList tokens;
  for (const LegacyToken& token : own) {
    Json json = TokenJson(token.content, token.is_special, token.takes_space_before);
    json["normalized"] = false;
    tokens.Put(std::move(json));
  }
  const StyleEntry& entry = EntryOf(style);
  for (const std::string_view key : kRoleKeys) {
    const bool is_mask = key == "mask_token";
    const auto token = Role(key, style);
    // What a class alone names, or a file without its id, is there if the vocabulary has it.
    const bool is_there =
        token.has_value() && (vocabulary.Find(*token).has_value() || (is_mask && entry.adds_mask));
    if (is_there) tokens.PutSpecial(*token, is_mask && entry.mask_takes_space);
  }
  QEFF_RETURN_IF_ERROR(PutFileTokens(tokens));
  for (const std::string_view key : kRoleKeys) {
    for (const Json* file : {&config_, &special_map_}) {
      if (const Json* value = qeff::Find(*file, key)) tokens.PutSpecial(*value, std::nullopt);
    }
  }
  for (const Json* file : {&config_, &special_map_}) {
    const Json* more = qeff::Find(*file, "additional_special_tokens");
    if (more == nullptr || !more->is_array()) continue;
    for (const Json& value : *more) tokens.PutSpecial(value, std::nullopt);
  }
  return std::move(tokens).Finish(vocabulary);
}

Result<Json> MakeTemplate(std::span<const TemplatePart> single, std::span<const TemplatePart> pair,
                          const LegacyVocabulary& vocabulary, const std::filesystem::path& folder) {
  Json special = Json::object();
  const auto parts_json = [&](std::span<const TemplatePart> parts) -> Result<Json> {
    Json list = Json::array();
    for (const auto& [token, type_id] : parts) {
      const bool is_text = token == "$A" || token == "$B";
      if (!is_text) {
        const auto id = vocabulary.Find(token);
        if (!id.has_value()) {
          return InvalidInput(Location::File(folder.string()),
                              fmt::format("the class of the tokenizer puts the token '{}' around "
                                          "texts, but the vocabulary has none",
                                          token));
        }
        special[token] = {{"id", token}, {"ids", {*id}}, {"tokens", {token}}};
      }
      list.push_back({{is_text ? "Sequence" : "SpecialToken",
                       {{"id", is_text ? token.substr(1) : token}, {"type_id", type_id}}}});
    }
    return list;
  };
  Json json = {{"type", "TemplateProcessing"}};
  QEFF_ASSIGN_OR_RETURN(json["single"], parts_json(single));
  QEFF_ASSIGN_OR_RETURN(json["pair"], parts_json(pair));
  json["special_tokens"] = std::move(special);
  return json;
}

Json VocabularyJson(const LegacyVocabulary& vocabulary) {
  std::vector<std::pair<int64_t, std::string_view>> by_id;
  by_id.reserve(vocabulary.ids().size());
  for (const auto& [token, id] : vocabulary.ids()) by_id.emplace_back(id, token);
  std::ranges::sort(by_id);
  // emplace_back: operator[] would search the whole object for each token.
  Json::object_t::Container members;
  members.reserve(by_id.size());
  for (const auto& [id, token] : by_id) members.emplace_back(std::string(token), id);
  Json json = Json::object();
  static_cast<Json::object_t::Container&>(json.get_ref<Json::object_t&>()) = std::move(members);
  return json;
}

}  // namespace qeff
