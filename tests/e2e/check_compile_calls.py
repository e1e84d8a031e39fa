#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Replays recorded compile calls of QEfficient: qeff-compile --backend aic100 --dry-run on models of the original exporter must
print the recorded command, token for token, and the recorded files, byte for byte; calls that the original refuses must be refused.

Where no model of a call is recorded, a file with the recorded interface takes its place (stub_onnx.py).

usage: check_compile_calls.py --bin BIN --recorded FOLDER --config llama_config.json

FOLDER is the recorded data of QEfficient (compile/, onnx/). Paths in the output are replaced by the placeholders of the recorded
files, `_name_or_path` (known to the original's loader only) by the recorded one. Standard library only. Prints one line for each
call. Exit: 0 all calls that are replayed are met, 1 some are not, 77 no recorded data."""
import argparse
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import stub_onnx

# Recorded calls that are not replayed, with the reason.
NOT_REPLAYED = {
    "cli_basic": "the legacy command line: another token order",
    "cli_pass_through": "the legacy command line: another token order",
    "gemma3_single": "the original fails over a table of its own and starts no compiler",
}
# Graphs of which no file is recorded, by their record: a file with their interface alone takes their place.
STUBS = {"llama_kv_prefix": "llama.prefix", "lora_single": "lora_single", "bert_classify": "bert_classify"}
# Classes without a family here, lengths from tables of vision models, or (gemma4 text) a symbol that the graph lacks: the same, and
# the list of specializations is given, as the original's compile() takes one. What is checked is the rest: names, command, custom IO,
# the other files.
GIVEN = {"gemma4_text_basic": "gemma4_text.default", "gemma3_dual": "gemma3_dual",
         "gemma3_dual_no_npi": "gemma3_dual", "gemma3_single_no_npi": "gemma3_single", "gemma4_dual": "gemma4_dual",
         "llama4_dual": "llama4_dual", "llava_dual": "llava_dual", "llava_dual_cb": "llava_dual_cb", "llava_single": "llava_single",
         "wav2vec2_ctc": "wav2vec2_ctc", "whisper_defaults": "whisper"}
LENGTHS = {"prefill_seq_len", "ctx_len", "batch_size", "full_batch_size", "seq_len"}
# Exported here from a recorded checkpoint, with these options: of the original no such model is recorded.
EXPORTED = {"llama_tlm_cb": ("llama", ["--continuous-batching", "--speculative-target"]),
            "gpt_oss_subfunctions": ("gpt_oss", ["--subfunctions", "--strict-contract"])}
# The recorded folder with a model that has the interface of the case's.
MODELS = {"llama_ccl": "llama_ccl", "llama_cb": "llama_cb", "llama_sampler_cb": "llama_cb", "llama_tlm": "llama_tlm",
          "llama_subfunctions": "llama_subfunctions", "gpt_oss": "gpt_oss", "gpt2": "gpt2", "lora": "llama", "llama": "llama",
          "bert_one_length": "bert_mean"}
FILES = {"llama": "LlamaForCausalLM", "gpt_oss": "GptOssForCausalLM", "gpt2": "GPT2LMHeadModel", "lora": "LoraModelLlamaForCausalLM"}
VALUES = {"seq_len": "--seq-len", "prefill_seq_len": "--prefill-seq-len", "ctx_len": "--ctx-len", "num_cores": "--num-cores",
          "batch_size": "--batch-size", "full_batch_size": "--full-batch-size", "kv_cache_batch_size": "--kv-cache-batch-size", "num_devices": "--num-devices",
          "aic_hw_version": "--aic-hw-version", "num_speculative_tokens": "--num-speculative-tokens", "mos": "--mos",
          "comp_ctx_lengths_prefill": "--ccl-prefill", "comp_ctx_lengths_decode": "--ccl-decode",
          "mdp_load_partition_config": "--mdp-load-partition-config", "mdp_num_partitions": "--mdp-partitions"}
FLAGS = {"mxfp6_matmul": "--mxfp6-matmul", "mxint8_kv_cache": "--mxint8-kv-cache", "allow_mxint8_mdp_io": "--allow-mxint8-mdp-io",
         "aic_enable_depth_first": "--aic-enable-depth-first"}
# Properties of the export, not of the compile call.
OF_EXPORT = {"use_onnx_subfunctions", "kv_cache_prefix", "retain_full_kv", "enable_chunking"}


def longest_prefix(table, name):
    return table[max((k for k in table if name.startswith(k)), key=len)]


def options_of(call, user_partition):
    options = []
    for name, value in call.items():
        if name in OF_EXPORT:
            continue
        if name == "mdp_load_partition_config":
            value = user_partition
        if name == "prefill_only":
            options.append("--prefill-only" if value else "--decode-only")
        elif name in FLAGS:
            options += [FLAGS[name]] if value else []
        elif name in VALUES:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            options += [VALUES[name], text]
        elif value is not False:
            token = "-" + name.replace("_", "-") + ("" if value is True else f"={value}")
            options.append(f"--compiler-arg={token}")
    return options


class Replay:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.compared = 0

    def graph_record(self, case, model_name):
        """The recorded graph that `case` compiles as `model_name`, and its config."""
        record = json.loads((self.args.recorded / "graphs" / f"{(STUBS | GIVEN)[case]}.json").read_text())
        graphs = record.get("graphs", {})
        return (graphs[model_name]["graph"] if model_name in graphs else record["graph"]), record["config"]

    def make_model(self, case, folder, model_name):
        """Puts the model into `folder` as the original's export leaves it."""
        model = folder / model_name
        config = self.args.config.read_text()
        if case in EXPORTED:
            checkpoint, options = EXPORTED[case]
            exported = self.work / case / "exported"
            subprocess.run([self.args.bin / "qeff-export", self.args.recorded.parent / "causal" / checkpoint, "-o", exported, "-q", *options],
                           check=True, stdout=subprocess.DEVNULL)
            shutil.copy(exported / "model.onnx.data", folder)
            shutil.copy(exported / "model.onnx", model)
        elif case in STUBS or case in GIVEN:
            graph, recorded_config = self.graph_record(case, model_name)
            model.write_bytes(stub_onnx.stub(graph))
            config = json.dumps(recorded_config)
        else:
            source = self.args.recorded / "onnx" / longest_prefix(MODELS, case)
            shutil.copy(next(source.glob("*.onnx")), model)
            for data in source.glob("*.data"):
                shutil.copy(data, folder)
        (folder / "config.json").write_text(config)
        return model

    def run(self, case, recorded):
        call = json.loads((recorded / "cmd.json").read_text())
        if "error" in call and not call.get("argv"):
            return self.run_program(case, recorded, call, "", None)
        problems = []
        for index, command in enumerate(call["argv"]):
            prefix = f"{index}." if len(call["argv"]) > 1 else ""
            problems += self.run_program(case, recorded, call, prefix, command)
        return problems

    def given_list(self, recorded, prefix):
        params = json.loads((recorded / f"{prefix}hashed_compile_params.json").read_text())
        path = self.work / recorded.name / f"{prefix}given.json"
        path.write_text(json.dumps({"specializations": params["specializations"]}))
        return ["--specializations", path]

    def run_program(self, case, recorded, call, prefix, expected_command):
        """One program of a call: `prefix` is that of its files, null `expected_command` that the original refuses."""
        folder = self.work / case / f"{prefix}m" / "llama"
        folder.mkdir(parents=True)
        names = [token[3:] for token in expected_command or [] if token.startswith("-m=")]
        model = self.make_model(case, folder, pathlib.Path(names[0]).name if names else f"{longest_prefix(FILES, case)}.onnx")
        partition = self.work / case / "user_mdp.json"
        params = recorded / "hashed_compile_params.json"
        if params.exists():
            partition.write_text(json.dumps(json.loads(params.read_text()).get("mdp_ts_json")))
        qpc = self.work / case / f"{prefix}q"
        arguments = {k: v for k, v in call["compile_call"].items() if case not in GIVEN or k not in LENGTHS}
        options = options_of(arguments, partition)
        if case in GIVEN:
            options += self.given_list(recorded, prefix)
        if case.startswith("gpt_oss"):
            options += ["--dim", "sliding_window=128"]  # a constant of the original, whatever the config says
        command = [self.args.bin / "qeff-compile", model, "--backend", "aic100", "--sdk", "/opt/qti-aic", "--dry-run", "-o", qpc, *options]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if expected_command is None:
            return [] if done.returncode == 2 else [f"the original refuses it, we exit with {done.returncode}"]
        if done.returncode != 0:
            return [f"exit {done.returncode}: {done.stderr}"]
        text = done.stdout
        # The original's file of pipeline stages lies beside the model, where the next call overwrites it; ours in the program's folder.
        text = text.replace(f"{qpc}/mdp_disagg", "{ONNX_DIR}/mdp_disagg")
        for path, placeholder in ((str(qpc), "{QPC_DIR}"), (str(folder), "{ONNX_DIR}"), (str(partition.parent), "{WORK}")):
            text = text.replace(path, placeholder)
        text = text.replace('"_name_or_path":"llama"', '"_name_or_path":"{CHECKPOINTS}/llama"')
        parts = re.split(r"^==== (.*)\n", text, flags=re.M)
        problems = [] if shlex.split(parts[0]) == expected_command else [
            f"command {shlex.split(parts[0])}\n    recorded {expected_command}"]
        return problems + self.compare_files(recorded, prefix, dict(zip(parts[1::2], parts[2::2])))

    def compare_files(self, recorded, prefix, files):
        problems = []
        names = {p.name.removeprefix(prefix) for p in recorded.iterdir() if p.name.startswith(prefix)} - {"cmd.json"}
        if recorded.name in GIVEN or recorded.name.startswith("bert"):
            names.discard("qconfig.json")  # it shows what the original's loader made of config.json, per class
        for name in sorted(names):
            expected = (recorded / (prefix + name)).read_text()
            printed = files.get(name, "(absent)")
            # The printed form ends with a newline that JSON files of the original lack.
            if printed not in (expected, expected + "\n"):
                problems.append(f"{prefix}{name} differs:\n{printed}")
            self.compared += 1
        unexpected = set(files) - names - {"qconfig.json"}
        if unexpected:
            problems.append(f"files that the original does not write: {sorted(unexpected)}")
        return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--recorded", type=pathlib.Path, required=True)
    parser.add_argument("--config", type=pathlib.Path, required=True)
    args = parser.parse_args()
    if not args.recorded.is_dir():
        print("SKIPPED: no recorded data")
        return 77
    met, replayed, files = 0, 0, 0
    cases = sorted(p for p in (args.recorded / "compile").iterdir() if p.is_dir())
    with tempfile.TemporaryDirectory() as work:
        replay = Replay(args, pathlib.Path(work))
        for recorded in cases:
            case = recorded.name
            if case in NOT_REPLAYED:
                print(f"{case}: not replayed: {NOT_REPLAYED[case]}")
                continue
            replay.compared = 0
            problems = replay.run(case, recorded)
            replayed, files = replayed + 1, files + replay.compared
            met += not problems
            print(f"{case}: " + ("met" if not problems else "\n  ".join(problems)))
    print(f"{met} of {replayed} replayed calls met ({files} files compared), {len(cases)} recorded")
    return 0 if met == replayed and replayed else 1


if __name__ == "__main__":
    sys.exit(main())
