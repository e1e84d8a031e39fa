// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include "backends/aic100/memory_plan.h"
#include "backends/cpu/plan/memory_plan.h"
#include "lib/artifact/cache.h"
#include "lib/artifact/input_identity.h"
#include "lib/artifact/qconfig.h"
#include "lib/artifact/text_specializations.h"
#include "lib/checkpoint/model_config.h"
#include "lib/onnx_io/reader.h"
#include "lib/support/json.h"
#include "lib/support/log.h"
#include "passes/pipelines.h"
#include "passes/specialize.h"
#include "stages/memory_plan.h"
#include "stages/produce.h"
#include "stages/stages.h"

namespace qeff::stages {
namespace {

/// The .onnx file of `path` and the folder it lies in.
struct OnnxInput {
  std::filesystem::path file;
  std::filesystem::path folder;
};

Result<OnnxInput> FindOnnx(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    return OnnxInput{
        path, path.has_parent_path() ? path.parent_path() : std::filesystem::current_path(error)};
  }
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    if (entry.path().extension() == ".onnx") found.push_back(entry.path());
  }
  if (error)
    return IoError(Location::File(path.string()),
                   fmt::format("cannot read the folder: {}", error.message()));
  if (found.size() != 1) {
    return InvalidInput(
        Location::File(path.string()),
        fmt::format("expected one .onnx file in the folder, got {}", found.size()),
        {found.empty() ? "export a model first: qeff-export CHECKPOINT" : "name the file itself"});
  }
  return OnnxInput{found.front(), path};
}

/// The symbols in the shapes of the graph's inputs.
std::set<std::string> InputSymbols(const ir::Graph& graph) {
  std::set<std::string> symbols;
  for (const ir::Value* input : graph.inputs()) {
    for (const ir::Dim& dim : input->type().shape.value_or(ir::Shape{})) {
      if (dim.is_symbol()) symbols.insert(dim.symbol());
    }
  }
  return symbols;
}

/// The window of the model's config, for graphs whose caches of sliding layers have its size.
/// Nothing if there is no config, or none in it: then --dim has to say it.
Result<std::optional<int64_t>> WindowOfConfig(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "config.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::optional<int64_t>();
  QEFF_ASSIGN_OR_RETURN(const checkpoint::ConfigReader config,
                        checkpoint::ConfigReader::Read(path));
  QEFF_ASSIGN_OR_RETURN(const checkpoint::ConfigReader text, config.TextConfig());
  return text.OptionalInt("sliding_window", checkpoint::kPositive);
}

/// True for graphs that read a text at once, with padding marked by a mask; the original
/// exporter's, too.
bool ReadsTextAtOnce(const ir::Graph& graph) {
  return graph.FindInput("attention_mask") != nullptr && graph.FindInput("position_ids") == nullptr;
}

/// The original's names of specializations, by task; it has no class for the last two.
std::string SequenceGraphName(const ir::Model& model) {
  const auto found = model.metadata.find(std::string(kTaskKey));
  const auto task = found != model.metadata.end() ? families::FindTask(found->second)
                                                  : std::optional<families::Task>();
  if (task == families::Task::kTokenClassification) return "TokenClassification";
  if (task == families::Task::kMaskedLm) return "MaskedLM";
  return model.graph.FindOutput("logits") != nullptr ? "SeqClassification" : "Embedding";
}

