# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes cases for check_encoders.py from random models of transformers: the part of compare_with_transformers.py for models that
read a text at once. Needs torch and transformers."""
import json

import torch
import transformers
from safetensors.torch import save_file

TOKENS = 24


def texts(config, variation, generator):
    """Ids and mask [B, T] of texts of several lengths, padded on the right, and, for models that do not read the first token as such,
    one padded on the left."""
    tokens = variation.get("tokens", TOKENS)
    lengths = [tokens, max(1, tokens - 7), min(5, tokens), 1][:variation.get("texts", 4)]
    padding = config.pad_token_id if config.pad_token_id is not None else 0
    ids = torch.randint(4, config.vocab_size, (len(lengths), tokens), generator=generator)
    places = torch.arange(tokens)
    mask = torch.stack([places < length for length in lengths]).long()
    if variation.get("left_padding"):
        mask[1] = mask[1].flip(0)
    return torch.where(mask == 1, ids, padding), mask


def results(model, ids, mask, types, prefix):
    """What is compared, by the names of check_encoders.py."""
    fed = {"input_ids": ids, "attention_mask": mask}
    if types is not None:
        fed["token_type_ids"] = types
    with torch.no_grad():
        output = model(**fed)
    found = {}
    for name in ("last_hidden_state", "pooler_output", "logits"):
        value = output.get(name)
        if value is not None:
            # Of padding nothing is promised.
            each_token = value.dim() == 3
            found[prefix + name] = (value * mask[:, :, None] if each_token else value).float().contiguous()
    return found


def make_case(kind, checkpoint, variation, folder, generator):
    """Writes what check_case of check_encoders.py reads: the checkpoint's files and golden.safetensors. `kind` is the class."""
    model, loading = getattr(transformers, kind).from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="eager",
                                                                 output_loading_info=True)
    wrong = {name: keys for name, keys in loading.items() if keys and name != "unexpected_keys"}
    if wrong:
        raise RuntimeError(f"transformers does not load its own checkpoint: {wrong}")
    model.eval()
    config = model.config.get_text_config()
    ids, mask = texts(config, variation, generator)
    golden = {"input_ids": ids, "attention_mask": mask, **results(model, ids, mask, None, "")}
    kinds = getattr(config, "type_vocab_size", 0) or 0
    if kinds > 1:
        types = torch.randint(0, kinds, ids.shape, generator=generator)
        golden["token_type_ids"] = types
        golden.update(results(model, ids, mask, types, "tt."))
    folder.mkdir()
    for path in checkpoint.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    saved = json.loads((folder / "config.json").read_text())
    saved["architectures"] = [kind]
    (folder / "config.json").write_text(json.dumps(saved))
    save_file(golden, folder / "golden.safetensors")
