// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// A stand-in for the vendor's qaic-compile, for tests on machines without it: it takes the
// documented options and no others, checks every file it is given against the graph, and writes a
// container of the real format with a CPU program inside, labelled as simulated. It knows nothing
// that the vendor's documentation does not say; README.md lists what it checks.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "backends/backend.h"
#include "backends/program_file.h"
#include "lib/artifact/artifact_folder.h"
#include "lib/artifact/compile_files.h"
#include "lib/artifact/qpc.h"
#include "lib/onnx_io/node_names.h"
#include "lib/onnx_io/reader.h"
#include "lib/support/json.h"
#include "passes/pipelines.h"
#include "passes/specialize.h"

namespace qeff::standins {
namespace {

namespace fs = std::filesystem;

/// Options that the vendor documents; true: with a value.
const std::map<std::string, bool>& DocumentedOptions() {
  static const std::map<std::string, bool> options = [] {
    std::map<std::string, bool> all;
    for (const char* name : {"m",
                             "model",
                             "model-input",
                             "output-node-name",
                             "onnx-define-symbol",
                             "onnx-define-symbol-batch-size",
                             "network-specialization-config",
                             "batchsize",
                             "stats-batchsize",
                             "aic-hw-version",
                             "aic-num-cores",
                             "aic-binary-dir",
                             "operators-supported",
                             "register-custom-op",
                             "dynamic-shape-input",
                             "custom-IO-list-file",
                             "dump-custom-IO-config-template",
                             "node-precision-info",
                             "execute-nodes-in-fp16",
                             "keep-original-precision-for-nodes",
                             "input-list-file",
                             "dump-profile",
                             "load-profile",
                             "external-quantization",
                             "quantization-precision",
                             "quantization-precision-bias",
                             "quantization-schema",
                             "quantization-schema-activations",
                             "quantization-schema-constants",
                             "quantization-calibration",
                             "percentile-calibration-value",
                             "num-histogram-bins",
                             "profiling-threads",
                             "mos",
                             "ols",
                             "aic-depth-first-mem",
                             "allocator-dealloc-delay",
                             "size-split-granularity",
                             "vtcm-working-set-limit-ratio",
                             "use-producer-dma",
                             "combine-inputs",
                             "combine-outputs",
                             "sdp-cluster-sizes",
                             "compile-threads",
                             "io-crc-stride",
                             "mdp-load-partition-config",
                             "mdp-dump-partition-config",
                             "mdts-mos",
                             "stats-level",
                             "aic-op-stats-level",
                             "aic-pmu-recipe",
                             "aic-pmu-events",
                             "aic-profiling-type",
                             "device-id",
                             "load-embedding-tables",
                             "dump-embedding-tables",
                             "aic-num-of-activations"})
      all[name] = true;
    for (const char* name : {"aic-hw",
                             "compile-only",
                             "always-expand-onnx-functions",
                             "sub-functions",
                             "convert-to-fp16",
                             "mxfp6-matmul",
                             "convert-to-quantize",
                             "enable-rowwise",
                             "enable-channelwise",
                             "multicast-weights",
                             "aic-enable-depth-first",
                             "user-tiled",
                             "host-preproc",
                             "aic-preproc",
                             "io-crc",
                             "io-encrypt",
                             "retained-state",
                             "split-retained-state-io",
                             "allow-mxint8-mdp-io",
                             "aic-perf-warnings",
                             "aic-perf-metrics",
                             "ddr-stats",
                             "aic-op-stats",
                             "time-passes",
                             "v",
                             "vvv",
                             "version-extended"})
      all[name] = false;
    return all;
  }();
  return options;
}

using Options = std::map<std::string, std::string>;

Status Failure(std::string message) {
  return Error(ErrorCode::kInvalidInput, Location::Flag("qaic-compile"), std::move(message));
}

Result<Options> ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const auto known = name.size() < 2 || name[0] != '-' ? DocumentedOptions().end()
                                                         : DocumentedOptions().find(name.substr(1));
    if (known == DocumentedOptions().end())
      return Failure(fmt::format("unknown option '{}'", argument));
    if (known->second != (equals != std::string::npos))
      return Failure(fmt::format("'{}' {} a value", name, known->second ? "needs" : "takes no"));
    const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (!options.emplace(known->first, value).second)
      return Failure(fmt::format("'{}' is given twice", name));
  }
  for (const char* needed : {"m", "aic-hw", "aic-hw-version", "aic-binary-dir", "aic-num-cores"}) {
    if (!options.contains(needed)) return Failure(fmt::format("'-{}' is missing", needed));
  }
  if (const std::string& version = options["aic-hw-version"];
      version != "ai100" && version != "ai200" && version != "2.0")
    return Failure(fmt::format("unknown hardware version '{}'", version));
  const int cores = std::atoi(options["aic-num-cores"].c_str());
  if (cores < 1 || cores > 16)
    return Failure(fmt::format("expected 1 to 16 cores, got '{}'", options["aic-num-cores"]));
  if (options.contains("mos") &&
      (std::atoi(options["mos"].c_str()) < 1 || std::atoi(options["mos"].c_str()) > cores))
    return Failure(fmt::format("expected -mos from 1 to {}, got '{}'", cores, options["mos"]));
  if (fs::exists(options["aic-binary-dir"]))
    return Failure(fmt::format("'{}' exists", options["aic-binary-dir"]));
  return options;
}

