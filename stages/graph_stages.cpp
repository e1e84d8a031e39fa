// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// The stages that make graphs: transform and export.
#include "lib/artifact/cache.h"
#include "lib/families/family.h"
#include "lib/onnx_io/reader.h"
#include "lib/support/log.h"
#include "passes/pipelines.h"
#include "stages/embedding_head.h"
#include "stages/produce.h"
#include "stages/stages.h"

namespace qeff::stages {
namespace {

constexpr int64_t kSplitDataBytes = int64_t{10} << 30;  // the original's

std::map<std::string, artifact::OptionValue> OptionValues(const TransformOptions& options) {
  std::map<std::string, artifact::OptionValue> values = {
      {"kv_cache", options.kv_cache},
      {"continuous_batching", options.continuous_batching},
      {"compute_context_length", options.compute_context_length},
      {"speculative_target", options.speculative_target},
      {"strict_contract", options.strict_contract},
      {"latent_cache", options.latent_cache},
      {"replicate_kv_heads", options.replicate_kv_heads.value_or(0)},
      {"max_positions", options.max_positions.value_or(0)}};
  if (options.task) values["task"] = std::string(families::TaskName(*options.task));
  const EmbeddingOptions& embedding = options.embedding;
  if (embedding.pooling) values["pooling"] = *embedding.pooling;
  if (embedding.normalize) values["normalize"] = true;
  if (embedding.truncate_dim) values["truncate_dim"] = *embedding.truncate_dim;
  return values;
}

Status CheckOptions(const TransformOptions& options) {
  const bool needs_cache =
      options.continuous_batching || options.compute_context_length || options.speculative_target;
  if (!options.kv_cache && needs_cache) {
    return UsageError(Location::Flag("--no-kv-cache"),
                      "--continuous-batching, --ccl and --speculative-target need a KV cache");
  }
  return Status::Ok();
}

/// Features of text generation mean nothing to a model that reads a text at once.
Status CheckOptionsFor(families::Task task, const TransformOptions& options) {
  if (task == families::Task::kCausalLm) return Status::Ok();
  for (const auto& [flag, is_on] : {std::pair("--continuous-batching", options.continuous_batching),
                                    std::pair("--ccl", options.compute_context_length),
                                    std::pair("--speculative-target", options.speculative_target),
                                    std::pair("--latent-cache", options.latent_cache)}) {
    if (!is_on) continue;
    return UsageError(Location::Flag(flag), fmt::format("this is for text generation; the model is "
                                                        "for {}",
                                                        families::TaskName(task)));
  }
  return Status::Ok();
}

/// Runs a pipeline and adds the passes that changed the graph to the list in its metadata.
Status RunRecorded(ir::Model& model, const passes::Pipeline& pipeline) {
  std::vector<passes::PassTiming> timings;
  Result<passes::Change> change = passes::RunPipeline(model, pipeline, {.timings = &timings});
  if (!change.ok()) return std::move(change).status();
  std::string& transforms = model.metadata["qeff_transforms"];
  for (const passes::PassTiming& timing : timings) {
    if (timing.change == passes::Change::kChanged)
      transforms += (transforms.empty() ? "" : ",") + timing.pass;
  }
  return Status::Ok();
}

/// Whether a pass has changed the model.
bool HasRun(const ir::Model& model, std::string_view pass) {
  const auto passes = model.metadata.find("qeff_transforms");
  return passes != model.metadata.end() && passes->second.find(pass) != std::string::npos;
}

/// Pools if the model's files or the user want it; only hidden states can be pooled.
Status AddHeadFor(families::Task task, const checkpoint::Checkpoint& checkpoint,
                  const std::optional<checkpoint::SentenceModules>& modules,
                  const TransformOptions& options, ir::Model& model) {
  if (task == families::Task::kEmbedding) {
    return AddEmbeddingHead(
        checkpoint.folder(), modules, options.embedding,
        [&](const passes::Pipeline& pipeline) { return RunRecorded(model, pipeline); }, model);
  }
  if (!options.embedding.AsksForVector()) return Status::Ok();
  return UsageError(
      Location::Flag("--pooling"),
      fmt::format("this is for the task '{}', not for '{}'",
                  families::TaskName(families::Task::kEmbedding), families::TaskName(task)));
}

/// A checkpoint's graph in semantic ops with its deployment features.
Result<ir::Model> BuildSemanticModel(const checkpoint::Checkpoint& checkpoint,
                                     const TransformOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const std::optional<checkpoint::SentenceModules> modules,
                        checkpoint::ReadSentenceModules(checkpoint.folder()));
  std::optional<families::Task> task = options.task;
  // Whatever head the class in config.json has, vectors are made of hidden states.
  if (!task && ((modules && modules->pooling) || options.embedding.AsksForVector()))
    task = families::Task::kEmbedding;
  QEFF_ASSIGN_OR_RETURN(
      families::BuiltModel built,
      families::BuildModel(checkpoint, {.max_positions = options.max_positions,
                                        .strict_contract = options.strict_contract,
                                        .task = task}));
  for (const std::string& note : built.notes) LogInfoText(note);
  QEFF_RETURN_IF_ERROR(CheckOptionsFor(built.task, options));
  const bool generates = built.task == families::Task::kCausalLm;
  ir::Model model{.graph = std::move(built.graph),
                  .functions = {},
                  .metadata = {},
                  .path = checkpoint.folder().string()};
  const passes::Pipeline pipeline =
      passes::TransformPipeline({.kv_cache = options.kv_cache && generates,
                                 .latent_cache = options.latent_cache,
                                 .replicate_kv_heads = options.replicate_kv_heads.value_or(0),
                                 .compute_context_length = options.compute_context_length,
                                 .continuous_batching = options.continuous_batching,
                                 .speculative_target = options.speculative_target,
                                 .cache_after = built.input_order.cache_after,
                                 .batch_index_after = built.input_order.batch_index_after});
  QEFF_RETURN_IF_ERROR(RunRecorded(model, pipeline));
  if (options.latent_cache && !HasRun(model, "keep-latent-cache")) {
    return InvalidInput(Location::Flag("--latent-cache"),
                        "no attention of this model makes its keys and values from latents",
                        {"leave the option out: it is for DeepSeek-V2, V3 and their kin"});
  }
  if (options.replicate_kv_heads && !HasRun(model, "replicate-kv-heads")) {
    LogWarning(
        "--replicate-kv-heads {} changes nothing: there are as many KV heads as devices, or no "
        "multiple of them divides both devices and heads",
        *options.replicate_kv_heads);
  }
  QEFF_RETURN_IF_ERROR(AddHeadFor(built.task, checkpoint, modules, options, model));
  model.metadata["qeff_architecture"] = built.architecture;
  if (!generates) model.metadata[std::string(kTaskKey)] = families::TaskName(built.task);
  if (built.max_tokens && !generates)
    model.metadata[std::string(kMaxSeqLenKey)] = std::to_string(*built.max_tokens);
  return model;
}

/// The folder under the cache root for models of this architecture.
Result<std::filesystem::path> ArchitectureFolder(const std::string& architecture) {
  QEFF_ASSIGN_OR_RETURN(std::filesystem::path root, artifact::DefaultCacheRoot());
  return root / architecture;
}

/// What export starts from, with the manifest's inputs filled in.
struct ExportInput {
  ir::Model model;
  artifact::Manifest manifest;
  std::filesystem::path carried_from;
};

Result<ExportInput> OpenExportInput(const std::filesystem::path& input,
                                    const ExportOptions& options) {
  ExportInput opened{
      .model = {},
      .manifest = {.format = std::string(artifact::kOnnxFormat), .tool = "qeff-export"},
      .carried_from = input};
  opened.manifest.options["dtype"] = std::string(DTypeName(options.dtype));
  opened.manifest.options["subfunctions"] = options.subfunctions;
  opened.manifest.options["weights"] =
      options.weights == WeightPlacement::kReference ? "reference" : "external";
  QEFF_ASSIGN_OR_RETURN(const std::optional<artifact::Manifest> manifest, FindManifest(input));
  if (manifest && manifest->format == artifact::kGraphFormat) {
    if (options.transform != TransformOptions()) {
      return UsageError(Location::File(input.string()),
                        "expected no model options for a graph folder: it has its features already",
                        {"give them to qeff-transform, or export the checkpoint itself"});
    }
    QEFF_ASSIGN_OR_RETURN(opened.model, onnx_io::ReadOnnx(input));
    QEFF_ASSIGN_OR_RETURN(artifact::ParentEntry parent, artifact::DescribeParent(input));
    opened.manifest.parents.push_back(std::move(parent));
    return opened;
  }
  if (manifest) {
    return InvalidInput(Location::File(input.string()),
                        fmt::format("expected a checkpoint or a '{}' folder, got a '{}' folder",
                                    artifact::kGraphFormat, manifest->format));
  }
  QEFF_RETURN_IF_ERROR(CheckOptions(options.transform));
  QEFF_ASSIGN_OR_RETURN(const checkpoint::Checkpoint checkpoint,
                        checkpoint::Checkpoint::Open(input));
  QEFF_ASSIGN_OR_RETURN(opened.model, BuildSemanticModel(checkpoint, options.transform));
  QEFF_RETURN_IF_ERROR(AddCheckpointInputs(checkpoint, opened.manifest));
  opened.manifest.options.merge(OptionValues(options.transform));
  return opened;
}

}  // namespace

