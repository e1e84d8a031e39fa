// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Models that the original exporter wrote, with the calls that were recorded on them: each compiles
// for each backend and gives the recorded outputs; the card is a simulated one. The calls are
// replayed in order, so retained state is carried by the session as on a card.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "lib/checkpoint/safetensors.h"
#include "lib/onnx_io/reader.h"
#include "lib/support/json.h"
#include "passes/pipelines.h"
#include "stages/stages.h"

namespace qeff {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStandInSdk = QEFF_STANDIN_SDK;

fs::path SharedFolder() {
  const char* from_environment = std::getenv("QEFF_SHARED");
  return from_environment != nullptr ? fs::path(from_environment) : fs::path("../shared");
}

class Replay {
 public:
  Replay(fs::path folder, std::string backend)
      : folder_(std::move(folder)), backend_(std::move(backend)) {}

  void Run() {
    auto calls = ReadJsonFile(folder_ / "calls.json");
    REQUIRE(calls.ok());
    auto io = checkpoint::SafetensorsFile::Open(folder_ / "io.safetensors");
    REQUIRE(io.ok());
    io_ = &*io;
    const bool is_decoder = calls->contains("ctx_len");
    if (is_decoder) Compile(DecoderOptions(*calls));
    int index = 0;
    for (const Json& call : calls->at("calls")) {
      INFO(folder_.filename().string()
           << " on " << backend_ << ", call " << index++ << ": " << call.value("note", ""));
      if (!is_decoder) Compile(EncoderOptions(call));  // each call has a batch size of its own
      Call(call);
    }
  }

  ~Replay() {
    std::error_code ignored;
    fs::remove_all(output_, ignored);
  }

 private:
  const checkpoint::StoredTensor& Tensor(const std::string& key) const {
    const checkpoint::StoredTensor* tensor = io_->Find(key);
    REQUIRE(tensor != nullptr);
    return *tensor;
  }

  /// "zeros:1x256x32".
  static std::vector<int64_t> ZeroDims(const std::string& text) {
    REQUIRE(text.starts_with("zeros:"));
    std::vector<int64_t> dims;
    for (size_t at = text.find(':'); at != std::string::npos; at = text.find('x', at + 1))
      dims.push_back(std::stoll(text.substr(at + 1)));
    return dims;
  }

  stages::CompileOptions EncoderOptions(const Json& call) const {
    const auto& shape = Tensor(call.at("inputs").at("input_ids")).shape;
    return {.backend = backend_, .batch_size = shape[0], .seq_lens = {shape[1]}};
  }

  stages::CompileOptions DecoderOptions(const Json& calls) const {
    stages::CompileOptions options{.backend = backend_};
    options.prefill_seq_len = 1;
    options.ctx_len = calls.at("ctx_len");
    for (const Json& call : calls.at("calls")) {
      const auto& shape = Tensor(call.at("inputs").at("input_ids")).shape;
      options.prefill_seq_len = std::max(*options.prefill_seq_len, shape[1]);
      if (call.at("inputs").contains("batch_index")) {
        options.full_batch_size = std::max(options.full_batch_size.value_or(1), shape[0]);
        options.kv_cache_batch_size =
            calls.at("state_shapes").begin().value().begin().value().at(0);
      } else {
        options.batch_size = shape[0];
      }
      // The verifying call comes last: the accepted token and the guessed ones.
      if (call.at("inputs").contains("num_logits_to_keep"))
        options.num_speculative_tokens = shape[1] - 1;
      if (call.at("inputs").contains("comp_ctx_lengths"))
        options.ccl_prefill = options.ccl_decode = {*options.ctx_len};
      if (call.at("inputs").contains("vision_embeds")) {
        const std::vector<int64_t> dims = ZeroDims(call.at("inputs").at("vision_embeds"));
        options.dims = {{"vision_batch_size", dims.at(0)}, {"vision_size", dims.at(1)}};
      }
    }
    return options;
  }

  void Compile(stages::CompileOptions options) {
    options.target.num_cores = 2;
    if (backend_ == "aic100") options.target.card.sdk = kStandInSdk;
    output_ = fs::temp_directory_path() /
              ("qeff-foreign-" + folder_.filename().string() + "-" + backend_);
    fs::remove_all(output_);
    const auto compiled = stages::Compile(folder_, output_, options);
    if (!compiled.ok()) FAIL(compiled.diagnostic().ToString());
    auto session = stages::OpenProgram(
        output_, {.card_plugin = fs::path(kStandInSdk) / "qeff" / "libqeff_aic_session.so"});
    if (!session.ok()) FAIL(session.diagnostic().ToString());
    session_ = std::move(*session);
  }

  /// The specialization whose input_ids have the call's shape.
  size_t Choose(const Json& call) const {
    const auto& wanted = Tensor(call.at("inputs").at("input_ids")).shape;
    for (size_t i = 0; i < session_->specializations().size(); ++i) {
      for (const TensorInfo& input : session_->specializations()[i].inputs) {
        if (input.name == "input_ids" && input.dims == wanted) return i;
      }
    }
    FAIL("no specialization for this call");
    return 0;
  }

