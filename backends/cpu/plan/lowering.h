// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What a lowering (one node to steps) works with. To add an op: a function in a lower_*.cpp and a
// line in lowerings.def.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "backends/cpu/plan/compile.h"
#include "backends/cpu/plan/program_builder.h"
#include "backends/cpu/runtime/step_params.h"
#include "lib/ir/graph.h"

namespace qeff::cpu {

/// A normalization that is done while its only readers pack their rows.
struct DeferredNorm {
  View x;
  View gamma;
  View beta;
  NormKind kind = NormKind::kNone;
  float epsilon = 0;
};

/// A Linear's left operand, packed.
struct PackedRows {
  View view;
  int64_t rows = 0;
  int64_t depth = 0;
};

class GraphLowering {
 public:
  GraphLowering(const SpecializedGraph& specialized, const CpuCompileOptions& options,
                ConstantPool& constants, std::vector<StateTensor>& states,
                SpecializationProgram& program);

  /// Lowers all nodes and finishes the program.
  Status Run();

  const CpuCompileOptions& options() const { return options_; }
  ConstantPool& constants() { return constants_; }
  ProgramBuilder& builder() { return builder_; }

  /// The place of a value that is an input, a constant or lowered already.
  Result<View> Get(const ir::Value* value);
  /// The same, copied if it is not dense.
  Result<View> GetDense(const ir::Value* value);
  /// The same with even rows, copied if they are not.
  Result<View> GetRows(const ir::Value* value);
  /// A new dense place for a node's output: an output of the program if the value is one, else the
  /// arena.
  Result<View> NewOutput(const ir::Value* value);
  void Set(const ir::Value* value, View view) { views_[value] = std::move(view); }
  /// Marks a node as done by another node's lowering.
  void Skip(const ir::Node* node) { skipped_.insert(node); }
  bool IsSkipped(const ir::Node* node) const { return skipped_.contains(node); }
  bool IsPlaced(const ir::Value* value) const {
    return views_.contains(value) || value->is_constant();
  }

  /// A dense copy of `view` in the arena.
  View Copied(const View& view, std::string_view name);
  /// Adds a step that copies `from` to `to`, of the same dims; converts the dtype if it differs.
  void AddCopy(const View& from, const View& to, std::string_view name);
  /// A constant in row-major form.
  Result<View> PlainConstant(const ir::Value* value);
  View ConstantView(const ConstantPlace& place, DType dtype, std::vector<int64_t> dims);

  void Defer(const ir::Value* value, DeferredNorm norm) { deferred_[value] = std::move(norm); }
  /// The rows of `value` for products with weights of `format`; made once for each format.
  Result<PackedRows> Pack(const ir::Value* value, RowFormat format, std::string_view name);
  /// The same for rows that are no value of the graph. `packed`: where the product that made them
  /// has packed them perhaps.
  PackedRows PackView(const View& x, RowFormat format, std::string_view name,
                      const PackedRows* packed = nullptr) {
    return PackNormed({.x = x}, format, name, packed);
  }
  /// A place for packed rows.
  PackedRows NewPacked(int64_t rows, int64_t depth, RowFormat format);
  /// The rows of `value`, which has no other place.
  void SetPacked(const ir::Value* value, RowFormat format, PackedRows packed) {
    packed_.emplace(std::make_pair(value, format), std::move(packed));
  }
  RowFormat RowFormatFor(WeightFormat weights) const;

  /// From here on, values of `total` rows that come from RemovePadding have tokens in the first
  /// `count`, i64 [1], only: steps leave out the others.
  void FollowTokens(View count, int64_t total) {
    token_count_ = std::move(count);
    token_total_ = total;
  }

  /// The state that belongs to a graph input; null if it is none.
  const StateTensor* StateOf(const ir::Value* input) const;
  bool IsGraphOutput(const ir::Value* value) const { return graph_.IsOutput(value); }

  /// An error at `node`.
  Status Unsupported(const ir::Node& node, std::string message) const;

 private:
  PackedRows PackNormed(const DeferredNorm& norm, RowFormat format, std::string_view name,
                        const PackedRows* by_product = nullptr);
  /// Tells the builder whether the steps of `node` do the rows of tokens only.
  void FollowTokensIn(const ir::Node& node);
  Status PlaceInputs();
  Status PlaceOutputs();
  Status FinishOutputs();

  const SpecializedGraph& specialized_;
  const ir::Graph& graph_;
  const CpuCompileOptions& options_;
  ConstantPool& constants_;
  std::vector<StateTensor>& states_;
  SpecializationProgram& program_;
  ProgramBuilder builder_;
  std::map<const ir::Value*, View> views_;
  std::map<const ir::Value*, View> output_places_;  ///< io places of graph outputs, by value
  std::map<std::string, View> outputs_;             ///< io places by output name
  std::map<const ir::Value*, DeferredNorm> deferred_;
  std::map<std::pair<const ir::Value*, RowFormat>, PackedRows> packed_;
  std::set<const ir::Node*> skipped_;
  View token_count_;
  int64_t token_total_ = 0;
  std::set<const ir::Value*> without_padding_;
};

using LowerFunction = Status (*)(GraphLowering&, const ir::Node&);
/// Null if the CPU has no step for the op.
LowerFunction FindLowering(std::string_view domain, std::string_view op_type);

/// node = input(0) times the constant `weight` [N, K], plus a constant bias [N] or null.
Status LowerProduct(GraphLowering& lowering, const ir::Node& node, const ir::WeightPtr& weight,
                    const ir::Value* bias);
/// out = condition ? a : b, broadcast.
struct Choice {
  View condition;
  View a;
  View b;
};
Status AddWhere(GraphLowering& lowering, const ir::Node& node, const Choice& choice,
                const View& out);
/// The result is the input.
Status LowerIdentity(GraphLowering& lowering, const ir::Node& node);

/// Dims as numbers. Errors: kInvalidInput.
Result<std::vector<int64_t>> DimsOf(const ir::Value& value);

/// The rows of a view that GetRows returned.
Rows RowsOrDie(const View& view);

}  // namespace qeff::cpu