Result<std::vector<artifact::Specialization>> SequenceSpecializations(
    const ir::Model& model, const CompileOptions& options) {
  const std::pair<const char*, bool> of_generation[] = {
      {"--prefill-seq-len", options.prefill_seq_len.has_value()},
      {"--ctx-len", options.ctx_len.has_value()},
      {"--prefill-only", options.prefill_only == true},
      {"--decode-only", options.prefill_only == false},
      {"--dim", !options.dims.empty()},
      {"--full-batch-size", options.full_batch_size.has_value()},
      {"--kv-cache-batch-size", options.kv_cache_batch_size.has_value()},
      {"--num-speculative-tokens", options.num_speculative_tokens.has_value()},
      {"--ccl-prefill", !options.ccl_prefill.empty()},
      {"--ccl-decode", !options.ccl_decode.empty()}};
  for (const auto& [flag, is_given] : of_generation) {
    if (!is_given) continue;
    return UsageError(Location::Flag(flag),
                      "this is for text generation; the model reads a text at once",
                      {"use --seq-len and --batch-size"});
  }
  constexpr int64_t kDefaultSeqLen = 32;  // the original's
  std::vector<int64_t> lengths = options.seq_lens;
  if (lengths.empty()) {
    QEFF_ASSIGN_OR_RETURN(const std::optional<int64_t> limit,
                          MaxSeqLen(model.metadata, model.path));
    lengths = {std::min(kDefaultSeqLen, limit.value_or(kDefaultSeqLen))};
  }
  std::vector<artifact::Specialization> entries;
  for (const int64_t length : lengths) {
    // Numbered here already, not only in the file: hashed_compile_params.json shows these names.
    const std::string name = SequenceGraphName(model);
    entries.push_back(
        {.graph_name = lengths.size() == 1 ? name : fmt::format("{}_{}", name, entries.size()),
         .symbols = {{"batch_size", options.batch_size}, {"seq_len", length}}});
  }
  return entries;
}

/// An encoder of images, which QEfficient compiles into a program of its own.
bool IsImageEncoder(const ir::Graph& graph) {
  return graph.FindInput("pixel_values") != nullptr && graph.FindOutput("logits") == nullptr;
}

/// The entries of the user's file. Errors: those of ReadSpecializations; kInvalidInput if an entry
/// leaves a symbol of the graph out.
Result<std::vector<artifact::Specialization>> GivenSpecializations(
    const ir::Graph& graph, const std::filesystem::path& path) {
  QEFF_ASSIGN_OR_RETURN(std::vector<artifact::Specialization> entries,
                        artifact::ReadSpecializations(path));
  QEFF_ASSIGN_OR_RETURN(const Json given, ReadJsonFile(path));
  const std::set<std::string> symbols = InputSymbols(graph);
  for (size_t i = 0; i < entries.size(); ++i) {
    for (const std::string& symbol : symbols) {
      if (entries[i].Find(symbol)) continue;
      return InvalidInput(Location::File(path.string()),
                          fmt::format("specialization '{}' has no number for symbol '{}'",
                                      entries[i].graph_name, symbol),
                          {fmt::format("symbols of the inputs: {}", fmt::join(symbols, ", "))});
    }
    const Json& entry = given.at("specializations").at(i);
    if (IsImageEncoder(graph) && !entry.contains("name") && !entry.contains("_graph_name"))
      entries[i].graph_name = "Vision";
  }
  return entries;
}

/// Errors: kUsage at `where` if a text can be longer than the model's tables of positions.
Status CheckSeqLens(const ir::Model& model,
                    const std::vector<artifact::Specialization>& specializations,
                    const Location& where) {
  if (!ReadsTextAtOnce(model.graph)) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const std::optional<int64_t> limit, MaxSeqLen(model.metadata, model.path));
  for (const artifact::Specialization& specialization : specializations) {
    const std::optional<int64_t> tokens = specialization.Find("seq_len");
    if (!limit || !tokens || *tokens <= *limit) continue;
    return UsageError(where, fmt::format("expected at most {} tokens, got {}", *limit, *tokens),
                      {"the model has positions for no more (max_position_embeddings); if they are "
                       "rotated, export with --max-positions for more"});
  }
  return Status::Ok();
}

