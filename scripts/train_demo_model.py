# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Remakes configs/demo-model and configs/demo-draft: corpus, tokenizer, weights, references.

    pip install torch transformers tokenizers safetensors numpy
    python scripts/train_demo_model.py --out-dir configs

The corpus comes from demo_stories.py. The draft is trained on the predictions of the large model,
so that the two agree often. Seeds are fixed: the same versions on the same kind of processor give
the same weights. Nothing but this script needs Python; see configs/README.md.
"""

import argparse
import json
import math
import pathlib
import re
import time

import tokenizers
import torch
import torch.nn.functional as F
import transformers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

import demo_stories

VOCABULARY = 1024
CONTEXT_TOKENS = 512
BOS, EOS, PAD, SYSTEM, USER, ASSISTANT = SPECIAL = [
    "<|bos|>", "<|eos|>", "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>"]
# The pre-tokenization of Llama 3, so that the demo exercises what real checkpoints need.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}"
    "{{ '<|assistant|>' + message['content'] + eos_token }}"
    "{% elif message['role'] == 'system' %}{{ '<|system|>' + message['content'] }}"
    "{% else %}{{ '<|user|>' + message['content'] }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")

DEMO = dict(hidden_size=128, intermediate_size=384, num_hidden_layers=5,
            num_attention_heads=8, num_key_value_heads=4)
DRAFT = dict(hidden_size=64, intermediate_size=192, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2)

VARIED_SKEW = 0.9  # see demo_stories.Dice
SHARP_SKEW = 1.6

REFERENCE_STEPS = 100
LOGIT_STEPS = (0, 1, 99)  # prefill, first decode step, last decode step
PROMPTS = [
    {"name": "story", "text": "Once upon a time"},
    {"name": "fox", "text": "The little fox"},
    {"name": "chat_story",
     "messages": [{"role": "user", "content": "Tell me a story about a robot."}]},
    {"name": "chat_short", "messages": [{"role": "user", "content": "Hello!"}]},
]
TOKENIZER_TEXTS = [
    "", " ", "Once upon a time", " Once upon a time", "  two  spaces  ", "line one\nline two\n\n",
    "\ttab and\r\nreturn", "It's the fox's den; they'll STAY, I'M sure.", "1 22 333 4444 1,234.5",
    "na\u00efve caf\u00e9 \u00fcber stra\u00dfe", "e\u0301 is not \u00e9",
    "\u65e5\u672c\u8a9e\u306e\u7269\u8a9e",
    "\u041b\u0438\u0441\u0430 \u0438 \u043b\u0443\u043d\u0430",
    "a fox \U0001f98a and \U0001f469\u200d\U0001f680", "x=f(y)->{z}; // ok?!...",
    "\"Where is my kite?\" cried Pip.", "Antidisestablishmentarianism", "\u00a0nbsp\u2003em",
    "<|bos|>Hello<|eos|>", "<|user|>Tell me<|assistant|>", "a <|eos|> b <|eos> <|user",
]
CHATS = [
    [{"role": "user", "content": "Hello!"}],
    [{"role": "system", "content": "You are a kind storyteller."},
     {"role": "user", "content": "Tell me a story about a fox."}],
    [{"role": "user", "content": "Hi!"}, {"role": "assistant", "content": "Hello!"},
     {"role": "user", "content": "  Thank you! "}],
]


def make_tokenizer(texts):
    core = tokenizers.Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    core.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B:1",
                                      special_tokens=[(BOS, core.token_to_id(BOS))])])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=BOS, eos_token=EOS, pad_token=PAD,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT], model_max_length=CONTEXT_TOKENS,
        clean_up_tokenization_spaces=False, chat_template=CHAT_TEMPLATE)


def make_documents(count, seed, skew):
    """Returns `count` texts with special tokens: seven in ten plain stories, the rest chats."""
    rng = demo_stories.Dice(seed, skew)
    environment = transformers.utils.chat_template_utils._compile_jinja_template(CHAT_TEMPLATE)
    texts = []
    for _ in range(count):
        if rng.random() < 0.7:
            texts.append(BOS + demo_stories.story(rng) + EOS)
        else:
            texts.append(environment.render(messages=demo_stories.chat(rng), bos_token=BOS,
                                            eos_token=EOS, add_generation_prompt=False))
    return texts


class Corpus:
    """Token ids of all documents, one after the other."""

    def __init__(self, tokenizer, documents):
        encoded = tokenizer.backend_tokenizer.encode_batch(documents, add_special_tokens=False)
        lengths = torch.tensor([len(e.ids) for e in encoded])
        self.ids = torch.tensor([i for e in encoded for i in e.ids], dtype=torch.long)
        self.starts = torch.cumsum(lengths, 0) - lengths

    def batch(self, generator, rows, length):
        """Returns [rows, length] ids, each row from the start of a document and on."""
        usable = self.starts[self.starts + length <= len(self.ids)]
        picks = usable[torch.randint(len(usable), (rows,), generator=generator)]
        return self.ids[picks[:, None] + torch.arange(length)]


def make_model(shape):
    torch.manual_seed(17)
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=CONTEXT_TOKENS, tie_word_embeddings=True,
        rope_theta=10000.0, rms_norm_eps=1e-5, bos_token_id=SPECIAL.index(BOS),
        eos_token_id=SPECIAL.index(EOS), pad_token_id=SPECIAL.index(PAD), **shape))


def loss_of(model, ids, teacher=None):
    """Returns the next-token loss of ids [B, T]: against the text, or against the teacher."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1]
    if teacher is None:
        return F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    with torch.no_grad():
        wanted = teacher(input_ids=ids, use_cache=False).logits[:, :-1].softmax(-1)
    return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(0, 1))


