# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""llama.cpp beside qeff-bench: writes GGUF files without a vocabulary, calls the library as llama-bench does."""

import json
import os
import sys
import time
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


class Engine:
    """A model and one context, made again when a request needs another one."""

    def __init__(self, library, file, vocab):
        self.lib, self.vocab = library, vocab
        library.llama_backend_init()
        self.model = library.llama_model_load_from_file(file.encode(), library.llama_model_default_params())
        if not self.model:
            raise serve.Unable(f"llama.cpp cannot open {file}")
        self.key, self.context, self.batch = None, None, None

    def open(self, threads, rows, context_tokens):
        key = (threads, rows, context_tokens)
        if self.key == key:
            return
        if self.context:
            self.lib.llama_batch_free(self.batch)
            self.lib.llama_free(self.context)
        params = self.lib.llama_context_default_params()
        params.n_ctx = rows * (-(-context_tokens // 256) * 256)
        params.n_batch, params.n_ubatch, params.n_seq_max = 2048, 512, rows
        params.n_threads = params.n_threads_batch = threads
        params.flash_attn_type = 1  # on
        self.context = self.lib.llama_init_from_model(self.model, params)
        if not self.context:
            raise serve.Unable(f"llama.cpp makes no context for {rows} rows of {context_tokens} tokens")
        self.batch, self.key = self.lib.llama_batch_init(2048, 0, 1), key

    def decode(self, ids, position, rows):
        """Runs `ids` of every row from `position` on, at most 2048 tokens a call; the last logits are computed."""
        entries = [(row, i) for row in range(rows) for i in range(len(ids))]
        for begin in range(0, len(entries), 2048):
            block = entries[begin:begin + 2048]
            self.batch.n_tokens = len(block)
            for slot, (row, i) in enumerate(block):
                self.batch.token[slot], self.batch.pos[slot] = ids[i], position + i
                self.batch.n_seq_id[slot], self.batch.seq_id[slot][0] = 1, row
                self.batch.logits[slot] = i == len(ids) - 1
            if self.lib.llama_decode(self.context, self.batch) != 0:
                raise serve.Unable("llama_decode failed")
        self.lib.llama_synchronize(self.context)

    def measure(self, request):
        tokens, depth, rows = request["tokens"], request["depth"], request["batch"]
        self.open(request["threads"], rows, depth + tokens)
        self.lib.llama_memory_clear(self.lib.llama_get_memory(self.context), False)
        ids = serve.any_ids(max(tokens, depth), self.vocab)
        if depth:
            self.decode(ids[:depth], 0, rows)
        start = time.perf_counter()
        if request["test"] == "prefill":
            self.decode(ids[:tokens], depth, rows)
        else:
            for i in range(tokens):
                self.decode([ids[i]], depth + i, rows)
        return tokens * rows / (time.perf_counter() - start)


def open_engine(folder, checkpoint, weights, home):
    os.environ["LLAMA_CPP_LIB_PATH"] = str(Path(home) / "llama-build" / "bin")
    sys.path.insert(0, str(Path(home) / f"llama_cpp_python-{RELEASE}"))
    from llama_cpp import llama_cpp  # the bindings of the same release
    keep = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(keep, None)
    engine = Engine(llama_cpp, str(folder / "model.gguf"), serve.config_of(checkpoint)["vocab_size"])
    engine.log_callback = keep  # the library calls it as long as it lives
    return f"llama.cpp ({RELEASE}) {weights}", engine.measure


if __name__ == "__main__":
    serve.main(prepare, open_engine)