/// `is_for_card`: the lengths of compute contexts follow the rules of the vendor's compiler.
Result<std::vector<artifact::Specialization>> ChooseSpecializations(
    const ir::Model& model, const std::filesystem::path& folder, const CompileOptions& options,
    bool is_for_card) {
  if (!options.specializations.empty()) {
    QEFF_ASSIGN_OR_RETURN(auto given, GivenSpecializations(model.graph, options.specializations));
    QEFF_RETURN_IF_ERROR(
        CheckSeqLens(model, given, Location::File(options.specializations.string())));
    return given;
  }
  const ir::Graph& graph = model.graph;
  if (ReadsTextAtOnce(graph)) {
    QEFF_ASSIGN_OR_RETURN(auto entries, SequenceSpecializations(model, options));
    QEFF_RETURN_IF_ERROR(CheckSeqLens(model, entries, Location::Flag("--seq-len")));
    return entries;
  }
  if (!options.seq_lens.empty()) {
    return UsageError(Location::Flag("--seq-len"),
                      "this is for models that read a text at once; the model generates text",
                      {"use --prefill-seq-len and --ctx-len"});
  }
  const std::set<std::string> symbols = InputSymbols(graph);
  artifact::TextSpecializationOptions text{
      .prefill_seq_len = options.prefill_seq_len.value_or(kDefaultPrefillSeqLen),
      .ctx_len = options.ctx_len.value_or(kDefaultCtxLen),
      .batch_size = options.batch_size,
      .full_batch_size = options.full_batch_size,
      .kv_cache_batch_size = options.kv_cache_batch_size,
      .prefill_only = options.prefill_only};
  text.has_continuous_batching = graph.FindInput("batch_index") != nullptr;
  text.keeps_speculative_logits = graph.FindInput("num_logits_to_keep") != nullptr;
  text.has_compute_context_lengths = graph.FindInput("comp_ctx_lengths") != nullptr;
  if (options.num_speculative_tokens)
    text.num_speculative_tokens = {*options.num_speculative_tokens};
  text.comp_ctx_lengths_prefill = options.ccl_prefill;
  text.comp_ctx_lengths_decode = options.ccl_decode;
  text.rounds_ctx_len = is_for_card;
  std::vector<std::pair<std::string, int64_t>> dims = options.dims;
  for (const auto& [name, size] : dims) {
    if (symbols.contains(name)) continue;
    return UsageError(Location::Flag("--dim"), fmt::format("no input has a symbol '{}'", name),
                      {fmt::format("symbols: {}", fmt::join(symbols, ", "))});
  }
  if (symbols.contains("sliding_window")) {
    const auto given = std::find_if(dims.begin(), dims.end(),
                                    [](const auto& dim) { return dim.first == "sliding_window"; });
    if (given != dims.end()) {
      text.sliding_window = given->second;
      dims.erase(given);
    } else {
      QEFF_ASSIGN_OR_RETURN(text.sliding_window, WindowOfConfig(folder));
    }
  }
  QEFF_ASSIGN_OR_RETURN(std::vector<artifact::Specialization> entries,
                        artifact::BuildTextSpecializations(text));
  for (artifact::Specialization& entry : entries) {
    for (const auto& [name, size] : dims) {
      const auto chosen =
          std::find_if(entry.symbols.begin(), entry.symbols.end(),
                       [&name = name](const auto& symbol) { return symbol.first == name; });
      if (chosen == entry.symbols.end()) {
        entry.symbols.emplace_back(name, size);
      } else if (chosen->second != size) {
        return UsageError(Location::Flag("--dim"),
                          fmt::format("'{}' is {} in specialization '{}', not {}", name,
                                      chosen->second, entry.graph_name, size),
                          {"it has an option of its own"});
      }
    }
  }
  return entries;
}

/// Caches and their new states with their precision on a card, in graph order.
std::vector<artifact::CustomIo> ListCustomIo(const ir::Graph& graph) {
  std::vector<artifact::CustomIo> entries;
  for (const ir::Value* input : graph.inputs()) {
    const std::string output = input->name() + std::string(ir::kRetainedStateSuffix);
    if (graph.FindOutput(output) == nullptr) continue;
    const std::string precision = input->type().dtype == DType::kBf16 ? "bfloat16" : "float16";
    entries.push_back({input->name(), precision});
    entries.push_back({output, precision});
  }
  return entries;
}