Result<std::filesystem::path> Transform(const std::filesystem::path& input,
                                        const std::filesystem::path& output,
                                        const TransformOptions& options) {
  QEFF_RETURN_IF_ERROR(CheckOptions(options));
  QEFF_RETURN_IF_ERROR(CheckNotArtifact(input));
  QEFF_ASSIGN_OR_RETURN(const checkpoint::Checkpoint checkpoint,
                        checkpoint::Checkpoint::Open(input));
  QEFF_ASSIGN_OR_RETURN(const ir::Model model, BuildSemanticModel(checkpoint, options));
  artifact::Manifest manifest{.format = std::string(artifact::kGraphFormat),
                              .tool = "qeff-transform"};
  manifest.options = OptionValues(options);
  // The graph refers to the checkpoint's files by path: another place makes another graph.
  manifest.options["checkpoint"] = std::filesystem::absolute(input).lexically_normal().string();
  QEFF_RETURN_IF_ERROR(AddCheckpointInputs(checkpoint, manifest));
  const std::string& architecture = model.metadata.at("qeff_architecture");
  QEFF_ASSIGN_OR_RETURN(const std::filesystem::path folder, ArchitectureFolder(architecture));
  return Produce({output, folder, architecture + "-graph"}, std::move(manifest),
                 [&](artifact::ArtifactWriter& out) -> Status {
                   QEFF_RETURN_IF_ERROR(WriteModel(
                       model, {.weights = onnx_io::WriteOptions::Weights::kReference}, out));
                   return CarryFiles(input, out);
                 });
}

