// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/post_processor.h"

#include <algorithm>

#include "lib/tokenizer/config_node.h"

namespace qeff {
namespace {

using Part = PostProcessor::Part;
using Kind = PostProcessor::Part::Kind;

/// Reads an id that must have a token.
Result<int64_t> KnownId(const ConfigNode& node, const PostProcessor::HasId& has_id) {
  QEFF_ASSIGN_OR_RETURN(const int64_t id, node.Integer(0, INT32_MAX));
  if (!has_id(id)) return node.Expected("the id of a token");
  return id;
}

/// Reads ["token", id].
Result<int64_t> TokenAndId(const ConfigNode& pair, const PostProcessor::HasId& has_id) {
  if (!pair.is_array()) return pair.Expected("[token, id]");
  QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> elements, pair.Elements());
  if (elements.size() != 2) return pair.Expected("[token, id]");
  return KnownId(elements[1], has_id);
}

Part Token(int64_t token_id, int64_t type_id) {
  return {.kind = Kind::kToken, .type_id = type_id, .token_id = token_id};
}

int64_t CountTexts(const std::vector<Part>& parts, Kind kind) {
  return std::ranges::count(parts, kind, &Part::kind);
}

/// Reads {"Sequence": {"id": "A", "type_id": 0}} or {"SpecialToken": {"id": "[CLS]", ...}}, which
/// may stand for several tokens.
Status AddTemplatePart(const ConfigNode& node, const ConfigNode& special_tokens,
                       const PostProcessor::HasId& has_id, std::vector<Part>& parts) {
  if (const ConfigNode sequence = node.Member("Sequence"); !sequence.is_absent()) {
    QEFF_ASSIGN_OR_RETURN(const std::string name, sequence.Member("id").String());
    QEFF_ASSIGN_OR_RETURN(const int64_t type_id,
                          sequence.Member("type_id").IntegerOr(0, INT32_MAX, 0));
    if (name != "A" && name != "B") return sequence.Member("id").Expected("A or B");
    parts.push_back(
        {.kind = name == "A" ? Kind::kFirstText : Kind::kSecondText, .type_id = type_id});
    return Status::Ok();
  }
  const ConfigNode special = node.Member("SpecialToken");
  const ConfigNode name_node = special.Member("id");
  QEFF_ASSIGN_OR_RETURN(const std::string name, name_node.String());
  QEFF_ASSIGN_OR_RETURN(const int64_t type_id,
                        special.Member("type_id").IntegerOr(0, INT32_MAX, 0));
  const ConfigNode token = special_tokens.Member(name);
  if (!token.is_object()) return name_node.Expected("a name of 'special_tokens'");
  QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> ids, token.Member("ids").Elements());
  for (const ConfigNode& id_node : ids) {
    QEFF_ASSIGN_OR_RETURN(const int64_t id, KnownId(id_node, has_id));
    parts.push_back(Token(id, type_id));
  }
  return Status::Ok();
}

Result<std::vector<Part>> TemplateParts(const ConfigNode& node, const ConfigNode& special_tokens,
                                        const PostProcessor::HasId& has_id) {
  std::vector<Part> parts;
  QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> elements, node.Elements());
  for (const ConfigNode& element : elements) {
    QEFF_RETURN_IF_ERROR(AddTemplatePart(element, special_tokens, has_id, parts));
  }
  return parts;
}

}  // namespace

PostProcessor::PostProcessor()
    : single_{{.kind = Kind::kFirstText}},
      pair_{{.kind = Kind::kFirstText}, {.kind = Kind::kSecondText, .type_id = 1}} {}

Result<PostProcessor> PostProcessor::FromConfig(const ConfigNode& node, const HasId& has_id) {
  if (node.is_absent()) return PostProcessor();
  QEFF_ASSIGN_OR_RETURN(const std::string type, node.Member("type").String());
  if (type == "BertProcessing") return Bert(node, has_id);
  if (type == "ByteLevel") return PostProcessor();  // it only moves offsets, which we do not keep
  if (type == "RobertaProcessing") return Roberta(node, has_id);
  if (type == "Sequence") return Sequence(node, has_id);
  if (type == "TemplateProcessing") return Template(node, has_id);
  return node.UnknownType(
      "post-processor", type,
      {"BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"});
}

