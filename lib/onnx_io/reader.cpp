// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/reader.h"

#include <algorithm>
#include <map>

#include "lib/onnx_io/graph_reader.h"
#include "lib/onnx_io/weight_spec.h"
#include "lib/ops/op.h"

namespace qeff::onnx_io {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kOldestIrVersion = 3;
constexpr int64_t kNewestIrVersion = 13;
constexpr int kDeepestCalls = 32;

Result<fs::path> FindModelFile(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  std::vector<fs::path> found;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".onnx") found.push_back(it->path());
  }
  if (error) return IoError(Location::File(path.string()), "cannot list the folder", error.value());
  if (found.size() == 1) return found.front();
  std::sort(found.begin(), found.end());
  std::vector<std::string> notes;
  for (const fs::path& file : found) notes.push_back(fmt::format("found '{}'", file.string()));
  notes.emplace_back("name the .onnx file itself");
  return InvalidInput(Location::File(path.string()),
                      fmt::format("expected a folder with one .onnx file, got {}", found.size()),
                      std::move(notes));
}

Status CheckHeader(const onnx::ModelProto& model, const Location& where) {
  if (!model.has_graph() || !model.has_ir_version()) {
    return InvalidInput(where, "expected an ONNX model, got a message without IR version or graph",
                        {"the file is damaged or not ONNX"});
  }
  if (model.ir_version() < kOldestIrVersion || model.ir_version() > kNewestIrVersion) {
    return Unsupported(where, fmt::format("expected ONNX IR version {} to {}, got {}",
                                          kOldestIrVersion, kNewestIrVersion, model.ir_version()));
  }
  if (model.training_info_size() > 0) return Unsupported(where, "a model with training_info");
  return Status::Ok();
}

/// Refuses functions that call themselves, directly or through others: they have no end.
Status CheckCallsEnd(const ir::Model& model) {
  std::map<std::pair<std::string, std::string>, const ir::Function*> functions;
  for (const ir::Function& function : model.functions) {
    if (!functions.emplace(std::pair(function.domain, function.name), &function).second) {
      return InvalidInput(Location::Node(model.path, function.name),
                          "two functions have this domain and name");
    }
  }
  // Functions leave in the order in which their callees are all gone; what stays is a cycle.
  std::map<const ir::Function*, std::vector<const ir::Function*>> callers;
  std::map<const ir::Function*, int64_t> calls_left;
  for (const ir::Function& function : model.functions) {
    for (const auto& node : function.body.nodes()) {
      const auto callee = functions.find({node->domain(), node->op_type()});
      if (callee == functions.end()) continue;
      callers[callee->second].push_back(&function);
      ++calls_left[&function];
    }
  }
  std::vector<const ir::Function*> done;
  for (const ir::Function& function : model.functions) {
    if (!calls_left.contains(&function)) done.push_back(&function);
  }
  std::map<const ir::Function*, int> depths;
  for (size_t i = 0; i < done.size(); ++i) {
    const int depth = depths[done[i]] + 1;
    if (depth > kDeepestCalls) {
      return Unsupported(Location::Node(model.path, done[i]->name),
                         fmt::format("functions call functions more than {} deep", kDeepestCalls));
    }
    for (const ir::Function* caller : callers[done[i]]) {
      depths[caller] = std::max(depths[caller], depth);
      if (--calls_left[caller] == 0) done.push_back(caller);
    }
    functions.erase({done[i]->domain, done[i]->name});
  }
  if (functions.empty()) return Status::Ok();
  return InvalidInput(Location::Node(model.path, functions.begin()->first.second),
                      "the function calls itself, directly or through others");
}

Status ReadMetadata(const onnx::ModelProto& proto, ir::Model* model) {
  for (const onnx::StringStringEntryProto& entry : proto.metadata_props()) {
    if (!IsPlainText(entry.key()) || !IsPlainText(entry.value())) {
      return InvalidInput(Location::File(model->path), "metadata is not UTF-8 text");
    }
    if (!model->metadata.emplace(entry.key(), entry.value()).second) {
      return InvalidInput(Location::File(model->path),
                          fmt::format("metadata '{}' is given twice", entry.key()));
    }
  }
  return Status::Ok();
}

Result<JoinedWeights> FindJoinedWeights(const fs::path& model_path, const ReadOptions& options) {
  JoinedWeights joined;
  const fs::path path = model_path.parent_path() / kWeightSpecFileName;
  std::error_code error;
  if (options.weight_spec == ReadOptions::WeightSpec::kIgnore || !fs::exists(path, error)) {
    return joined;
  }
  QEFF_ASSIGN_OR_RETURN(NamedWeights weights, ReadWeightSpec(path));
  for (auto& [name, weight] : weights) joined[name] = std::move(weight);
  return joined;
}

}  // namespace

Result<ir::Model> ReadOnnx(const fs::path& path, const ReadOptions& options) {
  QEFF_ASSIGN_OR_RETURN(const fs::path file_path, FindModelFile(path));
  QEFF_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(file_path));
  const auto file = std::make_shared<const MappedFile>(std::move(mapped));
  QEFF_ASSIGN_OR_RETURN(const ScannedModel scanned, ScanModel(*file));
  ir::Model model;
  model.path = file_path.string();
  const Location where = Location::File(model.path);
  QEFF_RETURN_IF_ERROR(CheckHeader(scanned.model, where));
  QEFF_ASSIGN_OR_RETURN(const OpsetVersions opsets,
                        ReadOpsets(scanned.model.opset_import(), where));
  QEFF_RETURN_IF_ERROR(ReadMetadata(scanned.model, &model));
  QEFF_ASSIGN_OR_RETURN(const JoinedWeights joined, FindJoinedWeights(file_path, options));
  TensorReader tensors(file);
  QEFF_ASSIGN_OR_RETURN(model.graph, ReadGraph(scanned, opsets, joined, &tensors));
  for (const onnx::FunctionProto& proto : scanned.model.functions()) {
    if (ops::FindOp(CanonicalDomain(proto.domain()), proto.name()) != nullptr) continue;
    const std::string name = IsPlainText(proto.name()) ? proto.name() : std::string();
    QEFF_ASSIGN_OR_RETURN(
        ir::Function function,
        ReadFunction(proto, &tensors).WithNote(fmt::format("in function '{}'", name)));
    model.functions.push_back(std::move(function));
  }
  QEFF_RETURN_IF_ERROR(CheckCallsEnd(model));
  return model;
}

}  // namespace qeff::onnx_io
