// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Configs of encoders that are refused, and what is said of them. What the families compute is
// compared with transformers' results in tests/e2e.
#include <catch2/catch.hpp>

#include "lib/families/family.h"

namespace qeff::families {
namespace {

/// The error of building `model_type` with `keys` and no tensors.
std::string Message(const std::string& model_type, const std::string& keys,
                    Task task = Task::kEmbedding) {
  const auto config = checkpoint::ConfigReader::Parse(
      fmt::format("{{\"num_hidden_layers\": 2, {}}}", keys), "config.json");
  REQUIRE(config.ok());
  const WeightTable weights{.path = "checkpoint", .weights = {}};
  FamilyFindings findings;
  for (const FamilyInfo& family : AllFamilies()) {
    if (family.model_type != model_type) continue;
    const auto graph =
        family.build({.config = *config, .weights = weights, .findings = findings, .task = task});
    return graph.ok() ? "accepted" : graph.diagnostic().message;
  }
  return "no such family";
}

void CheckSays(const std::string& message, const std::string& expected) {
  CAPTURE(message, expected);
  CHECK(message.find(expected) != std::string::npos);
}

TEST_CASE("bad_ keys of DeBERTa") {
  const std::string relative = "\"relative_attention\": true, \"pos_att_type\": \"c2p\", ";
  const auto says = [&](const std::string& keys, const std::string& expected) {
    CheckSays(Message("deberta_v2", relative + keys), expected);
  };
  says("\"position_buckets\": 3", "'position_buckets': expected an even number of 4 or more");
  says("\"position_buckets\": 9", "got 9");
  says("\"position_buckets\": 256, \"max_relative_positions\": 100",
       "half is less than the largest distance (99), got 256");
  says("\"max_relative_positions\": 100000", "'max_relative_positions'");
  says("\"norm_rel_ebd\": \"batch_norm\"", "'norm_rel_ebd': unknown kind 'batch_norm'");
  says("\"conv_kernel_size\": 4", "'conv_kernel_size': expected an odd number, got 4");
  says("\"conv_kernel_size\": 3, \"conv_groups\": 7",
       "'conv_groups': expected a divisor of hidden_size (1536), got 7");
  says("\"conv_kernel_size\": 3, \"conv_act\": \"swoosh\"", "'conv_act'");
  says("\"pooler_hidden_size\": 8", "'pooler_hidden_size': expected hidden_size (1536), got 8");
  says("\"attention_head_size\": 8", "'attention_head_size': expected 64, got 8");
  CheckSays(Message("deberta_v2", "\"pos_att_type\": [\"p2p\"]"), "unknown kind 'p2p'");
  CheckSays(Message("deberta_v2", "\"legacy\": false", Task::kMaskedLm), "'legacy'");
}

TEST_CASE("bad_ keys of other encoders") {
  CheckSays(Message("modernbert", "\"classifier_pooling\": \"max\""),
            "'classifier_pooling': expected 'cls' or 'mean', got 'max'");
  CheckSays(Message("modernbert", "\"layer_types\": [\"full_attention\"]"), "'layer_types'");
  CheckSays(Message("modernbert", "\"local_attention\": 0"), "'local_attention'");
  CheckSays(Message("nomic_bert", "\"rotary_scaling_factor\": 2"), "'rotary_scaling_factor'");
  CheckSays(Message("nomic_bert", "\"prenorm\": true"), "'prenorm'");
  CheckSays(Message("nomic_bert", "\"moe_every_n_layers\": 2"), "'moe_every_n_layers'");
  CheckSays(Message("nomic_bert", "\"activation_function\": \"gelu\""),
            "'activation_function': expected 'swiglu', got 'gelu'");
  CheckSays(Message("nomic_bert", "\"rotary_emb_fraction\": 0.5"), "'rotary_emb_fraction'");
  CheckSays(Message("jina_embeddings_v3", "\"lora_adaptations\": [\"retrieval.query\"]"),
            "'lora_adaptations'");
  CheckSays(Message("t5", "\"relative_attention_num_buckets\": 2"),
            "'relative_attention_num_buckets'");
  CheckSays(Message("t5", "\"relative_attention_max_distance\": 8"),
            "expected more than a quarter of relative_attention_num_buckets (32), got 8");
  CheckSays(Message("t5", "\"feed_forward_proj\": \"gated-swoosh\""), "swoosh");
  CheckSays(Message("t5", "\"d_kv\": 64", Task::kSequenceClassification), "no head for the task");
}

TEST_CASE("bad_ tasks of decoders") {
  CheckSays(Message("llama",
                    "\"hidden_size\": 8, \"num_attention_heads\": 2, "
                    "\"intermediate_size\": 8",
                    Task::kMaskedLm),
            "a decoder has no head for masked tokens");
  CheckSays(Message("llama",
                    "\"hidden_size\": 8, \"num_attention_heads\": 2, "
                    "\"intermediate_size\": 8, \"id2label\": {}",
                    Task::kSequenceClassification),
            "'id2label'");
  CheckSays(Message("gemma3_text",
                    "\"hidden_size\": 8, \"num_attention_heads\": 2, "
                    "\"num_key_value_heads\": 2, \"intermediate_size\": 8, "
                    "\"use_bidirectional_attention\": true",
                    Task::kCausalLm),
            "text cannot be generated");
}

}  // namespace
}  // namespace qeff::families
