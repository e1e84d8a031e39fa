// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Type inference over a graph, with the contents of small integer tensors.
#include <algorithm>

#include "lib/ops/check.h"
#include "lib/ops/context.h"
#include "lib/ops/shape_rules.h"

namespace qeff::ops {
namespace {

/// Shape arithmetic works on a few elements; masks and tables are not followed.
constexpr int64_t kMostKnownElements = 1024;

std::optional<int64_t> SmallCount(const ir::TensorType& type) {
  if (!type.shape) return std::nullopt;
  const auto dims = ir::StaticDims(*type.shape);
  const int64_t count = dims ? CheckedElementCount(*dims) : -1;
  if (count < 0 || count > kMostKnownElements) return std::nullopt;
  return count;
}

/// What an element becomes in `dtype`. Symbols are sizes, which every dtype but bool can hold.
SymbolicInt Fit(const SymbolicInt& element, DType dtype) {
  if (dtype == DType::kBool) {
    const bool is_true = element.IsPositive() || (SymbolicInt(0) - element).IsPositive();
    return is_true ? SymbolicInt(1) : element == SymbolicInt(0) ? element : SymbolicInt();
  }
  if (!element.is_number()) return element;
  // Whether a number beyond the range wraps or is clamped is the op's business.
  if (!IsFloat(dtype)) {
    return WrapToInt(element.number(), dtype) == element.number() ? element : SymbolicInt();
  }
  const auto value = static_cast<double>(element.number());
  return RoundToFloat(value, dtype) == value ? element : SymbolicInt();
}

class TypeInference {
 public:
  explicit TypeInference(ir::Graph& graph) : graph_(graph) {}

  Status Run() {
    for (const ir::Value* input : graph_.inputs()) {
      if (!input->type().dtype) {
        return InvalidInput(Location::Tensor("", input->name()), "graph input has no element type");
      }
    }
    int64_t index = 0;
    for (const auto& node : graph_.nodes()) {
      Status status = Infer(*node);
      if (!status.ok()) {
        Diagnostic diagnostic = status.diagnostic();
        diagnostic.where.node_index = index;
        return Status(std::move(diagnostic));
      }
      ++index;
    }
    return Status::Ok();
  }

  TypeFacts TakeFacts() { return std::move(facts_); }

 private:
  Status Infer(const ir::Node& node) {
    QEFF_ASSIGN_OR_RETURN(const OpDefinition* definition, CheckNode(node));
    std::vector<ir::TensorType> types;
    for (const ir::Value* input : node.inputs()) {
      types.push_back(input == nullptr ? ir::TensorType{} : input->type());
      if (input != nullptr && (!types.back().dtype || !types.back().shape)) return Forget(node);
    }
    InferContext context(node, definition->schema, std::move(types),
                         [&](size_t input) { return Content(node.input(input)); });
    QEFF_RETURN_IF_ERROR(definition->infer(context));
    for (size_t i = 0; i < node.outputs().size(); ++i) {
      QEFF_CHECK(context.outputs()[i].dtype && context.outputs()[i].shape,
                 "{} infers no type for output {}", node.QualifiedOp(), i);
      node.outputs()[i]->set_type(context.outputs()[i]);
      if (context.output_content(i)) facts_.ints[node.outputs()[i]] = *context.output_content(i);
    }
    if (!facts_.ints.contains(node.output(0))) Propagate(node, *definition);
    return Status::Ok();
  }

  /// Nothing is known of what an unknown input gives.
  static Status Forget(const ir::Node& node) {
    for (ir::Value* output : node.outputs()) output->set_type({});
    return Status::Ok();
  }

  std::optional<SymbolicInts> Content(const ir::Value* value) {
    if (value == nullptr) return std::nullopt;
    if (const auto known = facts_.ints.find(value); known != facts_.ints.end()) {
      return known->second;
    }
    if (!value->is_constant() || !SmallCount(value->type())) return std::nullopt;
    const Result<Tensor> tensor = TensorFromWeight(*value->constant());
    if (!tensor.ok()) return std::nullopt;
    return facts_.ints[value] = ContentOf(*tensor);
  }

