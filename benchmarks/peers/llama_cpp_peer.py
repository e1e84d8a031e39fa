# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""llama.cpp beside qeff-bench: writes GGUF files without a vocabulary, runs llama-bench once for each request."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import serve

TYPES = {"f32": "F32", "bf16": "BF16", "q8_0": "Q8_0", "q4_0": "Q4_0"}
RELEASE = "0.3.36"
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}
TOP_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name):
    stem = name.removesuffix(".weight")
    if stem in TOP_NAMES:
        return TOP_NAMES[stem] + ".weight"
    layer, rest = stem.removeprefix("model.layers.").split(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[rest]}.weight"


def as_pairs(matrix, heads):
    """Rows of each head in the order of llama.cpp's rotation, which turns neighbours."""
    half = matrix.shape[0] // heads // 2
    return matrix.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(matrix.shape)


def tensors(checkpoint):
    """Yields (name, f32 array); reads the file by itself, as numpy has no bf16."""
    with open(Path(checkpoint) / "model.safetensors", "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            raw = np.frombuffer(file.read(end - begin), dtype={"BF16": "<u2", "F32": "<f4"}[entry["dtype"]])
            if entry["dtype"] == "BF16":
                raw = (raw.astype(np.uint32) << 16).view(np.float32)
            yield name, raw.reshape(entry["shape"])


def write_gguf(home, checkpoint, weights, path):
    sys.path.insert(0, str(Path(home) / f"llama_cpp_python-{RELEASE}" / "vendor" / "llama.cpp" / "gguf-py"))
    import gguf  # of the same release as the engine
    config = serve.config_of(checkpoint)
    family = config["model_type"]
    if family not in ("llama", "qwen3"):
        raise serve.Unable(f"expected a checkpoint of llama or qwen3, got {family}")
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(path, family)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("no_vocab")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config["head_dim"])
    kind = gguf.GGMLQuantizationType[TYPES[weights]]
    for name, array in tensors(checkpoint):
        if family == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            array = as_pairs(array, heads if "q_proj" in name else kv_heads)
        if array.ndim == 1 or weights == "f32":
            writer.add_tensor(gguf_name(name), np.ascontiguousarray(array, dtype=np.float32))
        else:
            writer.add_tensor(gguf_name(name), gguf.quants.quantize(np.ascontiguousarray(array), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def prepare(home, checkpoint, weights):
    if weights not in TYPES:
        raise serve.Unable(f"expected weights {', '.join(TYPES)}, got {weights}")
    return serve.prepared(home, "llama_cpp", checkpoint, weights,
                          lambda source, folder: write_gguf(home, source, weights, str(folder / "model.gguf")))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise serve.Unable(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def open_engine(folder, checkpoint, weights, home):
    programs = Path(home) / "llama-build" / "bin"
    file = str(folder / "model.gguf")

    def measure(request):
        tokens, depth, threads = str(request["tokens"]), request["depth"], str(request["threads"])
        is_prefill = request["test"] == "prefill"
        if request["batch"] == 1:
            command = [programs / "llama-bench", "-m", file, "-t", threads, "-r", "1", "-o", "jsonl", "-fa", "on",
                       "-d", str(depth), "-p", tokens if is_prefill else "0", "-n", "0" if is_prefill else tokens]
            return run(command)[-1]["avg_ts"]
        if is_prefill or depth > 0:
            raise serve.Unable("llama-batched-bench measures decoding of several rows, at depth 16, and nothing else")
        context = str(request["batch"] * (16 + request["tokens"]))
        command = [programs / "llama-batched-bench", "-m", file, "-t", threads, "-c", context, "-npp", "16",
                   "-ntg", tokens, "-npl", str(request["batch"]), "-fa", "on", "--output-format", "jsonl"]
        return run(command)[-1]["speed_tg"]

    return f"llama.cpp ({RELEASE}) {weights}", measure


if __name__ == "__main__":
    serve.main(prepare, open_engine)
