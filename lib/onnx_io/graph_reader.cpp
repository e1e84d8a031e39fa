// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/onnx_io/graph_reader.h"

#include "lib/onnx_io/normalize.h"

namespace qeff::onnx_io {
namespace {

using google::protobuf::RepeatedPtrField;

/// True if `message` has a field that our protobuf definitions do not know, of this number.
template <typename Message>
bool HasField(const Message& message, int number) {
  const auto& fields = message.GetReflection()->GetUnknownFields(message);
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == number) return true;
  }
  return false;
}

/// Function bodies may refer to attributes of the call, the main graph may not.
enum class Scope { kMainGraph, kFunction };

class GraphReader {
 public:
  GraphReader(const OpsetVersions& opsets, Scope scope, TensorReader* tensors)
      : opsets_(opsets), scope_(scope), tensors_(*tensors) {}

  Status AddInput(const std::string& name, ir::TensorType type) {
    QEFF_RETURN_IF_ERROR(CheckNewName(name));
    values_[name] = graph_.AddInput(name, std::move(type));
    return Status::Ok();
  }
  Status AddConstant(const std::string& name, ir::WeightPtr weight) {
    QEFF_RETURN_IF_ERROR(CheckNewName(name));
    values_[name] = graph_.AddConstant(name, std::move(weight));
    return Status::Ok();
  }
  Status AddNodes(const RepeatedPtrField<onnx::NodeProto>& nodes) {
    for (int i = 0; i < nodes.size(); ++i) {
      const onnx::NodeProto& node = nodes[i];
      const std::string& label = node.name().empty() ? node.op_type() : node.name();
      const Location where = Location::Node(tensors_.path(), label, i);
      QEFF_RETURN_IF_ERROR(AddNode(node, where));
    }
    return Status::Ok();
  }
  Status AddOutput(const std::string& name, std::optional<ir::TensorType> declared) {
    const auto found = values_.find(name);
    if (found == values_.end()) {
      return InvalidInput(Location::Tensor(tensors_.path(), name),
                          "graph output is made by no node of the graph");
    }
    if (!output_names_.insert(name).second) {
      return InvalidInput(Location::Tensor(tensors_.path(), name), "two outputs have this name");
    }
    ir::Value* value = found->second;
    graph_.AddOutput(name, value);
    if (!declared) return Status::Ok();
    graph_.outputs().back().declared_shape = std::move(declared->shape);
    if (!value->type().dtype) value->set_type({declared->dtype, value->type().shape});
    return Status::Ok();
  }
  ir::Graph& graph() { return graph_; }
  const std::string& path() const { return tensors_.path(); }

 private:
  Status CheckNewName(const std::string& name) const {
    const Location where = Location::Tensor(path(), IsPlainText(name) ? name : "");
    if (name.empty()) return InvalidInput(where, "a value has an empty name");
    if (!IsPlainText(name)) return InvalidInput(where, "the name of a value is not UTF-8 text");
    if (values_.contains(name)) return InvalidInput(where, "two values have this name");
    return Status::Ok();
  }

  Status AddNode(const onnx::NodeProto& proto, const Location& where) {
    if (!IsPlainText(proto.name()) || !IsPlainText(proto.op_type()) ||
        !IsPlainText(proto.domain())) {
      return InvalidInput(Location::Node(path(), "", where.node_index),
                          "the name, op or domain of a node is not UTF-8 text");
    }
    constexpr int kOverload = 8;
    if (HasField(proto, kOverload)) return Unsupported(where, "a call of an overloaded function");
    ir::NodeSpec spec{.domain = CanonicalDomain(proto.domain()),
                      .op_type = proto.op_type(),
                      .name = proto.name(),
                      .output_names = {}};
    const auto opset = opsets_.find(spec.domain);
    if (opset == opsets_.end()) {
      return InvalidInput(
          where, fmt::format("domain '{}' of op '{}' is not imported", spec.domain, spec.op_type));
    }
    if (spec.domain.empty() && spec.op_type == "Constant" && !RefersToCall(proto)) {
      return AddConstantNode(proto, where);
    }
    QEFF_RETURN_IF_ERROR(ReadInputs(proto, where, &spec));
    for (const onnx::AttributeProto& attribute : proto.attribute()) {
      QEFF_RETURN_IF_ERROR(ReadAttribute(attribute, where, &spec.attributes));
    }
    for (const std::string& name : proto.output()) {
      if (!name.empty()) QEFF_RETURN_IF_ERROR(CheckNewName(name));
      spec.output_names.push_back(name);
    }
    if (spec.output_names.empty()) return InvalidInput(where, "a node without outputs");
    if (spec.domain.empty()) {
      QEFF_RETURN_IF_ERROR(NormalizeNode(&graph_, &spec, opset->second, where));
    }
    const ir::Node* node = graph_.AddNode(std::move(spec));
    for (int i = 0; i < proto.output_size(); ++i) {
      if (proto.output(i).empty()) continue;
      if (!values_.emplace(proto.output(i), node->output(static_cast<size_t>(i))).second) {
        return InvalidInput(where, fmt::format("output '{}' is given twice", proto.output(i)));
      }
    }
    return Status::Ok();
  }

