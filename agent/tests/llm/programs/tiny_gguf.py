"""Writes a model of llama.cpp's format GGUF (version 3): the llama architecture, two layers, random weights, a token for each byte of ASCII."""

import random
import struct

U32, F32, STRING, ARRAY, I32 = 4, 6, 8, 9, 5
WIDTH, LAYERS, HEADS, INNER, CONTEXT = 64, 2, 4, 128, 512
ALIGNMENT = 32


def text(value):
    value = value.encode()
    return struct.pack("<Q", len(value)) + value


def member(key, kind, value):
    if kind == STRING:
        return text(key) + struct.pack("<I", kind) + text(value)
    return text(key) + struct.pack("<I" + {U32: "I", F32: "f"}[kind], kind, value)


def array(key, kind, values):
    body = b"".join(text(v) if kind == STRING else struct.pack({F32: "<f", I32: "<i"}[kind], v) for v in values)
    return text(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) + body


def tokens():
    """Unknown, begin, end, and each byte of ASCII; then the letters, since a vocabulary of bytes alone says nothing readable. Bytes beyond ASCII are left
    out: where the first token is a part of a character, llama.cpp's server writes no `message_start`. Kinds: 1 normal, 2 unknown, 3 control, 6 byte."""
    rows = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
    rows += [(f"<0x{byte:02X}>", 6) for byte in range(128)]
    rows += [(letter, 1) for letter in "\u2581abcdefghijklmnopqrstuvwxyz"]
    return rows


def write(path):
    rows = tokens()
    members = [
        member("general.architecture", STRING, "llama"),
        member("general.name", STRING, "tiny-random"),
        member("llama.context_length", U32, CONTEXT),
        member("llama.embedding_length", U32, WIDTH),
        member("llama.block_count", U32, LAYERS),
        member("llama.feed_forward_length", U32, INNER),
        member("llama.attention.head_count", U32, HEADS),
        member("llama.attention.head_count_kv", U32, HEADS),
        member("llama.rope.dimension_count", U32, WIDTH // HEADS),
        member("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        member("llama.vocab_size", U32, len(rows)),
        member("tokenizer.ggml.model", STRING, "llama"),
        array("tokenizer.ggml.tokens", STRING, [row[0] for row in rows]),
        array("tokenizer.ggml.scores", F32, [0.0] * len(rows)),
        array("tokenizer.ggml.token_type", I32, [row[1] for row in rows]),
        member("tokenizer.ggml.bos_token_id", U32, 1),
        member("tokenizer.ggml.eos_token_id", U32, 2),
        member("tokenizer.ggml.unknown_token_id", U32, 0),
        member("tokenizer.chat_template", STRING, "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\\n' }}{% endfor %}"),
    ]
    # The first dimension is the one whose elements lie side by side.
    shapes = [("token_embd.weight", (WIDTH, len(rows))), ("output_norm.weight", (WIDTH,)), ("output.weight", (WIDTH, len(rows)))]
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        shapes += [(f"{block}attn_norm.weight", (WIDTH,)), (f"{block}ffn_norm.weight", (WIDTH,))]
        shapes += [(f"{block}attn_{part}.weight", (WIDTH, WIDTH)) for part in ("q", "k", "v", "output")]
        shapes += [(f"{block}ffn_gate.weight", (WIDTH, INNER)), (f"{block}ffn_up.weight", (WIDTH, INNER))]
        shapes.append((f"{block}ffn_down.weight", (INNER, WIDTH)))
    source = random.Random(7)
    infos, data = b"", b""
    for name, shape in shapes:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        infos += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *shape)
        infos += struct.pack("<IQ", 0, len(data))
        values = [1.0] * count if "norm" in name else [source.gauss(0, 0.2) for _ in range(count)]
        data += struct.pack(f"<{count}f", *values)
        data += bytes(-len(data) % ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(shapes), len(members)) + b"".join(members) + infos
    with open(path, "wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT) + data)
