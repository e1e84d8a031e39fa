// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Spells out Einsum with MatMul, or with Mul and ReduceSum where it is no product of matrices.
//   Before:  y = Einsum<"bij,bkj->bik">(x, w)
//   After:   y = MatMul(x, Transpose<0, 2, 1>(w))
//   Before:  y = Einsum<"bk,bkd->bd">(x, w)
//   After:   y = Squeeze(MatMul(Unsqueeze(x, 1), w), 1)
//   Before:  y = Einsum<"i,j,ik->jk">(x, w, v)
//   After:   y = ReduceSum(Mul(Mul(x', w'), v'), 0)    each operand with the axes i, j, k, some of
//            size 1
// MatMul is chosen for two operands with one letter at most that both sum over, and one at most in
// each operand alone; the other letters are in both operands and in the result. Leaves alone:
// equations with a letter twice in one operand, or with an ellipsis.
#include <algorithm>
#include <string>

#include "passes/emitter.h"
#include "passes/pass.h"

namespace qeff::passes {
namespace {

struct Equation {
  std::vector<std::string> operands;
  std::string result;
  std::string summed;  ///< letters that the result lacks
};

bool Has(const std::string& letters, char letter) {
  return letters.find(letter) != std::string::npos;
}

std::optional<Equation> Parse(const ir::Node& node) {
  std::string text = node.StringAttribute("equation", "");
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow) + ",";
  Equation equation;
  std::string letters;
  for (size_t begin = 0; begin < left.size();) {
    const size_t comma = left.find(',', begin);
    std::string operand = left.substr(begin, comma - begin);
    for (const char letter : operand) {
      const bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
      if (!is_letter || std::count(operand.begin(), operand.end(), letter) != 1)
        return std::nullopt;
      letters += letter;
    }
    equation.operands.push_back(std::move(operand));
    begin = comma + 1;
  }
  if (equation.operands.size() != node.inputs().size()) return std::nullopt;
  std::sort(letters.begin(), letters.end());
  for (size_t i = 0; i < letters.size(); ++i) {
    const bool is_first = i == 0 || letters[i - 1] != letters[i];
    const bool is_single = is_first && (i + 1 == letters.size() || letters[i + 1] != letters[i]);
    if (arrow == std::string::npos && is_single) equation.result += letters[i];
  }
  if (arrow != std::string::npos) equation.result = text.substr(arrow + 2);
  for (size_t i = 0; i < letters.size(); ++i) {
    const bool is_first = i == 0 || letters[i - 1] != letters[i];
    if (is_first && !Has(equation.result, letters[i])) equation.summed += letters[i];
  }
  return equation;
}

/// x with letters `from` transposed to the order of `to`, a letter that x lacks as an axis of size
/// 1. Requires: all letters of `from` are in `to`.
ir::Value* Align(const Emitter& emit, ir::Value* x, const std::string& from,
                 const std::string& to) {
  std::vector<int64_t> permutation;
  std::vector<int64_t> added;
  for (size_t i = 0; i < to.size(); ++i) {
    const size_t place = from.find(to[i]);
    if (place == std::string::npos) {
      added.push_back(static_cast<int64_t>(i));
    } else {
      permutation.push_back(static_cast<int64_t>(place));
    }
  }
  if (!std::is_sorted(permutation.begin(), permutation.end())) x = emit.Transpose(x, permutation);
  return added.empty() ? x : emit.Unsqueeze(x, added);
}

/// The letters of a product of matrices [batch, row, sum] x [batch, sum, column].
struct MatrixLetters {
  std::string batch;
  char row = '\0';  ///< '\0': there is none
  char sum = '\0';
  char column = '\0';
};

std::optional<MatrixLetters> FindMatrices(const Equation& equation) {
  if (equation.operands.size() != 2 || equation.summed.size() != 1) return std::nullopt;
  const std::string& a = equation.operands[0];
  const std::string& b = equation.operands[1];
  MatrixLetters letters{.batch = {}, .sum = equation.summed[0]};
  if (!Has(a, letters.sum) || !Has(b, letters.sum)) return std::nullopt;
  for (const char letter : equation.result) {
    if (Has(a, letter) && Has(b, letter)) {
      letters.batch += letter;
      continue;
    }
    char& place = Has(a, letter) ? letters.row : letters.column;
    if (place != '\0') return std::nullopt;
    place = letter;
  }
  return letters;
}

/// A letter for an axis that an operand lacks; no equation has it.
constexpr char kRow = '1';
constexpr char kColumn = '2';

ir::Value* AsMatMul(const Emitter& emit, const ir::Node& node, const Equation& equation,
                    const MatrixLetters& letters) {
  const char row = letters.row != '\0' ? letters.row : kRow;
  const char column = letters.column != '\0' ? letters.column : kColumn;
  ir::Value* a =
      Align(emit, node.input(0), equation.operands[0], letters.batch + row + letters.sum);
  ir::Value* b =
      Align(emit, node.input(1), equation.operands[1], letters.batch + letters.sum + column);
  ir::Value* product = emit.Op("MatMul", {a, b});
  std::string made = letters.batch;
  std::vector<int64_t> extra;
  for (const char letter : {row, column}) {
    const auto axis = static_cast<int64_t>(letters.batch.size()) + (letter == row ? 0 : 1);
    if (letter == kRow || letter == kColumn) {
      extra.push_back(axis);
    } else {
      made += letter;
    }
  }
  if (!extra.empty()) product = emit.Op("Squeeze", {product, emit.Ints(extra)});
  return Align(emit, product, made, equation.result);
}

ir::Value* AsSumOfProducts(const Emitter& emit, const ir::Node& node, const Equation& equation) {
  const std::string all = equation.result + equation.summed;
  ir::Value* product = nullptr;
  for (size_t i = 0; i < equation.operands.size(); ++i) {
    ir::Value* aligned = Align(emit, node.input(i), equation.operands[i], all);
    product = product == nullptr ? aligned : emit.Op("Mul", {product, aligned});
  }
  if (equation.summed.empty()) return emit.Op("Identity", {product});
  std::vector<int64_t> axes;
  for (size_t i = equation.result.size(); i < all.size(); ++i)
    axes.push_back(static_cast<int64_t>(i));
  return emit.Op("ReduceSum", {product, emit.Ints(axes)}, {{"keepdims", int64_t{0}}});
}

}  // namespace

Result<Change> LowerEinsum(ir::Model& model, const PassContext&) {
  ir::Graph& graph = model.graph;
  std::vector<ir::Node*> einsums;
  for (const auto& node : graph.nodes()) {
    if (node->IsOnnx("Einsum")) einsums.push_back(node.get());
  }
  Change change = Change::kNone;
  for (ir::Node* node : einsums) {
    const std::optional<Equation> equation = Parse(*node);
    if (!equation) continue;
    const Emitter emit(graph, node);
    const auto matrices = FindMatrices(*equation);
    ir::Value* made = matrices ? AsMatMul(emit, *node, *equation, *matrices)
                               : AsSumOfProducts(emit, *node, *equation);
    ReplaceNode(graph, node, made);
    change = Change::kChanged;
  }
  return change;
}

}  // namespace qeff::passes
