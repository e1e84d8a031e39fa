// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <charconv>
#include <map>
#include <unordered_map>

#include "lib/onnx_io/reader.h"
#include "lib/ops/op.h"
#include "tools/inspect/readers.h"

namespace qeff::inspect {
namespace {

/// A string of Graphviz's language.
std::string Quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') result += '\\';
    if (byte >= 0x20 && byte != 0x7f) result += c;
    if (c == '\n') result += "\\n";
  }
  return result + "\"";
}

/// Returns 3 for ".../layers.3/mlp/..."; nothing for nodes outside of layers.
std::optional<int64_t> LayerOf(const std::string& name) {
  constexpr std::string_view kLayers = "layers.";
  const size_t at = name.find(kLayers);
  if (at == std::string::npos) return std::nullopt;
  const char* begin = name.data() + at + kLayers.size();
  int64_t layer = 0;
  const auto [end, error] = std::from_chars(begin, name.data() + name.size(), layer);
  if (error != std::errc() || end == begin) return std::nullopt;
  return layer;
}

class Drawing {
 public:
  explicit Drawing(const ir::Graph& graph) : graph_(graph) {
    int64_t index = 0;
    for (const ir::Value* input : graph.inputs()) ids_[input] = fmt::format("i{}", index++);
    index = 0;
    for (const auto& node : graph.nodes()) {
      for (const ir::Value* output : node->outputs()) {
        if (output != nullptr) ids_[output] = fmt::format("n{}", index);
      }
      ++index;
    }
  }

  std::string Draw() {
    out_ = fmt::format("digraph {} {{\n  rankdir=TB;\n  node [shape=box, fontsize=10];\n",
                       Quoted(graph_.name()));
    DrawEnds();
    DrawNodes();
    DrawEdges();
    return out_ + "}\n";
  }

 private:
  void DrawEnds() {
    for (const ir::Value* input : graph_.inputs())
      out_ += fmt::format("  {} [shape=ellipse, label={}];\n", ids_.at(input),
                          Quoted(input->name() + "\n" + input->type().ToString()));
    int64_t index = 0;
    for (const ir::GraphOutput& output : graph_.outputs())
      out_ += fmt::format("  o{} [shape=ellipse, label={}];\n", index++, Quoted(output.name));
  }

  void DrawNodes() {
    std::map<int64_t, std::string> layers;
    int64_t index = 0;
    for (const auto& node : graph_.nodes()) {
      const std::optional<int64_t> layer = LayerOf(node->name());
      std::string& target = layer ? layers[*layer] : out_;
      target += fmt::format("  {}n{} [label={}, tooltip={}];\n", layer ? "  " : "", index++,
                            Quoted(node->QualifiedOp()), Quoted(node->name()));
    }
    for (const auto& [layer, nodes] : layers) {
      out_ += fmt::format("  subgraph cluster_{} {{\n    label=\"layers.{}\";\n{}  }}\n", layer,
                          layer, nodes);
    }
  }

  void DrawEdge(const ir::Value* value, const std::string& target) {
    const auto source = ids_.find(value);
    if (source == ids_.end()) return;  // a constant
    out_ += fmt::format("  {} -> {} [label={}, fontsize=8];\n", source->second, target,
                        Quoted(value->type().shape ? ir::ShapeToString(*value->type().shape) : ""));
  }

  void DrawEdges() {
    int64_t index = 0;
    for (const auto& node : graph_.nodes()) {
      for (const ir::Value* input : node->inputs()) {
        if (input != nullptr) DrawEdge(input, fmt::format("n{}", index));
      }
      ++index;
    }
    index = 0;
    for (const ir::GraphOutput& output : graph_.outputs())
      DrawEdge(output.value, fmt::format("o{}", index++));
  }

  const ir::Graph& graph_;
  std::unordered_map<const ir::Value*, std::string> ids_;  ///< of what makes the value
  std::string out_;
};

}  // namespace

Result<std::string> DrawGraph(const std::filesystem::path& file) {
  QEFF_ASSIGN_OR_RETURN(ir::Model model, onnx_io::ReadOnnx(file));
  // Shapes are a help in the picture: where inference does not know an op, edges stay without.
  if (const Result<ops::TypeFacts> types = ops::InferTypes(model.graph); !types.ok()) {
    QEFF_ASSIGN_OR_RETURN(model, onnx_io::ReadOnnx(file));
  }
  return Drawing(model.graph).Draw();
}

}  // namespace qeff::inspect