  /// Finds the elements of small outputs from those of the inputs.
  void Propagate(const ir::Node& node, const OpDefinition& definition) {
    for (const ir::Value* output : node.outputs()) {
      if (!SmallCount(output->type())) return;
    }
    std::vector<SymbolicInts> contents(node.inputs().size());
    for (const bool constants : {false, true}) {  // constants are read only if all else is known
      for (size_t i = 0; i < contents.size(); ++i) {
        const ir::Value* input = node.inputs()[i];
        if (input == nullptr || input->is_constant() != constants) continue;
        std::optional<SymbolicInts> content = Content(input);
        if (!content) return;
        contents[i] = std::move(*content);
      }
    }
    if (AllNumbers(contents, ~uint32_t{0})) return EvaluateNumbers(node, contents);
    if (definition.symbolic.combine != nullptr) return Combine(node, definition, contents);
    const uint32_t moved = definition.symbolic.moved_inputs;
    if (moved != 0 && AllNumbers(contents, ~moved)) Move(node, moved, contents);
  }

  static bool AllNumbers(const std::vector<SymbolicInts>& contents, uint32_t inputs) {
    for (size_t i = 0; i < contents.size(); ++i) {
      if ((inputs >> std::min<size_t>(i, 31) & 1u) == 0) continue;
      if (!std::all_of(contents[i].begin(), contents[i].end(),
                       [](const SymbolicInt& element) { return element.is_number(); })) {
        return false;
      }
    }
    return true;
  }

  static std::vector<int64_t> DimsOf(const ir::Value* value) {
    return *ir::StaticDims(*value->type().shape);
  }

  static Tensor NumbersTensor(const ir::Value* value, const SymbolicInts& content) {
    Tensor tensor{.dtype = *value->type().dtype, .dims = DimsOf(value), .floats = {}, .ints = {}};
    for (const SymbolicInt& element : content) {
      if (tensor.is_float()) {
        tensor.floats.push_back(static_cast<double>(element.number()));
      } else {
        tensor.ints.push_back(element.number());
      }
    }
    return tensor;
  }

  static Result<std::vector<Tensor>> Evaluate(const ir::Node& node,
                                              const std::vector<Tensor>& tensors) {
    std::vector<const Tensor*> inputs;
    for (size_t i = 0; i < tensors.size(); ++i) {
      inputs.push_back(node.inputs()[i] == nullptr ? nullptr : &tensors[i]);
    }
    return EvaluateNode(node, inputs);
  }

  /// Values outside of an op's domain leave the outputs unknown: the branch may never be used.
  void EvaluateNumbers(const ir::Node& node, const std::vector<SymbolicInts>& contents) {
    std::vector<Tensor> tensors(contents.size());
    for (size_t i = 0; i < contents.size(); ++i) {
      if (node.inputs()[i] != nullptr) tensors[i] = NumbersTensor(node.inputs()[i], contents[i]);
    }
    const Result<std::vector<Tensor>> outputs = Evaluate(node, tensors);
    if (!outputs.ok()) return;
    for (size_t i = 0; i < outputs->size(); ++i) {
      facts_.ints[node.outputs()[i]] = ContentOf((*outputs)[i]);
    }
  }

  /// Evaluates the node on the numbers of the elements instead of their values.
  void Move(const ir::Node& node, uint32_t moved, const std::vector<SymbolicInts>& contents) {
    SymbolicInts elements;
    std::vector<Tensor> tensors(contents.size());
    for (size_t i = 0; i < contents.size(); ++i) {
      if (node.inputs()[i] == nullptr) continue;
      if ((moved >> std::min<size_t>(i, 31) & 1u) == 0) {
        tensors[i] = NumbersTensor(node.inputs()[i], contents[i]);
        continue;
      }
      tensors[i] = ZeroTensor(DType::kI64, DimsOf(node.inputs()[i]));
      for (size_t j = 0; j < contents[i].size(); ++j) {
        tensors[i].ints[j] = static_cast<int64_t>(elements.size());
        elements.push_back(contents[i][j]);
      }
    }
    const Result<std::vector<Tensor>> outputs = Evaluate(node, tensors);
    if (!outputs.ok()) return;
    for (size_t i = 0; i < outputs->size(); ++i) {
      SymbolicInts& content = facts_.ints[node.outputs()[i]];
      for (const int64_t element : (*outputs)[i].ints) {
        content.push_back(elements[static_cast<size_t>(element)]);
      }
    }
  }