Status WriteSideFiles(const ir::Graph& graph,
                      const std::vector<artifact::Specialization>& specializations,
                      const OnnxInput& input, const CompileOptions& options,
                      artifact::ArtifactWriter& out) {
  QEFF_RETURN_IF_ERROR(out.WriteFile(artifact::kSpecializationsName,
                                     artifact::WriteSpecializations(specializations)));
  const std::vector<artifact::CustomIo> custom_io = ListCustomIo(graph);
  if (!custom_io.empty()) {
    QEFF_ASSIGN_OR_RETURN(const std::string text, artifact::WriteCustomIo(custom_io));
    QEFF_RETURN_IF_ERROR(out.WriteFile(artifact::kCustomIoName, text));
  }
  std::error_code error;
  if (!std::filesystem::exists(input.folder / "config.json", error)) return Status::Ok();
  QEFF_ASSIGN_OR_RETURN(const Json config, ReadJsonFile(input.folder / "config.json"));
  artifact::Qconfig qconfig;
  qconfig.huggingface_config =
      artifact::HuggingFaceConfigDict(config, {.name_or_path = input.folder.filename().string()});
  qconfig.onnx_path = input.file.filename().string();
  qconfig.specializations_path = std::string(artifact::kSpecializationsName);
  qconfig.specializations = specializations;
  if (options.num_speculative_tokens)
    qconfig.num_speculative_tokens = {*options.num_speculative_tokens};
  qconfig.compile_options = {{"aic_num_cores", options.target.num_cores},
                             {"backend", options.backend}};
  return out.WriteFile(artifact::kQconfigName, artifact::WriteQconfig(qconfig));
}

std::vector<std::string> DescribeDims(const std::vector<std::pair<std::string, int64_t>>& dims) {
  std::vector<std::string> described;
  for (const auto& [name, size] : dims) described.push_back(fmt::format("{}={}", name, size));
  return described;
}

Result<artifact::Manifest> DescribeCompile(const OnnxInput& input, const Backend& backend,
                                           CompileOptions& options) {
  artifact::Manifest manifest{.format = std::string(artifact::kQpcFormat), .tool = "qeff-compile"};
  const BackendCompileOptions& target = options.target;
  manifest.options = {
      {"backend", options.backend},
      {"prefill_seq_len", options.prefill_seq_len.value_or(kDefaultPrefillSeqLen)},
      {"ctx_len", options.ctx_len.value_or(kDefaultCtxLen)},
      {"batch_size", options.batch_size},
      {"full_batch_size", options.full_batch_size.value_or(0)},
      {"kv_cache_batch_size", options.kv_cache_batch_size.value_or(0)},
      {"num_speculative_tokens", options.num_speculative_tokens.value_or(0)},
      {"ccl_prefill", options.ccl_prefill},
      {"ccl_decode", options.ccl_decode},
      {"dims", DescribeDims(options.dims)},
      {"num_cores", int64_t{target.num_cores}},
      {"weights", std::string(WeightStorageName(target.weight_storage))},
      {"compute", std::string(target.compute == ComputeType::kBf16 ? "bf16" : "f32")}};
  if (target.kv_cache != KvCacheType::kF32)
    manifest.options.emplace("kv_cache", std::string(KvCacheName(target.kv_cache)));
  if (!options.seq_lens.empty()) manifest.options.emplace("seq_lens", options.seq_lens);
  if (options.prefill_only) manifest.options.emplace("prefill_only", *options.prefill_only);
  QEFF_ASSIGN_OR_RETURN(auto own_options, backend.ResolveOptions(options.target));
  manifest.options.merge(own_options);
  for (const std::filesystem::path& file :
       {options.specializations, target.card.mdp_load_partition_config,
        target.card.mdp_compiler_dump, target.card.qnn_config, target.card.node_precision_info}) {
    if (file.empty()) continue;
    QEFF_ASSIGN_OR_RETURN(artifact::InputEntry entry, artifact::IdentifyInput("option", file));
    manifest.inputs.push_back(std::move(entry));
  }
  QEFF_ASSIGN_OR_RETURN(const std::optional<artifact::Manifest> made_by_us,
                        FindManifest(input.folder));
  if (made_by_us && made_by_us->format != artifact::kOnnxFormat) {
    return InvalidInput(
        Location::File(input.folder.string()),
        fmt::format("expected an ONNX folder, got a '{}' folder", made_by_us->format),
        {"export it first: qeff-export"});
  }
  if (made_by_us) {
    QEFF_ASSIGN_OR_RETURN(artifact::ParentEntry parent, artifact::DescribeParent(input.folder));
    manifest.parents.push_back(std::move(parent));
  } else {
    // A foreign model: the graph, and every file beside it that may hold its weights or goes along.
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(input.folder, error)) {
      const std::string name = entry.path().filename().string();
      const bool relevant = entry.path() == input.file || name.find(".data") != std::string::npos ||
                            entry.path().extension() == ".json";
      if (relevant && entry.is_regular_file(error)) files.push_back(entry.path());
    }
    if (error)
      return IoError(Location::File(input.folder.string()), "cannot list the folder",
                     error.value());
    std::sort(files.begin(), files.end());
    for (const std::filesystem::path& file : files) {
      QEFF_ASSIGN_OR_RETURN(artifact::InputEntry entry, artifact::IdentifyInput("model", file));
      manifest.inputs.push_back(std::move(entry));
    }
  }
  return manifest;
}

