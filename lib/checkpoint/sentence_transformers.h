// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The files by which sentence-transformers makes an embedding model of a checkpoint: modules.json
// with a folder for each module ("1_Pooling/config.json"), and what is done with texts
// (sentence_bert_config.json, config_sentence_transformers.json). Read as that library writes them,
// old spellings included. What it can do and we cannot is refused by name, because without it the
// vectors would be other ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lib/support/status.h"

namespace qeff::checkpoint {

/// How the states of a text's tokens [T, D] become one vector.
struct PoolingModule {
  /// "cls", "max", "mean", "mean_sqrt_len", "weightedmean", "last", in the order in which their
  /// vectors are joined to one of D * modes.size() elements; never empty.
  std::vector<std::string> modes;
  bool includes_prompt = true;       ///< false: the tokens of a prompt do not count
  std::optional<int64_t> dimension;  ///< D, if the file says it
};

/// y = activation(weight x + bias), with the tensors "linear.weight" [out, in] and "linear.bias"
/// [out] of model.safetensors in `folder`.
struct DenseModule {
  std::string folder;  ///< relative to the model's folder
  int64_t in_features = 0;
  int64_t out_features = 0;
  bool has_bias = true;
  std::string activation;  ///< as configs name it: "tanh", "relu", "gelu", "linear" for none, ...
};

/// y = x / max(|x|, 1e-12), Euclidean length.
struct NormalizeModule {};

struct SentenceModules {
  std::optional<PoolingModule> pooling;
  std::vector<std::variant<DenseModule, NormalizeModule>> head;  ///< after pooling, in order
};

/// Returns what modules.json of `folder` lists; none if there is no such file. Errors:
/// kInvalidInput (damaged, no Transformer, modules out of order, sizes that do not fit),
/// kUnsupported (another kind of module or setting, named), kIo (a listed module is missing).
Result<std::optional<SentenceModules>> ReadSentenceModules(const std::filesystem::path& folder);

/// What happens to a text before the model sees it, and how vectors are compared.
struct SentenceTexts {
  std::optional<int64_t> max_tokens;  ///< "max_seq_length", special tokens included
  bool lowercases = false;
  std::vector<std::pair<std::string, std::string>> prompts;  ///< name and text put in front
  std::optional<std::string> default_prompt;                 ///< a name of `prompts`
  std::string similarity = "cosine";  ///< "cosine", "dot", "euclidean" or "manhattan"

  /// Returns the text of the prompt called `name`, of the default one for an empty name, and
  /// nothing if there is none by default. Errors: kUsage with the names there are.
  Result<std::string> Prompt(const std::string& name) const;
};

/// Returns the settings of the files that `folder` has; the defaults without them. Errors:
/// kInvalidInput.
Result<SentenceTexts> ReadSentenceTexts(const std::filesystem::path& folder);

/// The small files of all this, relative to `folder` and sorted: what later stages need besides
/// configs and tokenizer.
std::vector<std::string> SentenceFiles(const std::filesystem::path& folder);

}  // namespace qeff::checkpoint
