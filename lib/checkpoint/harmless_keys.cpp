// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Keys of config.json that do not change what a model computes when it generates text: training,
// outputs of the Python classes, generation defaults of old configs (generation_config.json has
// them now), tokens for the tokenizer, names and tasks. Collected from the configuration base
// classes of transformers 4 and 5 and from checkpoints on the hub. A key that a family does read is
// not affected by being listed here.
#include <algorithm>
#include <array>

#include "lib/checkpoint/model_config.h"

namespace qeff::checkpoint {
namespace {

constexpr auto kHarmless = std::to_array<std::string_view>({
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_commit_hash",
    "_diffusers_version",
    "_experts_implementation",
    "_experts_implementation_internal",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "_output_attentions",
    "architectures",
    "attn_implementation",
    "auto_map",
    "aux_loss_alpha",
    "bad_words_ids",
    "base_model_tp_plan",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cls_token_id",
    "cross_attention_hidden_size",
    "decoder_start_token_id",
    "deterministic_flash_attn",
    "diversity_penalty",
    "do_sample",
    "dropout",
    "dropout_rate",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "experts_implementation",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "id2label",
    "init_device",
    "init_std",
    "initializer_cutoff_factor",
    "initializer_factor",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "label2id",
    "layerdrop",
    "length_penalty",
    "max_length",
    "min_length",
    "model_type",
    "n_ctx",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_router_logits",
    "output_scores",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "pruned_heads",
    "reference_compile",
    "remove_invalid_values",
    "repad_logits_with_grad",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "router_aux_loss_coef",
    "sep_token_id",
    "seq_aux",
    "sparse_pred_ignore_index",
    "sparse_prediction",
    "summary_activation",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tokenizer_class",
    "tokenizer_name",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attention",
    "use_flash_attn",
    "verbose",
});

// Switches of the configuration base class and of whole generations of configs: what they switch on
// matters.
constexpr auto kHarmlessIfFalse = std::to_array<std::string_view>({
    "add_cross_attention",
    "is_encoder_decoder",
    "rope_interleaved",
    "use_bidirectional_attention",
    "use_mrope",
});

template <size_t n>
bool Contains(const std::array<std::string_view, n>& list, std::string_view key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

}  // namespace

KeyEffect EffectOfKey(std::string_view key) {
  // Dropout acts in training only; its keys are spelled per family.
  const bool is_dropout =
      key.ends_with("_dropout") || key.ends_with("_dropout_prob") || key.ends_with("_pdrop");
  if (is_dropout || Contains(kHarmless, key)) return KeyEffect::kNone;
  return Contains(kHarmlessIfFalse, key) ? KeyEffect::kNoneIfFalse : KeyEffect::kUnknown;
}

}  // namespace qeff::checkpoint