Result<PostProcessor> PostProcessor::Sequence(const ConfigNode& node, const HasId& has_id) {
  PostProcessor result;
  QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> elements,
                        node.Member("processors").Elements());
  for (const ConfigNode& element : elements) {
    if (!element.is_object()) return element.Expected("an object with a type");
    QEFF_ASSIGN_OR_RETURN(PostProcessor step, FromConfig(element, has_id));
    if (step == PostProcessor()) continue;
    // The reference hands the parts of the first one to the second as if they were texts.
    if (!(result == PostProcessor())) {
      return Unsupported(Location::File(element.file()),
                         fmt::format("'{}': a second post-processor that adds tokens is not "
                                     "supported",
                                     element.path()));
    }
    result = std::move(step);
  }
  return result;
}

Result<PostProcessor> PostProcessor::Template(const ConfigNode& node, const HasId& has_id) {
  PostProcessor result;
  result.file_ = node.file();
  const ConfigNode tokens = node.Member("special_tokens");
  const ConfigNode single = node.Member("single");
  if (!single.is_array()) return single.Expected("an array of tokens and sequences");
  QEFF_ASSIGN_OR_RETURN(result.single_, TemplateParts(single, tokens, has_id));
  if (CountTexts(result.single_, Kind::kFirstText) != 1 ||
      CountTexts(result.single_, Kind::kSecondText) != 0) {
    return single.Expected("one sequence, with id 'A'");
  }
  const ConfigNode pair = node.Member("pair");
  QEFF_ASSIGN_OR_RETURN(result.pair_, TemplateParts(pair, tokens, has_id));
  if (!result.pair_.empty() && (CountTexts(result.pair_, Kind::kFirstText) != 1 ||
                                CountTexts(result.pair_, Kind::kSecondText) != 1)) {
    return pair.Expected("two sequences, with ids 'A' and 'B'");
  }
  return result;
}

Result<PostProcessor> PostProcessor::Bert(const ConfigNode& node, const HasId& has_id) {
  QEFF_ASSIGN_OR_RETURN(const int64_t start, TokenAndId(node.Member("cls"), has_id));
  QEFF_ASSIGN_OR_RETURN(const int64_t end, TokenAndId(node.Member("sep"), has_id));
  PostProcessor result;
  result.single_ = {Token(start, 0), {.kind = Kind::kFirstText}, Token(end, 0)};
  result.pair_ = result.single_;
  result.pair_.push_back({.kind = Kind::kSecondText, .type_id = 1});
  result.pair_.push_back(Token(end, 1));
  return result;
}

Result<PostProcessor> PostProcessor::Roberta(const ConfigNode& node, const HasId& has_id) {
  QEFF_ASSIGN_OR_RETURN(const int64_t start, TokenAndId(node.Member("cls"), has_id));
  QEFF_ASSIGN_OR_RETURN(const int64_t end, TokenAndId(node.Member("sep"), has_id));
  PostProcessor result;
  result.single_ = {Token(start, 0), {.kind = Kind::kFirstText}, Token(end, 0)};
  result.pair_ = result.single_;
  result.pair_.push_back(Token(end, 0));
  result.pair_.push_back({.kind = Kind::kSecondText});
  result.pair_.push_back(Token(end, 0));
  return result;
}

Result<std::vector<Part>> PostProcessor::pair() const {
  if (pair_.empty()) {
    return InvalidInput(Location::File(file_),
                        "'post_processor.pair': the template has no place for a pair of texts");
  }
  return pair_;
}

std::vector<Part> OnlyTexts(std::vector<Part> parts) {
  std::erase_if(parts, [](const Part& part) { return part.kind == Kind::kToken; });
  return parts;
}

std::vector<Part> WithoutSecondStart(std::vector<Part> parts, std::span<const int64_t> first_text) {
  const auto text = std::ranges::find(parts, Kind::kFirstText, &Part::kind);
  const bool has_start = text != parts.begin() && parts.front().kind == Kind::kToken &&
                         !first_text.empty() && first_text.front() == parts.front().token_id;
  if (has_start) parts.erase(parts.begin(), text);
  return parts;
}

int64_t CountTokens(std::span<const Part> parts) {
  return std::ranges::count(parts, Kind::kToken, &Part::kind);
}

Encoding Join(std::span<const Part> parts, std::span<const int64_t> first,
              std::span<const int64_t> second) {
  Encoding encoding;
  for (const Part& part : parts) {
    const bool is_token = part.kind == Kind::kToken;
    const std::span<const int64_t> ids = is_token ? std::span(&part.token_id, 1)
                                         : part.kind == Kind::kFirstText ? first
                                                                         : second;
    encoding.ids.insert(encoding.ids.end(), ids.begin(), ids.end());
    encoding.type_ids.resize(encoding.ids.size(), part.type_id);
    encoding.special_tokens_mask.resize(encoding.ids.size(), is_token ? 1 : 0);
  }
  encoding.attention_mask.assign(encoding.ids.size(), 1);
  return encoding;
}

}  // namespace qeff
