// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/standins/compiler_options.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

namespace qeff::standins {
namespace {

enum class Takes { kNothing, kNothingOrTrue, kText, kInteger, kFraction, kWord, kWords };

struct Option {
  std::string_view name;
  Takes takes = Takes::kNothing;
  double least = 0;
  double most = std::numeric_limits<int32_t>::max();
  std::vector<std::string_view> words;
  bool may_repeat = false;
};

const std::vector<std::string_view> kSchemas = {"asymmetric", "symmetric", "symmetric_with_uint8",
                                                "symmetric_with_power2_scale"};

const std::vector<Option>& AllOptions() {
  static const std::vector<Option> options = {
      // Model and target.
      {"m", Takes::kText},
      {"model", Takes::kText},
      {"model-input", Takes::kText, 0, 0, {}, true},
      {"output-node-name", Takes::kText},
      {"onnx-define-symbol", Takes::kText, 0, 0, {}, true},
      {"onnx-define-symbol-batch-size", Takes::kText},
      {"network-specialization-config", Takes::kText},
      {"batchsize", Takes::kInteger, 1},
      {"stats-batchsize", Takes::kInteger, 1},
      {"aic-hw"},
      {"aic-hw-version", Takes::kWord, 0, 0, {"2.0", "ai100", "ai200"}},
      {"aic-num-cores", Takes::kInteger, 1, 16},
      {"aic-binary-dir", Takes::kText},
      {"compile-only"},
      {"operators-supported",
       Takes::kWord,
       0,
       0,
       {"onnx", "tensorflow", "pytorch", "caffe", "caffe2"}},
      {"register-custom-op", Takes::kText, 0, 0, {}, true},
      {"always-expand-onnx-functions"},
      {"sub-functions"},
      {"dynamic-shape-input", Takes::kText},
      // Precision.
      {"convert-to-fp16"},
      {"mxfp6-matmul"},
      {"custom-IO-list-file", Takes::kText},
      {"dump-custom-IO-config-template", Takes::kText},
      {"node-precision-info", Takes::kText},
      {"execute-nodes-in-fp16", Takes::kText},
      {"keep-original-precision-for-nodes", Takes::kText},
      {"input-list-file", Takes::kText},
      {"dump-profile", Takes::kText},
      {"load-profile", Takes::kText},
      {"external-quantization", Takes::kText},
      {"convert-to-quantize"},
      {"quantization-precision", Takes::kWord, 0, 0, {"Int8", "Int16"}},
      {"quantization-precision-bias", Takes::kWord, 0, 0, {"Int8", "Int32"}},
      {"quantization-schema", Takes::kWord, 0, 0, kSchemas},
      {"quantization-schema-activations", Takes::kWord, 0, 0, kSchemas},
      {"quantization-schema-constants", Takes::kWord, 0, 0, kSchemas},
      {"quantization-calibration",
       Takes::kWord,
       0,
       0,
       {"None", "KLMinimization", "KLMinimizationV2", "Percentile", "MSE", "SQNR"}},
      {"percentile-calibration-value", Takes::kFraction, 90, 100},
      {"num-histogram-bins", Takes::kInteger, 1},
      {"enable-rowwise"},
      {"enable-channelwise"},
      {"profiling-threads", Takes::kInteger, 1},
      // Scheduling and memory; the most of the first two is the number of cores.
      {"mos", Takes::kInteger, 1, 16},
      {"ols", Takes::kInteger, 1, 16},
      {"multicast-weights"},
      {"aic-enable-depth-first"},
      {"aic-depth-first-mem", Takes::kInteger, 8, 32},
      {"allocator-dealloc-delay", Takes::kInteger, 0, 10},
      {"size-split-granularity", Takes::kInteger, 512, 2048},
      {"vtcm-working-set-limit-ratio", Takes::kFraction, 0, 1},
      {"use-producer-dma", Takes::kInteger, 0, 1},
      {"combine-inputs", Takes::kWord, 0, 0, {"true", "false"}},
      {"combine-outputs", Takes::kWord, 0, 0, {"true", "false"}},
      {"sdp-cluster-sizes", Takes::kText},
      {"user-tiled"},
      {"compile-threads", Takes::kInteger, 1},
      {"host-preproc"},
      {"aic-preproc"},
      {"io-crc"},
      {"io-crc-stride", Takes::kInteger, 1},
      {"io-encrypt"},
      // State and several devices.
      {"retained-state", Takes::kNothingOrTrue},
      {"split-retained-state-io"},
      {"mdp-load-partition-config", Takes::kText},
      {"mdp-dump-partition-config", Takes::kText},
      {"allow-mxint8-mdp-io"},
      {"mdts-mos", Takes::kInteger, 1},
      // Diagnostics.
      {"aic-perf-warnings"},
      {"aic-perf-metrics"},
      {"ddr-stats"},
      {"stats-level", Takes::kInteger, 0, 100},
      {"aic-op-stats"},
      {"aic-op-stats-level", Takes::kInteger},
      {"aic-pmu-recipe",
       Takes::kWord,
       0,
       0,
       {"AxiRd", "AxiWr", "AxiRdWr", "KernelUtil", "HmxMacs"}},
      {"aic-pmu-events", Takes::kText},
      {"aic-profiling-type", Takes::kWords, 0, 0, {"stats", "trace", "latency"}},
      {"device-id", Takes::kInteger},
      {"time-passes"},
      {"v"},
      {"vvv"},
      {"version-extended"},
      {"load-embedding-tables", Takes::kText},
      {"dump-embedding-tables", Takes::kText},
      {"h"},
      {"-usage"},
  };
  return options;
}

const Option* FindOption(std::string_view name) {
  for (const Option& option : AllOptions())
    if (option.name == name) return &option;
  return nullptr;
}

Status Refuse(std::string message) {
  return InvalidInput(Location::Flag("qaic-compile"), std::move(message));
}

bool IsWord(const Option& option, std::string_view value) {
  return std::find(option.words.begin(), option.words.end(), value) != option.words.end();
}

Status CheckValue(const Option& option, const std::string& value) {
  const auto expected = [&](const std::string& what) {
    return Refuse(fmt::format("-{}: expected {}, got '{}'", option.name, what, value));
  };
  switch (option.takes) {
    case Takes::kInteger:
    case Takes::kFraction: {
      double number = 0;
      const char* end = value.data() + value.size();
      const auto read = std::from_chars(value.data(), end, number);
      const bool is_whole = value.find_first_of(".eE") == std::string::npos;
      if (read.ec != std::errc() || read.ptr != end || number < option.least ||
          number > option.most || (option.takes == Takes::kInteger && !is_whole))
        return expected(fmt::format("a number from {} to {}", option.least, option.most));
      return Status::Ok();
    }
    case Takes::kWord:
      if (!IsWord(option, value))
        return expected(fmt::format("one of {}", fmt::join(option.words, ", ")));
      return Status::Ok();
    case Takes::kWords:
      for (size_t begin = 0; begin <= value.size();) {
        const size_t end = std::min(value.find(',', begin), value.size());
        if (!IsWord(option, std::string_view(value).substr(begin, end - begin)))
          return expected(fmt::format("some of {}", fmt::join(option.words, ", ")));
        begin = end + 1;
      }
      return Status::Ok();
    default:
      return value.empty() ? expected("a value") : Status::Ok();
  }
}

Status AddArgument(const std::string& argument, Options& options) {
  const size_t equals = argument.find('=');
  const std::string name = argument.substr(0, equals);
  const Option* option = name.size() < 2 || name[0] != '-' ? nullptr : FindOption(name.substr(1));
  if (option == nullptr) return Refuse(fmt::format("unknown option '{}'", argument));
  const bool has_value = equals != std::string::npos;
  const std::string value = has_value ? argument.substr(equals + 1) : "";
  const bool is_flag = option->takes == Takes::kNothing || option->takes == Takes::kNothingOrTrue;
  if (is_flag && has_value && !(option->takes == Takes::kNothingOrTrue && value == "true"))
    return Refuse(fmt::format("'{}' takes no value", name));
  if (!is_flag && !has_value) return Refuse(fmt::format("'{}' needs a value", name));
  if (!is_flag) QEFF_RETURN_IF_ERROR(CheckValue(*option, value));
  std::vector<std::string>& values = options[std::string(option->name)];
  if (!values.empty() && !option->may_repeat)
    return Refuse(fmt::format("'{}' is given twice", name));
  values.push_back(value);
  return Status::Ok();
}

int64_t Number(const Options& options, const std::string& name, int64_t if_absent) {
  const auto found = options.find(name);
  return found == options.end() ? if_absent : std::stoll(found->second.front());
}

/// Rules between options, as documented.
Status CheckTogether(const Options& options) {
  const int64_t cores = Number(options, "aic-num-cores", 1);
  for (const char* name : {"mos", "ols"}) {
    if (Number(options, name, 1) > cores)
      return Refuse(fmt::format("-{}: expected a number from 1 to {}, got '{}'", name, cores,
                                options.at(name).front()));
  }
  if (options.contains("sdp-cluster-sizes")) {
    const int64_t level = Number(options, "stats-level", 0);
    const char* other = options.contains("aic-enable-depth-first") ? "aic-enable-depth-first"
                        : options.contains("mdp-load-partition-config")
                            ? "mdp-load-partition-config"
                        : level >= 40 && level <= 60 ? "stats-level"
                                                     : nullptr;
    if (other != nullptr) return Refuse(fmt::format("'-sdp-cluster-sizes' excludes '-{}'", other));
  }
  const auto calibration = options.find("quantization-calibration");
  if (options.contains("percentile-calibration-value") &&
      (calibration == options.end() || calibration->second.front() != "Percentile"))
    return Refuse("'-percentile-calibration-value' needs '-quantization-calibration=Percentile'");
  return Status::Ok();
}

}  // namespace

Result<Options> ParseOptions(const std::vector<std::string>& arguments) {
  Options options;
  for (const std::string& argument : arguments)
    QEFF_RETURN_IF_ERROR(AddArgument(argument, options));
  for (const char* leaves : {"h", "-usage", "version-extended", "operators-supported"})
    if (options.contains(leaves)) return options;
  if (const auto model = options.find("model"); model != options.end()) {
    if (options.contains("m")) return Refuse("'-m' and '-model' are the same");
    options["m"] = model->second;
  }
  // Without -aic-hw the compiler makes programs for its simulator.
  for (const char* needed : {"m", "aic-hw", "aic-hw-version", "aic-binary-dir"})
    if (!options.contains(needed)) return Refuse(fmt::format("'-{}' is missing", needed));
  QEFF_RETURN_IF_ERROR(CheckTogether(options));
  return options;
}

std::string DescribeOptions() {
  std::string text;
  for (const Option& option : AllOptions()) {
    text += fmt::format("-{}", option.name);
    if (option.takes == Takes::kInteger || option.takes == Takes::kFraction)
      text += fmt::format("=<{} to {}>", option.least, option.most);
    else if (!option.words.empty())
      text += fmt::format("=<{}>", fmt::join(option.words, "|"));
    else if (option.takes == Takes::kText)
      text += "=<text>";
    text += '\n';
  }
  return text;
}

}  // namespace qeff::standins
