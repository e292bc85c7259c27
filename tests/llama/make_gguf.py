#!/usr/bin/env python3
"""Makes a small llama-architecture model with random weights, for tests of the protocol around it.

    make_gguf.py tiny.gguf                      1 MB; answers are word salad and run to max_tokens
    make_gguf.py tools.gguf --tool-bias 20      every answer to a request with tools is a tool call
    make_gguf.py heavy.gguf --layers 8 --dim 640 --ff 1728 --heads 8 --q8    prompts take time

How the text is steered: dimension 0 of the residual stream is the same for every token and no layer writes
to it, so that column 0 of the output matrix is a bias for each token. Whole words get a high one, lone bytes
and control tokens a very low one: what comes out is printable, and as long as wanted.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

WORDS = (
    "a about above after again all also always an and answer any apple are as ask at away back basket be because "
    "before begin below between bird blue book bread bridge bring brown but by call can carry chair children city "
    "clean clear close cloud cold come could count day deep do door down draw dream drink each early earth eat "
    "eight end evening every eye face fall far fast few field find fire first fish five flower fly follow food for "
    "forest four friend from full garden give go good grass green ground hand happy have he head hear heart heavy "
    "help her here high hill his hold home hope horse house how hundred ice if in into island it keep key kind know "
    "lake land large last late laugh leaf learn leave left letter light like line list little live long look lost "
    "love make many map market may meet milk moon more morning mountain move much music name near never new next "
    "night nine no north not now number ocean of old on one only open or other our out over page paint paper part "
    "people picture place plain plant play please point queen question quiet rain read red rest ride right river "
    "road room round run sail salt same sand say school sea season second see seed seven shade she ship short show "
    "side silver sing sit six sky sleep slow small snow so some song soon south spring stand star stay step stone "
    "story street strong summer sun sweet table take tall tell ten than that the their them then there these they "
    "thing think this three through time to today together town tree true turn two under until up us very village "
    "voice wait walk wall warm was watch water way we week well west what wheel when where which while white who why "
    "wide wild wind window winter with wood word work world would write year yellow yes you young your"
).split()

SPACE = "\u0120"  # how this family of tokenizers writes a blank
TOOL_CALL_OPEN, TOOL_CALL_CLOSE = '<tool_call>\n{"name": "', "</tool_call>"
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
BIAS_NEVER, BIAS_BYTE, BIAS_WORD, BIAS_COMMA = -30.0, -12.0, 3.0, 1.5
CONSTANT = 4.0  # dimension 0 of every embedding
VOCABULARY_MULTIPLE = 32  # what Q8_0 needs of a row


@dataclass
class Shape:
    layers: int = 2
    dim: int = 64
    ff: int = 192
    heads: int = 4
    context: int = 8192
    q8: bool = False
    end_bias: float = BIAS_NEVER
    tool_bias: float = BIAS_NEVER
    # A call is the last thing said, whether or not the grammar would have more of them.
    ends_after_call: bool = False
    # The template opens every answer with <think>, as reasoning models' do; random weights never close it.
    thinks: bool = False
    seed: int = 1


class Vocabulary:
    """Bytes, then every prefix of every word, so that merging letter by letter always ends at the word."""

    def __init__(self):
        self.tokens = byte_tokens()
        self.merges, self.words = [], []
        known = set(self.tokens)
        for word in WORDS:
            for text in (SPACE + word, word):
                for end in range(2, len(text) + 1):
                    if text[:end] not in known:
                        known.add(text[:end])
                        self.tokens.append(text[:end])
                        self.merges.append(f"{text[:end - 1]} {text[end - 1]}")
            self.words.append(SPACE + word)
        kinds = [gguf.TokenType.NORMAL] * len(self.tokens)
        special = [TOOL_CALL_OPEN, TOOL_CALL_CLOSE, END_OF_TEXT, TURN_START, TURN_END]
        unused = -(len(self.tokens) + len(special)) % VOCABULARY_MULTIPLE
        self.tokens += [f"<|unused{n}|>" for n in range(unused)] + special
        kinds += [gguf.TokenType.UNUSED] * unused + [gguf.TokenType.USER_DEFINED] * 2 + [gguf.TokenType.CONTROL] * 3
        self.kinds = [int(kind) for kind in kinds]
        self.ids = {token: number for number, token in enumerate(self.tokens)}

    def bias(self, shape):
        bias = np.full(len(self.tokens), BIAS_BYTE, dtype=np.float32)
        bias[[self.ids[word] for word in self.words]] = BIAS_WORD
        bias[[self.ids[mark] for mark in ",."]] = BIAS_COMMA
        bias[[number for number, kind in enumerate(self.kinds) if kind != gguf.TokenType.NORMAL]] = BIAS_NEVER
        bias[self.ids[TURN_END]] = shape.end_bias
        bias[self.ids[TOOL_CALL_OPEN]] = shape.tool_bias
        if shape.ends_after_call:
            # Rather this one token than its letters or than a further call: on it the end follows.
            bias[self.ids[TOOL_CALL_CLOSE]] = BIAS_BYTE / 2
            bias[self.ids[","]] = 2 * BIAS_BYTE
        return bias


def byte_tokens():
    """The 256 bytes under the printable names that byte-level BPE gives them."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        if byte not in names:
            names[byte] = chr(256 + len(names) - len(printable))
    return [names[byte] for byte in printable] + [name for byte, name in names.items() if byte not in printable]


