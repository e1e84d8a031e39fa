// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// What passes refuse.
#include <catch2/catch.hpp>

#include "lib/onnx_io/text.h"
#include "passes/pass_manager.h"

namespace qeff {

TEST_CASE("bad_ target of speculation whose state cannot take tokens back") {
  Result<ir::Model> model = onnx_io::ParseText(
      "g (float[b,t,4] x, int64[b,t] position_ids, float[b,4,3] \"conv_state.0\") => "
      "(float[b,t,2] logits, float[b,4,3] \"conv_state.0_RetainedState\") "
      "<float[4,1,3] w = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, float[2,4] head = {1, 2, 3, 4, 5, "
      "6, 7, 8}> "
      "{ c, \"conv_state.0_RetainedState\" = qeff.CausalConv (x, w, position_ids, \"\", "
      "\"conv_state.0\") logits = qeff.Linear (c, head) }",
      "graph");
  INFO((model.ok() ? "" : model.diagnostic().ToString()));
  REQUIRE(model.ok());
  const Result<passes::Change> change =
      passes::RunPipeline(*model, {{"keep-speculative-logits", {}}});
  REQUIRE_FALSE(change.ok());
  CHECK(change.diagnostic().code == ErrorCode::kUnsupported);
  CHECK(change.diagnostic().message ==
        "the state of CausalConv cannot take back tokens that are rejected");
}

}  // namespace qeff