  Status ReadInputs(const onnx::NodeProto& proto, const Location& where, ir::NodeSpec* spec) const {
    for (const std::string& name : proto.input()) {
      if (name.empty()) {
        spec->inputs.push_back(nullptr);
        continue;
      }
      const auto found = values_.find(name);
      if (found == values_.end()) {
        return InvalidInput(where,
                            fmt::format("input '{}' is made by nothing before this node",
                                        IsPlainText(name) ? name : std::string("(not UTF-8 text)")),
                            {"the nodes of a graph must be stored in order of computation"});
      }
      spec->inputs.push_back(found->second);
    }
    return Status::Ok();
  }

  static bool RefersToCall(const onnx::NodeProto& proto) {
    return proto.attribute_size() == 1 && !proto.attribute(0).ref_attr_name().empty();
  }

  Status AddConstantNode(const onnx::NodeProto& proto, const Location& where) {
    if (proto.attribute_size() != 1 || proto.input_size() != 0 || proto.output_size() != 1) {
      return InvalidInput(where, "expected a Constant with one attribute and one output");
    }
    ir::AttributeMap attributes;
    QEFF_RETURN_IF_ERROR(ReadAttribute(proto.attribute(0), where, &attributes));
    const auto& [name, value] = *attributes.begin();
    ir::WeightPtr weight;
    if (const auto* tensor = std::get_if<ir::WeightPtr>(&value); tensor && name == "value") {
      weight = *tensor;
    } else if (const auto* number = std::get_if<int64_t>(&value); number && name == "value_int") {
      weight = ir::MakeIntScalar(*number);
    } else if (const auto* real = std::get_if<float>(&value); real && name == "value_float") {
      weight = ir::MakeFloatScalar(*real);
    } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value);
               ints && name == "value_ints") {
      weight = ir::MakeIntVector(*ints);
    } else if (const auto* floats = std::get_if<std::vector<float>>(&value);
               floats && name == "value_floats") {
      weight = ir::MakeFloats({static_cast<int64_t>(floats->size())}, *floats);
    } else {
      return Unsupported(where, fmt::format("a Constant given by attribute '{}'", name));
    }
    QEFF_RETURN_IF_ERROR(CheckNewName(proto.output(0)));
    return AddConstant(proto.output(0), std::move(weight));
  }

  Status ReadAttribute(const onnx::AttributeProto& proto, const Location& where,
                       ir::AttributeMap* attributes) {
    const std::string& name = proto.name();
    if (name.empty() || !IsPlainText(name)) {
      return InvalidInput(where, "an attribute has no name of UTF-8 text");
    }
    if (attributes->contains(name)) {
      return InvalidInput(where, fmt::format("attribute '{}' is given twice", name));
    }
    ir::Attribute value;
    if (!proto.ref_attr_name().empty()) {
      if (scope_ == Scope::kMainGraph || !IsPlainText(proto.ref_attr_name())) {
        return InvalidInput(where, fmt::format("attribute '{}' refers to one of a call", name));
      }
      value = ir::AttributeReference{proto.ref_attr_name()};
    } else {
      QEFF_ASSIGN_OR_RETURN(value, AttributeValue(proto, where));
    }
    attributes->emplace(name, std::move(value));
    return Status::Ok();
  }

  Result<ir::Attribute> AttributeValue(const onnx::AttributeProto& proto, const Location& where) {
    switch (proto.type()) {
      case onnx::AttributeProto::INT:
        return ir::Attribute(int64_t{proto.i()});
      case onnx::AttributeProto::FLOAT:
        return ir::Attribute(proto.f());
      case onnx::AttributeProto::STRING:
        return ir::Attribute(proto.s());
      case onnx::AttributeProto::INTS:
        return ir::Attribute(std::vector<int64_t>(proto.ints().begin(), proto.ints().end()));
      case onnx::AttributeProto::FLOATS:
        return ir::Attribute(std::vector<float>(proto.floats().begin(), proto.floats().end()));
      case onnx::AttributeProto::STRINGS:
        return ir::Attribute(
            std::vector<std::string>(proto.strings().begin(), proto.strings().end()));
      case onnx::AttributeProto::TENSOR: {
        QEFF_ASSIGN_OR_RETURN(ir::WeightPtr weight, tensors_.Read(proto.t(), where));
        return ir::Attribute(std::move(weight));
      }
      case onnx::AttributeProto::GRAPH:
      case onnx::AttributeProto::GRAPHS:
        return Unsupported(where,
                           fmt::format("attribute '{}' is a graph: control flow", proto.name()),
                           {"export the model without If, Loop and Scan"});
      default:
        return Unsupported(where, fmt::format("attribute '{}' is of ONNX attribute type {}",
                                              proto.name(), static_cast<int>(proto.type())));
    }
  }

  const OpsetVersions& opsets_;
  Scope scope_;
  TensorReader& tensors_;
  ir::Graph graph_;
  std::map<std::string, ir::Value*, std::less<>> values_;
  std::set<std::string, std::less<>> output_names_;
};

