// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/plan/state_form.h"

#include <optional>

#include "lib/ir/graph.h"
#include "lib/ops/attention_inputs.h"
#include "lib/support/log.h"

namespace qeff::cpu {
namespace {

using Input = ops::AttentionInput;

CacheFormat FormatOf(KvCacheType type) {
  switch (type) {
    case KvCacheType::kF32:
      return CacheFormat::kF32;
    case KvCacheType::kBf16:
      return CacheFormat::kBf16;
    case KvCacheType::kF16:
      return CacheFormat::kF16;
    case KvCacheType::kMxint8:
      return CacheFormat::kMxint8;
  }
  return CacheFormat::kF32;
}

enum class StateUse { kOther, kPastKey, kPastValue, kScattered };

bool IsGatheredOnly(const ir::Value& value) {
  for (const ir::Use& use : value.uses()) {
    if (use.input_index != 0 || use.node->domain() != ir::kCloudDomain ||
        !use.node->op_type().starts_with("CtxGather")) {
      return false;
    }
  }
  return true;
}

/// Who writes and reads the state `input`.
StateUse UseOfState(const ir::Value& input) {
  if (input.uses().size() != 1) return StateUse::kOther;
  const ir::Use& use = input.uses()[0];
  const ir::Node& node = *use.node;
  if (node.IsQeff("Attention") &&
      (use.input_index == Input::kPastKey || use.input_index == Input::kPastValue)) {
    const bool is_key = use.input_index == Input::kPastKey;
    const ir::Value* present = node.output(is_key ? 1 : 2);
    if (present != nullptr && !present->uses().empty()) return StateUse::kOther;
    return is_key ? StateUse::kPastKey : StateUse::kPastValue;
  }
  const bool is_scattered = node.domain() == ir::kCloudDomain &&
                            node.op_type().starts_with("CtxScatter") && use.input_index == 0;
  return is_scattered && IsGatheredOnly(*node.output(0)) ? StateUse::kScattered : StateUse::kOther;
}

}  // namespace

StateForm ChooseStateForm(const std::vector<SpecializedGraph>& graphs, std::string_view name,
                          KvCacheType kv_cache) {
  std::optional<StateUse> use;
  bool is_float = true;
  for (const SpecializedGraph& specialized : graphs) {
    const ir::Value* input = specialized.graph.FindInput(name);
    const StateUse here = input == nullptr ? StateUse::kOther : UseOfState(*input);
    use = use && *use != here ? StateUse::kOther : here;
    if (input != nullptr) is_float = IsFloat(input->type().dtype.value_or(DType::kF32));
  }
  StateForm form;
  if (!use || *use == StateUse::kOther) return form;
  if (*use == StateUse::kPastKey) form.layout = StateLayout::kKeyPanels;
  if (is_float) form.format = FormatOf(kv_cache);
  return form;
}

Status CheckStateForms(const std::vector<StateTensor>& states, KvCacheType kv_cache) {
  if (kv_cache == KvCacheType::kF32) return Status::Ok();
  std::vector<std::string_view> kept;
  for (const StateTensor& state : states) {
    if (state.format == CacheFormat::kF32) kept.push_back(state.name);
  }
  if (kept.size() == states.size()) {
    return Unsupported(Location::Flag("--kv-cache"),
                       states.empty()
                           ? "the model keeps nothing between calls"
                           : fmt::format("the model keeps no keys and values, only state like '{}'",
                                         states.front().name),
                       {"leave it out"});
  }
  if (!kept.empty()) {
    LogInfo("--kv-cache {}: {} of {} retained states are no keys or values and stay f32: {}{}",
            KvCacheName(kv_cache), kept.size(), states.size(), kept.front(),
            kept.size() > 1 ? ", ..." : "");
  }
  return Status::Ok();
}

}  // namespace qeff::cpu
