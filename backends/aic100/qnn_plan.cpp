// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "backends/aic100/qnn_plan.h"

#include <algorithm>
#include <array>
#include <span>
#include <sstream>

#include "backends/aic100/compile_plan.h"
#include "backends/program_file.h"
#include "lib/artifact/qconfig.h"
#include "lib/support/log.h"

namespace qeff::aic100 {
namespace {

constexpr std::string_view kPlatform = "x86_64-linux-clang";
constexpr std::string_view kIoConfigName = "custom_io_config.yaml";
constexpr std::string_view kBackendName = "qnn_compile_backend.json";
constexpr std::string_view kGeneratorConfigName = "qnn_compiler_config.json";
constexpr std::string_view kSlicingName = "tensor_slicing.json";
constexpr std::string_view kDataFormatName = "qnn_data_format_config.json";
// Two graph names are all that the generator's settings have room for in QEfficient.
constexpr size_t kMostSpecializations = 2;

// Arguments of both programs that follow from the call.
constexpr auto kOwnConverterArguments = std::to_array<std::string_view>(
    {"--input_network", "--output_path", "--config", "--float_bias_bitwidth", "--float_bitwidth",
     "--preserve_io_datatype", "--onnx_skip_simplification"});
constexpr auto kOwnGeneratorArguments =
    std::to_array<std::string_view>({"--binary_file", "--backend_binary", "--output_dir",
                                     "--backend", "--model", "--dlc_path", "--config_file"});

Result<std::vector<std::string>> ReadArguments(const Json& value, std::string_view key,
                                               std::span<const std::string_view> own,
                                               const std::filesystem::path& path) {
  if (!value.is_string()) {
    return InvalidInput(
        Location::File(path.string()),
        fmt::format("expected '{}' to be a string of arguments, got {}", key, value.type_name()));
  }
  std::vector<std::string> arguments;
  std::istringstream stream(value.get<std::string>());
  for (std::string argument; stream >> argument;) {
    const std::string name = argument.substr(0, argument.find('='));
    if (std::find(own.begin(), own.end(), name) != own.end()) {
      return InvalidInput(Location::File(path.string()),
                          fmt::format("'{}' in '{}' is set already", name, key),
                          {"leave it out: it follows from model and options"});
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

/// The options of the compiler that have a counterpart here.
struct Tuning {
  bool depth_first = false;
  bool mxint8_between_devices = false;
  std::string memory_effort;  ///< of --mos; empty: not said
};

Tuning ReadTuning(const std::vector<std::string>& compiler_options) {
  Tuning tuning;
  for (const std::string& option : compiler_options) {
    if (option == "-aic-enable-depth-first") {
      tuning.depth_first = true;
    } else if (option == "-allow-mxint8-mdp-io") {
      tuning.mxint8_between_devices = true;
    } else if (option.starts_with("-mos=")) {
      tuning.memory_effort = option.substr(option.find('=') + 1);
    } else {
      LogWarning("'{}' is left out: the QNN path has no such option", option);
    }
  }
  return tuning;
}

/// numpy's name of an element type.
std::string NumpyName(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return "float32";
    case DType::kF16:
      return "float16";
    case DType::kBf16:
      return "bfloat16";
    case DType::kI64:
      return "int64";
    case DType::kI32:
      return "int32";
    case DType::kI16:
      return "int16";
    case DType::kI8:
      return "int8";
    case DType::kU8:
      return "uint8";
    default:
      return std::string(DTypeName(dtype));
  }
}

/// As Python prints a tuple.
std::string TupleText(const std::vector<int64_t>& values) {
  return fmt::format("({}{})", fmt::join(values, ", "), values.size() == 1 ? "," : "");
}

/// The shapes of `input` in the specializations, one if all have the same.
Result<std::string> ShapesOf(const ir::Value& input, const OnnxProgram& program) {
  std::vector<std::string> tuples;
  for (const artifact::Specialization& specialization : program.specializations) {
    std::vector<int64_t> dims;
    for (const ir::Dim& dim : input.type().shape.value_or(ir::Shape{})) {
      const auto size = dim.is_number()   ? std::optional(dim.value())
                        : dim.is_symbol() ? specialization.Find(dim.symbol())
                                          : std::nullopt;
      if (!size) {
        return InvalidInput(Location::Tensor(program.onnx.string(), input.name()),
                            fmt::format("specialization '{}' does not say how large {} is",
                                        specialization.graph_name, input.type().ToString()),
                            {"say it with --dim NAME=NUMBER"});
      }
      dims.push_back(*size);
    }
    std::string tuple = TupleText(dims);
    if (std::find(tuples.begin(), tuples.end(), tuple) == tuples.end())
      tuples.push_back(std::move(tuple));
  }
  return fmt::format("{}", fmt::join(tuples, ","));
}

/// custom_io_config.yaml: types and shapes of inputs, types of outputs. Caches are f16 here also if
/// they are kept in MXINT8, which the data format file says.
Result<std::string> WriteIoConfig(const OnnxProgram& program) {
  const ir::Graph& graph = program.model->graph;
  std::map<std::string, std::string> types;
  for (const artifact::CustomIo& entry : ListCustomIo(graph, /*mxint8=*/false))
    types[entry.io_name] = entry.precision;
  const auto entry_for = [&](const std::string& name, const ir::Value& value) {
    const auto type = types.find(name);
    return fmt::format(
        "- Name: {}\n  Desired Model Parameters:\n    DataType: {}\n", name,
        type != types.end() ? type->second : NumpyName(value.type().dtype.value_or(DType::kF32)));
  };
  std::string text = "Input Tensor Configuration:\n";
  for (const ir::Value* input : graph.inputs()) {
    QEFF_ASSIGN_OR_RETURN(const std::string shapes, ShapesOf(*input, program));
    text += entry_for(input->name(), *input) + fmt::format("    Shape: {}\n", shapes);
  }
  text += "Output Tensor Configuration:\n";
  for (const ir::GraphOutput& output : graph.outputs())
    text += entry_for(output.name, *output.value);
  return text;
}

std::vector<std::string> GraphNames(const OnnxProgram& program) {
  if (program.specializations.size() == 1) return {"model"};
  return {"model_configuration_1", "model_configuration_2"};
}

Json BackendSettings(const OnnxProgram& program, const BackendCompileOptions& options,
                     const QnnConfig& config, const std::filesystem::path& folder) {
  const Tuning tuning = ReadTuning(options.card.compiler_options);
  Json settings = {{"compiler_compilation_target", "hardware"},
                   {"compiler_hardware_version", "2.0"},
                   {"compiler_convert_to_FP16", true},
                   {"compiler_retained_state", true},
                   {"graph_names", GraphNames(program)},
                   {"compiler_enable_depth_first", tuning.depth_first},
                   {"compiler_mxfp6_matmul_weights", options.card.mxfp6_matmul},
                   {"compiler_num_of_cores", options.num_cores},
                   {"compiler_do_DDR_to_multicast", true},
                   {"compiler_perfWarnings", false},
                   {"compiler_printDDRStats", false},
                   {"compiler_printPerfMetrics", false},
                   {"compiler_stat_level", 10},
                   {"compiler_stats_batch_size", 1},
                   {"compiler_time_passes", false},
                   {"compiler_mxint8_mdp_io", tuning.mxint8_between_devices}};
  if (!tuning.memory_effort.empty())
    settings["compiler_max_out_channel_split"] = tuning.memory_effort;
  if (options.card.num_devices > 1)
    settings["compiler_mdp_load_partition_config"] = (folder / kSlicingName).string();
  for (const auto& item : config.backend.items()) settings[item.key()] = item.value();
  return settings;
}

/// The caches in MX format, in both graphs. Names as the converter gives them: dots are
/// underscores.
std::string WriteDataFormats(const ir::Graph& graph) {
  std::vector<std::string> names;
  for (const ir::Value* input : graph.inputs()) names.push_back(input->name());
  for (const ir::GraphOutput& output : graph.outputs()) names.push_back(output.name);
  Json tensors = Json::array();
  for (std::string& name : names) {
    if (name.find("past_key") == std::string::npos && name.find("past_value") == std::string::npos)
      continue;
    std::replace(name.begin(), name.end(), '.', '_');
    tensors.push_back({{"tensor_name", name}, {"dataFormat", "QNN_TENSOR_DATA_FORMAT_MX"}});
  }
  Json graphs = Json::array();
  for (const char* name : {"model_configuration_1", "model_configuration_2"})
    graphs.push_back({{"graph_name", name}, {"tensors", tensors}});
  return Json({{"graphs", std::move(graphs)}}).dump(4);
}

std::string WriteSlicing(int64_t device_count) {
  Json ids = Json::array();
  Json devices = Json::array();
  for (int64_t id = 0; id < device_count; ++id) {
    ids.push_back(id);
    devices.push_back({{"deviceId", id}});
  }
  const Json connection{{"devices", std::move(ids)}, {"type", "p2p"}};
  const Json partition{{"name", "Partition0"}, {"devices", std::move(devices)}};
  return DumpPythonStyle(
      {{"connections", Json::array({connection})}, {"partitions", Json::array({partition})}});
}

std::vector<std::string> ConverterCommand(const OnnxProgram& program,
                                          const std::filesystem::path& sdk, const QnnConfig& config,
                                          const std::filesystem::path& folder) {
  std::vector<std::string> command = {(sdk / "bin" / kPlatform / "qairt-converter").string(),
                                      "--input_network",
                                      program.onnx.string(),
                                      "--output_path",
                                      (folder / kDlcName).string(),
                                      "--config",
                                      (folder / kIoConfigName).string(),
                                      "--float_bias_bitwidth",
                                      "32",
                                      "--float_bitwidth",
                                      "16",
                                      "--preserve_io_datatype",
                                      "--onnx_skip_simplification",
                                      "--target_backend",
                                      "AIC"};
  command.insert(command.end(), config.converter_arguments.begin(),
                 config.converter_arguments.end());
  return command;
}

std::vector<std::string> GeneratorCommand(const CardCompileOptions& card, const QnnConfig& config,
                                          const std::filesystem::path& folder) {
  const std::filesystem::path& sdk = card.qnn_sdk;
  std::vector<std::string> command = {
      (sdk / "bin" / kPlatform / "qnn-context-binary-generator").string(),
      "--binary_file",
      "qnngraph.serialized",
      "--backend_binary",
      std::string(kProgramFileName),
      "--output_dir",
      folder.string(),
      "--backend",
      (sdk / "lib" / kPlatform / "libQnnAic.so").string(),
      "--dlc_path",
      (folder / kDlcName).string(),
      "--config_file",
      (folder / kGeneratorConfigName).string()};
  const auto add = [&command](std::string name, std::string value) {
    command.push_back(std::move(name));
    command.push_back(std::move(value));
  };
  if (card.mxint8_kv_cache) add("--data_format_config", (folder / kDataFormatName).string());
  const std::vector<std::string>& more = config.generator_arguments;
  const bool says_level = std::any_of(more.begin(), more.end(), [](const std::string& argument) {
    return argument.starts_with("--log_level");
  });
  if (!says_level) add("--log_level", "error");
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

}  // namespace

Result<QnnConfig> ReadQnnConfig(const std::filesystem::path& path) {
  QnnConfig config;
  QEFF_ASSIGN_OR_RETURN(config.given, ReadJsonFile(path));
  const Location where = Location::File(path.string());
  if (!config.given.is_object()) return InvalidInput(where, "expected an object with settings");
  for (const auto& item : config.given.items()) {
    const std::string& key = item.key();
    if (key == "converter_args_extension") {
      QEFF_ASSIGN_OR_RETURN(config.converter_arguments,
                            ReadArguments(item.value(), key, kOwnConverterArguments, path));
    } else if (key == "context_binary_generator_args_extension") {
      QEFF_ASSIGN_OR_RETURN(config.generator_arguments,
                            ReadArguments(item.value(), key, kOwnGeneratorArguments, path));
    } else if (key == "qnn_compilation_backend" && item.value().is_object()) {
      config.backend = item.value();
    } else if (key == "SKIP_QNN_CONVERTER_STEP" && item.value().is_boolean()) {
      config.skip_converter = item.value().get<bool>();
    } else {
      return InvalidInput(
          where, fmt::format("'{}' is no setting, or not of its type", key),
          {"settings: converter_args_extension, context_binary_generator_args_extension (strings), "
           "qnn_compilation_backend (an object), SKIP_QNN_CONVERTER_STEP (true or false)"});
    }
  }
  return config;
}

Result<OnnxCompilePlan> PlanQnnCompile(const OnnxProgram& program,
                                       const BackendCompileOptions& options,
                                       const std::filesystem::path& folder,
                                       const std::filesystem::path& shown_folder) {
  const CardCompileOptions& card = options.card;
  if (card.qnn_sdk.empty()) {
    return UsageError(Location::Flag("--enable-qnn"), "needs the QNN SDK",
                      {"say where it is: --qnn-sdk DIR, or QNN_SDK_ROOT in the environment"});
  }
  if (program.specializations.size() > kMostSpecializations) {
    return UsageError(Location::Flag("--enable-qnn"),
                      fmt::format("takes at most {} specializations, got {}", kMostSpecializations,
                                  program.specializations.size()),
                      {"compile without it, or with fewer lengths"});
  }
  QnnConfig config;
  if (!card.qnn_config.empty()) {
    QEFF_ASSIGN_OR_RETURN(config, ReadQnnConfig(card.qnn_config));
  }
  OnnxCompilePlan plan;
  if (!config.skip_converter)
    plan.commands.push_back(ConverterCommand(program, card.qnn_sdk, config, folder));
  plan.commands.push_back(GeneratorCommand(card, config, folder));
  QEFF_ASSIGN_OR_RETURN(std::string io_config, WriteIoConfig(program));
  plan.files.emplace_back(kIoConfigName, std::move(io_config));
  plan.files.emplace_back(kBackendName,
                          DumpPythonStyle(BackendSettings(program, options, config, folder)));
  const Json extensions{
      {"config_file_path", (folder / kBackendName).string()},
      {"shared_library_path",
       (card.qnn_sdk / "lib" / kPlatform / "libQnnAicNetRunExtensions.so").string()}};
  plan.files.emplace_back(kGeneratorConfigName,
                          DumpPythonStyle({{"backend_extensions", extensions}}));
  if (card.num_devices > 1) plan.files.emplace_back(kSlicingName, WriteSlicing(card.num_devices));
  if (card.mxint8_kv_cache)
    plan.files.emplace_back(kDataFormatName, WriteDataFormats(program.model->graph));
  plan.files.emplace_back(artifact::kSpecializationsName,
                          artifact::WriteSpecializations(program.specializations));
  if (program.config) {
    plan.files.emplace_back(artifact::kQconfigName,
                            DescribeProgram(program, options, shown_folder, config.given));
  }
  return plan;
}

}  // namespace qeff::aic100