  void Combine(const ir::Node& node, const OpDefinition& definition,
               const std::vector<SymbolicInts>& contents) {
    const std::vector<int64_t> dims = DimsOf(node.output(0));
    SymbolicInts result;
    for (size_t i = 0; i < contents.size(); ++i) {
      const std::vector<int64_t> own = DimsOf(node.inputs()[i]);
      const std::vector<int64_t> offsets = Offsets(dims, BroadcastStrides(own, dims));
      const bool is_first = i == 0;
      if (is_first) result.resize(offsets.size());
      for (size_t j = 0; j < offsets.size(); ++j) {
        const SymbolicInt& element = contents[i][static_cast<size_t>(offsets[j])];
        if (is_first && contents.size() > 1) {
          result[j] = element;
        } else {
          result[j] = definition.symbolic.combine(is_first ? element : result[j], element);
        }
      }
    }
    for (SymbolicInt& element : result) element = Fit(element, *node.output(0)->type().dtype);
    facts_.ints[node.output(0)] = std::move(result);
  }

  ir::Graph& graph_;
  TypeFacts facts_;
};

Status SubstituteInput(ir::Value& input, const std::map<std::string, int64_t>& numbers) {
  ir::TensorType type = input.type();
  const Location where = Location::Tensor("", input.name());
  if (!type.shape) return InvalidInput(where, "graph input has no rank");
  for (size_t axis = 0; axis < type.shape->size(); ++axis) {
    ir::Dim& dim = (*type.shape)[axis];
    if (dim.is_unknown()) {
      return InvalidInput(where, fmt::format("size of axis {} of a graph input is unknown", axis));
    }
    if (dim.is_number()) continue;
    const SymbolicInt size = SymbolicInt::FromDim(dim).Substitute(numbers);
    if (!size.is_number() || size.number() < 0) {
      const std::vector<std::string> left = size.Symbols();
      return InvalidInput(where,
                          left.empty() ? fmt::format("expected a size, got {} for '{}'",
                                                     size.ToString(), dim.ToString())
                                       : fmt::format("symbol '{}' has no number", left.front()),
                          {"a specialization gives every symbol of the inputs a number",
                           "give numbers that no other option gives: --dim NAME=NUMBER"});
    }
    dim = size.ToDim();
  }
  input.set_type(std::move(type));
  return Status::Ok();
}

Status SettleDeclaredShape(ir::GraphOutput& output, const std::map<std::string, int64_t>& numbers) {
  const std::optional<ir::Shape>& inferred = output.value->type().shape;
  if (!output.declared_shape || !inferred) return Status::Ok();
  ir::Shape declared = *output.declared_shape;
  bool fits = declared.size() == inferred->size();
  for (size_t axis = 0; fits && axis < declared.size(); ++axis) {
    declared[axis] = SymbolicInt::FromDim(declared[axis]).Substitute(numbers).ToDim();
    const ir::Dim& actual = (*inferred)[axis];
    fits = !declared[axis].is_number() || !actual.is_number() || declared[axis] == actual;
    if (actual.is_number()) declared[axis] = actual;
  }
  if (!fits) {
    return InvalidInput(
        Location::Tensor("", output.name),
        fmt::format("expected the declared shape {}, got {}",
                    ir::ShapeToString(*output.declared_shape), ir::ShapeToString(*inferred)));
  }
  output.declared_shape = std::move(declared);
  return Status::Ok();
}

}  // namespace

Result<TypeFacts> InferTypes(ir::Graph& graph) {
  TypeInference inference(graph);
  QEFF_RETURN_IF_ERROR(inference.Run());
  return inference.TakeFacts();
}

Status SubstituteSymbols(ir::Graph& graph, const std::map<std::string, int64_t>& numbers) {
  for (ir::Value* input : graph.inputs()) {
    QEFF_RETURN_IF_ERROR(SubstituteInput(*input, numbers));
  }
  Result<TypeFacts> facts = InferTypes(graph);
  if (!facts.ok()) return std::move(facts).status();
  for (ir::GraphOutput& output : graph.outputs()) {
    QEFF_RETURN_IF_ERROR(SettleDeclaredShape(output, numbers));
  }
  return Status::Ok();
}

}  // namespace qeff::ops
