// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "lib/ops/op.h"

namespace qeff::ops {

#define OP(file, function) std::vector<OpDefinition> function();
#include "lib/ops/ops.def"
#undef OP

namespace {

using Key = std::pair<std::string_view, std::string_view>;

const std::map<Key, OpDefinition>& Registry() {
  static const std::map<Key, OpDefinition> registry = [] {
    std::map<Key, OpDefinition> made;
    for (const auto function : {
#define OP(file, function) &function,
#include "lib/ops/ops.def"
#undef OP
         }) {
      for (OpDefinition& op : function()) {
        const Key key(op.schema.domain, op.schema.op_type);
        QEFF_CHECK(made.emplace(key, std::move(op)).second, "two definitions of '{}'", key.second);
      }
    }
    return made;
  }();
  return registry;
}

}  // namespace

const OpDefinition* FindOp(std::string_view domain, std::string_view op_type) {
  const auto found = Registry().find({domain == "ai.onnx" ? "" : domain, op_type});
  return found == Registry().end() ? nullptr : &found->second;
}

const std::vector<const OpDefinition*>& AllOps() {
  static const std::vector<const OpDefinition*> ops = [] {
    std::vector<const OpDefinition*> made;
    for (const auto& [key, op] : Registry()) made.push_back(&op);
    return made;
  }();
  return ops;
}

}  // namespace qeff::ops
