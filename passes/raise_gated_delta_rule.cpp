// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Recognizes the gated delta rules that lower-gated-delta-rule wrote: it emits them again and
// compares.
//   Before:  oh = Add(Mul(Exp(G), MatMul(qh, S)), MatMul(Mul(MatMul(qh, kh^T), D), U)) ...
//   After:   o, new_state = qeff.GatedDeltaRule<num_key_heads, num_value_heads>(q, k, v, g, beta,
//                position_ids, state, batch_index)      oh = Transpose(Reshape(o, [0, 0, Hv, Ev]))
// with q = Reshape(Transpose(qh)) and so on, taken before heads were repeated; fold-reshapes
// removes what cancels. Leaves alone: the rule as others spell it; backends run it op by op.
#include <map>

#include "passes/match.h"
#include "passes/pass.h"
#include "passes/recurrence.h"
#include "passes/template_match.h"
#include "passes/tidy.h"

namespace qeff::passes {
namespace {

/// What the emitted nodes depend on.
struct Form {
  DType dtype = DType::kF32;
  int64_t heads = 0;     ///< 0: without a state
  int64_t key_size = 0;  ///< set with heads
  int64_t value_size = 0;
  bool has_batch_index = false;
  auto operator<=>(const Form&) const = default;
};

struct Pattern {
  ir::Model model;
  const ir::Value* y = nullptr;      ///< [B, H, T, Ev]
  const ir::Value* state = nullptr;  ///< as the graph keeps it; null if there is none
};

Result<Pattern> MakePattern(const Form& form) {
  Pattern pattern;
  ir::Graph& graph = pattern.model.graph;
  const auto input = [&](std::string name, DType dtype, ir::Shape shape) {
    return graph.AddInput(std::move(name), {dtype, std::move(shape)});
  };
  const auto by_head = [&](std::string name, ir::Dim size) {
    return input(std::move(name), form.dtype, {"batch_size", "heads", "seq_len", std::move(size)});
  };
  GatedDeltaRuleValues values{
      .query = by_head("query", "key_size"),
      .key = by_head("key", "key_size"),
      .value = by_head("value", "value_size"),
      .decay = by_head("decay", 1),
      .beta = by_head("beta", 1),
      .positions = input("positions", DType::kI64, {"batch_size", "seq_len"})};
  StateAccess access{.positions = values.positions};
  if (form.heads > 0) {
    access.state = input("state", DType::kF32,
                         {form.has_batch_index ? "full_batch_size" : "batch_size", form.heads,
                          form.key_size, form.value_size});
  }
  if (form.has_batch_index)
    access.batch_index = input("batch_index", DType::kI64, {"batch_size", 1});
  RecurrenceEmitter recurrence;
  const Emitter emit(graph, nullptr, "/pattern");
  values.state = recurrence.ReadState(emit, access);
  const RecurrenceResult result = recurrence.GatedDeltaRule(emit, values, form.dtype);
  graph.AddOutput("y", result.y);
  if (result.state != nullptr) {
    graph.AddOutput("new_state", recurrence.WriteState(emit, access, result.state));
  }
  QEFF_RETURN_IF_ERROR(NormalizePattern(pattern.model));
  pattern.y = graph.outputs()[0].value;
  if (result.state != nullptr) pattern.state = graph.outputs()[1].value;
  return pattern;
}

/// [B, heads, T, E] -> [B, T, heads * E], of the heads before they were repeated.
ir::Value* MergeHeads(const Emitter& emit, ir::Value* x) {
  const int64_t channels = *FixedDim(x, 1) * *FixedDim(x, 3);
  return emit.Reshape(emit.Transpose(x, {0, 2, 1, 3}), {0, 0, channels});
}

class Raiser {
 public:
  explicit Raiser(ir::Graph& graph) : graph_(graph) {}

  Result<Change> Raise(ir::Node* node) {
    for (const Form& form : FormsOf(*node)) {
      auto& pattern = patterns_[form];
      if (pattern == nullptr) {
        QEFF_ASSIGN_OR_RETURN(Pattern made, MakePattern(form));
        pattern = std::make_unique<Pattern>(std::move(made));
      }
      TemplateMatch match(pattern->model.graph);
      if (!match.Match(pattern->y, node->output())) continue;
      if (pattern->state != nullptr && !match.MatchReader(pattern->state)) continue;
      if (Replace(node, *pattern, match)) return Change::kChanged;
    }
    return Change::kNone;
  }