def train(name, model, corpus, held_out, steps, rate, step_tokens, long_from, teacher=None):
    """Trains `model`. Rows have half the context length before the fraction `long_from`."""
    generator = torch.Generator().manual_seed(18)
    print(f"{name}: {sum(p.numel() for p in model.parameters())} parameters, {steps} steps")
    decayed = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.1},
                                   {"params": plain, "weight_decay": 0.0}],
                                  lr=rate, betas=(0.9, 0.95))
    started = time.time()
    for step in range(steps):
        warm = min(1.0, (step + 1) / 30)
        progress = step / steps
        for group in optimizer.param_groups:
            group["lr"] = rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
        length = CONTEXT_TOKENS // 2 if progress < long_from else CONTEXT_TOKENS
        ids = corpus.batch(generator, step_tokens // length, length)
        loss = loss_of(model, ids, teacher)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 20 == 0 or step == steps - 1:
            print(f"{name}: step {step} loss {loss.item():.4f} {time.time() - started:.0f} s",
                  flush=True)
    model.eval()
    with torch.no_grad():
        check = held_out.batch(torch.Generator().manual_seed(19), 64, 256)
        print(f"{name}: held-out loss {loss_of(model, check).item():.4f}", flush=True)


def save(model, folder):
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=SPECIAL.index(BOS), eos_token_id=SPECIAL.index(EOS),
        pad_token_id=SPECIAL.index(PAD))
    model.to(torch.bfloat16).save_pretrained(folder)


