#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Replays recorded compile calls of QEfficient: qeff-compile --backend aic100 --dry-run on models of the original exporter must
print the recorded command, token for token, and the recorded files, byte for byte; calls that the original refuses must be refused.

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

# Recorded calls that are not replayed, with the reason.
NO_MODEL = "a model class without a family here"
NOT_REPLAYED = {
    **dict.fromkeys(["bert_classify", "bert_one_length", "gemma3_dual", "gemma3_dual_no_npi", "gemma3_single", "gemma3_single_no_npi",
                     "gemma4_dual", "llama4_dual", "llava_dual", "llava_dual_cb", "llava_single", "wav2vec2_ctc", "whisper_defaults"],
                    NO_MODEL),
    "cli_basic": "the legacy command line: another token order",
    "cli_pass_through": "the legacy command line: another token order",
    "lora_single": "an adapter class without a family here",
    "gemma4_text_basic": "no model of this export is recorded",
    "gpt_oss_subfunctions": "no model of this export is recorded",
    "llama_kv_prefix": "no model of this export is recorded",
}
# Exported here from the recorded checkpoint, with these options: no model of the original's has both inputs.
EXPORTED = {"llama_tlm_cb": ["--continuous-batching", "--speculative-target"]}
# The recorded folder with a model that has the interface of the case's.
MODELS = {"llama_ccl": "llama_ccl", "llama_cb": "llama_cb", "llama_sampler_cb": "llama_cb", "llama_tlm": "llama_tlm",
          "llama_subfunctions": "llama_subfunctions", "gpt_oss": "gpt_oss", "gpt2": "gpt2", "lora": "llama", "llama": "llama"}
FILES = {"llama": "LlamaForCausalLM", "gpt_oss": "GptOssForCausalLM", "gpt2": "GPT2LMHeadModel", "lora": "LoraModelLlamaForCausalLM"}
VALUES = {"prefill_seq_len": "--prefill-seq-len", "ctx_len": "--ctx-len", "num_cores": "--num-cores", "batch_size": "--batch-size",
          "full_batch_size": "--full-batch-size", "kv_cache_batch_size": "--kv-cache-batch-size", "num_devices": "--num-devices",
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

    def model_folder(self, case):
        """A folder as the original's export leaves it, named as its checkpoint."""
        folder = self.work / case / "llama"
        folder.mkdir(parents=True)
        name = longest_prefix(FILES, case)
        if case in EXPORTED:
            exported = self.work / case / "exported"
            subprocess.run([self.args.bin / "qeff-export", self.args.recorded.parent / "causal/llama", "-o", exported, "-q", *EXPORTED[case]],
                           check=True, stdout=subprocess.DEVNULL)
            shutil.copy(exported / "model.onnx.data", folder)
            shutil.copy(exported / "model.onnx", folder / f"{name}.onnx")
        else:
            source = self.args.recorded / "onnx" / longest_prefix(MODELS, case)
            shutil.copy(next(source.glob("*.onnx")), folder / f"{name}.onnx")
        shutil.copy(self.args.config, folder / "config.json")
        return folder, folder / f"{name}.onnx"

    def run(self, case, recorded):
        call = json.loads((recorded / "cmd.json").read_text())
        folder, model = self.model_folder(case)
        partition = self.work / case / "user_mdp.json"
        params = recorded / "hashed_compile_params.json"
        if params.exists():
            partition.write_text(json.dumps(json.loads(params.read_text()).get("mdp_ts_json")))
        qpc = self.work / case / "q"
        options = options_of(call["compile_call"], partition)
        if case.startswith("gpt_oss"):
            options += ["--dim", "sliding_window=128"]  # a constant of the original, whatever the config says
        command = [self.args.bin / "qeff-compile", model, "--backend", "aic100", "--sdk", "/opt/qti-aic", "--dry-run", "-o", qpc, *options]
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if "error" in call:
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
        files = {name: content for name, content in zip(parts[1::2], parts[2::2])}
        problems = []
        if shlex.split(parts[0]) != call["argv"][0]:
            problems.append(f"command {shlex.split(parts[0])}\n    recorded {call['argv'][0]}")
        self.compared = 0
        for path in sorted(recorded.iterdir()):
            if path.name == "cmd.json":
                continue
            expected = path.read_text()
            printed = files.get(path.name, "(absent)")
            # The printed form ends with a newline that JSON files of the original lack.
            if printed not in (expected, expected + "\n"):
                problems.append(f"{path.name} differs:\n{printed}")
            self.compared += 1
        unexpected = set(files) - {p.name for p in recorded.iterdir()} - {"qconfig.json"}
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