def make_gguf(path, shape=None):
    shape = shape or Shape()
    random = np.random.default_rng(shape.seed)
    vocabulary = Vocabulary()
    writer = gguf.GGUFWriter(str(path), "llama")
    write_header(writer, vocabulary, shape)
    writer.add_chat_template(chat_template(shape))
    for name, matrix in tensors(random, vocabulary, shape):
        if shape.q8 and matrix.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(matrix, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, matrix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_header(writer, vocabulary, shape):
    writer.add_name("random words")
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ff)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.dim // shape.heads)
    writer.add_vocab_size(len(vocabulary.tokens))
    writer.add_file_type(7 if shape.q8 else 0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    writer.add_token_merges(vocabulary.merges)
    writer.add_bos_token_id(vocabulary.ids[END_OF_TEXT])
    writer.add_eos_token_id(vocabulary.ids[TURN_END])
    writer.add_pad_token_id(vocabulary.ids[END_OF_TEXT])
    writer.add_add_bos_token(False)


def chat_template(shape):
    template = Path(__file__).with_name("chat_template.jinja").read_text()
    return ("{%- set thinks = true -%}\n" if shape.thinks else "") + template


def tensors(random, vocabulary, shape):
    def matrix(rows, columns, scale=1.0):
        return (random.standard_normal((rows, columns), dtype=np.float32) * scale / np.sqrt(columns)).astype(np.float32)

    def leaving_dimension_0(rows, columns):
        block = matrix(rows, columns, 0.5)
        block[0] = 0
        return block

    dim, ones = shape.dim, np.ones(shape.dim, dtype=np.float32)
    embedding = random.standard_normal((len(vocabulary.tokens), dim), dtype=np.float32)
    embedding[:, 0] = CONSTANT
    yield "token_embd.weight", embedding
    for layer in range(shape.layers):
        prefix = f"blk.{layer}."
        yield prefix + "attn_norm.weight", ones
        for part in "qkv":
            yield f"{prefix}attn_{part}.weight", matrix(dim, dim)
        yield prefix + "attn_output.weight", leaving_dimension_0(dim, dim)
        yield prefix + "ffn_norm.weight", ones
        yield prefix + "ffn_gate.weight", matrix(shape.ff, dim)
        yield prefix + "ffn_up.weight", matrix(shape.ff, dim)
        yield prefix + "ffn_down.weight", leaving_dimension_0(dim, shape.ff)
    yield "output_norm.weight", ones
    output = matrix(len(vocabulary.tokens), dim, 2.0)
    output[:, 0] = vocabulary.bias(shape) / 3.0  # after the norm dimension 0 is about 3
    if shape.ends_after_call:
        # The end is what follows the one embedding: this dot product is that of a vector with itself.
        output[vocabulary.ids[TURN_END], 1:] += 2 * embedding[vocabulary.ids[TOOL_CALL_CLOSE], 1:]
    yield "output.weight", output


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    defaults = Shape()
    for name, value in vars(defaults).items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            parser.add_argument(flag, action="store_true")
        else:
            parser.add_argument(flag, type=type(value), default=value)
    arguments = vars(parser.parse_args())
    make_gguf(arguments.pop("path"), Shape(**arguments))


if __name__ == "__main__":
    main()
