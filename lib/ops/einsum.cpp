// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Einsum<equation>(x0, x1, ...): "bij,bjk->bik" sums the product of the inputs over the letters
// that the output lacks. Without "->" the output has the letters that come once, in alphabetical
// order.
#include <algorithm>
#include <array>

#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

constexpr size_t kLetters = 128;

struct Equation {
  std::vector<std::string> inputs;
  std::string output;
  std::string summed;  // letters of inputs that the output lacks
};

Result<Equation> ParseEquation(const NodeContext& context) {
  std::string text = context.String("equation");
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  const std::string left = text.substr(0, arrow);
  Equation equation;
  size_t begin = 0;
  while (true) {
    const size_t comma = left.find(',', begin);
    equation.inputs.push_back(left.substr(begin, comma - begin));
    if (comma == std::string::npos) break;
    begin = comma + 1;
  }
  std::array<int, kLetters> counts{};
  for (const std::string& input : equation.inputs) {
    for (const char letter : input) {
      if (!((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'))) {
        return context.Unsupported(fmt::format("expected letters in the equation, got '{}'", text));
      }
      ++counts[static_cast<size_t>(letter)];
    }
  }
  if (arrow != std::string::npos) equation.output = text.substr(arrow + 2);
  for (size_t letter = 0; letter < kLetters; ++letter) {
    const char name = static_cast<char>(letter);
    if (arrow == std::string::npos && counts[letter] == 1) equation.output += name;
    const bool is_kept = equation.output.find(name) != std::string::npos;
    if (counts[letter] > 0 && !is_kept) equation.summed += name;
  }
  for (size_t i = 0; i < equation.output.size(); ++i) {
    const auto letter = static_cast<unsigned char>(equation.output[i]);
    const bool is_known = letter < kLetters && counts[letter] > 0;
    if (!is_known || equation.output.find(equation.output[i], i + 1) != std::string::npos) {
      return context.Invalid(
          fmt::format("letter '{}' of the output of '{}' must come once in it "
                      "and in an input",
                      equation.output[i], text));
    }
  }
  if (equation.inputs.size() != context.input_count()) {
    return context.Invalid(fmt::format("the equation '{}' is for {} inputs, got {}", text,
                                       equation.inputs.size(), context.input_count()));
  }
  return equation;
}

Status InferEinsum(InferContext& context) {
  QEFF_ASSIGN_OR_RETURN(const Equation equation, ParseEquation(context));
  std::array<ir::Dim, kLetters> sizes;
  for (size_t i = 0; i < equation.inputs.size(); ++i) {
    const std::string& letters = equation.inputs[i];
    QEFF_RETURN_IF_ERROR(context.ExpectFloat(i));
    QEFF_RETURN_IF_ERROR(context.ExpectSameDType(0, i));
    QEFF_RETURN_IF_ERROR(context.ExpectRank(i, static_cast<int64_t>(letters.size())));
    for (size_t axis = 0; axis < letters.size(); ++axis) {
      ir::Dim& size = sizes[static_cast<size_t>(letters[axis])];
      QEFF_RETURN_IF_ERROR(context.ExpectSize(i, static_cast<int64_t>(axis), size));
      if (!size.is_number()) size = context.shape(i)[axis];
    }
  }
  ir::Shape shape;
  for (const char letter : equation.output) shape.push_back(sizes[static_cast<size_t>(letter)]);
  context.SetOutput(0, context.dtype(0), std::move(shape));
  return Status::Ok();
}

/// Elements between neighbours along each of `letters` in an input.
std::vector<int64_t> LetterStrides(const std::string& input, std::span<const int64_t> dims,
                                   const std::string& letters) {
  const std::vector<int64_t> own = Strides(dims);
  std::vector<int64_t> strides(letters.size());
  for (size_t axis = 0; axis < input.size(); ++axis) {
    strides[letters.find(input[axis])] += own[axis];  // a letter that comes twice: the diagonal
  }
  return strides;
}

Status EvaluateEinsum(EvaluateContext& context) {
  QEFF_ASSIGN_OR_RETURN(const Equation equation, ParseEquation(context));
  const std::string letters = equation.output + equation.summed;
  std::vector<int64_t> dims(letters.size());
  for (size_t i = 0; i < equation.inputs.size(); ++i) {
    for (size_t axis = 0; axis < equation.inputs[i].size(); ++axis) {
      dims[letters.find(equation.inputs[i][axis])] = context.in(i).dims[axis];
    }
  }
  if (CheckedElementCount(dims) < 0) return context.Unsupported("too many products");
  Tensor& y = context.out();
  std::vector<double> products(static_cast<size_t>(CheckedElementCount(dims)), 1.0);
  for (size_t i = 0; i < equation.inputs.size(); ++i) {
    const Tensor& x = context.in(i);
    const std::vector<int64_t> offsets =
        Offsets(dims, LetterStrides(equation.inputs[i], x.dims, letters));
    for (size_t p = 0; p < products.size(); ++p) {
      products[p] *= x.floats[static_cast<size_t>(offsets[p])];
    }
  }
  if (y.floats.empty()) return Status::Ok();
  const size_t summed = products.size() / y.floats.size();
  for (size_t p = 0; p < products.size(); ++p) y.floats[p / summed] += products[p];
  return Status::Ok();
}

}  // namespace

std::vector<OpDefinition> EinsumOps() {
  return {{{.domain = "",
            .op_type = "Einsum",
            .max_inputs = kVariadic,
            .attributes = {RequiredAttribute("equation", AttributeKind::kString)}},
           InferEinsum,
           EvaluateEinsum}};
}

}  // namespace qeff::ops
