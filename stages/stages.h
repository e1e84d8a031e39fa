// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The five stages as functions: what the programs of tools/ and the C++ API of include/qeff/ call.
// Each reads a folder, writes a folder and returns its path; none prints. A result that exists
// already, made from the same inputs by the same options and version, is found and not made again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "lib/families/family.h"
#include "lib/generation/generation_config.h"
#include "lib/hub/cache.h"
#include "lib/support/dtype.h"
#include "lib/support/json.h"
#include "lib/support/status.h"
#include "stages/embedding_head.h"

namespace qeff::stages {

// --- fetch: what the user calls a model -> checkpoint folder

struct FetchOptions {
  std::filesystem::path output;  ///< copy the checkpoint here; empty: use it where it is
  bool verify_hashes = false;  ///< read everything and compare with the hashes that the cache knows
};

/// `model` is a folder, or an id "org/name[@revision]" that is in the Hugging Face cache. Asks no
/// hub; stages/hub_fetch.h does.
Result<std::filesystem::path> Fetch(const std::string& model, const FetchOptions& options);

/// What Fetch does once it has the snapshot: checks that it is whole and can be read, then as
/// VerifyFetched, then copies it if that is wanted.
Result<std::filesystem::path> FinishFetch(const hub::Snapshot& snapshot,
                                          const FetchOptions& options);

/// Compares contents with the hashes that are known, if the options say so, and logs how many.
Status VerifyFetched(const hub::Snapshot& snapshot, const FetchOptions& options);

// --- transform: checkpoint folder -> graph folder

struct TransformOptions {
  std::optional<families::Task> task;  ///< nothing: that of the class that the checkpoint names
  bool kv_cache = true;                ///< off: a graph that computes all logits of a whole text
  bool continuous_batching = false;    ///< rows choose their cache slots
  bool compute_context_length =
      false;  ///< attention over the first n slots, n by the input comp_ctx_lengths
  bool speculative_target =
      false;  ///< logits of the last n tokens, n by the input num_logits_to_keep
  /// Caches, inputs and the range of constants as the original exporter's files have them.
  bool strict_contract = false;
  bool latent_cache = false;  ///< latent attention keeps its latents instead of keys and values
  /// Devices that KV heads are to be divided over: they are repeated until they can be.
  std::optional<int64_t> replicate_kv_heads;
  std::optional<int64_t>
      max_positions;  ///< rows of position tables; absent: max_position_embeddings of config.json
  EmbeddingOptions embedding;  ///< what is made of the hidden states
  friend bool operator==(const TransformOptions&, const TransformOptions&) = default;
};

/// Writes model.onnx in semantic ops, weight_spec.json and the carried files to `output`; an empty
/// `output` means a folder in the cache whose name says model and options.
Result<std::filesystem::path> Transform(const std::filesystem::path& checkpoint,
                                        const std::filesystem::path& output,
                                        const TransformOptions& options);

// --- export: graph folder or checkpoint folder -> ONNX folder

enum class WeightPlacement {
  kExternal,   ///< files beside model.onnx hold the weights
  kReference,  ///< weights stay in the checkpoint; weight_spec.json says where
};

struct ExportOptions {
  DType dtype = DType::kF32;  ///< f32, f16 or bf16
  bool subfunctions = false;  ///< one ONNX function for each repeated layer
  /// Constants within the range of f16, which a card computes in; absent: for the task embedding,
  /// as the original does.
  std::optional<bool> clip_to_f16;
  WeightPlacement weights = WeightPlacement::kExternal;
  TransformOptions
      transform;  ///< used if the input is a checkpoint; must be the default for a graph folder
};

Result<std::filesystem::path> Export(const std::filesystem::path& input,
                                     const std::filesystem::path& output,
                                     const ExportOptions& options);

// --- compile: ONNX folder or file -> QPC folder

struct CompileOptions {
  std::string backend = "cpu";
  int64_t prefill_seq_len = 32;
  int64_t ctx_len = 128;
  int64_t batch_size = 1;
  /// Tokens of a text, for graphs that read a text at once; one specialization each. Empty: 32.
  std::vector<int64_t> seq_lens;
  std::optional<int64_t> full_batch_size;  ///< slots; needs a graph with continuous batching
  std::optional<int64_t>
      kv_cache_batch_size;  ///< slots of the cache if there are more than decode together
  std::optional<int64_t> num_speculative_tokens;
  /// True: a program that only prefills; false: one that only decodes.
  std::optional<bool> prefill_only;
  std::vector<int64_t> ccl_prefill;  ///< compute context lengths
  std::vector<int64_t> ccl_decode;
  std::filesystem::path specializations;  ///< a file whose entries replace those computed
  /// Numbers of further symbols of the graph, in every specialization ("vision_size", 256).
  std::vector<std::pair<std::string, int64_t>> dims;
  BackendCompileOptions target;
};

Result<std::filesystem::path> Compile(const std::filesystem::path& onnx,
                                      const std::filesystem::path& output,
                                      const CompileOptions& options);

/// Returns what Compile would start and write for a backend with a compiler of its own; writes and
/// starts nothing. Errors: as Compile; kUnsupported for another backend.
Result<OnnxCompilePlan> PlanCompile(const std::filesystem::path& onnx,
                                    const std::filesystem::path& output,
                                    const CompileOptions& options);

/// What the model would need on a card, for numbers of devices.
struct CardPlan {
  std::string table;  ///< for people
  Json json;
};
/// `target` is the name of a card or a file that describes one. Nothing is compiled. Errors: those
/// of Compile for the model and the lengths; kUsage (no such card).
Result<CardPlan> PlanCard(const std::filesystem::path& onnx, const CompileOptions& options,
                          const std::string& target);

// --- run: a QPC folder, opened

/// Opens the program of a QPC folder with the backend that wrote it.
Result<std::unique_ptr<Session>> OpenProgram(const std::filesystem::path& qpc,
                                             const BackendOpenOptions& options);

}  // namespace qeff::stages