Status AddInitializers(const ScannedModel& scanned, TensorReader* tensors, GraphReader* reader) {
  const onnx::GraphProto& proto = scanned.model.graph();
  for (int i = 0; i < proto.initializer_size(); ++i) {
    const onnx::TensorProto& tensor = proto.initializer(i);
    const std::string name = IsPlainText(tensor.name()) ? tensor.name() : std::string();
    QEFF_ASSIGN_OR_RETURN(ir::WeightPtr weight,
                          tensors->Read(tensor, Location::Tensor(reader->path(), name),
                                        scanned.initializer_data[static_cast<size_t>(i)]));
    QEFF_RETURN_IF_ERROR(reader->AddConstant(tensor.name(), std::move(weight)));
  }
  return Status::Ok();
}

/// Adds the weight that `joined` has for an input, once types agree.
Status JoinWeight(const std::string& name, const ir::TensorType& declared,
                  const ir::WeightPtr& weight, GraphReader* reader) {
  if (declared != weight->type()) {
    return InvalidInput(
        Location::Tensor(reader->path(), name),
        fmt::format("expected a weight {}, got {}", declared.ToString(), weight->type().ToString()),
        {"weight_spec.json belongs to another model"});
  }
  return reader->AddConstant(name, weight);
}

}  // namespace

Result<OpsetVersions> ReadOpsets(const RepeatedPtrField<onnx::OperatorSetIdProto>& imports,
                                 const Location& where) {
  OpsetVersions versions;
  for (const onnx::OperatorSetIdProto& import : imports) {
    const std::string domain(CanonicalDomain(import.domain()));
    if (!IsPlainText(domain)) return InvalidInput(where, "a domain's name is not UTF-8 text");
    if (!versions.emplace(domain, import.version()).second) {
      return InvalidInput(where, fmt::format("opset domain '{}' is imported twice", domain));
    }
    if (domain.empty() && (import.version() < kOldestOpset || import.version() > kNewestOpset)) {
      return Unsupported(where,
                         fmt::format("expected ONNX opset {} to {}, got {}", kOldestOpset,
                                     kNewestOpset, import.version()),
                         {fmt::format("convert the model to opset {}", kCanonicalOpset)});
    }
  }
  return versions;
}