std::set<std::string> InputSymbols(const ir::Graph& graph) {
  std::set<std::string> symbols;
  for (const ir::Value* input : graph.inputs()) {
    for (const ir::Dim& dim : input->type().shape.value_or(ir::Shape{}))
      if (dim.is_symbol()) symbols.insert(dim.symbol());
  }
  return symbols;
}

/// Every symbol of the graph has a number in every specialization.
Result<std::vector<artifact::Specialization>> ReadSpecializationsFor(const Options& options,
                                                                     const ir::Graph& graph) {
  const auto file = options.find("network-specialization-config");
  if (file == options.end()) return Failure("the graph has symbols and there is no specialization");
  QEFF_ASSIGN_OR_RETURN(const auto specializations, artifact::ReadSpecializations(file->second));
  for (const artifact::Specialization& specialization : specializations) {
    for (const std::string& symbol : InputSymbols(graph)) {
      if (!specialization.Find(symbol))
        return Failure(fmt::format("specialization '{}' has no value for '{}'",
                                   specialization.graph_name, symbol));
    }
  }
  return specializations;
}

/// Every entry names an input or an output, with a precision that there is; every state is listed.
Status CheckCustomIo(const Options& options, const ir::Graph& graph) {
  const auto file = options.find("custom-IO-list-file");
  if (file == options.end()) return Status::Ok();
  std::ifstream lines(file->second);
  if (!lines) return Failure(fmt::format("cannot read '{}'", file->second));
  const std::set<std::string> precisions = {"float", "float16", "int8", "mxint8", "bfloat16"};
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    const auto value_of = [&line](std::string_view key) {
      return line.starts_with(key) ? line.substr(key.size()) : std::string();
    };
    if (const std::string io = value_of(" - IOName: "); !io.empty()) {
      name = io;
      if (graph.FindInput(io) == nullptr && graph.FindOutput(io) == nullptr)
        return Failure(fmt::format("custom IO '{}' is no input or output of the model", io));
    } else if (const std::string precision = value_of("   Precision: "); !precision.empty()) {
      if (!precisions.contains(precision))
        return Failure(fmt::format("custom IO '{}' has precision '{}'", name, precision));
    } else if (!line.empty()) {
      return Failure(fmt::format("custom IO list: unexpected line '{}'", line));
    }
  }
  return Status::Ok();
}

