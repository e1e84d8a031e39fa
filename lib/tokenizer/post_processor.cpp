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
  PostProcessor processor;
  if (!node.is_absent()) QEFF_RETURN_IF_ERROR(AddFrames(node, has_id, processor.frames_));
  return processor;
}

Status PostProcessor::AddFrames(const ConfigNode& node, const HasId& has_id,
                                std::vector<Frame>& frames) {
  QEFF_ASSIGN_OR_RETURN(const std::string type, node.Member("type").String());
  if (type == "ByteLevel") return Status::Ok();  // it only moves offsets, which we do not keep
  if (type == "Sequence") {
    QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> elements,
                          node.Member("processors").Elements());
    for (const ConfigNode& element : elements) {
      QEFF_RETURN_IF_ERROR(AddFrames(element, has_id, frames));
    }
    return Status::Ok();
  }
  Frame frame;
  if (type == "TemplateProcessing") {
    QEFF_ASSIGN_OR_RETURN(frame, TemplateFrame(node, has_id));
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    QEFF_ASSIGN_OR_RETURN(frame, PairFrame(node, has_id));
  } else {
    return node.UnknownType(
        "post-processor", type,
        {"BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"});
  }
  frames.push_back(std::move(frame));
  return Status::Ok();
}

Result<PostProcessor::Frame> PostProcessor::TemplateFrame(const ConfigNode& node,
                                                          const HasId& has_id) {
  Frame frame;
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
      (has_text ? frame.behind : frame.before).push_back(id);
    }
  }
  if (!has_text) return single.Expected("a sequence with id 'A'");
  return frame;
}

Result<PostProcessor::Frame> PostProcessor::PairFrame(const ConfigNode& node, const HasId& has_id) {
  // ["token", id]
  const auto read_id = [&](std::string_view key) -> Result<int64_t> {
    const ConfigNode pair = node.Member(key);
    if (!pair.is_array()) return pair.Expected("[token, id]");
    QEFF_ASSIGN_OR_RETURN(const std::vector<ConfigNode> elements, pair.Elements());
    if (elements.size() != 2) return pair.Expected("[token, id]");
    return KnownId(elements[1], has_id);
  };
  QEFF_ASSIGN_OR_RETURN(const int64_t before, read_id("cls"));
  QEFF_ASSIGN_OR_RETURN(const int64_t behind, read_id("sep"));
  return Frame{.before = {before}, .behind = {behind}};
}

std::vector<int64_t> PostProcessor::Apply(std::vector<int64_t> ids, bool keep_single_start) const {
  for (const Frame& frame : frames_) {
    const bool has_start = keep_single_start && !frame.before.empty() && !ids.empty() &&
                           ids.front() == frame.before.front();
    if (!has_start) ids.insert(ids.begin(), frame.before.begin(), frame.before.end());
    ids.insert(ids.end(), frame.behind.begin(), frame.behind.end());
  }
  return ids;
}

}  // namespace qeff
