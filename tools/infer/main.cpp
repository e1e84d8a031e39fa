// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "stages/encoder.h"
#include "tools/common/options.h"
#include "tools/common/run_tool.h"

int main(int argc, char** argv) {
  using namespace qeff;
  std::string model;
  stages::TransformOptions transform;
  tools::ExportArguments export_arguments{.weights = "reference"};
  tools::CompileArguments compile_arguments;
  tools::RunArguments run_arguments;
  const CLI::App* parsed = nullptr;
  const tools::ToolInfo info{
      .name = "qeff-infer",
      .description =
          "All five stages in one command: finds a model, exports, compiles and runs it. What was "
          "made before is reused.",
      .examples =
          "qeff-infer ./my-model --prompt \"Once upon a time\"\n"
          "qeff-infer org/name --ctx-len 1024 --prompt \"My name is\" --max-new-tokens 50\n"
          "qeff-infer ./my-model --chat\n"
          "qeff-infer ./my-embedder --embed \"A text\" --embed \"Another one\" --similarity\n"
          "qeff-infer ./my-embedder --embed --input texts.txt --output vectors.npy\n"
          "qeff-infer ./my-reranker --rerank \"A question\" --documents texts.txt"};
  return tools::RunTool(
      argc, argv, info,
      [&](CLI::App& app) {
        parsed = &app;
        app.add_option("model", model,
                       "A folder, or org/name[@revision] that is in the Hugging Face cache")
            ->required();
        tools::AddRunOptions(app, run_arguments);
        tools::AddCompileOptions(app, compile_arguments);
        tools::AddExportOptions(app, export_arguments, "--exported-weights");
        tools::AddTransformOptions(app, transform);
      },
      [&]() -> Status {
        QEFF_ASSIGN_OR_RETURN(const std::filesystem::path checkpoint, stages::Fetch(model, {}));
        QEFF_ASSIGN_OR_RETURN(const Backend* backend,
                              FindBackend(compile_arguments.options.backend));
        // A compiler that is not ours reads weights from the ONNX folder only.
        if (backend->CompilesOnnx()) {
          export_arguments.weights = "external";
        } else if (!export_arguments.clip_to_f16) {
          export_arguments.clip_to_f16 = false;  // ours compute in f32, as Hugging Face does
        }
        QEFF_ASSIGN_OR_RETURN(
            const std::filesystem::path onnx,
            stages::Export(checkpoint, "", tools::ToExportOptions(export_arguments, transform)));
        stages::CompileOptions compile = tools::ToCompileOptions(compile_arguments);
        if (tools::WantsEncoder(*parsed) && compile.seq_lens.empty()) {
          QEFF_ASSIGN_OR_RETURN(compile.seq_lens, stages::DefaultSeqLens(onnx));
        }
        QEFF_ASSIGN_OR_RETURN(const std::filesystem::path qpc, stages::Compile(onnx, "", compile));
        run_arguments.devices = compile_arguments.devices;
        return tools::RunText(*parsed, qpc, run_arguments);
      });
}
