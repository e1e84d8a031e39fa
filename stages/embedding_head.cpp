// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/embedding_head.h"

#include <algorithm>

#include "lib/checkpoint/safetensors.h"

namespace qeff::stages {
namespace {

passes::PassStep Step(std::string name, passes::PassOptions options = {}) {
  return {std::move(name), std::move(options)};
}

/// The tensor `name` of a dense module in f32.
Result<ir::WeightPtr> DenseWeight(const checkpoint::SafetensorsFile& file, std::string_view name,
                                  const std::vector<int64_t>& dims) {
  const checkpoint::StoredTensor* tensor = file.Find(name);
  const Location where = Location::Tensor(file.file()->path(), name);
  if (tensor == nullptr) return InvalidInput(where, "the tensor is missing");
  const bool is_float =
      tensor->dtype == DType::kF32 || tensor->dtype == DType::kF16 || tensor->dtype == DType::kBf16;
  if (!is_float || tensor->shape != dims) {
    return InvalidInput(where,
                        fmt::format("expected floats [{}], got {} [{}]", fmt::join(dims, ", "),
                                    DTypeName(tensor->dtype), fmt::join(tensor->shape, ", ")));
  }
  return ir::Converted(
      ir::FromFile(file.file(), tensor->offset_bytes, tensor->dtype, tensor->shape), DType::kF32);
}

Status AddDense(const std::filesystem::path& folder, const checkpoint::DenseModule& dense,
                ir::Model& model) {
  QEFF_ASSIGN_OR_RETURN(
      const checkpoint::SafetensorsFile file,
      checkpoint::SafetensorsFile::Open(folder / dense.folder / "model.safetensors"));
  ir::Graph& graph = model.graph;
  ir::Value* x = graph.FindOutput("output");
  const std::string scope = "/" + dense.folder;
  QEFF_ASSIGN_OR_RETURN(
      const ir::WeightPtr weight,
      DenseWeight(file, "linear.weight", {dense.out_features, dense.in_features}));
  std::vector<ir::Value*> inputs = {x, graph.AddConstant(dense.folder + ".linear.weight", weight)};
  if (dense.has_bias) {
    QEFF_ASSIGN_OR_RETURN(const ir::WeightPtr bias,
                          DenseWeight(file, "linear.bias", {dense.out_features}));
    inputs.push_back(graph.AddConstant(dense.folder + ".linear.bias", bias));
  }
  ir::Value* y = graph.Add({.domain = ir::kQeffDomain,
                            .op_type = "Linear",
                            .inputs = std::move(inputs),
                            .name = scope + "/Linear"});
  if (dense.activation != "linear") {
    y = graph.Add({.domain = ir::kQeffDomain,
                   .op_type = "Activation",
                   .inputs = {y},
                   .attributes = {{"kind", dense.activation}},
                   .name = scope + "/Activation"});
  }
  graph.RenameValue(x, "embedding");
  graph.outputs().front().value = y;
  graph.RenameValue(y, "output");
  return Status::Ok();
}

/// Size of the pooled vectors; 0 if it is not known.
int64_t VectorSize(const ir::Model& model) {
  const ir::Value* output = model.graph.FindOutput("output");
  const auto& shape = output->type().shape;
  return shape && shape->size() == 2 && shape->back().is_number() ? shape->back().value() : 0;
}

Status AddModules(const std::filesystem::path& folder, const checkpoint::SentenceModules& modules,
                  const std::function<Status(const passes::Pipeline&)>& run, ir::Model& model) {
  QEFF_RETURN_IF_ERROR(run({Step(
      "pool-embeddings", {{"modes", fmt::format("{}", fmt::join(modules.pooling->modes, "+"))}})}));
  const auto& dimension = modules.pooling->dimension;
  const auto mode_count = static_cast<int64_t>(modules.pooling->modes.size());
  if (dimension && VectorSize(model) != *dimension * mode_count) {
    return InvalidInput(Location::File((folder / "modules.json").string()),
                        fmt::format("pooling is for states of {} elements, the model's have {}",
                                    *dimension, VectorSize(model) / mode_count));
  }
  for (const auto& module : modules.head) {
    if (const auto* dense = std::get_if<checkpoint::DenseModule>(&module)) {
      QEFF_RETURN_IF_ERROR(AddDense(folder, *dense, model));
    } else {
      QEFF_RETURN_IF_ERROR(run({Step("normalize-embeddings")}));
    }
  }
  return Status::Ok();
}

}  // namespace

const std::vector<std::string>& PoolingNames() {
  static const std::vector<std::string> names = {"mean", "cls", "max", "avg", "last", "none"};
  return names;
}

Status AddEmbeddingHead(const std::filesystem::path& folder,
                        const std::optional<checkpoint::SentenceModules>& modules,
                        const EmbeddingOptions& options,
                        const std::function<Status(const passes::Pipeline&)>& run,
                        ir::Model& model) {
  const bool has_modules = !options.pooling && modules && modules->pooling;
  const bool pools = has_modules || (options.pooling && *options.pooling != "none");
  if (!pools && (options.normalize || options.truncate_dim)) {
    return UsageError(Location::Flag(options.normalize ? "--normalize" : "--truncate-dim"),
                      "expected --pooling with it: the model gives a vector for each token");
  }
  if (has_modules) {
    QEFF_RETURN_IF_ERROR(AddModules(folder, *modules, run, model));
  } else if (pools) {
    const std::string mode = *options.pooling == "avg" ? "mean" : *options.pooling;
    QEFF_RETURN_IF_ERROR(run({Step("pool-embeddings", {{"modes", mode}})}));
  }
  passes::Pipeline last;
  if (options.truncate_dim) {
    last.push_back(Step("truncate-embeddings", {{"dim", std::to_string(*options.truncate_dim)}}));
  }
  if (options.normalize) last.push_back(Step("normalize-embeddings"));
  return last.empty() ? Status::Ok() : run(last);
}

}  // namespace qeff::stages
