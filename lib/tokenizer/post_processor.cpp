// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/post_processor.h"

#include "lib/tokenizer/config_node.h"

namespace qeff {
namespace {

/// Reads an id that must have a token.
Result<int64_t> KnownId(const ConfigNode& node, const PostProcessor::HasId& has_id) {
  QEFF_ASSIGN_OR_RETURN(const int64_t id, node.Integer(0, INT32_MAX));
  if (!has_id(id)) return node.Expected("the id of a token");
  return id;
}

}  // namespace

Result<PostProcessor> PostProcessor::FromConfig(const ConfigNode& node, const HasId& has_id) {
  if (node.is_absent()) return PostProcessor();
  QEFF_ASSIGN_OR_RETURN(const std::string type, node.Member("type").String());
  if (type == "BertProcessing" || type == "RobertaProcessing") return Pair(node, has_id);
  if (type == "ByteLevel") return PostProcessor();  // it only moves offsets, which we do not keep
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
    if (step.adds_nothing()) continue;
    // The reference hands the parts of the first one to the second as if they were texts.
    if (!result.adds_nothing()) {
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
  bool has_text = false;
  const ConfigNode single = node.Member("single");
  if (!single.is_array()) return single.Expected("an array of tokens and sequences");
  QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> parts, single.Elements());
  for (const ConfigNode& part : parts) {
    if (const ConfigNode sequence = part.Member("Sequence"); !sequence.is_absent()) {
      QEFF_ASSIGN_OR_RETURN(const std::string name, sequence.Member("id").String());
      if (name != "A" || has_text) return sequence.Expected("one sequence, with id 'A'");
      has_text = true;
      continue;
    }
    const ConfigNode name_node = part.Member("SpecialToken").Member("id");
    QEFF_ASSIGN_OR_RETURN(const std::string name, name_node.String());
    const ConfigNode token = node.Member("special_tokens").Member(name);
    if (!token.is_object()) return name_node.Expected("a name of 'special_tokens'");
    QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> ids, token.Member("ids").Elements());
    for (const ConfigNode& id_node : ids) {
      QEFF_ASSIGN_OR_RETURN(const int64_t id, KnownId(id_node, has_id));
      (has_text ? result.behind_ : result.before_).push_back(id);
    }
  }
  if (!has_text) return single.Expected("a sequence with id 'A'");
  return result;
}

Result<PostProcessor> PostProcessor::Pair(const ConfigNode& node, const HasId& has_id) {
  // ["token", id]
  const auto read_id = [&](std::string_view key) -> Result<int64_t> {
    const ConfigNode pair = node.Member(key);
    if (!pair.is_array()) return pair.Expected("[token, id]");
    QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> elements, pair.Elements());
    if (elements.size() != 2) return pair.Expected("[token, id]");
    return KnownId(elements[1], has_id);
  };
  PostProcessor result;
  QEFF_ASSIGN_OR_RETURN(const int64_t before, read_id("cls"));
  QEFF_ASSIGN_OR_RETURN(const int64_t behind, read_id("sep"));
  result.before_ = {before};
  result.behind_ = {behind};
  return result;
}

std::vector<int64_t> PostProcessor::Apply(std::vector<int64_t> ids, bool keep_single_start) const {
  const bool has_start =
      keep_single_start && !before_.empty() && !ids.empty() && ids.front() == before_.front();
  if (!has_start) ids.insert(ids.begin(), before_.begin(), before_.end());
  ids.insert(ids.end(), behind_.begin(), behind_.end());
  return ids;
}

}  // namespace qeff