Result<std::vector<SpecializedGraph>> SpecializeAll(
    const ir::Model& model, const std::vector<artifact::Specialization>& specializations) {
  const std::vector<std::string> names = artifact::UniqueNames(specializations);
  std::vector<SpecializedGraph> graphs;
  for (size_t i = 0; i < specializations.size(); ++i) {
    SpecializedGraph specialized{
        .name = names[i],
        .symbols = {specializations[i].symbols.begin(), specializations[i].symbols.end()},
        .graph = {}};
    QEFF_ASSIGN_OR_RETURN(specialized.graph,
                          passes::Specialize(model, specialized.symbols)
                              .WithNote(fmt::format("in specialization '{}'", names[i])));
    graphs.push_back(std::move(specialized));
  }
  return graphs;
}

/// A model as a backend of ours compiles it.
struct PreparedModel {
  std::vector<artifact::Specialization> specializations;
  std::vector<SpecializedGraph> graphs;
};

/// Raises `model`, chooses its specializations and checks that `backend` can compile them.
Result<PreparedModel> PrepareModel(ir::Model& model, const OnnxInput& input,
                                   const CompileOptions& options, const Backend& backend) {
  passes::Pipeline pipeline = passes::RaisingPipeline();
  const passes::Pipeline own = backend.Pipeline();
  pipeline.insert(pipeline.end(), own.begin(), own.end());
  if (Result<passes::Change> change = passes::RunPipeline(model, pipeline); !change.ok())
    return std::move(change).status();
  PreparedModel prepared;
  QEFF_ASSIGN_OR_RETURN(prepared.specializations,
                        ChooseSpecializations(model, input.folder, options, /*is_for_card=*/false));
  QEFF_ASSIGN_OR_RETURN(prepared.graphs, SpecializeAll(model, prepared.specializations));
  Diagnostics diagnostics;
  for (const SpecializedGraph& graph : prepared.graphs)
    backend.CheckSupport(graph.graph, diagnostics);
  QEFF_RETURN_IF_ERROR(diagnostics.ToStatus());
  return prepared;
}

Status CompileModel(ir::Model& model, const OnnxInput& input, const CompileOptions& options,
                    const Backend& backend, artifact::ArtifactWriter& out) {
  QEFF_ASSIGN_OR_RETURN(const PreparedModel prepared, PrepareModel(model, input, options, backend));
  QEFF_RETURN_IF_ERROR(backend.Compile(prepared.graphs, options.target, out));
  QEFF_RETURN_IF_ERROR(WriteSideFiles(model.graph, prepared.specializations, input, options, out));
  return CarryFiles(input.folder, out);
}

/// A compile call with everything that is known before the model is read.
struct Compilation {
  OnnxInput input;
  const Backend* backend = nullptr;
  CompileOptions options;  ///< resolved
  artifact::Manifest manifest;
  Destination destination;
};

Result<Compilation> PrepareCompile(const std::filesystem::path& onnx,
                                   const std::filesystem::path& output,
                                   const CompileOptions& options) {
  Compilation compilation{.options = options};
  QEFF_ASSIGN_OR_RETURN(compilation.input, FindOnnx(onnx));
  QEFF_ASSIGN_OR_RETURN(compilation.backend, FindBackend(options.backend));
  QEFF_ASSIGN_OR_RETURN(
      compilation.manifest,
      DescribeCompile(compilation.input, *compilation.backend, compilation.options));
  QEFF_ASSIGN_OR_RETURN(const std::filesystem::path root, artifact::DefaultCacheRoot());
  const std::string stem =
      std::filesystem::absolute(compilation.input.folder).lexically_normal().filename().string();
  compilation.destination = {output, root / "qpc", stem.empty() ? "model" : stem};
  return compilation;
}

