// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/compiler_command.h"

#include <array>

namespace qeff::aic100 {
namespace {

struct OwnedOption {
  std::string_view name;
  std::string_view remedy;
};

/// Options of the compiler that qeff-compile sets, and how the user says the same.
constexpr std::array<OwnedOption, 21> kOwnedOptions = {{
    {"-m", "the model is the program's argument"},
    {"-model", "the model is the program's argument"},
    {"-aic-hw", "it is always set"},
    {"-aic-hw-version", "use --aic-hw-version"},
    {"-aic-num-cores", "use --num-cores"},
    {"-aic-binary-dir", "use --output"},
    {"-network-specialization-config", "use --prefill-seq-len, --ctx-len, --batch-size, ..."},
    {"-onnx-define-symbol", "use --dim"},
    {"-custom-IO-list-file", "it follows from the model and --mxint8-kv-cache"},
    {"-convert-to-fp16", "it is always set"},
    {"-retained-state", "it is set if the model has retained state"},
    {"-sub-functions", "it is set if the model has functions"},
    {"-mxfp6-matmul", "use --mxfp6-matmul"},
    {"-mos", "use --mos"},
    {"-aic-enable-depth-first", "use --aic-enable-depth-first"},
    {"-allow-mxint8-mdp-io", "use --allow-mxint8-mdp-io"},
    {"-node-precision-info", "use --node-precision-info"},
    {"-mdp-load-partition-config", "use --mdp-load-partition-config or --num-devices"},
    {"-mdp-dump-partition-config", "use --mdp-dump-partition-config"},
    {"-io-encrypt", "use --io-encrypt"},
    {"-batchsize", "use --batch-size"},
}};

}  // namespace

std::vector<std::string> ComposeCommand(const CompilerCall& call) {
  std::vector<std::string> tokens = {call.compiler.path.string(), "-aic-hw"};
  const auto add = [&tokens](std::string_view name, std::string_view value) {
    tokens.push_back(fmt::format("{}={}", name, value));
  };
  const auto add_path = [&add](std::string_view name, const std::filesystem::path& path) {
    if (!path.empty()) add(name, path.string());
  };
  const bool is_first = call.hardware_version == "ai100";
  add("-aic-hw-version", call.compiler.is_qaic_exec && is_first ? "2.0" : call.hardware_version);
  add_path("-m", call.onnx);
  if (call.compiler.is_qaic_exec) tokens.emplace_back("-compile-only");
  add_path("-mdp-load-partition-config", call.partition_file);
  if (call.retained_state) tokens.emplace_back("-retained-state");
  tokens.emplace_back("-convert-to-fp16");
  if (call.mxfp6_matmul) tokens.emplace_back("-mxfp6-matmul");
  add("-aic-num-cores", std::to_string(call.num_cores));
  tokens.insert(tokens.end(), call.further.begin(), call.further.end());
  if (call.sub_functions) tokens.emplace_back("-sub-functions");
  add_path("-mdp-load-partition-config", call.slicing_file);
  add_path("-network-specialization-config", call.specializations_file);
  add_path("-custom-IO-list-file", call.custom_io_file);
  add_path("-aic-binary-dir", call.binary_folder);
  return tokens;
}

Result<std::optional<std::string>> CheckCompilerArgument(const std::string& argument) {
  const Location where = Location::Flag("--compiler-arg");
  const std::string name = argument.substr(0, argument.find('='));
  if (name.size() < 2 || name[0] != '-' || name[1] == '-') {
    return UsageError(where,
                      fmt::format("expected an option of the compiler, which starts with one dash, "
                                  "got '{}'",
                                  argument),
                      {"e.g. --compiler-arg=-aic-num-of-activations=2"});
  }
  if (name == "-compile-only") return std::optional<std::string>();
  for (const OwnedOption& owned : kOwnedOptions) {
    if (name == owned.name) {
      return UsageError(where, fmt::format("'{}' is not for passing on", name),
                        {std::string(owned.remedy)});
    }
  }
  return std::optional(argument);
}

}  // namespace qeff::aic100
