// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "lib/onnx_io/normalize.h"
#include "lib/onnx_io/proto.h"
#include "lib/onnx_io/text.h"
#include "lib/onnx_io/text_tensor.h"

namespace qeff::onnx_io {
namespace {

/// Parses "[a, b, ...]" or any other list in brackets, calling `item` at each.
template <typename F>
Status ParseList(TextLexer* lexer, std::string_view open, std::string_view close, const F& item) {
  QEFF_RETURN_IF_ERROR(lexer->Expect(open));
  for (bool is_first = true; !lexer->Is(close); is_first = false) {
    if (!is_first) QEFF_RETURN_IF_ERROR(lexer->Expect(","));
    QEFF_RETURN_IF_ERROR(item());
  }
  return lexer->Expect(close);
}

/// What "<...>" before a model or function says.
struct Header {
  std::string domain;
  std::map<std::string, std::string> metadata;
};

class HeaderParser {
 public:
  explicit HeaderParser(TextLexer* lexer) : lexer_(*lexer) {}

  Result<Header> Parse() {
    if (lexer_.Is("<")) {
      QEFF_RETURN_IF_ERROR(ParseList(&lexer_, "<", ">", [this] { return ParseItem(); }));
    }
    return header_;
  }

 private:
  Status ParseItem() {
    const Token key = lexer_.token();
    QEFF_RETURN_IF_ERROR(lexer_.ExpectName("a header key").status());
    QEFF_RETURN_IF_ERROR(lexer_.Expect(":"));
    if (key.text == "opset_import") {
      return ParseList(&lexer_, "[", "]", [this] { return ParseOpset(); });
    }
    if (key.text == "metadata_props") {
      return ParseList(&lexer_, "[", "]", [this] { return ParseMetadata(); });
    }
    if (key.text == "ir_version") return lexer_.ExpectInteger("a version").status();
    if (key.text == "producer_name" || key.text == "producer_version") {
      return lexer_.ExpectName("a text").status();
    }
    if (key.text != "domain") {
      return lexer_.ErrorAt(key, fmt::format("unknown header key '{}'", key.text));
    }
    QEFF_ASSIGN_OR_RETURN(header_.domain, lexer_.ExpectName("a domain"));
    return Status::Ok();
  }

  Status ParseOpset() {
    QEFF_ASSIGN_OR_RETURN(const std::string domain, lexer_.ExpectName("a domain"));
    QEFF_RETURN_IF_ERROR(lexer_.Expect(":"));
    const Token token = lexer_.token();
    QEFF_ASSIGN_OR_RETURN(const int64_t version, lexer_.ExpectInteger("a version"));
    if (CanonicalDomain(domain).empty() && version != kCanonicalOpset) {
      return lexer_.ErrorAt(token,
                            fmt::format("expected opset {}, got {}", kCanonicalOpset, version));
    }
    return Status::Ok();
  }

  Status ParseMetadata() {
    QEFF_ASSIGN_OR_RETURN(const std::string key, lexer_.ExpectName("a metadata key"));
    QEFF_RETURN_IF_ERROR(lexer_.Expect(":"));
    QEFF_ASSIGN_OR_RETURN(header_.metadata[key], lexer_.ExpectName("a metadata value"));
    return Status::Ok();
  }

  TextLexer& lexer_;
  Header header_;
};

class GraphParser {
 public:
  explicit GraphParser(TextLexer* lexer) : lexer_(*lexer) {}

