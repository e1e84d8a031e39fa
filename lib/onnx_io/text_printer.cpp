// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <set>
#include <unordered_map>

#include "lib/onnx_io/graph_writer.h"
#include "lib/onnx_io/normalize.h"
#include "lib/onnx_io/text.h"
#include "lib/onnx_io/text_types.h"
#include "lib/onnx_io/weight_writer.h"
#include "lib/support/hash.h"

namespace qeff::onnx_io {
namespace {

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string Identifier(std::string_view name) {
  return IsIdentifier(name) ? std::string(name) : Quoted(name);
}

/// Domains are identifiers with dots between them.
std::string OpName(const ir::Node& node) {
  std::string text;
  for (std::string_view rest = node.domain(); !rest.empty();) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    text += Identifier(rest.substr(0, dot)) + ".";
    rest.remove_prefix(std::min(dot + 1, rest.size()));
  }
  return text + Identifier(node.op_type());
}

std::string TypeText(const ir::TensorType& type) {
  std::string text(type.dtype ? TextTypeName(*type.dtype) : "undefined");
  if (!type.shape) return text + "[]";
  if (type.shape->empty()) return text;
  std::string dims;
  for (const ir::Dim& dim : *type.shape) {
    if (!dims.empty()) dims += ",";
    dims += dim.is_symbol() ? Identifier(dim.symbol()) : dim.ToString();
  }
  return fmt::format("{}[{}]", text, dims);
}

template <typename T>
std::string Join(const std::byte* bytes, int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, bytes + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    text += fmt::format("{}{}", i == 0 ? "" : ", ", value);
  }
  return text;
}

std::string JoinNibbles(const std::byte* bytes, int64_t count, DType dtype) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    const int bits = (std::to_integer<int>(bytes[i / 2]) >> (i % 2 * 4)) & 15;
    const int value = dtype == DType::kI4 && bits > 7 ? bits - 16 : bits;
    text += fmt::format("{}{}", i == 0 ? "" : ", ", value);
  }
  return text;
}

std::string Elements(const std::vector<std::byte>& bytes, DType dtype, int64_t count) {
  switch (dtype) {
    case DType::kF32:
      return Join<float>(bytes.data(), count);
    case DType::kComplex64:
      return Join<float>(bytes.data(), 2 * count);
    case DType::kF64:
      return Join<double>(bytes.data(), count);
    case DType::kI64:
      return Join<int64_t>(bytes.data(), count);
    case DType::kU64:
      return Join<uint64_t>(bytes.data(), count);
    case DType::kI32:
      return Join<int32_t>(bytes.data(), count);
    case DType::kU32:
      return Join<uint32_t>(bytes.data(), count);
    case DType::kI16:
      return Join<int16_t>(bytes.data(), count);
    case DType::kU16:
    case DType::kF16:
    case DType::kBf16:
      return Join<uint16_t>(bytes.data(), count);
    case DType::kI8:
      return fmt::format(
          "{}", fmt::join(std::vector<int>(reinterpret_cast<const int8_t*>(bytes.data()),
                                           reinterpret_cast<const int8_t*>(bytes.data()) + count),
                          ", "));
    case DType::kI4:
    case DType::kU4:
    case DType::kF4E2M1:
      return JoinNibbles(bytes.data(), count, dtype);
    default: {  // bits of 8-bit floats, bools, u8; packed bytes of 6-bit floats
      std::vector<int> values;
      for (const std::byte byte : bytes) values.push_back(std::to_integer<int>(byte));
      return fmt::format("{}", fmt::join(values, ", "));
    }
  }
}

/// "{1, 2, 3}", or a hash in brackets where ONNX has the place of external data.
std::string WeightText(const ir::Weight& weight, int64_t element_limit) {
  if (weight.element_count() <= element_limit) {
    const Result<std::vector<std::byte>> bytes = ir::ReadWholeWeight(weight);
    if (bytes.ok()) {
      return fmt::format("{{{}}}", Elements(*bytes, weight.dtype(), weight.element_count()));
    }
  }
  Xxh3 hash;
  const DataSink sink = [&](const std::string&, std::span<const std::byte> bytes) {
    hash.Update(bytes);
    return Status::Ok();
  };
  if (!WeightWriter(sink, /*split_bytes=*/0).Append(weight).ok()) {
    return fmt::format("[\"recipe\": {}]", Quoted(ir::DescribeWeight(weight)));
  }
  return fmt::format("[\"xxh3_128\": \"{}\"]", hash.HexDigest());
}

