// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/graph_writer.h"

#include <onnx/defs/schema.h>

#include <set>

#include "lib/onnx_io/normalize.h"

namespace qeff::onnx_io {
namespace {

/// An attribute that refers to one of the call still needs a type; the op's schema knows it.
Result<onnx::AttributeProto::AttributeType> ReferencedType(const ir::Node& node,
                                                           const std::string& attribute,
                                                           const Location& where) {
  const onnx::OpSchema* schema = onnx::OpSchemaRegistry::Schema(
      node.op_type(), static_cast<int>(kCanonicalOpset), node.domain());
  if (schema != nullptr) {
    const auto found = schema->attributes().find(attribute);
    if (found != schema->attributes().end()) return found->second.type;
  }
  return Unsupported(where, fmt::format("attribute '{}' refers to one of the call, but op '{}' is "
                                        "not an ONNX op",
                                        attribute, node.QualifiedOp()));
}

class AttributeWriter {
 public:
  AttributeWriter(const ir::Node& node, const Location& where, onnx::AttributeProto* proto)
      : node_(node), where_(where), proto_(*proto) {}

  Status operator()(int64_t value) const {
    proto_.set_type(onnx::AttributeProto::INT);
    proto_.set_i(value);
    return Status::Ok();
  }
  Status operator()(float value) const {
    proto_.set_type(onnx::AttributeProto::FLOAT);
    proto_.set_f(value);
    return Status::Ok();
  }
  Status operator()(const std::string& value) const {
    proto_.set_type(onnx::AttributeProto::STRING);
    proto_.set_s(value);
    return Status::Ok();
  }
  Status operator()(const std::vector<int64_t>& values) const {
    proto_.set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : values) proto_.add_ints(value);
    return Status::Ok();
  }
  Status operator()(const std::vector<float>& values) const {
    proto_.set_type(onnx::AttributeProto::FLOATS);
    for (const float value : values) proto_.add_floats(value);
    return Status::Ok();
  }
  Status operator()(const std::vector<std::string>& values) const {
    proto_.set_type(onnx::AttributeProto::STRINGS);
    for (const std::string& value : values) proto_.add_strings(value);
    return Status::Ok();
  }
  Status operator()(const ir::WeightPtr& weight) const {
    proto_.set_type(onnx::AttributeProto::TENSOR);
    return WriteInlineTensor(*weight, where_, proto_.mutable_t());
  }
  Status operator()(const ir::AttributeReference& reference) const {
    QEFF_ASSIGN_OR_RETURN(const auto type, ReferencedType(node_, proto_.name(), where_));
    proto_.set_type(type);
    proto_.set_ref_attr_name(reference.name);
    return Status::Ok();
  }

 private:
  const ir::Node& node_;
  const Location& where_;
  onnx::AttributeProto& proto_;
};

Status WriteNode(const ir::Node& node, const ValueNames& names, const Location& where,
                 onnx::NodeProto* proto) {
  proto->set_name(node.name());
  proto->set_domain(node.domain());
  proto->set_op_type(node.op_type());
  for (const ir::Value* input : node.inputs()) {
    proto->add_input(input == nullptr ? std::string() : names.Of(input));
  }
  for (const ir::Value* output : node.outputs()) proto->add_output(names.Of(output));
  for (const auto& [name, value] : node.attributes()) {
    onnx::AttributeProto* attribute = proto->add_attribute();
    attribute->set_name(name);
    QEFF_RETURN_IF_ERROR(std::visit(AttributeWriter(node, where, attribute), value));
  }
  return Status::Ok();
}

}  // namespace

ValueNames::ValueNames(const ir::Graph& graph) {
  std::set<std::string, std::less<>> taken;
  for (const ir::Value* input : graph.inputs()) {
    taken.insert(input->name());
    names_[input] = input->name();
  }
  for (const ir::GraphOutput& output : graph.outputs()) taken.insert(output.name);
  for (const ir::GraphOutput& output : graph.outputs()) {
    if (output.value->producer() != nullptr) names_.emplace(output.value, output.name);
  }
  const auto add = [&](const ir::Value* value) {
    if (names_.contains(value)) return;
    std::string name = value->name();
    for (int suffix = 1; taken.contains(name); ++suffix) {
      name = fmt::format("{}_{}", value->name(), suffix);
    }
    taken.insert(name);
    names_.emplace(value, std::move(name));
  };
  for (const ir::Value* constant : graph.constants()) add(constant);
  for (const auto& node : graph.nodes()) {
    for (const ir::Value* output : node->outputs()) add(output);
  }
}

template <typename Proto>
Status WriteNodes(const ir::Graph& graph, const ValueNames& names, Proto* proto) {
  int64_t index = 0;
  for (const auto& node : graph.nodes()) {
    const Location where = Location::Node("", node->name(), index++);
    QEFF_RETURN_IF_ERROR(WriteNode(*node, names, where, proto->add_node()));
  }
  for (const ir::GraphOutput& output : graph.outputs()) {
    const std::string& source = names.Of(output.value);
    if (source == output.name) continue;
    onnx::NodeProto* identity = proto->add_node();
    identity->set_name(output.name + "/Identity");
    identity->set_op_type("Identity");
    identity->add_input(source);
    identity->add_output(output.name);
  }
  return Status::Ok();
}

template Status WriteNodes(const ir::Graph&, const ValueNames&, onnx::GraphProto*);
template Status WriteNodes(const ir::Graph&, const ValueNames&, onnx::FunctionProto*);

Status WriteInlineTensor(const ir::Weight& weight, const Location& where,
                         onnx::TensorProto* tensor) {
  const std::optional<int32_t> number = DTypeToOnnx(weight.dtype());
  if (!number) {
    return Unsupported(where,
                       fmt::format("ONNX has no element type '{}'", DTypeName(weight.dtype())));
  }
  tensor->set_data_type(*number);
  for (const int64_t dim : weight.dims()) tensor->add_dims(dim);
  QEFF_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, ir::ReadWholeWeight(weight));
  tensor->set_raw_data(bytes.data(), bytes.size());
  return Status::Ok();
}

Status WriteFunction(const ir::Function& function, onnx::FunctionProto* proto) {
  proto->set_name(function.name);
  proto->set_domain(function.domain);
  for (const std::string& name : function.attribute_names) proto->add_attribute(name);
  const ir::Graph& body = function.body;
  const ValueNames names(body);
  for (const ir::Value* input : body.inputs()) proto->add_input(names.Of(input));
  for (const ir::GraphOutput& output : body.outputs()) proto->add_output(output.name);
  std::set<std::string> domains = {""};
  for (const auto& node : body.nodes()) domains.insert(node->domain());
  for (const std::string& domain : domains) {
    auto* import = proto->add_opset_import();
    import->set_domain(domain);
    import->set_version(domain.empty() ? kCanonicalOpset : 1);
  }
  for (const ir::Value* constant : body.constants()) {
    onnx::NodeProto* node = proto->add_node();
    node->set_op_type("Constant");
    node->set_name(names.Of(constant));
    node->add_output(names.Of(constant));
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name("value");
    attribute->set_type(onnx::AttributeProto::TENSOR);
    const Location where = Location::Tensor("", names.Of(constant));
    QEFF_RETURN_IF_ERROR(WriteInlineTensor(*constant->constant(), where, attribute->mutable_t()));
  }
  return WriteNodes(body, names, proto);
}

}  // namespace qeff::onnx_io