  /// After the name: "(inputs) => (outputs) <declarations> { nodes }".
  Result<ir::Graph> ParseGraph() {
    std::vector<std::pair<std::string, ir::TensorType>> outputs;
    QEFF_RETURN_IF_ERROR(ParseList(&lexer_, "(", ")", [this] { return ParseInput(); }));
    QEFF_RETURN_IF_ERROR(lexer_.Expect("=>"));
    QEFF_RETURN_IF_ERROR(ParseList(&lexer_, "(", ")", [&]() -> Status {
      QEFF_ASSIGN_OR_RETURN(ir::TensorType type, ParseType(&lexer_));
      QEFF_ASSIGN_OR_RETURN(std::string name, lexer_.ExpectName("an output"));
      outputs.emplace_back(std::move(name), std::move(type));
      return Status::Ok();
    }));
    if (lexer_.Is("<")) {
      QEFF_RETURN_IF_ERROR(ParseList(&lexer_, "<", ">", [this] { return ParseDeclaration(); }));
    }
    QEFF_RETURN_IF_ERROR(ParseNodes());
    for (auto& [name, type] : outputs) {
      QEFF_RETURN_IF_ERROR(AddOutput(name));
      ir::Value* value = graph_.outputs().back().value;
      graph_.outputs().back().declared_shape = std::move(type.shape);
      if (!value->type().dtype) value->set_type({type.dtype, value->type().shape});
    }
    for (const auto& [name, type] : types_) {
      const auto found = values_.find(name);
      if (found == values_.end() || found->second->producer() == nullptr) {
        return lexer_.ErrorHere(fmt::format("'{}' has a type, but no node makes it", name));
      }
      found->second->set_type(type);
    }
    return std::move(graph_);
  }

  /// After the name: "<attributes> (inputs) => (outputs) { nodes }".
  Result<ir::Function> ParseFunction(std::string domain, std::string name) {
    ir::Function function{.domain = std::move(domain), .name = std::move(name)};
    if (lexer_.Is("<")) {
      QEFF_RETURN_IF_ERROR(ParseList(&lexer_, "<", ">", [&]() -> Status {
        QEFF_ASSIGN_OR_RETURN(std::string attribute, lexer_.ExpectName("an attribute"));
        function.attribute_names.push_back(std::move(attribute));
        return Status::Ok();
      }));
    }
    QEFF_RETURN_IF_ERROR(ParseList(&lexer_, "(", ")", [this]() -> Status {
      QEFF_ASSIGN_OR_RETURN(const std::string input, NewName("an input"));
      values_[input] = graph_.AddInput(input, {});
      return Status::Ok();
    }));
    QEFF_RETURN_IF_ERROR(lexer_.Expect("=>"));
    std::vector<std::string> outputs;
    QEFF_RETURN_IF_ERROR(ParseList(&lexer_, "(", ")", [&]() -> Status {
      QEFF_ASSIGN_OR_RETURN(std::string output, lexer_.ExpectName("an output"));
      outputs.push_back(std::move(output));
      return Status::Ok();
    }));
    QEFF_RETURN_IF_ERROR(ParseNodes());
    for (const std::string& output : outputs) QEFF_RETURN_IF_ERROR(AddOutput(output));
    graph_.set_name(function.name);
    function.body = std::move(graph_);
    return function;
  }

 private:
  Result<std::string> NewName(std::string_view what) {
    const Token token = lexer_.token();
    QEFF_ASSIGN_OR_RETURN(std::string name, lexer_.ExpectName(what));
    if (name.empty() || !IsPlainText(name)) return lexer_.ErrorAt(token, "a value needs a name");
    if (values_.contains(name)) {
      return lexer_.ErrorAt(token, fmt::format("two values are named '{}'", name));
    }
    return name;
  }

  Status AddOutput(const std::string& name) {
    const auto found = values_.find(name);
    if (found == values_.end()) {
      return lexer_.ErrorHere(fmt::format("output '{}' is made by no node", name));
    }
    graph_.AddOutput(name, found->second);
    return Status::Ok();
  }

  Status ParseInput() {
    QEFF_ASSIGN_OR_RETURN(ir::TensorType type, ParseType(&lexer_));
    QEFF_ASSIGN_OR_RETURN(const std::string name, NewName("an input"));
    values_[name] = graph_.AddInput(name, std::move(type));
    return Status::Ok();
  }

  Status ParseDeclaration() {
    QEFF_ASSIGN_OR_RETURN(ir::TensorType type, ParseType(&lexer_));
    QEFF_ASSIGN_OR_RETURN(const std::string name, NewName("a value"));
    QEFF_ASSIGN_OR_RETURN(const bool is_constant, lexer_.Accept("="));
    if (!is_constant) {
      types_.insert_or_assign(name, std::move(type));
      return Status::Ok();
    }
    QEFF_ASSIGN_OR_RETURN(ir::WeightPtr weight, ParseTensor(type, &lexer_));
    values_[name] = graph_.AddConstant(name, std::move(weight));
    return Status::Ok();
  }