template <typename T, typename F>
std::string JoinTexts(const std::vector<T>& items, const F& text) {
  std::string joined;
  for (const T& item : items) joined += (joined.empty() ? "" : ", ") + text(item);
  return joined;
}

class AttributePrinter {
 public:
  explicit AttributePrinter(const PrintOptions& options) : options_(options) {}
  std::string operator()(int64_t value) const { return fmt::format(": int = {}", value); }
  std::string operator()(float value) const { return fmt::format(": float = {}", value); }
  std::string operator()(const std::string& value) const { return ": string = " + Quoted(value); }
  std::string operator()(const std::vector<int64_t>& values) const {
    return fmt::format(": ints = [{}]", fmt::join(values, ", "));
  }
  std::string operator()(const std::vector<float>& values) const {
    return fmt::format(": floats = [{}]", fmt::join(values, ", "));
  }
  std::string operator()(const std::vector<std::string>& values) const {
    return fmt::format(": strings = [{}]", JoinTexts(values, Quoted));
  }
  std::string operator()(const ir::WeightPtr& weight) const {
    return fmt::format(": tensor = {} {}", TypeText(weight->type()),
                       WeightText(*weight, options_.element_limit));
  }
  std::string operator()(const ir::AttributeReference& reference) const {
    return fmt::format(" = @{}", Identifier(reference.name));
  }

 private:
  const PrintOptions& options_;
};

/// Prints the body of one graph or function.
class GraphPrinter {
 public:
  GraphPrinter(const ir::Graph& graph, const PrintOptions& options)
      : graph_(graph), options_(options), names_(graph) {
    if (options.names == PrintOptions::Names::kRenumber) Renumber();
  }

  std::string Name(const ir::Value* value) const {
    if (value == nullptr) return "\"\"";
    const auto found = renumbered_.find(value);
    return Identifier(found == renumbered_.end() ? names_.Of(value) : found->second);
  }
  std::string Inputs() const {
    return JoinTexts(graph_.inputs(), [](const ir::Value* input) {
      return TypeText(input->type()) + " " + Identifier(input->name());
    });
  }
  std::string Outputs() const {
    return JoinTexts(graph_.outputs(), [](const ir::GraphOutput& output) {
      ir::TensorType type = output.value->type();
      if (output.declared_shape) type.shape = output.declared_shape;
      return TypeText(type) + " " + Identifier(output.name);
    });
  }
  /// Constants with their values, then the types of other values.
  std::string Declarations() const {
    std::vector<std::string> lines;
    for (const ir::Value* constant : graph_.constants()) {
      lines.push_back(fmt::format("{} {} = {}", TypeText(constant->type()), Name(constant),
                                  WeightText(*constant->constant(), options_.element_limit)));
    }
    for (const auto& node : graph_.nodes()) {
      if (options_.types == PrintOptions::Types::kInterface) break;
      for (const ir::Value* output : node->outputs()) {
        if (!output->type().dtype || graph_.IsOutput(output)) continue;
        lines.push_back(TypeText(output->type()) + " " + Name(output));
      }
    }
    return lines.empty() ? "" : fmt::format("<\n   {}\n>\n", fmt::join(lines, ",\n   "));
  }
  std::string ConstantNodes() const {
    std::string text;
    for (const ir::Value* constant : graph_.constants()) {
      text += fmt::format("   {} = Constant <value{}> ()\n", Name(constant),
                          AttributePrinter(options_)(constant->constant()));
    }
    return text;
  }
  std::string Nodes() const {
    std::string text;
    for (const auto& node : graph_.nodes()) text += NodeText(*node);
    for (const ir::GraphOutput& output : graph_.outputs()) {
      const std::string name = Identifier(output.name);
      if (Name(output.value) != name) {
        text += fmt::format("   {} = Identity ({})\n", name, Name(output.value));
      }
    }
    return text;
  }