/// Devices are 0 to n-1, each in one partition, with cores that there are; nodes are the file's.
Status CheckPartitions(const Options& options) {
  const auto file = options.find("mdp-load-partition-config");
  if (file == options.end()) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const Json mdp, ReadJsonFile(file->second));
  const Json* partitions = Find(mdp, "partitions");
  if (partitions == nullptr || !partitions->is_array() || partitions->empty())
    return Failure("the partition file has no list 'partitions'");
  QEFF_ASSIGN_OR_RETURN(const onnx_io::NodeNames file_nodes,
                        onnx_io::ReadNodeNames(options.at("m")));
  std::set<std::string> nodes;
  for (const onnx_io::NamedNode& node : file_nodes.nodes) {
    nodes.insert(node.name);
    const auto function = file_nodes.functions.find({node.domain, node.op_type});
    if (function == file_nodes.functions.end()) continue;
    for (const std::string& inner : function->second) nodes.insert(node.name + "/" + inner);
  }
  std::set<int64_t> devices;
  for (const Json& partition : *partitions) {
    for (const Json& device : partition.at("devices")) {
      if (!devices.insert(device.at("deviceId").get<int64_t>()).second)
        return Failure("a device is in two partitions");
      if (std::to_string(device.at("numCores").get<int64_t>()) != options.at("aic-num-cores"))
        return Failure("numCores of a partition is not -aic-num-cores");
    }
    for (const Json& node : partition.value("nodeList", Json::array())) {
      if (!nodes.contains(node.get<std::string>()))
        return Failure(fmt::format("node '{}' is not in the model", node.get<std::string>()));
    }
  }
  if (devices.empty() || *devices.rbegin() != static_cast<int64_t>(devices.size()) - 1)
    return Failure("device ids are not 0 to n-1");
  return Status::Ok();
}

Status CheckOperators(const ir::Graph& graph) {
  Diagnostics findings;
  QEFF_ASSIGN_OR_RETURN(const Backend* card, FindBackend("aic100"));
  card->CheckSupport(graph, findings);
  std::set<std::string> names;
  for (const auto& node : graph.nodes()) {
    for (const Diagnostic& finding : findings.findings())
      if (finding.where.node == node->name()) names.insert(node->QualifiedOp());
  }
  if (names.empty()) return Status::Ok();
  return Failure(fmt::format("Unsupported operators: {}", fmt::join(names, ", ")));
}

/// Writes the container again with one more segment that says what it is.
Status Label(const fs::path& from, const fs::path& to) {
  constexpr std::string_view kLabel = "made by a stand-in of qaic-compile: runs on no card\n";
  QEFF_ASSIGN_OR_RETURN(const artifact::QpcFile source, artifact::QpcFile::Open(from));
  std::vector<artifact::QpcSegmentPlan> plan;
  for (const artifact::QpcSegment& segment : source.segments()) {
    constexpr uint64_t kPageBytes = 4096;
    plan.push_back({.name = std::string(segment.name),
                    .size_bytes = segment.data.size(),
                    .alignment_bytes = kPageBytes,
                    .static_size_bytes = segment.static_size_bytes});
  }
  plan.push_back({.name = "qeff.simulated", .size_bytes = kLabel.size()});
  std::ofstream file(to, std::ios::binary);
  const auto append = [&](std::span<const std::byte> bytes) -> Status {
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return file ? Status::Ok() : IoError(Location::File(to.string()), "No space left on device");
  };
  QEFF_ASSIGN_OR_RETURN(artifact::QpcWriter writer,
                        artifact::QpcWriter::Create(std::move(plan), to.string(), append));
  for (const artifact::QpcSegment& segment : source.segments()) {
    QEFF_RETURN_IF_ERROR(writer.BeginSegment(segment.name));
    QEFF_RETURN_IF_ERROR(writer.Append(segment.data));
  }
  QEFF_RETURN_IF_ERROR(writer.BeginSegment("qeff.simulated"));
  QEFF_RETURN_IF_ERROR(writer.Append(std::as_bytes(std::span(kLabel))));
  return writer.Finish();
}

