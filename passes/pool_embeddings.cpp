// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Makes one vector of the states of a text's tokens.
//   Before:  output [B, T, D], further outputs
//   After:   output [B, D * number of modes]
// With h the states and m = attention_mask [B, T], a sum over the tokens of a row:
//   mean           sum(h * m) / max(sum(m), 1e-9)
//   mean_sqrt_len  sum(h * m) / sqrt(max(sum(m), 1e-9))
//   weightedmean   sum(h * w) / max(sum(w), 1e-9), w = m * (1, 2, 3, ... over the tokens that
//   count) max            the largest h of each element, -1e9 where m is 0 cls            h of the
//   first token last           h of the last token that counts
// Option: modes, joined in this order if there are several ("cls+mean"). mean, max and cls are
// QEfficient's; its `avg` reads one row of the batch only and is meant to be mean. The others are
// those of sentence-transformers. Other outputs of the graph go: as in QEfficient, the vector is
// the only one. Requires: the output `output` of rank 3, the input attention_mask. Leaves alone: an
// output of rank 2, which is pooled already.
#include "passes/emitter.h"
#include "passes/match.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

constexpr float kLeastTokens = 1e-9F;
constexpr float kMaskedOut = -1e9F;

class Pooling {
 public:
  Pooling(const Emitter& emit, ir::Value* hidden, ir::Value* mask)
      : emit_(emit), hidden_(hidden), mask_(mask) {}

  /// Null for a mode that does not exist.
  ir::Value* Add(std::string_view mode) const {
    if (mode == "cls") {
      return emit_.Op("Gather", {hidden_, emit_.Int(0)}, {{"axis", int64_t{1}}});
    }
    if (mode == "last") return AddLast();
    if (mode == "max") return AddMax();
    if (mode == "mean") return AddMean(FloatMask(), /*is_root=*/false);
    if (mode == "mean_sqrt_len") return AddMean(FloatMask(), /*is_root=*/true);
    if (mode == "weightedmean") {
      ir::Value* order = emit_.Op("CumSum", {mask_, emit_.Int(1)});
      return AddMean(emit_.Op("Mul", {FloatMask(), emit_.Cast(order, DType::kF32)}),
                     /*is_root=*/false);
    }
    return nullptr;
  }

 private:
  ir::Value* FloatMask() const { return emit_.Cast(mask_, DType::kF32); }

  ir::Value* Sum(ir::Value* x) const {
    return emit_.Op("ReduceSum", {x, emit_.Ints({1})}, {{"keepdims", int64_t{0}}});
  }

  /// `weights` is f32 [B, T].
  ir::Value* AddMean(ir::Value* weights, bool is_root) const {
    ir::Value* columns = emit_.Unsqueeze(weights, {2});
    ir::Value* count = emit_.Op("Clip", {Sum(columns), emit_.Float(kLeastTokens)});
    if (is_root) count = emit_.Op("Sqrt", {count});
    return emit_.Op("Div", {Sum(emit_.Op("Mul", {hidden_, columns})), count});
  }

  ir::Value* AddMax() const {
    ir::Value* is_padding = emit_.Op("Equal", {emit_.Unsqueeze(mask_, {2}), emit_.Int(0)});
    ir::Value* states = emit_.Op("Where", {is_padding, emit_.Float(kMaskedOut), hidden_});
    return emit_.Op("ReduceMax", {states},
                    {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{0}}});
  }

  /// The running count of tokens reaches its maximum first at the last one, wherever padding is.
  ir::Value* AddLast() const {
    ir::Value* order = emit_.Op("CumSum", {mask_, emit_.Int(1)});
    ir::Value* last = emit_.Op("SelectLastToken", {hidden_, order}, {}, ir::kQeffDomain);
    return emit_.Op("Squeeze", {last, emit_.Ints({1})});
  }

  const Emitter& emit_;
  ir::Value* hidden_;
  ir::Value* mask_;
};

Status CheckGraph(const ir::Model& model, const ir::Value* output, const ir::Value* mask) {
  if (output == nullptr || Rank(output) != 3) {
    return InvalidInput(Location::File(model.path),
                        "the model's output is no state for each token, so there is nothing to "
                        "pool",
                        {"pooling is for the base model, without a head"});
  }
  if (mask == nullptr || Rank(mask) != 2) {
    return InvalidInput(Location::File(model.path),
                        "expected an input 'attention_mask' [batch, tokens] to pool with");
  }
  return Status::Ok();
}

}  // namespace

Result<Change> PoolEmbeddings(ir::Model& model, const PassContext& context) {
  ir::Graph& graph = model.graph;
  ir::Value* hidden = graph.FindOutput("output");
  if (hidden != nullptr && Rank(hidden) == 2) return Change::kNone;
  ir::Value* mask = graph.FindInput("attention_mask");
  QEFF_RETURN_IF_ERROR(CheckGraph(model, hidden, mask));
  const Emitter emit(graph, nullptr, "/pooling");
  const Pooling pooling(emit, hidden, mask);
  std::vector<ir::Value*> vectors;
  std::string_view modes = context.Option("modes");
  while (true) {
    const size_t plus = std::min(modes.find('+'), modes.size());
    vectors.push_back(pooling.Add(modes.substr(0, plus)));
    if (vectors.back() == nullptr) {
      return UsageError(
          {}, fmt::format("unknown pooling mode '{}'", modes.substr(0, plus)),
          {"modes: cls, max, mean, mean_sqrt_len, weightedmean, last; several joined by '+'"});
    }
    if (plus == modes.size()) break;
    modes.remove_prefix(plus + 1);
  }
  ir::Value* pooled = vectors.size() == 1 ? vectors.front() : emit.Concat(vectors, 1);
  graph.RenameValue(hidden, "last_hidden_state");
  graph.outputs().clear();
  graph.AddOutput("output", pooled);
  graph.RenameValue(pooled, "output");
  graph.DropDead();
  return Change::kChanged;
}

}  // namespace qeff::passes