  Status ParseNodes() {
    QEFF_RETURN_IF_ERROR(lexer_.Expect("{"));
    while (!lexer_.Is("}")) QEFF_RETURN_IF_ERROR(ParseNode());
    return lexer_.Expect("}");
  }

  /// "[name] y, z = domain.Op <a: int = 1> (x)".
  Status ParseNode() {
    std::string name;
    QEFF_ASSIGN_OR_RETURN(const bool is_named, lexer_.Accept("["));
    if (is_named) {
      QEFF_ASSIGN_OR_RETURN(name, lexer_.ExpectName("the name of a node"));
      QEFF_RETURN_IF_ERROR(lexer_.Expect("]"));
    }
    std::vector<std::string> outputs;
    do {
      if (!outputs.empty()) QEFF_RETURN_IF_ERROR(lexer_.Advance());
      QEFF_ASSIGN_OR_RETURN(std::string output, NewName("an output"));
      outputs.push_back(std::move(output));
    } while (lexer_.Is(","));
    QEFF_RETURN_IF_ERROR(lexer_.Expect("="));
    std::string domain;
    QEFF_ASSIGN_OR_RETURN(std::string op, lexer_.ExpectName("an op"));
    while (lexer_.Is(".")) {
      QEFF_RETURN_IF_ERROR(lexer_.Advance());
      domain += (domain.empty() ? "" : ".") + op;
      QEFF_ASSIGN_OR_RETURN(op, lexer_.ExpectName("an op"));
    }
    ir::AttributeMap attributes;
    if (lexer_.Is("<")) {
      QEFF_RETURN_IF_ERROR(
          ParseList(&lexer_, "<", ">", [&] { return ParseAttribute(&attributes); }));
    }
    std::vector<ir::Value*> inputs;
    QEFF_RETURN_IF_ERROR(ParseList(&lexer_, "(", ")", [&] { return ParseOperand(&inputs); }));
    return AddNode({.domain = CanonicalDomain(domain),
                    .op_type = op,
                    .inputs = std::move(inputs),
                    .attributes = std::move(attributes),
                    .name = std::move(name),
                    .output_names = outputs});
  }

  Status ParseOperand(std::vector<ir::Value*>* inputs) {
    const Token token = lexer_.token();
    QEFF_ASSIGN_OR_RETURN(const std::string name, lexer_.ExpectName("an input"));
    const auto found = values_.find(name);
    if (!name.empty() && found == values_.end()) {
      return lexer_.ErrorAt(token, fmt::format("'{}' is made by nothing before this node", name));
    }
    inputs->push_back(name.empty() ? nullptr : found->second);
    return Status::Ok();
  }

  Status AddNode(ir::NodeSpec spec) {
    const std::vector<std::string> outputs = spec.output_names;
    const auto value = spec.attributes.find("value");
    if (spec.domain.empty() && spec.op_type == "Constant" && outputs.size() == 1 &&
        value != spec.attributes.end() && std::holds_alternative<ir::WeightPtr>(value->second)) {
      values_[outputs[0]] = graph_.AddConstant(outputs[0], std::get<ir::WeightPtr>(value->second));
      return Status::Ok();
    }
    const ir::Node* node = graph_.AddNode(std::move(spec));
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!values_.emplace(outputs[i], node->output(i)).second) {
        return lexer_.ErrorHere(fmt::format("two values are named '{}'", outputs[i]));
      }
    }
    return Status::Ok();
  }

  Status ParseAttribute(ir::AttributeMap* attributes) {
    const Token token = lexer_.token();
    QEFF_ASSIGN_OR_RETURN(const std::string name, lexer_.ExpectName("an attribute"));
    std::string kind;
    QEFF_ASSIGN_OR_RETURN(const bool has_kind, lexer_.Accept(":"));
    if (has_kind) {
      QEFF_ASSIGN_OR_RETURN(kind, lexer_.ExpectName("the type of an attribute"));
    }
    QEFF_RETURN_IF_ERROR(lexer_.Expect("="));
    QEFF_ASSIGN_OR_RETURN(ir::Attribute value, ParseValue(kind));
    if (!attributes->emplace(name, std::move(value)).second) {
      return lexer_.ErrorAt(token, fmt::format("attribute '{}' is given twice", name));
    }
    return Status::Ok();
  }