/// What a vendor's compiler is asked to make of `model`, which must outlive it. Errors:
/// kUnsupported for what it cannot take, kUsage for options that do not fit the graph.
Result<OnnxProgram> DescribeOnnxProgram(const ir::Model& model, const Compilation& compilation) {
  const OnnxInput& input = compilation.input;
  const CompileOptions& options = compilation.options;
  std::error_code error;
  if (std::filesystem::exists(input.folder / "weight_spec.json", error)) {
    return Unsupported(Location::File(input.folder.string()),
                       "the weights are not in the model, and the compiler reads nothing else",
                       {"export with --weights external"});
  }
  Diagnostics diagnostics;
  compilation.backend->CheckSupport(model.graph, diagnostics);
  for (const ir::Function& function : model.functions)
    compilation.backend->CheckSupport(function.body, diagnostics);
  QEFF_RETURN_IF_ERROR(diagnostics.ToStatus());
  for (const Diagnostic& finding : diagnostics.findings()) LogWarning("{}", finding.ToString());
  OnnxProgram program{.onnx = std::filesystem::absolute(input.file).lexically_normal(),
                      .model = &model,
                      .specializations = {},
                      .num_speculative_tokens = {},
                      .prefill_only = options.prefill_only,
                      .config = {},
                      .name_or_path = input.folder.filename().string()};
  QEFF_ASSIGN_OR_RETURN(program.specializations,
                        ChooseSpecializations(model, input.folder, options, /*is_for_card=*/true));
  if (!options.specializations.empty()) {
    QEFF_ASSIGN_OR_RETURN(const Json given, ReadJsonFile(options.specializations));
    program.given_specializations = given.at("specializations");
  }
  if (options.num_speculative_tokens)
    program.num_speculative_tokens = {*options.num_speculative_tokens};
  if (std::filesystem::exists(input.folder / "config.json", error)) {
    QEFF_ASSIGN_OR_RETURN(program.config, ReadJsonFile(input.folder / "config.json"));
  }
  return program;
}

}  // namespace

Result<std::filesystem::path> Compile(const std::filesystem::path& onnx,
                                      const std::filesystem::path& output,
                                      const CompileOptions& options) {
  QEFF_ASSIGN_OR_RETURN(Compilation compilation, PrepareCompile(onnx, output, options));
  const std::filesystem::path final_folder =
      std::filesystem::absolute(PathOf(compilation.destination, compilation.manifest))
          .lexically_normal();
  return Produce(
      compilation.destination, compilation.manifest, [&](artifact::ArtifactWriter& out) -> Status {
        QEFF_ASSIGN_OR_RETURN(ir::Model model, onnx_io::ReadOnnx(compilation.input.file));
        const CompileOptions& resolved = compilation.options;
        const Backend& backend = *compilation.backend;
        if (!backend.CompilesOnnx())
          return CompileModel(model, compilation.input, resolved, backend, out);
        QEFF_ASSIGN_OR_RETURN(const OnnxProgram program, DescribeOnnxProgram(model, compilation));
        QEFF_RETURN_IF_ERROR(backend.CompileOnnx(program, resolved.target, final_folder, out));
        return CarryFiles(compilation.input.folder, out);
      });
}

Result<OnnxCompilePlan> PlanCompile(const std::filesystem::path& onnx,
                                    const std::filesystem::path& output,
                                    const CompileOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const Compilation compilation, PrepareCompile(onnx, output, options));
  if (!compilation.backend->CompilesOnnx())
    return compilation.backend->PlanOnnx({}, compilation.options.target, {});
  QEFF_ASSIGN_OR_RETURN(const ir::Model model, onnx_io::ReadOnnx(compilation.input.file));
  QEFF_ASSIGN_OR_RETURN(const OnnxProgram program, DescribeOnnxProgram(model, compilation));
  const std::filesystem::path folder =
      std::filesystem::absolute(PathOf(compilation.destination, compilation.manifest));
  return compilation.backend->PlanOnnx(program, compilation.options.target,
                                       folder.lexically_normal());
}