  void Call(const Json& call) {
    const size_t specialization = Choose(call);
    for (const auto& item : call.at("inputs").items()) {
      // Of comp_ctx_lengths only the length counts, and that is the specialization's.
      if (item.value() == "state" || item.key() == "comp_ctx_lengths") continue;
      const auto buffer = session_->Input(specialization, item.key());
      if (item.value().get<std::string>().starts_with("zeros:")) {
        std::fill(buffer.begin(), buffer.end(), std::byte{0});
        continue;
      }
      const checkpoint::StoredTensor& tensor = Tensor(item.value());
      REQUIRE(buffer.size() == static_cast<size_t>(tensor.size_bytes));
      std::memcpy(buffer.data(), io_->Data(tensor).data(), buffer.size());
    }
    const Status status = session_->Run(specialization);
    if (!status.ok()) FAIL(status.diagnostic().ToString());
    Compare(call, specialization);
  }

  void Compare(const Json& call, size_t specialization) {
    const std::string name = call.at("outputs").contains("logits") ? "logits" : "output";
    const checkpoint::StoredTensor& tensor = Tensor(call.at("outputs").at(name));
    const auto got_bytes = session_->Output(specialization, name);
    REQUIRE(got_bytes.size() == static_cast<size_t>(tensor.size_bytes));
    const auto* got = reinterpret_cast<const float*>(got_bytes.data());
    const auto* expected = reinterpret_cast<const float*>(io_->Data(tensor).data());
    const size_t count = got_bytes.size() / sizeof(float);
    float largest = 0;
    for (size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(expected[i]));
    for (size_t i = 0; i < count; ++i) {
      if (std::fabs(got[i] - expected[i]) <= 1e-4F * largest) continue;
      FAIL(name << ' ' << i << ": " << got[i] << ", recorded " << expected[i] << ", largest "
                << largest);
    }
  }

  fs::path folder_;
  std::string backend_;
  fs::path output_;
  const checkpoint::SafetensorsFile* io_ = nullptr;
  std::unique_ptr<Session> session_;
};

void ReplayOnAllBackends(const std::string& name) {
  const fs::path folder = SharedFolder() / "goldens/qefficient/onnx" / name;
  if (!fs::exists(folder)) {
    std::cout << "SKIPPED: " << folder.string() << " is not there\n";
    return;
  }
  for (const std::string backend : {"reference", "cpu", "aic100"}) Replay(folder, backend).Run();
}

}  // namespace

TEST_CASE("the original's llama gives its recorded logits") { ReplayOnAllBackends("llama"); }
TEST_CASE("the original's llama with layer functions gives its recorded logits") {
  ReplayOnAllBackends("llama_subfunctions");
}
TEST_CASE("the original's llama with continuous batching gives its recorded logits") {
  ReplayOnAllBackends("llama_cb");
}
TEST_CASE("the original's llama as a speculative target gives its recorded logits") {
  ReplayOnAllBackends("llama_tlm");
}
TEST_CASE("the original's qwen3 gives its recorded logits") { ReplayOnAllBackends("qwen3"); }
TEST_CASE("the original's gpt2 gives its recorded logits") { ReplayOnAllBackends("gpt2"); }
TEST_CASE("the original's gemma2 gives its recorded logits") { ReplayOnAllBackends("gemma2"); }
TEST_CASE("the original's falcon gives its recorded logits") { ReplayOnAllBackends("falcon"); }
TEST_CASE("the original's llama with compute context lengths gives its recorded logits") {
  ReplayOnAllBackends("llama_ccl");
}
TEST_CASE("the original's mixtral gives its recorded logits") { ReplayOnAllBackends("mixtral"); }
TEST_CASE("the original's gpt_oss, a ring cache and sinks, gives its recorded logits") {
  ReplayOnAllBackends("gpt_oss");
}
TEST_CASE(
    "the original's gemma3 decoder, a ring cache beside image embeddings, gives its recorded "
    "logits") {
  ReplayOnAllBackends("gemma3");
}
TEST_CASE("the original's mpt gives its recorded logits") { ReplayOnAllBackends("mpt"); }
TEST_CASE("the original's pooled bert gives its recorded vectors") {
  ReplayOnAllBackends("bert_mean");
}
TEST_CASE("attentions of the original's bert take its mask, so that padding can be removed") {
  const fs::path file = SharedFolder() / "goldens/qefficient/onnx/bert_mean/PooledModel.onnx";
  if (!fs::exists(file)) {
    std::cout << "SKIPPED: " << file.string() << " is not there\n";
    return;
  }
  Result<ir::Model> model = onnx_io::ReadOnnx(file);
  if (!model.ok()) FAIL(model.diagnostic().ToString());
  passes::Pipeline pipeline = passes::RaisingPipeline();
  pipeline.push_back({"remove-padding", {}});
  const auto change = passes::RunPipeline(*model, pipeline);
  if (!change.ok()) FAIL(change.diagnostic().ToString());
  const auto& nodes = model->graph.nodes();
  const auto packed = std::count_if(
      nodes.begin(), nodes.end(), [](const auto& node) { return node->IsQeff("PackedAttention"); });
  CHECK(packed == 2);  // one in each layer
}

}  // namespace qeff
