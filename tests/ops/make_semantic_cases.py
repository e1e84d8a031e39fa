#!/usr/bin/env python3
# SPDX-FileCopyrightText: Copyright The qeff Authors
# SPDX-License-Identifier: Apache-2.0
"""Makes the case files of the ops that ONNX lacks, from formulas in numpy and from transformers' activations.

Usage: make_semantic_cases.py        (needs numpy, torch, transformers)
"""
import numpy as np
import torch
from transformers.activations import ACT2FN

from case_file import Cases, tensor

RANDOM = np.random.default_rng(11)
CASES = Cases()
CLOUD, AISW, MICROSOFT, QEFF = "com.qualcomm.cloud", "com.qti.aisw.onnx", "com.microsoft", "qeff"
PARAMETRIC = ["prelu", "xielu"]  # have weights of their own


def floats(*dims):
    return np.round(RANDOM.uniform(-2, 2, dims), 2).astype(np.float32)


def ints(values, dtype=np.int64):
    return np.array(values, dtype=dtype)


def add(domain, op, name, inputs, outputs, **attributes):
    outputs = [y if isinstance(y, dict) else tensor(y.astype(np.float32) if y.dtype == np.float64 else y)
               for y in outputs]
    CASES.add(domain, op, name, attributes, [tensor(x) for x in inputs], outputs)


def activate(name, x):
    return ACT2FN[name](torch.tensor(x, dtype=torch.float64)).numpy()


def activations():
    x = np.linspace(-6, 12, 19).astype(np.float32).reshape(1, 19)
    for name in sorted(ACT2FN):
        if name not in PARAMETRIC:
            add(QEFF, "Activation", name, [x], [activate(name, x)], kind=name)


def rms(x, gamma, epsilon):
    x = x.astype(np.float64)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * gamma


def norms():
    x, gamma = floats(2, 3, 8), floats(8)
    add(QEFF, "RmsNorm", "one group", [x, gamma], [rms(x, gamma, 1e-5)], epsilon=1e-5)
    heads = rms(x.reshape(2, 3, 2, 4), gamma[:4], 1e-2).reshape(2, 3, 8)
    add(QEFF, "RmsNorm", "per head", [x, gamma[:4]], [heads], epsilon=1e-2, num_groups=2)
    add(AISW, "CustomRMSNorm", "last axis", [x, gamma], [rms(x, gamma, 1e-6)], epsilon=1e-6)


def linears():
    x, w, b = floats(2, 3, 4), floats(5, 4), floats(5)
    add(QEFF, "Linear", "bias", [x, w, b], [x.astype(float) @ w.T.astype(float) + b])
    add(QEFF, "Linear", "no bias", [x, w], [x.astype(float) @ w.T.astype(float)])
    gate, up, down = floats(6, 4), floats(6, 4), floats(4, 6)
    gate_b, up_b, down_b = floats(6), floats(6), floats(4)
    double = x.astype(float)
    add(QEFF, "GatedMlp", "silu", [x, gate, up, down],
        [(activate("silu", double @ gate.T) * (double @ up.T)) @ down.T.astype(float)], activation="silu")
    y = (activate("gelu_pytorch_tanh", double @ gate.T + gate_b) * (double @ up.T + up_b)) @ down.T.astype(float) + down_b
    add(QEFF, "GatedMlp", "biases", [x, gate, up, down, gate_b, up_b, down_b], [y], activation="gelu_pytorch_tanh")
    y = (activate("relu", double @ gate.T) * (double @ up.T)) @ down.T.astype(float) + down_b
    add(QEFF, "GatedMlp", "last bias only", [x, gate, up, down, None, None, down_b], [y], activation="relu")