Result<CardPlan> PlanCard(const std::filesystem::path& onnx, const CompileOptions& options,
                          const std::string& target_name) {
  QEFF_ASSIGN_OR_RETURN(const aic100::CardTarget target, aic100::ReadTarget(target_name));
  QEFF_ASSIGN_OR_RETURN(const OnnxInput input, FindOnnx(onnx));
  QEFF_ASSIGN_OR_RETURN(const ir::Model model, onnx_io::ReadOnnx(input.file));
  QEFF_ASSIGN_OR_RETURN(const auto specializations,
                        ChooseSpecializations(model, input.folder, options, /*is_for_card=*/true));
  // Activations of the largest call, rows of the last one: that decodes.
  aic100::ModelSize size;
  for (const artifact::Specialization& specialization : specializations) {
    const int64_t activations = size.activation_elements;
    QEFF_ASSIGN_OR_RETURN(size, aic100::MeasureModel(model.graph, {specialization.symbols.begin(),
                                                                   specialization.symbols.end()}));
    size.activation_elements = std::max(size.activation_elements, activations);
  }
  const CardCompileOptions& card = options.target.card;
  const auto plans = aic100::PlanDevices(
      size, target, options.target.num_cores,
      {.mxfp6_matmul = card.mxfp6_matmul, .mxint8_kv_cache = card.mxint8_kv_cache});
  return CardPlan{.table = aic100::PrintPlan(target, size, plans),
                  .json = aic100::PlanToJson(target, size, plans)};
}

Result<CardPlan> PlanMemory(const std::filesystem::path& onnx, const CompileOptions& options) {
  if (options.backend != "cpu") {
    return Unsupported(
        Location::Flag("--plan"), fmt::format("'{}' does not plan its memory", options.backend),
        {"for this machine: --plan --backend cpu; for a card: --plan --target NAME"});
  }
  QEFF_ASSIGN_OR_RETURN(const Backend* backend, FindBackend(options.backend));
  QEFF_ASSIGN_OR_RETURN(const OnnxInput input, FindOnnx(onnx));
  QEFF_ASSIGN_OR_RETURN(ir::Model model, onnx_io::ReadOnnx(input.file));
  QEFF_ASSIGN_OR_RETURN(const PreparedModel prepared,
                        PrepareModel(model, input, options, *backend));
  QEFF_ASSIGN_OR_RETURN(const cpu::MemoryPlan plan,
                        cpu::PlanMemory(prepared.graphs, {.part_count = options.target.num_cores,
                                                          .weights = options.target.weight_storage,
                                                          .compute = options.target.compute,
                                                          .kv_cache = options.target.kv_cache}));
  CardPlan printed{.table = fmt::format("{}: memory of a run, in MiB\n", options.backend),
                   .json = {{"backend", options.backend}}};
  constexpr double kMiB = 1 << 20;
  for (const auto& [name, bytes] : {std::pair("weights", plan.weight_bytes),
                                    {"state", plan.state_bytes},
                                    {"arena", plan.arena_bytes},
                                    {"inputs and outputs", plan.io_bytes},
                                    {"scratch", plan.scratch_bytes},
                                    {"process", plan.process_bytes},
                                    {"total", plan.total_bytes()}})
    printed.table += fmt::format("{:<18} {:>10.1f}\n", name, static_cast<double>(bytes) / kMiB);
  printed.json["weight_bytes"] = plan.weight_bytes;
  printed.json["state_bytes"] = plan.state_bytes;
  printed.json["arena_bytes"] = plan.arena_bytes;
  printed.json["io_bytes"] = plan.io_bytes;
  printed.json["scratch_bytes"] = plan.scratch_bytes;
  printed.json["process_bytes"] = plan.process_bytes;
  printed.json["total_bytes"] = plan.total_bytes();
  return printed;
}

Result<std::unique_ptr<Session>> OpenProgram(const std::filesystem::path& qpc,
                                             const BackendOpenOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const artifact::Manifest manifest,
                        artifact::ReadManifest(qpc, artifact::kQpcFormat));
  const auto option = manifest.options.find("backend");
  const auto* name =
      option == manifest.options.end() ? nullptr : std::get_if<std::string>(&option->second);
  if (name == nullptr) {
    return InvalidInput(Location::File((qpc / artifact::kManifestName).string()),
                        "the manifest does not say which backend made it");
  }
  QEFF_ASSIGN_OR_RETURN(const Backend* backend, FindBackend(*name));
  return backend->Open(qpc, options);
}

}  // namespace qeff::stages
