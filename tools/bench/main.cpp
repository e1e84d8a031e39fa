// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/measure.h"
#include "tools/common/run_tool.h"

namespace {

constexpr char kFooter[] =
    "A cell is measured between two runs of the limit probe; the better of the two counts. The "
    "least\n"
    "time of a cell is the longer one of\n"
    "  reading: bytes of weights, and of the keys and values that are seen, over the bandwidth of\n"
    "    reading as many bytes again and again;\n"
    "  computing: 2 x rows x inputs x outputs of every matrix product, and 2 x heads x (key size "
    "+\n"
    "    value size) for every key that a token sees, over the peak of the instruction for it.\n"
    "'of the limit' is the least time over the time that it took.\n"
    "\n"
    "A peer is a command that reads a request a line, like\n"
    "  {\"test\":\"prefill\",\"tokens\":512,\"depth\":0,\"batch\":1,\"threads\":2}\n"
    "and answers, within ten minutes, {\"tok_s\": 123.4, \"engine\": \"name\"}, or a line that "
    "ends\n"
    "in '123.4 tok/s', or {\"error\": \"why\"} if it does not do that.\n";

struct Arguments {
  qeff::bench::BenchOptions options;
  std::vector<std::string> programs;
  std::vector<std::string> against;
  std::string format = "md";
  bool only_limits = false;
};

void AddOptions(CLI::App& app, Arguments& arguments) {
  qeff::bench::BenchOptions& options = arguments.options;
  app.add_option("qpc", arguments.programs, "QPC folders");
  const auto numbers = [&](const std::string& name, auto& values, const std::string& help,
                           int64_t least) {
    app.add_option(name, values, help)
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::Range(least, int64_t{1} << 24))
        ->type_name("N,...");
  };
  // No default is captured: lists print badly.
  numbers("-p,--prompt", options.prompt_tokens, "Prompt tokens; 0: no prefill (default: 512)", 0);
  numbers("-n,--gen", options.new_tokens,
          "New tokens, one after the other; 0: no decode (default: 128)", 0);
  numbers("-b,--batch", options.batches, "Rows side by side (default: all of the program)", 1);
  numbers("-d,--depth", options.depths, "Tokens that the context holds before (default: 0)", 0);
  numbers("-t,--threads", options.threads, "Threads (default: as compiled)", 1);
  app.add_option("--isa", options.isa,
                 "Instruction set of the kernels, and of their limits, e.g. avx2 "
                 "(default: the best one of this machine)")
      ->check(qeff::tools::NotEmpty());
  app.add_option("-r,--repetitions", options.repetitions, "Samples of each cell, after a warm-up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--against", arguments.against,
                 "Command of a peer, measured in turn with ours; several times if needed")
      ->type_name("COMMAND")
      ->allow_extra_args(false);
  app.add_flag("--limits", arguments.only_limits, "Only measure what the machine can do");
  app.add_option("--format", arguments.format, "md, json or csv")
      ->check(CLI::IsMember({"md", "json", "csv"}))
      ->capture_default_str();
  app.footer(kFooter);
}

qeff::bench::Format FormatOf(const std::string& name) {
  return name == "json"  ? qeff::bench::Format::kJson
         : name == "csv" ? qeff::bench::Format::kCsv
                         : qeff::bench::Format::kMarkdown;
}

qeff::Status Measure(Arguments& arguments, qeff::bench::Report& report) {
  using namespace qeff;
  if (arguments.only_limits) {
    if (!arguments.options.isa.empty()) {
      return UsageError(Location::Flag("--isa"), "--limits measures every instruction set");
    }
    std::vector<int> threads = arguments.options.threads;
    if (threads.empty()) threads = {1, cpu::UsableProcessors()};
    threads.erase(std::unique(threads.begin(), threads.end()), threads.end());
    return bench::MeasureLimits(threads, report);
  }
  if (arguments.programs.empty()) {
    return UsageError(Location::Flag("qpc"), "expected a QPC folder, or --limits");
  }
  arguments.options.programs.assign(arguments.programs.begin(), arguments.programs.end());
  std::erase(arguments.options.prompt_tokens, 0);
  std::erase(arguments.options.new_tokens, 0);
  if (arguments.options.prompt_tokens.empty() && arguments.options.new_tokens.empty()) {
    return UsageError(Location::Flag("--prompt"),
                      "expected prompt tokens or new tokens to measure, got neither");
  }
  std::vector<std::unique_ptr<bench::Peer>> peers;
  for (const std::string& command : arguments.against) {
    QEFF_ASSIGN_OR_RETURN(peers.emplace_back(), bench::Peer::Start(command));
  }
  return bench::MeasureRows(arguments.options, peers, report);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace qeff;
  Arguments arguments;
  const tools::ToolInfo info{
      .name = "qeff-bench",
      .description =
          "Measures how fast compiled models run on this machine, and how near that is to what the "
          "machine can do.",
      .examples =
          "qeff-bench qpc\n"
          "qeff-bench qpc-bf16 qpc-int8 -p 128,512 -n 128 -t 1,2\n"
          "qeff-bench qpc -p 0 -n 64 -d 0,4096 --format json\n"
          "qeff-bench qpc --against 'benchmarks/peers/llama_cpp.sh PEERS run model q8_0'\n"
          "qeff-bench --limits"};
  return tools::RunTool(
      argc, argv, info, [&](CLI::App& app) { AddOptions(app, arguments); },
      [&]() -> Status {
        bench::Report report{.environment = bench::DescribeEnvironment(arguments.options.isa)};
        Status status = Measure(arguments, report);
        if (status.ok() || !report.rows.empty()) {
          tools::PrintText(bench::FormatReport(report, FormatOf(arguments.format)));
        }
        return status;
      });
}
