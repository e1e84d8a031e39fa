// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The reference backend behind the common interface. Its program is the specialised graphs
// themselves: one ONNX model a specialization in a folder of that name beside programqpc.bin, which
// lists them. Slow and plain on purpose.
#include "backends/backend.h"
#include "backends/program_file.h"
#include "backends/reference/reference_session.h"
#include "lib/artifact/qpc.h"
#include "lib/onnx_io/reader.h"
#include "lib/onnx_io/writer.h"
#include "lib/ops/op.h"
#include "lib/support/json.h"

namespace qeff {
namespace {

constexpr std::string_view kProgramSegment = "qeff.reference.program";

/// Writes `graph` as `folder`/model.onnx with its data beside it.
Status WriteGraph(const ir::Graph& graph, const std::string& folder,
                  artifact::ArtifactWriter& out) {
  ir::Model model{.graph = graph.Clone(), .functions = {}, .metadata = {}, .path = folder};
  std::optional<artifact::ArtifactFile> data;
  const auto sink = [&](const std::string& name, std::span<const std::byte> bytes) -> Status {
    if (!data) {
      QEFF_ASSIGN_OR_RETURN(artifact::ArtifactFile file,
                            out.NewFile(folder + "/" + name, artifact::HashKind::kXxh3));
      data.emplace(std::move(file));
    }
    return data->Append(bytes);
  };
  QEFF_ASSIGN_OR_RETURN(const onnx_io::WrittenModel written, onnx_io::WriteOnnx(model, {}, sink));
  if (data) QEFF_RETURN_IF_ERROR(data->Close());
  return out.WriteFile(folder + "/model.onnx", written.model);
}

class ReferenceBackend : public Backend {
 public:
  std::string_view name() const override { return "reference"; }

  int DefaultCores() const override { return 1; }

  // Nodes run as they are.
  passes::Pipeline Pipeline() const override { return {}; }

  void CheckSupport(const ir::Graph& graph, Diagnostics& diagnostics) const override {
    // Everything that has a definition has a reference meaning; the findings are in `diagnostics`.
    (void)ops::VerifyGraph(graph, diagnostics);
  }

  Result<std::map<std::string, artifact::OptionValue>> ResolveOptions(
      BackendCompileOptions& options) const override {
    const auto is_for_cpu = [](std::string_view flag, std::string note) {
      return UsageError(Location::Flag(flag), "is for the CPU", {std::move(note)});
    };
    if (options.weight_storage != WeightStorage::kAuto)
      return is_for_cpu("--weights", "the reference takes weights as the model has them");
    if (options.compute != ComputeType::kF32)
      return is_for_cpu("--compute", "the reference computes in double precision");
    if (options.kv_cache != KvCacheType::kF32)
      return is_for_cpu("--kv-cache", "the reference keeps keys and values as they are computed");
    return Backend::ResolveOptions(options);
  }

  Status Compile(const std::vector<SpecializedGraph>& graphs, const BackendCompileOptions& options,
                 artifact::ArtifactWriter& out) const override {
    Json program = Json::array();
    for (const SpecializedGraph& graph : graphs) {
      QEFF_RETURN_IF_ERROR(WriteGraph(graph.graph, graph.name, out));
      program.push_back({{"name", graph.name}, {"symbols", graph.symbols}});
    }
    return WriteProgramFile(graphs, options.num_cores,
                            {.segment = std::string(kProgramSegment),
                             .program = program.dump(),
                             .constants_bytes = 0,
                             .write_constants = {}},
                            out);
  }

  Result<std::unique_ptr<Session>> Open(const std::filesystem::path& folder,
                                        const BackendOpenOptions& options) const override {
    if (!options.isa.empty()) return UsageError(Location::Flag("--isa"), "is for the CPU");
    const std::filesystem::path path = folder / kProgramFileName;
    QEFF_ASSIGN_OR_RETURN(const artifact::QpcFile file, artifact::QpcFile::Open(path));
    QEFF_ASSIGN_OR_RETURN(const artifact::QpcSegment segment, file.Get(kProgramSegment));
    const std::string_view text(reinterpret_cast<const char*>(segment.data.data()),
                                segment.data.size());
    QEFF_ASSIGN_OR_RETURN(const Json program, ParseJson(text, path.string()));
    const Location where = Location::Byte(path.string(), segment.file_offset_bytes);
    if (!program.is_array()) return InvalidInput(where, "expected the list of specializations");
    std::vector<reference::ReferenceSpecialization> specializations;
    for (const Json& entry : program) {
      const Json* name = Find(entry, "name");
      const Json* symbols = Find(entry, "symbols");
      if (name == nullptr || !name->is_string() || symbols == nullptr || !symbols->is_object()) {
        return InvalidInput(where, "expected a specialization with 'name' and 'symbols'");
      }
      const auto text_name = name->get<std::string>();
      if (text_name.empty() || text_name.find('/') != std::string::npos ||
          text_name.starts_with('.')) {
        return InvalidInput(where, fmt::format("'{}' is no name of a specialization", text_name));
      }
      std::map<std::string, int64_t> numbers;
      for (const auto& symbol : symbols->items()) {
        if (!symbol.value().is_number_integer())
          return InvalidInput(where, fmt::format("symbol '{}' is no integer", symbol.key()));
        numbers[symbol.key()] = symbol.value().get<int64_t>();
      }
      QEFF_ASSIGN_OR_RETURN(ir::Model model, onnx_io::ReadOnnx(folder / text_name / "model.onnx"));
      // The file says shapes of inputs and outputs only; the session wants them of every value.
      Result<ops::TypeFacts> types = ops::InferTypes(model.graph);
      if (!types.ok()) return std::move(types).status();
      specializations.push_back({text_name, std::move(numbers), std::move(model.graph)});
    }
    return reference::MakeReferenceSession(std::move(specializations));
  }
};

}  // namespace

std::unique_ptr<Backend> MakeReferenceBackend() { return std::make_unique<ReferenceBackend>(); }

}  // namespace qeff
