// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// qconfig.json and hashed_compile_params.json: what a program was compiled from, for people and for
// serving stacks that look into it. Byte for byte as QEfficient writes them. Written by the compile
// stage; no stage of ours reads them back.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/artifact/compile_files.h"
#include "lib/support/json.h"

namespace qeff::artifact {

inline constexpr std::string_view kQconfigName = "qconfig.json";

/// Choices of the loader that end up in the configuration object.
struct HuggingFaceConfigOptions {
  std::string name_or_path;       ///< as the user named the checkpoint
  std::string dtype = "float32";  ///< of the exported weights, as torch spells it
};

/// Returns the configuration object that QEfficient (transformers 5.5.4) holds for a text model
/// with this config.json: the fields that its base class adds, dtype under its new name and with
/// "torch." before it, rope_theta and rope_scaling as rope_parameters. Defaults of a model's own
/// class are not added: a config.json that leaves them out stays without.
Json HuggingFaceConfigDict(const Json& config, const HuggingFaceConfigOptions& options);

struct Qconfig {
  Json huggingface_config;
  std::string onnx_path;
  std::vector<std::string> graph_transforms;  ///< "pytorch_transforms" in the file
  std::vector<std::string> onnx_transforms;
  std::optional<std::string> compile_dir;  ///< as the user gave it
  std::string specializations_path;
  std::vector<Specialization> specializations;
  Json given_specializations = nullptr;  ///< a list of the user's, shown instead
  int64_t device_count = 1;
  std::vector<int64_t> num_speculative_tokens;
  /// An object: every other option of the compile call by its name, e.g. {"aic_num_cores": 16}.
  Json compile_options = Json::object();
  std::optional<std::string> sdk_apps_version;      ///< nothing without the vendor's SDK
  std::optional<std::string> sdk_platform_version;  ///< nothing without the vendor's SDK
  bool enable_qnn = false;
  Json qnn_config = nullptr;  ///< the user's settings of the QNN path, if there are any
};

/// Returns the bytes of qconfig.json.
std::string WriteQconfig(const Qconfig& qconfig);

inline constexpr std::string_view kCompileParamsName = "hashed_compile_params.json";

/// What QEfficient hashes to name a program's folder.
struct CompileParams {
  std::vector<std::string> command;  ///< whole, the program first
  std::vector<CustomIo> custom_io;
  std::vector<Specialization> specializations;
  Json given_specializations = nullptr;  ///< a list of the user's, shown instead
  int64_t device_count = 1;
  Json partition = nullptr;                 ///< content of the mdp file
  int64_t partition_count = 1;              ///< stages of the pipeline
  std::string partition_strategy = "onnx";  ///< which names of nodes the stages list
  std::vector<int64_t> num_speculative_tokens;
  std::optional<bool> prefill_only;
};

/// Returns the bytes of hashed_compile_params.json.
std::string WriteCompileParams(const CompileParams& params);

}  // namespace qeff::artifact