  Result<ir::Attribute> ParseValue(const std::string& kind) {
    if (lexer_.Is("@")) {
      QEFF_RETURN_IF_ERROR(lexer_.Advance());
      QEFF_ASSIGN_OR_RETURN(std::string name, lexer_.ExpectName("an attribute of the call"));
      return ir::Attribute(ir::AttributeReference{std::move(name)});
    }
    if (kind == "int") {
      QEFF_ASSIGN_OR_RETURN(const int64_t value, lexer_.ExpectInteger("an integer"));
      return ir::Attribute(value);
    }
    if (kind == "float") {
      QEFF_ASSIGN_OR_RETURN(const float value, ParseFloat(&lexer_));
      return ir::Attribute(value);
    }
    if (kind == "string") {
      QEFF_ASSIGN_OR_RETURN(std::string value, lexer_.ExpectName("a text"));
      return ir::Attribute(std::move(value));
    }
    if (kind == "tensor") {
      QEFF_ASSIGN_OR_RETURN(const ir::TensorType type, ParseType(&lexer_));
      QEFF_ASSIGN_OR_RETURN(ir::WeightPtr weight, ParseTensor(type, &lexer_));
      return ir::Attribute(std::move(weight));
    }
    if (kind == "ints") {
      return ParseValues<int64_t>([this] { return lexer_.ExpectInteger("an integer"); });
    }
    if (kind == "floats") return ParseValues<float>([this] { return ParseFloat(&lexer_); });
    if (kind == "strings") {
      return ParseValues<std::string>([this] { return lexer_.ExpectName("a text"); });
    }
    if (!kind.empty()) return lexer_.ErrorHere(fmt::format("unknown attribute type '{}'", kind));
    return ParseUntypedValue();
  }

  /// Without a type, a single literal says what it is.
  Result<ir::Attribute> ParseUntypedValue() {
    switch (lexer_.token().kind) {
      case Token::Kind::kInteger:
        return ParseValue("int");
      case Token::Kind::kReal:
        return ParseValue("float");
      case Token::Kind::kString:
        return ParseValue("string");
      case Token::Kind::kIdentifier:
        return ParseValue("tensor");
      default:
        return lexer_.Is("[") ? ParseValue("ints") : lexer_.Unexpected("a value");
    }
  }

  template <typename T, typename F>
  Result<ir::Attribute> ParseValues(const F& parse) {
    std::vector<T> values;
    QEFF_RETURN_IF_ERROR(ParseList(&lexer_, "[", "]", [&]() -> Status {
      QEFF_ASSIGN_OR_RETURN(T value, parse());
      values.push_back(std::move(value));
      return Status::Ok();
    }));
    return ir::Attribute(std::move(values));
  }

  TextLexer& lexer_;
  ir::Graph graph_;
  std::map<std::string, ir::Value*, std::less<>> values_;
  std::map<std::string, ir::TensorType, std::less<>> types_;
};

}  // namespace

Result<ir::Model> ParseText(std::string_view text, std::string_view path) {
  TextLexer lexer(text, path);
  QEFF_RETURN_IF_ERROR(lexer.Start());
  ir::Model model;
  model.path = path;
  QEFF_ASSIGN_OR_RETURN(Header header, HeaderParser(&lexer).Parse());
  model.metadata = std::move(header.metadata);
  QEFF_ASSIGN_OR_RETURN(std::string name, lexer.ExpectName("the name of the graph"));
  QEFF_ASSIGN_OR_RETURN(model.graph, GraphParser(&lexer).ParseGraph());
  model.graph.set_name(std::move(name));
  while (lexer.token().kind != Token::Kind::kEnd) {
    QEFF_ASSIGN_OR_RETURN(header, HeaderParser(&lexer).Parse());
    QEFF_ASSIGN_OR_RETURN(name, lexer.ExpectName("the name of a function"));
    QEFF_ASSIGN_OR_RETURN(ir::Function function,
                          GraphParser(&lexer).ParseFunction(header.domain, std::move(name)));
    model.functions.push_back(std::move(function));
  }
  return model;
}

}  // namespace qeff::onnx_io
