// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/generation/generate.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <map>

#include "lib/support/float16.h"
#include "tests/unit/lib/generation/fake_session.h"

namespace qeff {
namespace {

constexpr int64_t kVocabSize = 40;

std::vector<TokenIds> Prompts(std::vector<size_t> lengths) {
  std::vector<TokenIds> prompts;
  int64_t id = 3;
  for (const size_t length : lengths) {
    TokenIds& prompt = prompts.emplace_back();
    while (prompt.size() < length) prompt.push_back(id = (id * 7 + 5) % kVocabSize);
  }
  return prompts;
}

/// Generates without text. The place of prompt i is line i + 1 of a file.
Result<GenerationResult> Run(FakeSession& session, const std::vector<TokenIds>& prompts,
                             const GenerationOptions& options,
                             const GenerationCallbacks& callbacks = {}) {
  std::vector<Prompt> placed;
  for (const TokenIds& ids : prompts) {
    placed.push_back({ids, Location::Line("prompts", std::ssize(placed) + 1, 1)});
  }
  return Generate(session, nullptr, placed, options, callbacks);
}

/// Runs greedily, and checks outputs and what the session was fed against the model alone.
GenerationResult CheckAgainstModel(const FakeProgram& program, const std::vector<TokenIds>& prompts,
                                   int64_t new_tokens) {
  const ToyModel model = HashModel(program.vocab_size);
  FakeSession session(program, model);
  const GenerationOptions options = {.pad_id = program.pad_id, .max_new_tokens = new_tokens};
  auto result = Run(session, prompts, options);
  REQUIRE(result.ok());
  REQUIRE(result->outputs.size() == prompts.size());
  std::vector<TokenIds> fed;
  for (size_t i = 0; i < prompts.size(); ++i) {
    INFO("prompt " << i);
    const TokenIds expected = Continue(model, prompts[i], new_tokens);
    CHECK(result->outputs[i].ids == expected);
    CHECK(result->outputs[i].stop_reason == StopReason::kLength);
    TokenIds all = prompts[i];
    all.insert(all.end(), expected.begin(), expected.end() - 1);  // the last token is not fed
    fed.push_back(all);
  }
  std::ranges::sort(fed);
  CHECK(session.Fed() == fed);
  return std::move(result).value();
}

std::string Failure(FakeSession& session, const std::vector<TokenIds>& prompts,
                    const GenerationOptions& options = {}) {
  const auto result = Run(session, prompts, options);
  REQUIRE_FALSE(result.ok());
  CHECK(session.runs() == 0);
  return result.diagnostic().ToString();
}

}  // namespace

TEST_CASE("every chunk size gives the same tokens") {
  for (const int64_t chunk : {1, 3, 4, 7, 32}) {
    INFO("chunk " << chunk);
    for (const size_t length : {1, 3, 4, 5, 8, 33}) {
      CheckAgainstModel({.prefill_tokens = chunk}, Prompts({length}), 9);
    }
  }
}

TEST_CASE("one specialization of several tokens serves both phases") {
  CheckAgainstModel({.prefill_tokens = 8, .decode_tokens = 8}, Prompts({11}), 6);
  CheckAgainstModel({.batch = 3, .prefill_tokens = 8, .decode_tokens = 8}, Prompts({11, 2, 8}), 6);
}

TEST_CASE("prompts of different lengths get in a batch what each gets alone") {
  // Chunks of 4: the last chunks of these prompts are the 1st, 3rd, 2nd and 1st.
  CheckAgainstModel({.batch = 4, .pad_id = 39}, Prompts({2, 11, 8, 4}), 7);
}

TEST_CASE("prompts that do not fill the batch, or fill it several times") {
  CheckAgainstModel({.batch = 4}, Prompts({5, 1}), 7);
  CheckAgainstModel({.batch = 2}, Prompts({5, 1, 6, 9, 3}), 7);
  CheckAgainstModel({.batch = 2}, {}, 7);
}

TEST_CASE("continuous batching gives each prompt what it gets alone") {
  const std::vector<TokenIds> prompts = Prompts({5, 1, 6, 9, 3, 17, 4});
  for (const int64_t slots : {1, 2, 3, 8}) {
    for (const int64_t prefill_batch : {int64_t{1}, std::min<int64_t>(slots, 2), slots}) {
      INFO("slots " << slots << " prefill batch " << prefill_batch);
      CheckAgainstModel({.batch = slots, .has_slot_index = true, .prefill_batch = prefill_batch},
                        prompts, 7);
    }
  }
  // One specialization with one token serves both phases, for all slots.
  CheckAgainstModel({.batch = 3, .prefill_tokens = 1, .has_slot_index = true}, prompts, 7);
}

TEST_CASE("a slot takes the next prompt while others go on") {
  // Prompts of 1 token end after 2, 20, 2, 2 and 2 tokens, by an EOS that the script says then.
  std::vector<TokenIds> prompts;
  for (const int64_t id : {10, 11, 12, 13, 14}) prompts.push_back({id});
  const ToyModel model = [](const TokenIds& history) {
    std::vector<float> logits(kVocabSize, 0.0f);
    const size_t tokens = history[0] == 11 ? 20 : 2;
    logits[history.size() < tokens ? history[0] : 2] = 1.0f;
    return logits;
  };
  FakeSession session({.batch = 2, .has_slot_index = true}, model);
  auto result = Run(session, prompts, {.eos_ids = {2}});
  REQUIRE(result.ok());
  for (size_t i = 0; i < prompts.size(); ++i) {
    TokenIds expected(i == 1 ? 19 : 1, prompts[i][0]);
    expected.push_back(2);
    CHECK(result->outputs[i].ids == expected);
  }
  CHECK(session.runs() ==
        5 + 19);  // a prefill each; the long prompt's decode runs serve all others
  CHECK(result->metrics.prefill_tokens == 5);
  CHECK(result->metrics.decode_tokens == 4 + 19);
}

TEST_CASE("without slot index a group ends with its longest prompt") {
  const ToyModel model = ScriptModel(kVocabSize, 1, {5, 5, 2});
  FakeSession session({.batch = 2}, model);
  const auto result = Run(session, {{9}, {8}, {7}}, {.eos_ids = {2}});
  REQUIRE(result.ok());
  CHECK(session.runs() == 2 * (1 + 2));
}

TEST_CASE("the smallest compute context that covers a position is used") {
  CheckAgainstModel({.compute_contexts = {16, 64, 32}}, Prompts({13}), 40);
  CheckAgainstModel({.batch = 2, .compute_contexts = {8, 64}}, Prompts({30, 2}), 20);
}

TEST_CASE("decode reads what prefill cannot look at") {
  const FakeProgram program = {
      .batch = 2, .prefill_tokens = 8, .compute_contexts = {32, 64}, .prefill_contexts = {16, 28}};
  CheckAgainstModel(program, Prompts({28, 3}), 5);
  CheckAgainstModel(program, Prompts({3, 35}), 5);
  FakeProgram with_slots = program;
  with_slots.has_slot_index = true;
  CheckAgainstModel(with_slots, Prompts({3, 35, 29, 50}), 5);
}

TEST_CASE("a speculative target's last kept row is read") {
  CheckAgainstModel({.prefill_tokens = 8, .decode_tokens = 3, .kept_rows = 3}, Prompts({13}), 10);
  CheckAgainstModel({.batch = 2, .prefill_tokens = 8, .decode_tokens = 5, .kept_rows = 2},
                    Prompts({1, 9}), 10);
  // Logits of all positions, as graphs of other tools have them.
  CheckAgainstModel({.prefill_tokens = 4, .decode_tokens = 4, .kept_rows = 4}, Prompts({7}), 10);
}

TEST_CASE("16-bit logits are converted") {
  CheckAgainstModel({.logits_dtype = DType::kF16}, Prompts({5}), 10);
  CheckAgainstModel({.batch = 2, .logits_dtype = DType::kBf16}, Prompts({5, 2}), 10);
  const ToyModel model = HashModel(kVocabSize);
  for (const DType dtype : {DType::kF16, DType::kBf16}) {
    std::vector<float> row;
    const GenerationCallbacks callbacks = {.on_logits = [&](size_t, std::span<const float> logits) {
      row.assign(logits.begin(), logits.end());
      return Status::Ok();
    }};
    FakeSession session({.logits_dtype = dtype}, model);
    REQUIRE(Run(session, {{1}}, {.max_new_tokens = 1}, callbacks).ok());
    std::vector<float> expected = model({1});
    for (float& value : expected) {
      value = dtype == DType::kF16 ? F16ToF32(F32ToF16(value)) : Bf16ToF32(F32ToBf16(value));
    }
    CHECK(row == expected);
  }
}

TEST_CASE("drawn tokens do not depend on the batch") {
  const std::vector<TokenIds> prompts = Prompts({5, 1, 6, 9});
  GenerationOptions options = {.max_new_tokens = 12};
  options.sampling = {
      .sample = true, .temperature = 4.0, .top_k = 20, .repetition_penalty = 1.1, .seed = 3};
  std::vector<std::vector<TokenIds>> all;
  for (const FakeProgram& program :
       {FakeProgram{}, FakeProgram{.batch = 3},
        FakeProgram{.batch = 2, .prefill_tokens = 2, .has_slot_index = true}}) {
    FakeSession session(program, HashModel(kVocabSize));
    const auto result = Run(session, prompts, options);
    REQUIRE(result.ok());
    std::vector<TokenIds>& ids = all.emplace_back();
    for (const GenerationOutput& output : result->outputs) ids.push_back(output.ids);
  }
  CHECK(all[1] == all[0]);
  CHECK(all[2] == all[0]);
  CHECK(all[0][0] != Continue(HashModel(kVocabSize), prompts[0], 12));
}

TEST_CASE("equal prompts draw different tokens") {
  FakeSession session({}, HashModel(kVocabSize));
  GenerationOptions options = {.max_new_tokens = 12};
  options.sampling = {.sample = true, .temperature = 4.0};
  const auto result = Run(session, {{1, 2}, {1, 2}}, options);
  REQUIRE(result.ok());
  CHECK(result->outputs[0].ids != result->outputs[1].ids);
}

TEST_CASE("the repetition penalty counts the prompt") {
  const ToyModel model = [](const TokenIds&) {
    std::vector<float> logits(kVocabSize, 0.0f);
    logits[5] = 3.0f;
    logits[6] = 2.0f;
    return logits;
  };
  FakeSession session({}, model);
  GenerationOptions options = {.max_new_tokens = 1};
  options.sampling.repetition_penalty = 2.0;
  const auto result = Run(session, {{5, 1}, {1}}, options);
  REQUIRE(result.ok());
  CHECK(result->outputs[0].ids == TokenIds{6});
  CHECK(result->outputs[1].ids == TokenIds{5});
}

TEST_CASE("each EOS id ends a prompt and is its last token") {
  for (const int64_t eos : {2, 17, 39}) {
    FakeSession session({}, ScriptModel(kVocabSize, 3, {4, 5, eos}));
    const auto result = Run(session, {{1, 1, 1}}, {.eos_ids = {2, 17, 39}});
    REQUIRE(result.ok());
    CHECK(result->outputs[0].ids == TokenIds{4, 5, eos});
    CHECK(result->outputs[0].stop_reason == StopReason::kEos);
  }
  FakeSession session({}, ScriptModel(kVocabSize, 1, {2}));
  const auto result = Run(session, {{1}}, {.eos_ids = {2}});
  REQUIRE(result.ok());
  CHECK(result->outputs[0].ids == TokenIds{2});
  CHECK(session.runs() == 1);
}

TEST_CASE("the context bounds what can be made") {
  const FakeProgram program = {.context_tokens = 16};
  const auto run = [&](size_t prompt_tokens, std::optional<int64_t> max_new_tokens) {
    FakeSession session(program, HashModel(kVocabSize));
    const auto result = Run(session, Prompts({prompt_tokens}), {.max_new_tokens = max_new_tokens});
    REQUIRE(result.ok());
    return std::pair(result->outputs[0].ids.size(),
                     std::string(StopReasonName(result->outputs[0].stop_reason)));
  };
  CHECK(run(10, std::nullopt) == std::pair(size_t{6}, std::string("context")));
  CHECK(run(10, 5) == std::pair(size_t{5}, std::string("length")));
  CHECK(run(10, 7) == std::pair(size_t{7}, std::string("length")));
  CHECK(run(10, 100) == std::pair(size_t{7}, std::string("context")));
  CHECK(run(16, std::nullopt) == std::pair(size_t{1}, std::string("context")));
  CHECK(run(16, 3) == std::pair(size_t{1}, std::string("context")));
}

TEST_CASE("callbacks get each token once, and the row that chose it") {
  const std::vector<TokenIds> prompts = Prompts({5, 1, 6});
  const ToyModel model = HashModel(kVocabSize);
  std::map<size_t, TokenIds> streamed;
  std::map<size_t, std::vector<std::vector<float>>> rows;
  const GenerationCallbacks callbacks = {.on_token =
                                             [&](const TokenEvent& event) {
                                               CHECK(event.text.empty());
                                               streamed[event.prompt].push_back(event.id.value());
                                               return Status::Ok();
                                             },
                                         .on_logits =
                                             [&](size_t prompt, std::span<const float> logits) {
                                               rows[prompt].emplace_back(logits.begin(),
                                                                         logits.end());
                                               return Status::Ok();
                                             }};
  FakeSession session({.batch = 2}, model);
  const auto result = Run(session, prompts, {.max_new_tokens = 4}, callbacks);
  REQUIRE(result.ok());
  for (size_t i = 0; i < prompts.size(); ++i) {
    CHECK(streamed[i] == result->outputs[i].ids);
    REQUIRE(rows[i].size() == 4);
    TokenIds history = prompts[i];
    for (size_t t = 0; t < 4; ++t) {
      CHECK(rows[i][t] == model(history));
      history.push_back(streamed[i][t]);
    }
  }
}

TEST_CASE("a callback's error ends the generation") {
  const GenerationCallbacks callbacks = {
      .on_token = [](const TokenEvent&) { return IoError(Location::File("out"), "disk full"); }};
  FakeSession session({}, HashModel(kVocabSize));
  const auto result = Run(session, {{1}}, {}, callbacks);
  REQUIRE_FALSE(result.ok());
  CHECK(result.diagnostic().code == ErrorCode::kIo);
  CHECK(session.runs() == 1);
}

TEST_CASE("metrics count prompts and tokens") {
  const GenerationMetrics metrics = CheckAgainstModel({.batch = 2}, Prompts({5, 1, 6}), 4).metrics;
  CHECK(metrics.prefill_tokens == 12);
  CHECK(metrics.decode_tokens == 3 * 3);
  CHECK(metrics.prefill_tok_s == Approx(12 / metrics.prefill_s));
  CHECK(metrics.decode_tok_s == Approx(9 / metrics.decode_s));
  CHECK(metrics.total_tok_s == Approx(12 / metrics.total_s));
  CHECK(metrics.total_s >= metrics.prefill_s + metrics.decode_s);
  CHECK(metrics.time_to_first_token_s > 0);
  CHECK(metrics.time_to_first_token_s < metrics.prefill_s);
}

TEST_CASE("bad_prompt is refused before anything runs") {
  FakeSession session({.context_tokens = 16}, HashModel(kVocabSize));
  CHECK(Failure(session, {{1}, {}}) ==
        "prompts:2:1: error: prompt 1 has no tokens\n"
        "note: give it at least one character or token id");
  CHECK(
      Failure(session, {{1}, TokenIds(17, 3)}) ==
      "prompts:2:1: error: prompt 1 has 17 tokens, expected at most 16 ('ctx_len' of the compiled "
      "program)\n"
      "note: shorten it, or compile with --ctx-len=18 or more");
  CHECK(Failure(session, {{1, 40}}) ==
        "prompts:1:1: error: prompt 0: token 1: expected an id from 0 to 39, got 40\n"
        "note: the tokenizer may belong to another model");
  CHECK(Failure(session, {{-1}}) ==
        "prompts:1:1: error: prompt 0: token 0: expected an id from 0 to 39, got -1\n"
        "note: the tokenizer may belong to another model");
  CHECK(Failure(session, {{40, 41}}, {.added_vocab_size = 1}) ==
        "prompts:1:1: error: prompt 0: token 1: expected an id from 0 to 40, got 41\n"
        "note: the tokenizer may belong to another model");
}

TEST_CASE("bad_prompt: the error names the place that the prompt came from") {
  FakeSession session({}, HashModel(kVocabSize));
  const auto place = [&](const Location& where) {
    const std::vector<Prompt> prompts = {{{1}, Location::Flag("--other")}, {{40}, where}};
    const auto result = Generate(session, nullptr, prompts, {}, {});
    REQUIRE_FALSE(result.ok());
    const std::string text = result.diagnostic().ToString();
    return text.substr(0, text.find("error: prompt 1: token 0"));
  };
  CHECK(place(Location::Flag("--input-ids")) == "--input-ids: ");
  CHECK(place(Location::File("messages.json")) == "messages.json: ");
  CHECK(place(Location::Line("prompts.txt", 7, 3)) == "prompts.txt:7:3: ");
  CHECK(place({}) == "");
}

TEST_CASE("bad_prompt is longer than the longest compute context") {
  FakeSession session({.compute_contexts = {16, 32}}, HashModel(kVocabSize));
  CHECK(Failure(session, {TokenIds(33, 3)}).find("has 33 tokens, expected at most 32") !=
        std::string::npos);
}

TEST_CASE("bad_options are refused before anything runs") {
  FakeSession session({}, HashModel(kVocabSize));
  CHECK(Failure(session, {{1}}, {.max_new_tokens = 0}) ==
        "--max-new-tokens: error: expected a number above 0, got 0");
  CHECK(Failure(session, {{1}}, {.stop_strings = {"x"}}) ==
        "--stop: error: stop strings need a tokenizer\n"
        "note: the program's folder has no 'tokenizer.json'");
  CHECK(Failure(session, {{1}}, {.pad_id = 40}) ==
        "tensor 'input_ids': error: padding id: expected one from 0 to 39, got 40");
}

TEST_CASE("bad_logits: NaN in a row that is used") {
  const ToyModel model = [](const TokenIds& history) {
    std::vector<float> logits = HashedLogits(history, kVocabSize);
    if (history.size() == 4) logits[7] = std::numeric_limits<float>::quiet_NaN();
    return logits;
  };
  FakeSession session({}, model);
  const auto result = Run(session, {{1, 2}}, {});
  REQUIRE_FALSE(result.ok());
  CHECK(result.diagnostic().code == ErrorCode::kInvalidInput);
  CHECK(result.diagnostic().message == "the row that chooses the token holds NaN");
}

TEST_CASE("bad_program: what text generation cannot drive is refused") {
  const auto failure = [](const std::function<void(std::vector<SpecializationInfo>&)>& damage) {
    FakeSession session({.batch = 2}, HashModel(kVocabSize));
    damage(session.infos());
    return Failure(session, {{1}});
  };
  using Infos = std::vector<SpecializationInfo>;
  CHECK(failure([](Infos& infos) { infos.clear(); }) ==
        "tensor 'input_ids': error: the program has no specialization");
  CHECK(failure([](Infos& infos) { infos[0].inputs.erase(infos[0].inputs.begin()); }) ==
        "specialization 'Prefill': tensor 'input_ids': error: the program has no such input\n"
        "note: text generation needs a decoder that was exported with a KV cache");
  CHECK(
      failure([](Infos& infos) {
        infos[1].inputs[1].dims = {2, 2};
      }) ==
      "specialization 'Decode': tensor 'position_ids': error: expected i64 [2, 1], got i64 [2, 2]");
  CHECK(
      failure([](Infos& infos) { infos[0].inputs[0].dtype = DType::kI32; }) ==
      "specialization 'Prefill': tensor 'input_ids': error: expected i64 [batch, tokens], got i32 "
      "[2, 4]");
  CHECK(failure([](Infos& infos) {
          infos[0].inputs.push_back({"lora_ids", DType::kI64, {2, 1}});
        }) ==
        "specialization 'Prefill': tensor 'lora_ids': error: text generation does not know how to "
        "fill this input");
  CHECK(failure([](Infos& infos) { infos[0].symbols.clear(); }) ==
        "specialization 'Prefill': tensor 'position_ids': error: the specialization has no symbol "
        "'ctx_len' above 0");
  CHECK(failure([](Infos& infos) { infos[1].symbols["ctx_len"] = 65; }) ==
        "specialization 'Decode': tensor 'position_ids': error: the specializations differ in "
        "'ctx_len' or in having 'batch_index'");
  CHECK(failure([](Infos& infos) { infos[0].outputs.clear(); }) ==
        "specialization 'Prefill': tensor 'logits': error: the program has no such output");
  CHECK(failure([](Infos& infos) {
          infos[0].outputs[0].dims = {2, 40};
        }) ==
        "specialization 'Prefill': tensor 'logits': error: expected f32, f16 or bf16 [2, kept, "
        "vocabulary], got f32 [2, 40]");
  CHECK(failure([](Infos& infos) {
          infos[1].outputs[0].dims = {2, 1, 41};
        }) ==
        "specialization 'Decode': tensor 'logits': error: expected vocabulary size 40 as in the "
        "first specialization, got 41");
  CHECK(
      failure([](Infos& infos) {
        for (TensorInfo& input : infos[0].inputs) input.dims[0] = 1;
        infos[0].outputs[0].dims[0] = 1;
      }) ==
      "specialization 'Prefill': tensor 'input_ids': error: expected a prefill batch of 2, got 1");
}

}  // namespace qeff
