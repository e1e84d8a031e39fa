// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/embedding/encoder_program.h"

#include <catch2/catch.hpp>

#include "tests/unit/lib/embedding/sum_session.h"

namespace qeff {
namespace {

constexpr int64_t kPadId = 9;

TEST_CASE("rows are padded, types converted") {
  for (const DType dtype : {DType::kF32, DType::kBf16}) {
    SumSession session({{2, 8}, {3, 4}}, dtype);
    auto program = EncoderProgram::Open(session, kPadId);
    REQUIRE(program.ok());
    REQUIRE(program->output() == EncoderOutput::kEmbedding);
    REQUIRE(program->features() == 3);
    REQUIRE(program->max_tokens() == 8);
    REQUIRE(program->shapes()[0].tokens == 4);
    const Encoding first = Text({1, 2, 3}, 0);
    const Encoding second = Text({4}, 1);
    const std::vector<const Encoding*> rows = {&first, &second};
    // The longer run leaves nothing behind in the shorter one, nor the other way round.
    for (const size_t shape : {1, 0, 1}) {
      REQUIRE(program->Run(shape, rows).ok());
      const auto pad = static_cast<float>((program->shapes()[shape].tokens - 3) * kPadId);
      REQUIRE(program->Row(0)[0] == 6);
      REQUIRE(program->Row(0)[1] == 6 + pad);
      REQUIRE(program->Row(1)[0] == 4);
      REQUIRE(program->Row(1)[2] == 1);
    }
  }
}

std::string OpenError(SumSession& session) {
  const auto program = EncoderProgram::Open(session, kPadId);
  REQUIRE_FALSE(program.ok());
  return program.diagnostic().ToString();
}

TEST_CASE("bad programs") {
  SumSession none({});
  REQUIRE_THAT(OpenError(none), Catch::Contains("no specialization"));
  SumSession decoder({{1, 4}});
  decoder.infos[0].inputs[1].name = "position_ids";
  REQUIRE_THAT(OpenError(decoder), Catch::Contains("this may be a program that generates text"));
  SumSession strange({{1, 4}});
  strange.infos[0].inputs[2].name = "pixel_values";
  REQUIRE_THAT(OpenError(strange), Catch::Contains("not one of an encoder"));
  SumSession uneven({{1, 4}});
  uneven.infos[0].inputs[1].dims = {1, 5};
  REQUIRE_THAT(OpenError(uneven), Catch::Contains("expected i64 [batch, tokens], got i64 [1, 5]"));
  SumSession unnamed({{1, 4}});
  unnamed.infos[0].outputs[0].name = "scores";
  REQUIRE_THAT(OpenError(unnamed), Catch::Contains("neither 'output' nor 'logits'"));
  SumSession flat({{1, 4}});
  flat.infos[0].outputs[0].dims = {3};
  REQUIRE_THAT(OpenError(flat), Catch::Contains("expected floats for each text"));
  SumSession differing({{1, 4}, {1, 8}});
  differing.infos[1].outputs[0].dims = {1, 5};
  REQUIRE_THAT(OpenError(differing), Catch::Contains("the specializations differ"));
}

}  // namespace
}  // namespace qeff