 private:
  void Renumber() {
    std::set<std::string> taken;
    for (const ir::Value* input : graph_.inputs()) taken.insert(input->name());
    for (const ir::GraphOutput& output : graph_.outputs()) taken.insert(output.name);
    int64_t next_value = 0;
    int64_t next_constant = 0;
    const auto number = [&](const ir::Value* value, char letter, int64_t* next) {
      std::string name;
      do {
        name = fmt::format("{}{}", letter, (*next)++);
      } while (taken.contains(name));
      renumbered_[value] = std::move(name);
    };
    for (const ir::Value* constant : graph_.constants()) number(constant, 'c', &next_constant);
    for (const auto& node : graph_.nodes()) {
      for (const ir::Value* output : node->outputs()) {
        if (!graph_.IsOutput(output)) number(output, 'v', &next_value);
      }
    }
  }

  std::string NodeText(const ir::Node& node) const {
    const auto name = [this](const ir::Value* value) { return Name(value); };
    std::string text = "   ";
    if (options_.names == PrintOptions::Names::kKeep && node.name() != node.op_type()) {
      text += fmt::format("[{}] ", Quoted(node.name()));
    }
    text += fmt::format("{} = {} ", JoinTexts(node.outputs(), name), OpName(node));
    std::string attributes;
    for (const auto& [key, value] : node.attributes()) {
      if (!attributes.empty()) attributes += ", ";
      attributes += Identifier(key) + std::visit(AttributePrinter(options_), value);
    }
    if (!attributes.empty()) text += fmt::format("<{}> ", attributes);
    return text + fmt::format("({})\n", JoinTexts(node.inputs(), name));
  }

  const ir::Graph& graph_;
  const PrintOptions& options_;
  ValueNames names_;
  std::unordered_map<const ir::Value*, std::string> renumbered_;
};

std::string OpsetText(std::set<std::string> domains) {
  domains.insert("");
  const std::vector<std::string> sorted(domains.begin(), domains.end());
  return JoinTexts(sorted, [](const std::string& domain) {
    return fmt::format("{} : {}", Quoted(domain), domain.empty() ? kCanonicalOpset : 1);
  });
}

std::set<std::string> Domains(const ir::Graph& graph) {
  std::set<std::string> domains;
  for (const auto& node : graph.nodes()) domains.insert(node->domain());
  return domains;
}

std::string FunctionText(const ir::Function& function, const PrintOptions& options) {
  const GraphPrinter printer(function.body, options);
  const auto name = [&](const ir::Value* value) { return printer.Name(value); };
  std::string attributes = JoinTexts(function.attribute_names, Identifier);
  if (!attributes.empty()) attributes = fmt::format("<{}> ", attributes);
  return fmt::format(
      "<domain: {}, opset_import: [{}]>\n{} {}({}) => ({})\n{{\n{}{}}}\n", Quoted(function.domain),
      OpsetText(Domains(function.body)), Identifier(function.name), attributes,
      JoinTexts(function.body.inputs(), name),
      JoinTexts(function.body.outputs(),
                [](const ir::GraphOutput& output) { return Identifier(output.name); }),
      printer.ConstantNodes(), printer.Nodes());
}

}  // namespace

std::string PrintText(const ir::Model& model, const PrintOptions& options) {
  std::set<std::string> domains = Domains(model.graph);
  for (const ir::Function& function : model.functions) {
    domains.insert(function.domain);
    domains.merge(Domains(function.body));
  }
  std::string text = fmt::format("<\n   ir_version: 8,\n   opset_import: [{}]", OpsetText(domains));
  std::string metadata;
  for (const auto& [key, value] : model.metadata) {
    metadata += fmt::format("{}{}: {}", metadata.empty() ? "" : ", ", Quoted(key), Quoted(value));
  }
  if (!metadata.empty()) text += fmt::format(",\n   metadata_props: [{}]", metadata);
  const GraphPrinter printer(model.graph, options);
  text += fmt::format("\n>\n{} ({}) => ({})\n{}{{\n{}}}\n", Identifier(model.graph.name()),
                      printer.Inputs(), printer.Outputs(), printer.Declarations(), printer.Nodes());
  for (const ir::Function& function : model.functions) text += FunctionText(function, options);
  return text;
}

}  // namespace qeff::onnx_io
