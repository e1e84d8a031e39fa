// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes the causal convolutions that lower-causal-conv wrote: it emits them again and
// compares.
//   Before:  y = qeff.Activation<kind = f>(Transpose(Conv(Transpose(Slice(Concat(state, x)))))) ...
//   After:   y, new_state = qeff.CausalConv<activation = f>(x, weight, position_ids, bias, state,
//                batch_index)
// Leaves alone: any other convolution over time; backends run it op by op.
#include <map>
#include <tuple>

#include "passes/match.h"
#include "passes/pass.h"
#include "passes/recurrence.h"
#include "passes/template_match.h"
#include "passes/tidy.h"

namespace qeff::passes {
namespace {

enum class Memory { kNone, kRows, kRowsByIndex };
constexpr Memory kMemories[] = {Memory::kRowsByIndex, Memory::kRows, Memory::kNone};

struct Form {
  int64_t channels = 0;
  int64_t taps = 0;
  bool has_bias = false;
  DType dtype = DType::kF32;
  Memory memory = Memory::kNone;
  auto operator<=>(const Form&) const = default;
};

struct Pattern {
  ir::Model model;
  const ir::Value* conv = nullptr;   ///< [B, C, T]
  const ir::Value* state = nullptr;  ///< as the graph keeps it; null if there is none
};

Result<Pattern> MakePattern(const Form& form) {
  Pattern pattern;
  ir::Graph& graph = pattern.model.graph;
  const auto input = [&](std::string name, DType dtype, ir::Shape shape) {
    return graph.AddInput(std::move(name), {dtype, std::move(shape)});
  };
  CausalConvValues values{
      .x = input("x", form.dtype, {"batch_size", "seq_len", form.channels}),
      .weight = input("weight", form.dtype, {form.channels, 1, form.taps}),
      .positions = input("positions", DType::kI64, {"batch_size", "seq_len"}),
      .bias = form.has_bias ? input("bias", form.dtype, {form.channels}) : nullptr};
  StateAccess access{.positions = values.positions};
  if (form.memory != Memory::kNone) {
    const bool by_index = form.memory == Memory::kRowsByIndex;
    access.state = input("state", form.dtype,
                         {by_index ? "full_batch_size" : "batch_size", form.channels, form.taps});
    if (by_index) access.batch_index = input("batch_index", DType::kI64, {"batch_size", 1});
  }
  RecurrenceEmitter recurrence;
  const Emitter emit(graph, nullptr, "/pattern");
  values.state = recurrence.ReadState(emit, access);
  const RecurrenceResult result = recurrence.CausalConv(emit, values);
  graph.AddOutput("y", result.y);
  if (result.state != nullptr) {
    graph.AddOutput("new_state", recurrence.WriteState(emit, access, result.state));
  }
  QEFF_RETURN_IF_ERROR(NormalizePattern(pattern.model));
  pattern.conv = graph.outputs()[0].value->producer()->input(0);
  if (result.state != nullptr) pattern.state = graph.outputs()[1].value;
  return pattern;
}

class Raiser {
 public:
  explicit Raiser(ir::Graph& graph) : graph_(graph) {}

  Result<Change> Raise(ir::Node* conv) {
    const auto form = FormOf(*conv);
    if (!form) return Change::kNone;
    for (const Memory memory : kMemories) {
      Form tried = *form;
      tried.memory = memory;
      auto& pattern = patterns_[tried];
      if (pattern == nullptr) {
        QEFF_ASSIGN_OR_RETURN(Pattern made, MakePattern(tried));
        pattern = std::make_unique<Pattern>(std::move(made));
      }
      TemplateMatch match(pattern->model.graph);
      if (!match.Match(pattern->conv, conv->output())) continue;
      if (pattern->state != nullptr && !match.MatchReader(pattern->state)) continue;
      Replace(conv, *pattern, match);
      return Change::kChanged;
    }
    return Change::kNone;
  }

 private:
  static std::optional<Form> FormOf(const ir::Node& conv) {
    const auto channels = FixedDim(conv.input(1), 0);
    const auto taps = FixedDim(conv.input(1), 2);
    if (Rank(conv.input(1)) != 3 || !channels || !taps || FixedDim(conv.input(1), 1) != 1 ||
        conv.IntAttribute("group", 1) != *channels || !conv.input(1)->type().dtype) {
      return std::nullopt;
    }
    return Form{.channels = *channels,
                .taps = *taps,
                .has_bias = conv.input(2) != nullptr,
                .dtype = *conv.input(1)->type().dtype};
  }

  /// The only reader of `value`, if there is one and it is no output.
  ir::Node* OnlyReader(const ir::Value* value) const {
    return HasOneUse(graph_, value) ? value->uses().front().node : nullptr;
  }

  void Replace(ir::Node* conv, const Pattern& pattern, const TemplateMatch& match) {
    const Emitter emit(graph_, conv);
    std::vector<ir::Value*> inputs = {match.FindInput("x"),         match.FindInput("weight"),
                                      match.FindInput("positions"), match.FindInput("bias"),
                                      match.FindInput("state"),     match.FindInput("batch_index")};
    while (inputs.back() == nullptr) inputs.pop_back();
    std::vector<std::string> names = {""};
    if (pattern.state != nullptr) names.emplace_back();
    ir::AttributeMap attributes;
    ir::Value* result = conv->output();
    ir::Node* transposed = OnlyReader(result);
    if (IsTranspose(transposed, {0, 2, 1})) {
      result = transposed->output();
      ir::Node* activated = OnlyReader(result);
      if (activated != nullptr && activated->IsQeff("Activation")) {
        attributes["activation"] = activated->StringAttribute("kind", "");
        result = activated->output();
      }
    }
    ir::Node* made = emit.Multi(ir::kQeffDomain, "CausalConv", std::move(inputs),
                                std::move(attributes), std::move(names));
    if (result == conv->output()) {
      graph_.ReplaceAllUses(result, emit.Transpose(made->output(), {0, 2, 1}));
    } else {
      made->output()->set_type(result->type());
      graph_.ReplaceAllUses(result, made->output());
    }
    if (pattern.state != nullptr) {
      ir::Value* old = match.Find(pattern.state);
      made->output(1)->set_type(old->type());
      ReplaceState(graph_, old, made->output(1));
    }
  }

  ir::Graph& graph_;
  std::map<Form, std::unique_ptr<Pattern>> patterns_;
};

}  // namespace

Result<Change> RaiseCausalConv(ir::Model& model, const PassContext&) {
  std::vector<ir::Node*> candidates;
  for (const auto& node : model.graph.nodes()) {
    if (node->IsOnnx("Conv")) candidates.push_back(node.get());
  }
  Raiser raiser(model.graph);
  Change change = Change::kNone;
  for (ir::Node* node : candidates) {
    QEFF_ASSIGN_OR_RETURN(const Change raised, raiser.Raise(node));
    change = change | raised;
  }
  if (change == Change::kChanged) QEFF_RETURN_IF_ERROR(DropDeadAndSort(model));
  return change;
}

}  // namespace qeff::passes