def experts():
    """Routed feed-forward blocks, token by token as transformers' classes for mixtral, gpt_oss and llama4 have them."""
    random = np.random.default_rng(12)

    def draw(*dims):
        return np.round(random.uniform(-2, 2, dims), 2).astype(np.float32)

    count, width, hidden = 3, 4, 5
    x = draw(2, 3, width)
    gate, up, down = draw(count, hidden, width), draw(count, hidden, width), draw(count, width, hidden)
    gate_b, up_b, down_b = draw(count, hidden), draw(count, hidden), draw(count, width)
    ids = ints([[[0, 2], [2, 0], [1, 2]], [[1, 0], [2, 1], [0, 1]]])
    scores = draw(2, 3, 2)

    def one(e, v, activation, limit, offset, biased):
        g, u = gate[e].astype(float) @ v, up[e].astype(float) @ v
        if biased:
            g, u = g + gate_b[e], u + up_b[e]
        if limit:
            g, u = np.minimum(g, limit), np.clip(u, -limit, limit)
        y = down[e].astype(float) @ (activate(activation, g) * (u + offset))
        return y + down_b[e] if biased else y

    def mix(x, ids, scores, activation, limit=0, offset=0, biased=False, scaled_inputs=False):
        y = np.zeros(x.shape)
        for at in np.ndindex(*ids.shape):
            v, score = x[at[:-1]].astype(float), float(scores[at])
            y[at[:-1]] += (one(ids[at], v * score, activation, limit, offset, biased) if scaled_inputs
                           else score * one(ids[at], v, activation, limit, offset, biased))
        return y

    stacks, biases = [gate, up, down], [gate_b, up_b, down_b]
    add(QEFF, "Experts", "two a token", [x, ids, scores] + stacks, [mix(x, ids, scores, "silu")], activation="silu")
    add(QEFF, "Experts", "biases, limit and offset", [x, ids, scores] + stacks + biases,
        [mix(x, ids, scores, "quick_gelu", 1.5, 1, biased=True)], activation="quick_gelu", limit=1.5, up_offset=1.0)
    add(QEFF, "Experts", "weights scale inputs", [x, ids[..., :1], scores[..., :1]] + stacks,
        [mix(x, ids[..., :1], scores[..., :1], "silu", scaled_inputs=True)], activation="silu", weights_scale_inputs=1)
    same = np.full((3, 2), 1, np.int64)
    add(QEFF, "Experts", "one expert for all rows, twice", [x[0], same, scores[0]] + stacks,
        [mix(x[0], same, scores[0], "gelu")], activation="gelu")
    many = draw(30, width)
    choice = random.integers(0, count, (30, 2))
    weights = draw(30, 2)
    add(QEFF, "Experts", "more rows than a tile", [many, choice, weights] + stacks,
        [mix(many, choice, weights, "silu")], activation="silu")


