// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/normalize.h"

#include <algorithm>
#include <array>

namespace qeff::onnx_io {
namespace {

template <size_t N>
bool IsOneOf(std::string_view op, const std::array<std::string_view, N>& ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

/// Before opset 13: axes of Squeeze, Unsqueeze and ReduceSum, sizes of Split are attributes.
void AttributeToInput(ir::Graph* graph, ir::NodeSpec* node, std::string_view attribute) {
  const auto found = node->attributes.find(attribute);
  if (found == node->attributes.end()) return;
  if (const auto* values = std::get_if<std::vector<int64_t>>(&found->second)) {
    node->inputs.resize(std::max<size_t>(node->inputs.size(), 2), nullptr);
    node->inputs[1] =
        graph->AddConstant(fmt::format("{}_{}", node->name, attribute), ir::MakeIntVector(*values));
  }
  node->attributes.erase(found);
}

/// From opset 18: axes of the reductions other than ReduceSum are an input.
Status AxesToAttribute(ir::NodeSpec* node, const Location& where) {
  const auto keep_all = node->attributes.find("noop_with_empty_axes");
  const bool empty_means_none =
      keep_all != node->attributes.end() && keep_all->second == ir::Attribute(int64_t{1});
  if (keep_all != node->attributes.end()) node->attributes.erase(keep_all);
  std::vector<int64_t> axes;
  if (node->inputs.size() > 1 && node->inputs[1] != nullptr) {
    const auto values = ir::ConstantInts(node->inputs[1]);
    if (!values) {
      return Unsupported(where, "axes computed at run time",
                         {"export with constant axes, or with opset 17"});
    }
    axes = *values;
  }
  node->inputs.resize(1);
  if (!axes.empty()) {
    node->attributes.insert_or_assign("axes", axes);
  } else if (empty_means_none) {
    node->op_type = "Identity";
    node->attributes.clear();
  }
  return Status::Ok();
}

/// Before opset 13 Softmax and its kin flatten all dimensions from 'axis' (default 1) into one:
///   y = Reshape(Softmax<axis = -1>(Flatten<axis>(x)), Shape(x)).
void FlattenAroundSoftmax(ir::Graph* graph, ir::NodeSpec* node) {
  int64_t axis = 1;
  if (const auto found = node->attributes.find("axis"); found != node->attributes.end()) {
    if (const auto* value = std::get_if<int64_t>(&found->second)) axis = *value;
  }
  node->attributes.insert_or_assign("axis", int64_t{-1});
  if (axis == -1 || node->inputs.empty()) return;
  ir::Value* input = node->inputs[0];
  const auto add = [&](std::string_view op, std::vector<ir::Value*> inputs,
                       ir::AttributeMap attributes, std::string_view suffix) {
    return graph->Add({.domain = "",
                       .op_type = op,
                       .inputs = std::move(inputs),
                       .attributes = std::move(attributes),
                       .name = fmt::format("{}_{}", node->name, suffix)});
  };
  ir::Value* shape = add("Shape", {input}, {}, "shape");
  ir::Value* flat = add("Flatten", {input}, {{"axis", axis}}, "flatten");
  ir::Value* result = add(node->op_type, {flat}, node->attributes, "flat");
  node->op_type = "Reshape";
  node->inputs = {result, shape};
  node->attributes.clear();
}

Status FromOlder(ir::Graph* graph, ir::NodeSpec* node, int64_t opset) {
  const std::string_view op = node->op_type;
  if (opset >= 13) return Status::Ok();
  if (IsOneOf<3>(op, {"Squeeze", "Unsqueeze", "ReduceSum"})) {
    AttributeToInput(graph, node, "axes");
  } else if (op == "Split") {
    AttributeToInput(graph, node, "split");
  } else if (IsOneOf<3>(op, {"Softmax", "LogSoftmax", "Hardmax"})) {
    FlattenAroundSoftmax(graph, node);
  } else if (op == "Dropout" && opset < 12) {
    if (const auto found = node->attributes.find("ratio"); found != node->attributes.end())
      node->attributes.erase(found);  // outside of training Dropout does nothing
  }
  return Status::Ok();
}

Status FromNewer(ir::NodeSpec* node, int64_t opset, const Location& where) {
  const std::string_view op = node->op_type;
  if (opset < 18) return Status::Ok();
  if (IsOneOf<9>(op, {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
                      "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare"})) {
    return AxesToAttribute(node, where);
  }
  if (op == "Split") {
    if (const auto found = node->attributes.find("num_outputs"); found != node->attributes.end()) {
      node->attributes.erase(found);  // the number of outputs says the same
    }
  } else if (op == "Pad" && node->inputs.size() > 3 && node->inputs[3] != nullptr) {
    return Unsupported(where, "Pad with axes", {"export with opset 17"});
  } else if (op == "Cast" || op == "CastLike") {
    if (const auto found = node->attributes.find("saturate"); found != node->attributes.end()) {
      if (found->second != ir::Attribute(int64_t{1})) {
        return Unsupported(where, "a cast that does not saturate");
      }
      node->attributes.erase(found);
    }
  }
  return Status::Ok();
}

}  // namespace

Status NormalizeNode(ir::Graph* graph, ir::NodeSpec* node, int64_t opset, const Location& where) {
  QEFF_RETURN_IF_ERROR(FromOlder(graph, node, opset));
  return FromNewer(node, opset, where);
}

}  // namespace qeff::onnx_io
