// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The order of passes: which ones each stage runs, and why there.
#pragma once

#include <cstdint>
#include <string>

#include "lib/support/dtype.h"
#include "passes/pass_manager.h"

namespace qeff::passes {

/// Deployment features that become passes.
struct Features {
  bool kv_cache = true;
  bool latent_cache = false;       ///< latent attention keeps latents
  int64_t replicate_kv_heads = 0;  ///< devices to divide them over; 0: as they are
  bool compute_context_length = false;
  bool continuous_batching = false;
  bool speculative_target = false;
  // Where new inputs stand, by the name of the input before them.
  std::string cache_after = "position_ids";
  std::string batch_index_after;  ///< empty: last
};

/// From a family's graph to one that can be deployed; semantic ops in and out.
Pipeline TransformPipeline(const Features& features);

struct LoweringOptions {
  DType dtype = DType::kF32;
  bool clip_to_f16 = false;  ///< for a compiler that computes in f16
  /// Function name of a layer; empty: layers are not outlined.
  std::string layer_function;
};

/// From semantic ops to the ops of the compiler contract.
Pipeline LoweringPipeline(const LoweringOptions& options);

/// From ONNX, whoever wrote it, to semantic ops as far as they can be recognized.
Pipeline RaisingPipeline();

/// From a graph whose symbols have numbers to one without shape arithmetic. `context_tokens` 0: no
/// position tables to cut.
Pipeline SpecializationPipeline(int64_t context_tokens);

}  // namespace qeff::passes
