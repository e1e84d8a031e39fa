// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Makes the model compute in another float type.
//   Before:  h = Gather(embedding f32, input_ids)  y = qeff.Linear(h, w f32)  past_key.0 f32 logits
//   f32 After:   h = Gather(embedding f16, input_ids)  y = qeff.Linear(h, w f16)  past_key.0 f16
//   logits = Cast<f32>(...)
// Converted are the caches, what embeddings are gathered from, and then every f32 constant that
// meets a converted value. Tables of rotary embeddings meet it in qeff.Rope through a Cast. The
// output logits stays f32, and so does the state of qeff.GatedDeltaRule. Option: dtype = f32
// (nothing to do), f16 or bf16. Requires: semantic ops, inferred types. Leaves alone: computations
// on positions.
#include <set>

#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

class Converter {
 public:
  Converter(ir::Graph& graph, DType dtype) : graph_(graph), dtype_(dtype) {}

  /// Returns whether there was anything to convert.
  Change Run() {
    for (ir::Value* input : graph_.inputs()) {
      if (input->type().dtype != DType::kF32 || IsRecurrentState(*input)) continue;
      ir::TensorType type = input->type();
      type.dtype = dtype_;
      input->set_type(std::move(type));
      converted_.insert(input);
    }
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph_.nodes()) nodes.push_back(node.get());
    const ir::Value* ids = graph_.FindInput("input_ids");
    for (ir::Node* node : nodes) {
      if (node->IsOnnx("Gather") && node->input(1) == ids && ids != nullptr) ConvertInput(node, 0);
      if (MeetsConverted(*node)) ConvertNode(node);
    }
    for (ir::GraphOutput& output : graph_.outputs()) {
      if (output.name.ends_with(ir::kRetainedStateSuffix) || !converted_.contains(output.value))
        continue;
      const std::string name = output.value->name();
      ir::Value* inner = output.value;
      ir::Value* cast = graph_.Add({.op_type = "Cast",
                                    .inputs = {inner},
                                    .attributes = {{"to", OnnxDType(DType::kF32)}},
                                    .name = "/Cast"});
      output.value = cast;
      graph_.RenameValue(inner, name + "_" + std::string(DTypeName(dtype_)));
      graph_.RenameValue(cast, name);
    }
    return converted_.empty() ? Change::kNone : Change::kChanged;
  }

 private:
  /// A sum over all earlier tokens, added to at every step: the rounding errors of a narrow type
  /// would add up, too.
  static bool IsRecurrentState(const ir::Value& input) {
    constexpr int kState = 6;
    return input.uses().size() == 1 && input.uses()[0].node->IsQeff("GatedDeltaRule") &&
           input.uses()[0].input_index == kState;
  }

  bool MeetsConverted(const ir::Node& node) const {
    if (node.IsOnnx("Shape")) return false;
    for (const ir::Value* input : node.inputs()) {
      if (input != nullptr && converted_.contains(input)) return true;
    }
    return false;
  }

  void ConvertNode(ir::Node* node) {
    for (size_t i = 0; i < node->inputs().size(); ++i) {
      if (node->input(i) == nullptr || !IsRecurrentState(*node->input(i))) ConvertInput(node, i);
    }
    for (const ir::Value* output : node->outputs()) {
      if (output->type().dtype == DType::kF32) converted_.insert(output);  // not indices or masks
    }
  }

  /// Gives input `index` the new dtype if it is f32: a converted constant, or a Cast of a computed
  /// value.
  void ConvertInput(ir::Node* node, size_t index) {
    ir::Value* input = node->input(index);
    if (input == nullptr || input->type().dtype != DType::kF32 || converted_.contains(input))
      return;
    ir::Value*& replacement = replacements_[input];
    if (replacement == nullptr && input->is_constant()) {
      input->set_constant(ir::Converted(input->constant(), dtype_));
      replacement = input;
    } else if (replacement == nullptr) {
      replacement = Emitter(graph_, node, "/model").Cast(input, dtype_);
    }
    converted_.insert(replacement);
    if (replacement != input) node->SetInput(index, replacement);
  }

  ir::Graph& graph_;
  DType dtype_;
  std::set<const ir::Value*> converted_;
  std::map<const ir::Value*, ir::Value*> replacements_;
};

}  // namespace

Result<Change> ConvertFloatDtype(ir::Model& model, const PassContext& context) {
  const auto dtype = DTypeFromName(context.Option("dtype"));
  if (dtype != DType::kF32 && dtype != DType::kF16 && dtype != DType::kBf16) {
    return UsageError(
        {}, fmt::format("expected dtype f32, f16 or bf16, got '{}'", context.Option("dtype")));
  }
  if (dtype == DType::kF32) return Change::kNone;
  return Converter(model.graph, *dtype).Run();
}

}  // namespace qeff::passes