Result<std::filesystem::path> Export(const std::filesystem::path& input,
                                     const std::filesystem::path& output,
                                     const ExportOptions& options) {
  QEFF_ASSIGN_OR_RETURN(ExportInput opened, OpenExportInput(input, options));
  ir::Model& model = opened.model;
  std::string architecture = model.metadata["qeff_architecture"];
  if (architecture.empty()) architecture = "Model";
  std::string layer = architecture;
  if (const size_t at = layer.find("For"); at != std::string::npos) layer.resize(at);
  if (options.weights == WeightPlacement::kReference) {
    opened.manifest.options["checkpoint"] =
        std::filesystem::absolute(input).lexically_normal().string();
  }
  // The original clips constants and splits data files for this class alone.
  const auto task = model.metadata.find(std::string(kTaskKey));
  const bool is_base_model = task != model.metadata.end() &&
                             task->second == families::TaskName(families::Task::kEmbedding);
  const bool clips = options.clip_to_f16.value_or(is_base_model);
  opened.manifest.options["clip_to_f16"] = clips;
  QEFF_ASSIGN_OR_RETURN(const std::filesystem::path folder, ArchitectureFolder(architecture));
  return Produce({output, folder, architecture}, std::move(opened.manifest),
                 [&](artifact::ArtifactWriter& out) -> Status {
                   const passes::Pipeline pipeline = passes::LoweringPipeline(
                       {.dtype = options.dtype,
                        .clip_to_f16 = clips,
                        .layer_function = options.subfunctions ? layer + "DecoderLayer" : ""});
                   QEFF_RETURN_IF_ERROR(RunRecorded(model, pipeline));
                   if (!options.clip_to_f16 && HasRun(model, "clip-to-f16")) {
                     LogWarning(
                         "numbers beyond the range of f16 were brought into it, as cards need it "
                         "and QEfficient does; --no-clip-to-f16 keeps them");
                   }
                   const bool reference = options.weights == WeightPlacement::kReference;
                   QEFF_RETURN_IF_ERROR(
                       WriteModel(model,
                                  {.weights = reference ? onnx_io::WriteOptions::Weights::kReference
                                                        : onnx_io::WriteOptions::Weights::kExternal,
                                   .split_data_bytes = is_base_model ? kSplitDataBytes : 0},
                                  out));
                   return CarryFiles(opened.carried_from, out);
                 });
}

}  // namespace qeff::stages