Result<ir::Graph> ReadGraph(const ScannedModel& scanned, const OpsetVersions& opsets,
                            const JoinedWeights& joined, TensorReader* tensors) {
  const onnx::GraphProto& proto = scanned.model.graph();
  GraphReader reader(opsets, Scope::kMainGraph, tensors);
  const Location where = Location::File(reader.path());
  if (!IsPlainText(proto.name())) return InvalidInput(where, "the graph's name is not UTF-8 text");
  if (proto.sparse_initializer_size() > 0) return Unsupported(where, "sparse initializers");
  reader.graph().set_name(proto.name());
  std::set<std::string, std::less<>> initialized;
  for (const onnx::TensorProto& tensor : proto.initializer()) initialized.insert(tensor.name());
  std::vector<std::pair<std::string, ir::TensorType>> weights;
  for (const onnx::ValueInfoProto& input : proto.input()) {
    if (initialized.contains(input.name())) continue;
    const std::string name = IsPlainText(input.name()) ? input.name() : std::string();
    QEFF_ASSIGN_OR_RETURN(ir::TensorType type,
                          TypeFromProto(input.type(), Location::Tensor(reader.path(), name)));
    if (joined.contains(name)) {
      weights.emplace_back(name, std::move(type));
    } else {
      QEFF_RETURN_IF_ERROR(reader.AddInput(input.name(), std::move(type)));
    }
  }
  QEFF_RETURN_IF_ERROR(AddInitializers(scanned, tensors, &reader));
  for (const auto& [name, type] : weights) {
    QEFF_RETURN_IF_ERROR(JoinWeight(name, type, joined.find(name)->second, &reader));
  }
  if (weights.size() != joined.size()) {
    return InvalidInput(where,
                        fmt::format("weight_spec.json has {} weights, {} are graph inputs",
                                    joined.size(), weights.size()),
                        {"weight_spec.json belongs to another model"});
  }
  QEFF_RETURN_IF_ERROR(reader.AddNodes(proto.node()));
  for (const onnx::ValueInfoProto& output : proto.output()) {
    const std::string name = IsPlainText(output.name()) ? output.name() : std::string();
    QEFF_ASSIGN_OR_RETURN(ir::TensorType type,
                          TypeFromProto(output.type(), Location::Tensor(reader.path(), name)));
    QEFF_RETURN_IF_ERROR(reader.AddOutput(output.name(), std::move(type)));
  }
  return std::move(reader.graph());
}

Result<ir::Function> ReadFunction(const onnx::FunctionProto& proto, TensorReader* tensors) {
  const Location where =
      Location::Node(tensors->path(), IsPlainText(proto.name()) ? proto.name() : "");
  if (!IsPlainText(proto.name()) || proto.name().empty() || !IsPlainText(proto.domain())) {
    return InvalidInput(where, "a function has no name of UTF-8 text");
  }
  constexpr int kAttributeDefaults = 11, kOverload = 13;  // newer than our protobuf definitions
  if (HasField(proto, kAttributeDefaults) || HasField(proto, kOverload)) {
    return Unsupported(where, "a function with default attribute values or overloads",
                       {"export with ONNX IR version 8"});
  }
  QEFF_ASSIGN_OR_RETURN(const OpsetVersions opsets, ReadOpsets(proto.opset_import(), where));
  GraphReader reader(opsets, Scope::kFunction, tensors);
  for (const std::string& name : proto.input()) {
    QEFF_RETURN_IF_ERROR(reader.AddInput(name, {}));
  }
  QEFF_RETURN_IF_ERROR(reader.AddNodes(proto.node()));
  for (const std::string& name : proto.output()) {
    QEFF_RETURN_IF_ERROR(reader.AddOutput(name, std::nullopt));
  }
  reader.graph().set_name(proto.name());
  return ir::Function{std::string(CanonicalDomain(proto.domain())),
                      proto.name(),
                      {proto.attribute().begin(), proto.attribute().end()},
                      std::move(reader.graph())};
}

}  // namespace qeff::onnx_io
