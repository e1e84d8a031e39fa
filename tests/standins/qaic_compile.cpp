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

#include "backends/aic100/check_support.h"
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
#include "tests/standins/compiler_options.h"

namespace qeff::standins {
namespace {

namespace fs = std::filesystem;

Status Failure(std::string message) {
  return Error(ErrorCode::kInvalidInput, Location::Flag("qaic-compile"), std::move(message));
}

/// The value of an option that is given at most once; nothing if it is absent.
std::optional<std::string> ValueOf(const Options& options, const std::string& name) {
  const auto found = options.find(name);
  if (found == options.end()) return std::nullopt;
  return found->second.front();
}

std::set<std::string> InputSymbols(const ir::Graph& graph) {
  std::set<std::string> symbols;
  for (const ir::Value* input : graph.inputs()) {
    for (const ir::Dim& dim : input->type().shape.value_or(ir::Shape{}))
      if (dim.is_symbol()) symbols.insert(dim.symbol());
  }
  return symbols;
}

/// -onnx-define-symbol=NAME,NUMBER, once for each symbol: one specialization.
Result<std::vector<artifact::Specialization>> ReadDefinedSymbols(const Options& options) {
  const auto defined = options.find("onnx-define-symbol");
  if (defined == options.end())
    return Failure("the graph has symbols and there is no specialization");
  artifact::Specialization specialization{.graph_name = "Prefill", .symbols = {}};
  for (const std::string& text : defined->second) {
    const size_t comma = text.find(',');
    const int number = comma == std::string::npos ? 0 : std::atoi(text.c_str() + comma + 1);
    if (number < 1)
      return Failure(fmt::format("-onnx-define-symbol: expected NAME,NUMBER, got '{}'", text));
    specialization.symbols.emplace_back(text.substr(0, comma), number);
  }
  return std::vector{specialization};
}

/// Every symbol of the graph has a number in every specialization.
Result<std::vector<artifact::Specialization>> ReadSpecializationsFor(const Options& options,
                                                                     const ir::Graph& graph) {
  const auto file = ValueOf(options, "network-specialization-config");
  QEFF_ASSIGN_OR_RETURN(const auto specializations,
                        file ? artifact::ReadSpecializations(*file) : ReadDefinedSymbols(options));
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
  const auto file = ValueOf(options, "custom-IO-list-file");
  if (!file) return Status::Ok();
  std::ifstream lines(*file);
  if (!lines) return Failure(fmt::format("cannot read '{}'", *file));
  const std::set<std::string> precisions = {"float", "float16", "int8", "mxint8", "bfloat16"};
  std::string name;
  std::string last_precision;
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
      last_precision = precision;
    } else if (const std::string layout = value_of("   Layout: "); !layout.empty()) {
      if (layout != "NCHW" && layout != "NHWC")
        return Failure(fmt::format("custom IO '{}' has layout '{}'", name, layout));
      if (last_precision == "mxint8")
        return Failure(fmt::format("custom IO '{}': mxint8 allows no change of layout", name));
    } else if (!value_of("   Scale: ").empty() || !value_of("   Offset: ").empty()) {
      if (last_precision != "int8")
        return Failure(fmt::format("custom IO '{}': scale and offset are for int8", name));
    } else if (!line.empty()) {
      return Failure(fmt::format("custom IO list: unexpected line '{}'", line));
    }
  }
  return Status::Ok();
}

/// Connections between devices: "p2p" or none, which means through the host.
Status CheckConnections(const Json& mdp) {
  const Json* connections = Find(mdp, "connections");
  if (connections == nullptr) return Status::Ok();
  if (!connections->is_array()) return Failure("'connections' is no list");
  for (const Json& connection : *connections) {
    const Json* type = Find(connection, "type");
    const Json* devices = Find(connection, "devices");
    if (type == nullptr || *type != "p2p" || devices == nullptr || !devices->is_array())
      return Failure("a connection is not {'devices': [...], 'type': 'p2p'}");
  }
  return Status::Ok();
}

