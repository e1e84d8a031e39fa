// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "passes/pipelines.h"

namespace qeff::passes {
namespace {

PassStep Step(std::string name, PassOptions options = {}) {
  return {std::move(name), std::move(options)};
}

}  // namespace

Pipeline TransformPipeline(const Features& features) {
  Pipeline pipeline;
  // Before the cache, whose shape follows from what attention gets.
  if (features.latent_cache) pipeline.push_back(Step("keep-latent-cache"));
  // Before the cache, too, and after what changes the number of heads.
  if (features.replicate_kv_heads > 0) {
    pipeline.push_back(
        Step("replicate-kv-heads", {{"devices", std::to_string(features.replicate_kv_heads)}}));
  }
  // The cache first: what follows adds inputs to attentions that have one.
  if (features.kv_cache)
    pipeline.push_back(Step("add-kv-cache", {{"after", features.cache_after}}));
  // Before batching: its input stands before batch_index.
  if (features.compute_context_length) pipeline.push_back(Step("add-compute-context-length"));
  if (features.continuous_batching)
    pipeline.push_back(Step("add-continuous-batching", {{"after", features.batch_index_after}}));
  // Without a cache all logits of the text are wanted; the target of speculation wants the last n.
  if (features.speculative_target) {
    pipeline.push_back(Step("keep-speculative-logits"));
  } else if (features.kv_cache) {
    pipeline.push_back(Step("select-last-logits"));
  }
  return pipeline;
}

Pipeline LoweringPipeline(const LoweringOptions& options) {
  Pipeline pipeline;
  // Before a conversion, which would make infinities of what is beyond.
  if (options.clip_to_f16) {
    pipeline.push_back(Step("clip-to-f16", {{"dtype", std::string(DTypeName(options.dtype))}}));
  }
  // On semantic ops, where what is a weight and what is a position is still plain to see.
  if (options.dtype != DType::kF32) {
    pipeline.push_back(
        Step("convert-float-dtype", {{"dtype", std::string(DTypeName(options.dtype))}}));
  }
  const bool outline = !options.layer_function.empty();
  pipeline.push_back(Step("lower-context-length"));
  pipeline.push_back(Step("lower-selection"));
  pipeline.push_back(Step("lower-gated-mlp"));    // makes Linear and Activation
  pipeline.push_back(Step("lower-causal-conv"));  // makes Activation
  pipeline.push_back(Step("lower-gated-delta-rule"));
  pipeline.push_back(Step("lower-experts"));  // makes Activation
  pipeline.push_back(Step("lower-activation"));
  pipeline.push_back(
      Step("lower-rope"));  // ends in the layout changes that lower-attention begins with
  pipeline.push_back(
      Step("lower-attention", outline ? PassOptions{{"invalid-index", "zero"}} : PassOptions{}));
  pipeline.push_back(Step("lower-rms-norm"));
  pipeline.push_back(Step("lower-linear"));
  // From here on: no qeff op. Removes the layout changes that the lowerings above put back to back.
  pipeline.push_back(Step("fold-reshapes"));
  pipeline.push_back(Step("set-contract-shapes"));  // needs inferred types: before functions
  if (outline) pipeline.push_back(Step("outline-layers", {{"name", options.layer_function}}));
  return pipeline;
}

Pipeline RaisingPipeline() {
  return {
      Step("inline-functions"),  // patterns reach over the borders of layer functions
      Step("drop-noop-nodes"),   // casts and identities between the nodes of a pattern
      Step("fold-shapes"),  // from here on: shapes, axes and bounds are constants wherever they can
                            // be
      Step("fold-constants", {{"scalars", "1"}}),  // that exporters let the graph compute
      Step("drop-noop-nodes"),  // slices and expansions to the shape that is there already
      Step("fold-reshapes"),    // so that norms and rotations see their heads directly
      Step("raise-rms-norm"),
      Step("raise-activation"),  // before raise-linear takes the Adds that could be a bias
      Step("raise-linear"),
      Step("raise-gated-mlp"),  // needs Linear and Activation
      Step("raise-experts"),    // needs Activation
      Step("raise-rope"),
      Step("raise-attention"),    // needs heads as the rotation leaves them
      Step("raise-causal-conv"),  // needs Activation
      Step("raise-gated-delta-rule"),
      Step("raise-context-length"),
      Step("raise-selection"),
      Step("fold-reshapes"),   // cancels the layout changes that the raised ops brought
      Step("raise-rms-norm"),  // norms over the heads of a raised op have their Reshape only now
      Step("fold-reshapes"),
      Step("drop-dead-nodes"),
  };
}

Pipeline SpecializationPipeline(int64_t context_tokens) {
  Pipeline pipeline;
  if (context_tokens > 0) {
    pipeline.push_back(Step("trim-position-tables", {{"rows", std::to_string(context_tokens)}}));
  }
  pipeline.push_back(Step("fold-shapes"));  // all shapes are numbers now
  pipeline.push_back(Step(
      "fold-constants"));  // what computes from constants only: masks' slots, longrope's choice
  pipeline.push_back(Step("fold-reshapes"));
  pipeline.push_back(Step("drop-dead-nodes"));
  return pipeline;
}

}  // namespace qeff::passes