Status WriteProgram(ir::Model& model, const std::vector<artifact::Specialization>& specializations,
                    const fs::path& folder) {
  QEFF_ASSIGN_OR_RETURN(const Backend* cpu, FindBackend("cpu"));
  passes::Pipeline pipeline = passes::RaisingPipeline();
  const passes::Pipeline own = cpu->Pipeline();
  pipeline.insert(pipeline.end(), own.begin(), own.end());
  if (Result<passes::Change> change = passes::RunPipeline(model, pipeline); !change.ok())
    return std::move(change).status();
  std::vector<SpecializedGraph> graphs;
  const std::vector<std::string> names = artifact::UniqueNames(specializations);
  for (size_t i = 0; i < specializations.size(); ++i) {
    SpecializedGraph specialized{
        .name = names[i],
        .symbols = {specializations[i].symbols.begin(), specializations[i].symbols.end()},
        .graph = {}};
    QEFF_ASSIGN_OR_RETURN(specialized.graph, passes::Specialize(model, specialized.symbols));
    graphs.push_back(std::move(specialized));
  }
  const fs::path unlabelled = folder.string() + ".unlabelled";
  {
    QEFF_ASSIGN_OR_RETURN(artifact::ArtifactWriter out,
                          artifact::ArtifactWriter::Create(unlabelled));
    QEFF_RETURN_IF_ERROR(cpu->Compile(graphs, {.num_cores = 2}, out));
    QEFF_RETURN_IF_ERROR(out.Commit({.format = std::string(artifact::kQpcFormat)}));
  }
  fs::create_directories(folder);
  Status labelled = Label(unlabelled / kProgramFileName, folder / kProgramFileName);
  std::error_code error;
  fs::remove_all(unlabelled, error);
  return labelled;
}

/// What QEFF_STANDIN_COMPILER asks to go wrong.
void InjectFault(const std::string& fault) {
  if (fault == "killed") ::raise(SIGKILL);
  if (fault == "disk_full") {
    std::fputs("write failed: No space left on device\n", stderr);
    std::exit(1);
  }
  if (fault == "unknown") {
    std::fputs("assertion failed somewhere\n", stderr);
    std::exit(134);
  }
  if (fault == "no_output") std::exit(0);
}

Status Run(int argc, char** argv) {
  QEFF_ASSIGN_OR_RETURN(Options options, ParseOptions(argc, argv));
  std::printf("SIMULATED compiler: its programs run on no card\n");
  std::printf("Reading ONNX Model from %s\n", options["m"].c_str());
  QEFF_ASSIGN_OR_RETURN(ir::Model model, onnx_io::ReadOnnx(options["m"]));
  QEFF_RETURN_IF_ERROR(CheckOperators(model.graph));
  QEFF_ASSIGN_OR_RETURN(const auto specializations, ReadSpecializationsFor(options, model.graph));
  QEFF_RETURN_IF_ERROR(CheckCustomIo(options, model.graph));
  QEFF_RETURN_IF_ERROR(CheckPartitions(options));
  std::printf("Compile started .............\n");
  if (options.contains("convert-to-fp16")) std::printf("Compiling model with FP16 precision.\n");
  std::fflush(stdout);
  if (const char* fault = std::getenv("QEFF_STANDIN_COMPILER")) InjectFault(fault);
  QEFF_RETURN_IF_ERROR(WriteProgram(model, specializations, options["aic-binary-dir"]));
  std::printf("Generated binary is present at %s\n", options["aic-binary-dir"].c_str());
  return Status::Ok();
}

}  // namespace
}  // namespace qeff::standins

int main(int argc, char** argv) {
  const qeff::Status status = qeff::standins::Run(argc, argv);
  if (status.ok()) return 0;
  std::fflush(stdout);
  std::fprintf(stderr, "Error: %s\n", status.diagnostic().message.c_str());
  return 1;
}