 private:
  /// What `node` could be the result of, judged by its nearest neighbours.
  static std::vector<Form> FormsOf(const ir::Node& node) {
    Form form{.dtype = node.output()->type().dtype.value_or(DType::kF32)};
    const ir::Node* result = &node;
    if (node.IsOnnx("Cast")) result = node.input(0)->producer();
    if (result == nullptr || Rank(result->output()) != 4) return {};
    if (result->IsOnnx("MatMul")) {
      const ir::Node* fading = ProducedBy(result->input(0), "Mul");
      return fading != nullptr && ProducedBy(fading->input(1), "Exp") != nullptr
                 ? std::vector<Form>{form}
                 : std::vector<Form>{};
    }
    const ir::Node* recalled =
        result->IsOnnx("Add") ? ProducedBy(result->input(0), "Mul") : nullptr;
    const ir::Node* product = recalled ? ProducedBy(recalled->input(1), "MatMul") : nullptr;
    if (product == nullptr || ProducedBy(recalled->input(0), "Exp") == nullptr) return {};
    const ir::Value* state = product->input(1);
    const auto heads = FixedDim(state, 1);
    const auto key_size = FixedDim(state, 2);
    const auto value_size = FixedDim(state, 3);
    if (Rank(state) != 4 || !heads || !key_size || !value_size) return {};
    form.heads = *heads;
    form.key_size = *key_size;
    form.value_size = *value_size;
    Form by_index = form;
    by_index.has_batch_index = true;
    return {by_index, form};
  }

  bool Replace(ir::Node* node, const Pattern& pattern, const TemplateMatch& match) {
    std::vector<ir::Value*> by_head;
    for (const char* name : {"query", "key", "value", "decay", "beta"}) {
      ir::Value* x = match.FindInput(name);
      if (name == std::string_view("query") || name == std::string_view("key")) x = BeforeRepeat(x);
      if (Rank(x) != 4 || !FixedDim(x, 1) || !FixedDim(x, 3)) return false;
      by_head.push_back(x);
    }
    const int64_t key_heads = *FixedDim(by_head[0], 1);
    const int64_t heads = *FixedDim(by_head[2], 1);
    if (FixedDim(by_head[1], 1) != key_heads) return false;
    const Emitter emit(graph_, node);
    std::vector<ir::Value*> inputs;
    for (ir::Value* x : by_head) inputs.push_back(MergeHeads(emit, x));
    inputs.insert(inputs.end(), {match.FindInput("positions"), match.FindInput("state"),
                                 match.FindInput("batch_index")});
    while (inputs.back() == nullptr) inputs.pop_back();
    std::vector<std::string> names = {""};
    if (pattern.state != nullptr) names.emplace_back();
    ir::Node* made =
        emit.Multi(ir::kQeffDomain, "GatedDeltaRule", std::move(inputs),
                   {{"num_key_heads", key_heads}, {"num_value_heads", heads}}, std::move(names));
    const int64_t size = *FixedDim(by_head[2], 3);
    ir::Value* y = emit.Transpose(emit.Reshape(made->output(), {0, 0, heads, size}), {0, 2, 1, 3});
    y->set_type(node->output()->type());
    graph_.ReplaceAllUses(node->output(), y);
    if (pattern.state != nullptr) {
      ir::Value* old = match.Find(pattern.state);
      made->output(1)->set_type(old->type());
      ReplaceState(graph_, old, made->output(1));
    }
    return true;
  }

  ir::Graph& graph_;
  std::map<Form, std::unique_ptr<Pattern>> patterns_;
};

}  // namespace

Result<Change> RaiseGatedDeltaRule(ir::Model& model, const PassContext&) {
  std::vector<ir::Node*> candidates;
  for (const auto& node : model.graph.nodes()) {
    if (node->IsOnnx("Add") || node->IsOnnx("MatMul") || node->IsOnnx("Cast"))
      candidates.push_back(node.get());
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