def rope():
    heads, size, rotary, tokens = 2, 8, 4, 3
    x = floats(1, tokens, heads * size)
    angle = np.arange(tokens)[:, None] * np.array([1.0, 0.3])
    cos = np.concatenate([np.cos(angle)] * 2, -1)[None].astype(np.float32)
    sin = np.concatenate([np.sin(angle)] * 2, -1)[None].astype(np.float32)
    split = x.reshape(1, tokens, heads, size).astype(float)
    c, s = cos[:, :, None, :].astype(float), sin[:, :, None, :].astype(float)
    part = split[..., :rotary]
    turned = np.concatenate([-part[..., rotary // 2:], part[..., :rotary // 2]], -1)
    y = np.concatenate([part * c + turned * s, split[..., rotary:]], -1).reshape(x.shape)
    add(QEFF, "Rope", "half-split, partial", [x, cos, sin], [y], num_heads=heads)
    # Adjacent channels as complex numbers turned by the angle.
    pairs = part[..., 0::2] + 1j * part[..., 1::2]
    pairs = pairs * (c[..., :rotary // 2] + 1j * s[..., :rotary // 2])
    y = np.concatenate([np.stack([pairs.real, pairs.imag], -1).reshape(part.shape), split[..., rotary:]], -1)
    add(QEFF, "Rope", "interleaved, partial", [x, cos, sin], [y.reshape(x.shape)], num_heads=heads, interleaved=1)
    two = np.concatenate([x, x[:, ::-1]])
    y = []
    for row in two.reshape(2, 1, tokens, heads, size).astype(float):
        part = row[..., :rotary]
        turned = np.concatenate([-part[..., 2:], part[..., :2]], -1)
        y.append(np.concatenate([part * c + turned * s, row[..., rotary:]], -1).reshape(1, tokens, -1))
    add(QEFF, "Rope", "one table for all rows", [two, cos, sin], [np.concatenate(y)], num_heads=heads)


def masked_attention(q, k, v, mask, scale, softcap, bias=None, sinks=None):
    """q [H, T, E], k [H, S, E], v [H, S, Ev], mask [T, S] true where seen, bias [H, S], sinks [H]; rows that see nothing are
    NaN (0 with sinks)."""
    scores = np.einsum("hte,hse->hts", q, k) * scale
    if softcap:
        scores = softcap * np.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias[:, None]
    scores = np.where(mask[None], scores, -np.inf)
    if sinks is not None:
        column = np.broadcast_to(sinks.astype(float)[:, None, None], scores.shape[:2] + (1,))
        scores = np.concatenate([scores, column], -1)
    with np.errstate(invalid="ignore"):
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
    return np.einsum("hts,hsv->htv", weights[..., :v.shape[1]], v)


def to_bf16(x):
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def attend(q, k, v, heads, kv_heads, positions, scale, window=0, softcap=0.0, past=None, rows=None, reach=None, chunk=0,
           bias=None, sinks=None):
    """bias(at) gives [H, S] for the positions at [S] of the keys."""
    batch, tokens = q.shape[:2]

    def by_head(x, count):
        return x.astype(float).reshape(batch, tokens, count, -1).transpose(0, 2, 1, 3)

    q, k, v = by_head(q, heads), by_head(k, kv_heads), by_head(v, kv_heads)
    presents = [p.astype(float).copy() for p in past] if past else []
    outputs = []
    for b in range(batch):
        p = positions[b]
        if past:
            row = rows[b, 0] if rows is not None else b
            slots = presents[0].shape[2]
            for t in range(tokens):
                if 0 <= p[t] < slots:
                    presents[0][row, :, p[t]] = k[b, :, t]
                    presents[1][row, :, p[t]] = v[b, :, t]
            count = reach or slots
            keys, values, at = presents[0][row, :, :count], presents[1][row, :, :count], np.arange(count)
        else:
            keys, values, at = k[b], v[b], p
        mask = (at[None] >= 0) & (at[None] <= p[:, None])
        if window:
            mask &= at[None] > p[:, None] - window
        if chunk:
            mask &= at[None] // chunk == p[:, None] // chunk
        repeat = heads // kv_heads
        y = masked_attention(q[b], keys.repeat(repeat, 0), values.repeat(repeat, 0), mask, scale, softcap,
                             bias(at) if bias else None, sinks)
        outputs.append(y.transpose(1, 0, 2).reshape(tokens, -1))
    return [np.stack(outputs)] + presents


def attention():
    heads, kv_heads, size, tokens, scale = 4, 2, 3, 4, 0.5
    q, k, v = floats(2, tokens, heads * size), floats(2, tokens, kv_heads * size), floats(2, tokens, kv_heads * 2)
    positions = ints([[0, 1, 2, 3], [0, 1, -1, -1]])
    common = {"num_heads": heads, "num_kv_heads": kv_heads, "scale": scale}
    add(QEFF, "Attention", "without a past, padding", [q, k, v, positions],
        attend(q, k, v, heads, kv_heads, positions, scale), **common)
    add(QEFF, "Attention", "without a past, window and soft-cap", [q, k, v, positions],
        attend(q, k, v, heads, kv_heads, positions, scale, window=2, softcap=1.5), window_tokens=2, softcap=1.5,
        **common)
    y = [masked_attention(a.reshape(tokens, heads, size).transpose(1, 0, 2),
                          b.reshape(tokens, kv_heads, size).transpose(1, 0, 2).repeat(2, 0),
                          c.reshape(tokens, kv_heads, 2).transpose(1, 0, 2).repeat(2, 0),
                          np.ones((tokens, tokens), bool), scale, 0).transpose(1, 0, 2).reshape(tokens, -1)
         for a, b, c in zip(q.astype(float), k.astype(float), v.astype(float))]
    add(QEFF, "Attention", "encoder, no positions", [q, k, v], [np.stack(y)], **common)
    past = [floats(2, kv_heads, 6, size), floats(2, kv_heads, 6, 2)]
    late = ints([[2, 3, 4, 5], [1, 2, -1, -1]])
    add(QEFF, "Attention", "with a past", [q, k, v, late, *past],
        attend(q, k, v, heads, kv_heads, late, scale, past=past), **common)
    add(QEFF, "Attention", "with a past and a window", [q, k, v, late, *past],
        attend(q, k, v, heads, kv_heads, late, scale, window=3, past=past), window_tokens=3, **common)
    beyond = ints([[5, 6, 7, 8], [0, 1, 2, 3]])
    add(QEFF, "Attention", "positions beyond the cache write nothing", [q, k, v, beyond, *past],
        attend(q, k, v, heads, kv_heads, beyond, scale, past=past), **common)
    full = [floats(3, kv_heads, 6, size), floats(3, kv_heads, 6, 2)]
    rows = ints([[2], [0]])
    add(QEFF, "Attention", "batch index", [q, k, v, late, *full, rows],
        attend(q, k, v, heads, kv_heads, late, scale, past=full, rows=rows), **common)
    early = ints([[0, 1, 2, 3], [1, 2, 3, -1]])
    add(QEFF, "Attention", "compute context length", [q, k, v, early, *past, None, ints([0] * 4)],
        attend(q, k, v, heads, kv_heads, early, scale, past=past, reach=4), **common)
    add(QEFF, "Attention", "with a past and chunks", [q, k, v, late, *past],
        attend(q, k, v, heads, kv_heads, late, scale, chunk=3, past=past), chunk_tokens=3, **common)
    add(QEFF, "Attention", "chunks without a past", [q, k, v, positions],
        attend(q, k, v, heads, kv_heads, positions, scale, chunk=2), chunk_tokens=2, **common)
    sinks = np.linspace(-1, 1, heads).astype(np.float32)
    add(QEFF, "Attention", "sinks", [q, k, v, late, *past, None, None, sinks],
        attend(q, k, v, heads, kv_heads, late, scale, past=past, sinks=sinks), **common)
    add(QEFF, "Attention", "sinks larger than the scores, window, no past", [q, k, v, positions, *[None] * 4, sinks + 9],
        attend(q, k, v, heads, kv_heads, positions, scale, window=2, sinks=sinks + 9), window_tokens=2, **common)
    slopes = (0.7 ** np.arange(1, heads + 1)).astype(np.float32)
    add(QEFF, "Attention", "ALiBi", [q, k, v, late, *past],
        attend(q, k, v, heads, kv_heads, late, scale, past=past, bias=lambda at: slopes[:, None].astype(float) * at),
        alibi_slopes=slopes.tolist(), **common)
    add(QEFF, "Attention", "ALiBi rounded and scaled, soft-cap, no past", [q, k, v, positions],
        attend(q, k, v, heads, kv_heads, positions, scale, softcap=1.5,
               bias=lambda at: 0.25 * to_bf16(slopes[:, None] * at).astype(float)),
        alibi_slopes=slopes.tolist(), alibi_scale=0.25, alibi_in_bf16=1, softcap=1.5, **common)


def selection():
    hidden = floats(2, 4, 3)
    positions = ints([[0, 1, 2, -1], [5, -1, -1, -1]])
    last = positions.argmax(1)
    add(QEFF, "SelectLastToken", "padding", [hidden, positions], [np.stack([h[[i]] for h, i in zip(hidden, last)])])
    add(QEFF, "ContextLength", "tokens", [positions], [ints(4)])
    for count in [1, 2, 4]:
        starts = [0 if p < count else p + 1 - count for p in last]
        add(QEFF, "SelectTokens", f"{count} tokens", [hidden, positions, ints([[i] for i in range(count)])],
            [np.stack([h[s:s + count] for h, s in zip(hidden, starts)])])


def caches():
    data, updates = floats(2, 2, 4, 3), floats(2, 2, 2, 3)
    positions = ints([[1, -1], [3, 2**31 - 1]])

    def scatter(base, rows, place, new):
        out = base.copy()
        for b, row in enumerate(rows):
            for t in range(place.shape[1]):
                if 0 <= place[b, t] < base.shape[-2 if base.ndim > 2 else -1] and 0 <= row < base.shape[0]:
                    if base.ndim == 4:
                        out[row, :, place[b, t]] = new[b, :, t]
                    else:
                        out[row, place[b, t]] = new[b, t]
        return out

    add(CLOUD, "CtxScatter", "padding", [data, positions, updates], [scatter(data, [0, 1], positions, updates)])
    add(CLOUD, "CtxScatterCB", "rows", [floats(3, 2, 4, 3) * 0 + 1, ints([[2], [0]]), positions, updates],
        [scatter(np.ones((3, 2, 4, 3), np.float32), [2, 0], positions, updates)])
    flat, flat_updates = floats(2, 4, 3), floats(2, 2, 3)
    add(CLOUD, "CtxScatter3D", "padding", [flat, positions.astype(np.int32), flat_updates],
        [scatter(flat, [0, 1], positions, flat_updates)])
    whole = ints(RANDOM.integers(-9, 9, (2, 4, 3)), np.int32)
    whole_updates = ints(RANDOM.integers(-9, 9, (2, 2, 3)), np.int32)
    add(CLOUD, "CtxScatter3DInt", "padding", [whole, positions.astype(np.int32), whole_updates],
        [scatter(whole, [0, 1], positions, whole_updates)])
    add(CLOUD, "CtxScatterCB3D", "rows", [flat, ints([[1], [5]]), positions, flat_updates],
        [scatter(flat, [1, 5], positions, flat_updates)])
    seen, marks = np.zeros((2, 4), bool), np.ones((2, 2), bool)
    add(CLOUD, "CtxScatterCB3D", "bool without channels", [seen, ints([[1], [0]]), positions, marks],
        [scatter(seen, [1, 0], positions, marks)])

    def gather(base, rows, places):
        """places [B, K, n] or [B, n]; outside of the cache: zero."""
        out = np.zeros(places.shape + base.shape[-1:], base.dtype)
        for at in np.ndindex(*places.shape):
            index = (rows[at[0]],) + at[1:-1] + (places[at],)
            if 0 <= places[at] < base.shape[-2]:
                out[at] = base[index]
        return out

    indices = ints([[[0, 1, 2**31 - 1]], [[3, 9, 2]]])
    both = np.broadcast_to(indices, (2, 2, 3))
    add(CLOUD, "CtxGather", "invalid slots", [data, indices, ints(3)], [gather(data, [0, 1], both)])
    add(CLOUD, "CtxGather", "one index for n slots", [data, ints([[[2]]]), ints([3])],
        [gather(data, [0, 1], np.full((2, 2, 3), 2))])
    add(CLOUD, "CtxGatherBlockedKV", "per head", [data, both.copy()], [gather(data, [0, 1], both)])
    pool = floats(3, 2, 4, 3)
    add(CLOUD, "CtxGatherCB", "rows", [pool, ints([[2], [0]]), indices, ints(4)], [gather(pool, [2, 0], both)])
    add(CLOUD, "CtxGatherBlockedKVCB", "rows", [pool, ints([[2], [0]]), indices], [gather(pool, [2, 0], both)])
    add(CLOUD, "CtxGather3D", "one row of indices", [flat, ints([[3, -1, 0]])],
        [gather(flat, [0, 1], np.broadcast_to(ints([[3, -1, 0]]), (2, 3)))])
    add(CLOUD, "CtxGatherCB3D", "rows", [flat, ints([[1]]), ints([[0, 3, 1, 7]])],
        [gather(flat, [1], ints([[0, 3, 1, 7]]))])


def convolve_rows(x, weight, positions, bias=None, state=None, rows=None):
    """One row and channel at a time: np.convolve over the stored taps and the row's tokens."""
    taps = weight.shape[2]
    y, present = np.zeros(x.shape), None if state is None else state.astype(float)
    for b in range(len(x)):
        count = int((positions[b] >= 0).sum())
        row = b if rows is None else rows[b, 0]
        for c in range(x.shape[2]):
            past = np.zeros(taps) if state is None or 0 in positions[b] else state[row, c].astype(float)
            sequence = np.concatenate([past, x[b, :count, c], np.zeros(x.shape[1] - count)])
            y[b, :, c] = np.convolve(sequence[1:], weight[c, 0, ::-1], "valid")
            if state is not None and count:
                present[row, c] = sequence[count:count + taps]
    y += 0 if bias is None else bias
    return [y] if state is None else [y, present]


def delta_rows(q, k, v, g, beta, positions, key_heads, value_heads, state=None, rows=None):
    """The recurrence of torch_recurrent_gated_delta_rule (transformers 5.5.4) behind its normalization, a token at a time."""
    batch, tokens = positions.shape
    split = [a.astype(float).reshape(batch, tokens, n, -1) for a, n in ((q, key_heads), (k, key_heads), (v, value_heads))]
    q, k = (a.repeat(value_heads // key_heads, 2) for a in split[:2])
    v = split[2]
    o, present = np.zeros(v.shape), None if state is None else state.astype(float)
    for b in range(batch):
        row = b if rows is None else rows[b, 0]
        for head in range(value_heads):
            s = np.zeros((q.shape[3], v.shape[3])) if state is None or 0 in positions[b] else present[row, head].copy()
            for t in np.flatnonzero(positions[b] >= 0):
                s *= np.exp(float(g[b, t, head]))
                memory = (s * k[b, t, head][:, None]).sum(0)
                s += np.outer(k[b, t, head], (v[b, t, head] - memory) * float(beta[b, t, head]))
                o[b, t, head] = (s * q[b, t, head][:, None]).sum(0)
            if state is not None and (positions[b] >= 0).any():
                present[row, head] = s
    o = o.reshape(batch, tokens, -1)
    return [o] if state is None else [o, present]


def recurrences():
    random = np.random.default_rng(17)  # its own, so that these cases do not depend on the others

    def draw(*dims, low=-2.0, high=2.0):
        return np.round(random.uniform(low, high, dims), 2).astype(np.float32)

    start, late = ints([[0, 1, 2, 3, 4], [0, 1, 2, -1, -1]]), ints([[7, 8, 9, 10, 11], [3, 4, -1, -1, -1]])
    mixed = ints([[0, 1, -1, -1, -1], [-1] * 5])  # a new text, and a row that takes no part
    decode = ints([[12], [0]])
    places = ints([[2], [0]])

    x, weight, bias = draw(2, 5, 3), draw(3, 1, 4), draw(3)
    state, pool = draw(2, 3, 4), draw(3, 3, 4)
    add(QEFF, "CausalConv", "without a state, padding", [x, weight, start], convolve_rows(x, weight, start))
    y = convolve_rows(x, weight, start, bias)[0]
    silu = y / (1 + np.exp(-y))
    add(QEFF, "CausalConv", "bias and silu", [x, weight, start, bias], [silu], activation="silu")
    for name, positions in [("texts that start", start), ("texts that go on", late), ("one row takes no part", mixed)]:
        add(QEFF, "CausalConv", name, [x, weight, positions, None, state], convolve_rows(x, weight, positions, state=state))
    add(QEFF, "CausalConv", "one token", [x[:, :1], weight, decode, bias, state],
        convolve_rows(x[:, :1], weight, decode, bias, state))
    for name, positions in [("batch index", late), ("batch index, one row takes no part", mixed)]:
        add(QEFF, "CausalConv", name, [x, weight, positions, None, pool, places],
            convolve_rows(x, weight, positions, state=pool, rows=places))
    wide, taps, state, all_tokens = draw(1, 9, 70), draw(70, 1, 2), draw(1, 70, 2), ints([range(3, 12)])
    add(QEFF, "CausalConv", "many channels and tokens", [wide, taps, all_tokens, None, state],
        convolve_rows(wide, taps, all_tokens, state=state))

    key_heads, value_heads, size, value_size = 2, 4, 3, 5
    inputs = [draw(2, 5, key_heads * size), draw(2, 5, key_heads * size, low=-0.7, high=0.7), draw(2, 5, value_heads * value_size),
              draw(2, 5, value_heads, low=-1.5, high=0), draw(2, 5, value_heads, low=0, high=1)]
    state, pool = draw(2, value_heads, size, value_size), draw(3, value_heads, size, value_size)

    def rule(name, call, positions, heads=(key_heads, value_heads), **memory):
        extra = [memory[n] for n in ("state", "rows") if n in memory]
        add(QEFF, "GatedDeltaRule", name, [*call, positions, *extra], delta_rows(*call, positions, *heads, **memory),
            num_key_heads=heads[0], num_value_heads=heads[1])

    rule("without a state, padding", inputs, start)
    for name, positions in [("texts that start", start), ("texts that go on", late), ("one row takes no part", mixed)]:
        rule(name, inputs, positions, state=state)
    rule("one token", [a[:, :1] for a in inputs], decode, state=state)
    for name, positions in [("batch index", late), ("batch index, one row takes no part", mixed)]:
        rule(name, inputs, positions, state=pool, rows=places)
    tokens, size, value_size = 20, 8, 37
    inputs = [draw(1, tokens, size, low=-0.3, high=0.3), draw(1, tokens, size, low=0, high=0.5), draw(1, tokens, value_size),
              draw(1, tokens, 1, low=-0.2, high=0), draw(1, tokens, 1, low=0, high=1)]
    rule("keys alike, many tokens", inputs, ints([range(3, 3 + tokens)]), (1, 1), state=draw(1, 1, size, value_size))


def packed():
    raw = ints([[0x21, 0xF0], [0x87, 0x3A]], np.uint8)
    nibbles = np.stack([raw & 15, raw >> 4], -1).reshape(2, 4)
    add(AISW, "CastToUInt4", "pairs", [raw], [tensor(nibbles, "u4")])
    depth, columns, block = 8, 3, 4
    q = RANDOM.integers(0, 16, (columns, depth // block, block))
    scales = floats(columns * 2)
    zeros = RANDOM.integers(0, 16, (columns, 2))
    x = floats(2, depth)

    def weight(zero, groups):
        scale = scales.reshape(columns, 2).astype(float)
        return (q.reshape(columns, depth) - zero[:, groups]) * scale[:, groups]

    bytes_q = (q[..., 0::2] | q[..., 1::2] << 4).astype(np.uint8)
    bytes_zero = (zeros[:, 0] | zeros[:, 1] << 4).astype(np.uint8)
    plain, mixed = np.arange(depth) // block, ints([0, 1, 1, 0, 0, 1, 0, 1], np.int32)
    shape = {"K": depth, "N": columns, "bits": 4, "block_size": block}
    eight = np.full((columns, 2), 8)
    add(MICROSOFT, "MatMulNBits", "symmetric", [x, bytes_q, scales], [x.astype(float) @ weight(eight, plain).T], **shape)
    add(MICROSOFT, "MatMulNBits", "zero points", [x, bytes_q, scales, bytes_zero],
        [x.astype(float) @ weight(zeros, plain).T], **shape)
    add(MICROSOFT, "MatMulNBits", "groups", [x, bytes_q, scales, None, mixed],
        [x.astype(float) @ weight(eight, mixed).T], **shape)


def padding():
    mask = ints([[1, 1, 1, 0], [1, 0, 1, 0]])
    index, starts = ints([[0, 1, 2, 4, 6, -1, -1, -1]]), ints([0, 3, 5])
    add(QEFF, "TokenIndex", "gaps", [mask], [index, starts])
    add(QEFF, "TokenIndex", "no tokens", [0 * mask], [0 * index - 1, 0 * starts])
    add(QEFF, "TokenIndex", "no padding", [0 * mask + 1], [np.arange(8).reshape(1, 8), ints([0, 4, 8])])
    late = ints([[0, 0, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]])
    late_index = ints([[0, 2, 3, 4, 6, -1, -1, -1, -1, -1, -1, -1]])
    add(QEFF, "TokenIndex", "first token is padding", [late], [late_index, ints([0, 3, 5, 5]), ints([1, 3, 5])], keeps_first=1)

    def remove(x):
        rows = np.broadcast_to(x, (2, *x.shape[1:])).reshape(8, *x.shape[2:])
        return np.stack([rows[i] if i >= 0 else 0 * rows[0] for i in index[0]])[None]

    x, ids = floats(2, 4, 3), ints([[3, 1, 4, 0], [5, 9, 2, 0]])
    for name, value in [("floats", x), ("ids", ids), ("one row for all", floats(1, 4, 3))]:
        add(QEFF, "RemovePadding", name, [value, index], [remove(value)])
    for name, value in [("floats", x), ("ids", ids)]:
        keep = mask.reshape(2, 4, *[1] * (value.ndim - 2))
        add(QEFF, "RestorePadding", name, [remove(value), starts, mask], [value * keep])

    late_x = np.arange(1, 25, dtype=np.float32).reshape(3, 4, 2)
    rows = np.stack([late_x.reshape(12, 2)[i] if i >= 0 else np.zeros(2, np.float32) for i in late_index[0]])[None]
    kept = late.copy()
    kept[0, 0] = 1
    add(QEFF, "RestorePadding", "first token is padding", [rows, ints([0, 3, 5, 5]), late], [late_x * kept[..., None]],
        keeps_first=1)

    def attend(q, k, v, bias, heads, kv_heads, scale, window=0, softcap=0, is_causal=False, key_starts=None):
        out = np.zeros((1, 8, v.shape[2] // kv_heads * heads))
        split = lambda y, n: y[0].reshape(8, n, -1).astype(float)
        q, k, v = split(q, heads), split(k, kv_heads), split(v, kv_heads)
        for b in range(2):
            rows = np.arange(starts[b], starts[b + 1])
            t = index[0][rows] % 4
            for h in range(heads):
                g = h // (heads // kv_heads)
                scores = q[rows, h] @ k[rows, g].T * scale
                if softcap:
                    scores = softcap * np.tanh(scores / softcap)
                if bias is not None:
                    scores = scores + np.broadcast_to(bias, (2, heads, 4, 4))[b, h][np.ix_(t, t)]
                apart = np.arange(len(rows))[:, None] - np.arange(len(rows)) if is_causal else np.abs(t[:, None] - t)
                hidden = (apart < 0) | ((apart >= window) if window else False)
                if key_starts is not None:
                    hidden = hidden | (rows < key_starts[b])
                scores = np.where(hidden, -np.inf, scores)
                weights = np.exp(scores - scores.max(-1, keepdims=True))
                size = v.shape[2]
                out[0, rows, h * size:(h + 1) * size] = weights / weights.sum(-1, keepdims=True) @ v[rows, g]
        return out

    q, k, v = floats(1, 8, 12), floats(1, 8, 6), floats(1, 8, 4)
    for name, bias, extra in [("grouped heads", None, {}), ("window", None, {"window_tokens": 2}),
                              ("softcap", None, {"softcap": 1.5}), ("bias", floats(2, 4, 4, 4), {}),
                              ("shared bias", floats(1, 4, 4, 4), {"window_tokens": 2}),
                              ("bias of keys", floats(1, 1, 1, 4), {})]:
        inputs = [q, k, v, index, starts] + ([bias] if bias is not None else [])
        add(QEFF, "PackedAttention", name, inputs,
            [attend(q, k, v, bias, 4, 2, 0.5, extra.get("window_tokens", 0), extra.get("softcap", 0))],
            num_heads=4, num_kv_heads=2, scale=0.5, **extra)
    common = {"num_heads": 4, "num_kv_heads": 2, "scale": 0.5}
    for window in [0, 2]:
        add(QEFF, "PackedAttention", f"causal, window {window}", [q, k, v, index, starts],
            [attend(q, k, v, None, 4, 2, 0.5, window, is_causal=True)], window_tokens=window, is_causal=1, **common)
        add(QEFF, "PackedAttention", f"first tokens are padding, window {window}", [q, k, v, index, starts, None, ints([1, 3])],
            [attend(q, k, v, None, 4, 2, 0.5, window, key_starts=[1, 3])], window_tokens=window, **common)


def encoders():
    """Attention of encoders, query by query: padding, a bias, a window to both sides."""
    random = np.random.default_rng(13)
    heads, size, tokens = 2, 3, 5

    def draw(*dims):
        return np.round(random.uniform(-2, 2, dims), 2).astype(np.float32)

    q, k, v = draw(2, tokens, heads * size), draw(2, tokens, heads * size), draw(2, tokens, heads * size)
    # The last token of the second text sees padding alone through a window of two.
    mask = ints([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0]])

    def attend(mask, bias, window, positions=None):
        y = np.zeros(q.shape)
        for b, t, h in np.ndindex(2, tokens, heads):
            at = slice(h * size, (h + 1) * size)
            seen = [j for j in range(tokens) if not window or abs(t - j) < window]
            if positions is not None:
                seen = [j for j in seen if positions[b, j] <= positions[b, t]]
            if mask is not None and any(mask[b, j] for j in seen):
                seen = [j for j in seen if mask[b, j]]
            scores = k[b, seen, at].astype(float) @ q[b, t, at] * 0.5
            if bias is not None:
                scores += np.broadcast_to(bias, (2, heads, tokens, tokens))[b, h, t, seen]
            weights = np.exp(scores - scores.max())
            y[b, t, at] = weights / weights.sum() @ v[b, seen, at]
        return y

    common = {"num_heads": heads, "num_kv_heads": heads, "scale": 0.5}
    shared, own, columns = draw(1, heads, tokens, tokens), draw(2, heads, tokens, tokens), draw(2, 1, 1, tokens)
    none = [None] * 6
    add(QEFF, "Attention", "padding", [q, k, v, *none, mask], [attend(mask, None, 0)], **common)
    add(QEFF, "Attention", "nothing but padding", [q, k, v, *none, 0 * mask], [attend(0 * mask, None, 0)], **common)
    add(QEFF, "Attention", "padding and a window to both sides", [q, k, v, *none, mask], [attend(mask, None, 2)],
        window_tokens=2, **common)
    add(QEFF, "Attention", "padding and a bias for all texts", [q, k, v, *none, mask, shared], [attend(mask, shared, 0)], **common)
    add(QEFF, "Attention", "a bias of each text", [q, k, v, *none, None, own], [attend(None, own, 0)], **common)
    add(QEFF, "Attention", "a bias of the keys", [q, k, v, *none, None, columns], [attend(None, columns, 0)], **common)
    positions = np.broadcast_to(np.arange(tokens), (2, tokens)).copy()
    add(QEFF, "Attention", "padding behind positions", [q, k, v, positions, *none[1:], mask], [attend(mask, None, 0, positions)],
        **common)


if __name__ == "__main__":
    for group in [activations, norms, linears, experts, rope, attention, selection, caches, packed, recurrences,
                  padding, encoders]:
        group()
    CASES.write()