def load(folder):
    """Returns a saved model with its weights as float32."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def train_varied(folders, arguments):
    """Makes the tokenizer and trains both models on varied text."""
    documents = make_documents(arguments.documents, seed=1, skew=VARIED_SKEW)
    tokenizer = make_tokenizer(
        part for document in documents[:10000] for part in re.split(r"<\|\w+\|>", document))
    corpus = Corpus(tokenizer, documents)
    held_out = Corpus(tokenizer, make_documents(500, seed=2, skew=VARIED_SKEW))
    print(f"{len(corpus.ids)} tokens in {len(documents)} documents", flush=True)
    big, draft = make_model(DEMO), make_model(DRAFT)
    train("demo-model", big, corpus, held_out, arguments.steps, rate=4e-3, step_tokens=8192,
          long_from=0.75)
    train("demo-draft", draft, corpus, held_out, arguments.draft_steps, rate=6e-3,
          step_tokens=8192, long_from=0.75, teacher=big)
    for model, folder in zip((big, draft), folders):
        save(model, folder)
        tokenizer.save_pretrained(folder, save_jinja_files=False)


def sharpen(folders, arguments):
    """Trains both saved models a little more on text with clearer favourites at each branch.

    Without it, the greedy text passes places where two words are equally likely, and rounding
    decides which of two stories is told.
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[0])
    corpus, held_out = (Corpus(tokenizer, make_documents(count, seed, skew=SHARP_SKEW))
                        for count, seed in ((arguments.documents // 10, 5), (500, 6)))
    big, draft = (load(folder) for folder in folders)
    train("demo-model", big, corpus, held_out, arguments.sharpen_steps, rate=1.2e-3,
          step_tokens=4096, long_from=0)
    train("demo-draft", draft, corpus, held_out, arguments.sharpen_steps, rate=2e-3,
          step_tokens=4096, long_from=0, teacher=big)
    for model, folder in zip((big, draft), folders):
        save(model, folder)


def rounded(values):
    return [float(f"{v:.7g}") for v in values]


def encode(tokenizer, text, parse_special, add_bos):
    return tokenizer.encode(text, add_special_tokens=add_bos,
                            split_special_tokens=not parse_special)


def prompt_ids(tokenizer, prompt):
    if "text" in prompt:
        return tokenizer.encode(prompt["text"])
    return tokenizer.apply_chat_template(prompt["messages"], add_generation_prompt=True,
                                         return_dict=False)


@torch.no_grad()
def greedy(model, ids, steps):
    """Returns the greedy continuation, the margin of each step and the logits [V] of each step."""
    ids, margins, logits = list(ids), [], []
    for _ in range(steps):
        last = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        best, second = last.topk(2).values.tolist()
        margins.append(best - second)
        logits.append(last.tolist())
        ids.append(int(last.argmax()))
    return ids[-steps:], margins, logits


def write_reference(folder):
    """Writes reference.json of a saved model: what transformers computes in float32."""
    model = load(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    eos = SPECIAL.index(EOS)
    prompts = []
    for prompt in PROMPTS:
        ids = prompt_ids(tokenizer, prompt)
        new_ids, margins, logits = greedy(model, ids, REFERENCE_STEPS)
        until_eos = new_ids[:new_ids.index(eos) + 1] if eos in new_ids else new_ids
        generated = model.generate(torch.tensor([ids]), max_new_tokens=REFERENCE_STEPS,
                                   do_sample=False)[0, len(ids):].tolist()
        if generated != until_eos:
            raise RuntimeError(f"generate() and the plain loop differ for {prompt['name']}")
        prompts.append({
            **prompt, "ids": ids, "greedy_ids": new_ids, "greedy_text": tokenizer.decode(new_ids),
            "greedy_ids_until_eos": until_eos,
            "greedy_text_until_eos": tokenizer.decode(until_eos, skip_special_tokens=True),
            "stops_at_eos": eos in new_ids, "min_margin": float(f"{min(margins):.7g}"),
            "margins": rounded(margins),
            "logits": [{"step": s, "values": rounded(logits[s])} for s in LOGIT_STEPS]})
        print(f"--- {folder.name} {prompt['name']}: min margin {min(margins):.4f}")
        print(tokenizer.decode(ids + new_ids))
    cases = []
    for text in TOKENIZER_TEXTS:
        for parse_special in (True, False) if "<|" in text else (True,):
            ids = encode(tokenizer, text, parse_special, add_bos=False)
            cases.append({"text": text, "parse_special": parse_special, "ids": ids,
                          "ids_with_bos": encode(tokenizer, text, parse_special, add_bos=True),
                          "decoded": tokenizer.decode(ids),
                          "decoded_skip_special": tokenizer.decode(ids, skip_special_tokens=True)})
    chats = [{"messages": messages, "add_generation_prompt": generation,
              "text": tokenizer.apply_chat_template(messages, tokenize=False,
                                                    add_generation_prompt=generation),
              "ids": tokenizer.apply_chat_template(messages, add_generation_prompt=generation,
                                                   return_dict=False)}
             for messages in CHATS for generation in (True, False)]
    reference = {
        "format": "qeff-demo-reference-1", "computed_with": {
            "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0],
            "tokenizers": tokenizers.__version__, "weights": "bfloat16", "compute": "float32"},
        "eos_token_id": eos, "prompts": prompts, "tokenizer_cases": cases, "chat_cases": chats}
    # One line per leaf list keeps the file readable without a line for each of its numbers.
    text = json.dumps(reference, indent=1, ensure_ascii=True)
    (folder / "reference.json").write_text(compact_lists(text) + "\n")


def compact_lists(text):
    """Returns JSON `text` with each list of plain numbers on one line."""
    return re.sub(r"\[[\s\d.,eE+-]+\]", lambda m: re.sub(r"\s+", "", m[0]), text)


def print_agreement(folders, count=40):
    """Prints how often the draft's greedy choice is the large model's, along the latter's text."""
    big, draft = (load(folder) for folder in folders)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders[0])
    same = total = 0
    for document in make_documents(count, seed=4, skew=VARIED_SKEW):
        start = tokenizer.encode(document, add_special_tokens=False)[:12]
        ids = torch.tensor([start + greedy(big, start, 100)[0]])
        with torch.no_grad():
            guess = draft(input_ids=ids, use_cache=False).logits[0, len(start) - 1:-1].argmax(-1)
        same += int((guess == ids[0, len(start):]).sum())
        total += len(guess)
    print(f"draft agrees on {same / total:.3f} of {total} greedy tokens")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out-dir", type=pathlib.Path, default=pathlib.Path("configs"))
    parser.add_argument("--documents", type=int, default=60000)
    parser.add_argument("--steps", type=int, default=1400)
    parser.add_argument("--draft-steps", type=int, default=1400)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sharpen-steps", type=int, default=120)
    parser.add_argument("--stage", choices=["all", "sharpen", "reference"], default="all",
                        help="start from the saved models: sharpen them, or only write references")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.use_deterministic_algorithms(True)
    folders = [arguments.out_dir / "demo-model", arguments.out_dir / "demo-draft"]
    if arguments.stage == "all":
        train_varied(folders, arguments)
    if arguments.stage in ("all", "sharpen"):
        sharpen(folders, arguments)
    for folder in folders:
        write_reference(folder)
    print_agreement(folders)


if __name__ == "__main__":
    main()