/// Devices are 0 to n-1, each in one partition, with cores that there are; nodes are the file's.
Status CheckPartitions(const Options& options) {
  const auto file = ValueOf(options, "mdp-load-partition-config");
  if (!file) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const Json mdp, ReadJsonFile(*file));
  const Json* partitions = Find(mdp, "partitions");
  if (partitions == nullptr || !partitions->is_array() || partitions->empty())
    return Failure("the partition file has no list 'partitions'");
  QEFF_ASSIGN_OR_RETURN(const onnx_io::NodeNames file_nodes,
                        onnx_io::ReadNodeNames(options.at("m").front()));
  std::set<std::string> nodes;
  for (const onnx_io::NamedNode& node : file_nodes.nodes) {
    nodes.insert(node.name);
    const auto function = file_nodes.functions.find({node.domain, node.op_type});
    if (function == file_nodes.functions.end()) continue;
    for (const std::string& inner : function->second) nodes.insert(node.name + "/" + inner);
  }
  QEFF_RETURN_IF_ERROR(CheckConnections(mdp));
  std::set<int64_t> devices;
  const int64_t cores = std::atoi(ValueOf(options, "aic-num-cores").value_or("1").c_str());
  for (const Json& partition : *partitions) {
    const Json* list = Find(partition, "devices");
    if (list == nullptr || !list->is_array()) return Failure("a partition has no list 'devices'");
    for (const Json& device : *list) {
      const Json* id = Find(device, "deviceId");
      const Json* device_cores = Find(device, "numCores");
      if (id == nullptr || !id->is_number_integer() || device_cores == nullptr)
        return Failure("a device has no 'deviceId' or no 'numCores'");
      if (!devices.insert(id->get<int64_t>()).second)
        return Failure("a device is in two partitions");
      if (*device_cores != cores) return Failure("numCores of a partition is not -aic-num-cores");
    }
    const Json* node_list = Find(partition, "nodeList");
    if (node_list == nullptr) {
      if (partitions->size() > 1) return Failure("several partitions, and one without nodes");
      continue;
    }
    for (const Json& node : *node_list) {
      if (!node.is_string() || !nodes.contains(node.get<std::string>()))
        return Failure(fmt::format("node {} is not in the model", node.dump()));
    }
  }
  if (devices.empty() || *devices.rbegin() != static_cast<int64_t>(devices.size()) - 1)
    return Failure("device ids are not 0 to n-1");
  return Status::Ok();
}

Status CheckOperators(const ir::Model& model) {
  Diagnostics findings;
  aic100::CheckSupport(model, findings);
  std::set<std::string> names;
  std::vector<const ir::Graph*> graphs = {&model.graph};
  for (const ir::Function& function : model.functions) graphs.push_back(&function.body);
  for (const ir::Graph* graph : graphs) {
    for (const auto& node : graph->nodes()) {
      for (const Diagnostic& finding : findings.findings())
        if (finding.where.node == node->name()) names.insert(node->QualifiedOp());
    }
  }
  if (!names.empty())
    return Failure(fmt::format("Unsupported operators: {}", fmt::join(names, ", ")));
  return findings.ToStatus();
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

/// Options that only ask the compiler something. True if there was one.
bool Answer(const Options& options) {
  if (options.contains("h") || options.contains("-usage")) {
    std::fputs(DescribeOptions().c_str(), stdout);
  } else if (options.contains("version-extended")) {
    std::fputs("SIMULATED compiler 0.0.0\n", stdout);
  } else if (const auto framework = ValueOf(options, "operators-supported")) {
    for (const std::string_view op : aic100::KnownOps())
      if (*framework == "onnx") std::printf("%.*s\n", static_cast<int>(op.size()), op.data());
  } else {
    return false;
  }
  return true;
}

Status Run(int argc, char** argv) {
  QEFF_ASSIGN_OR_RETURN(const Options options, ParseOptions({argv + 1, argv + argc}));
  if (Answer(options)) return Status::Ok();
  std::printf("SIMULATED compiler: its programs run on no card\n");
  const std::string binaries = options.at("aic-binary-dir").front();
  if (fs::exists(binaries)) return Failure(fmt::format("'{}' exists", binaries));
  std::printf("Reading ONNX Model from %s\n", options.at("m").front().c_str());
  QEFF_ASSIGN_OR_RETURN(ir::Model model, onnx_io::ReadOnnx(options.at("m").front()));
  QEFF_RETURN_IF_ERROR(CheckOperators(model));
  QEFF_ASSIGN_OR_RETURN(const auto specializations, ReadSpecializationsFor(options, model.graph));
  QEFF_RETURN_IF_ERROR(CheckCustomIo(options, model.graph));
  QEFF_RETURN_IF_ERROR(CheckPartitions(options));
  std::printf("Compile started .............\n");
  if (options.contains("convert-to-fp16")) std::printf("Compiling model with FP16 precision.\n");
  std::fflush(stdout);
  if (const char* fault = std::getenv("QEFF_STANDIN_COMPILER")) InjectFault(fault);
  QEFF_RETURN_IF_ERROR(WriteProgram(model, specializations, binaries));
  std::printf("Generated binary is present at %s\n", binaries.c_str());
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
