"""What gateway and worker say to each other: small msgspec frames over a Unix socket.

Only this module is shared by the two processes. A frame is a 4-byte big-endian length and that many bytes of
MessagePack. The gateway sends `Command`s; the worker sends `Report`s. A worker puts all tokens of one engine step into
one `Step`, so that the number of frames grows with steps and not with requests.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""A longer frame is a broken or hostile peer; the connection is closed."""

_LENGTH = struct.Struct("!I")


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One turn of a conversation, as chat templates take it."""

    role: str
    content: str


class Sampling(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the next token is drawn. The defaults draw greedily."""

    temperature: float = 0.0
    """0 is greedy; otherwise above 0."""
    top_k: int = 0
    """Keep the k likeliest tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set of likeliest tokens whose mass reaches p, in (0, 1]; 1 keeps all."""
    min_p: float = 0.0
    """Drop tokens below this share of the likeliest one's probability, in [0, 1)."""
    typical_p: float = 1.0
    """Locally typical sampling, in (0, 1]; 1 is off. Source: Meister et al., 2022."""
    repetition_penalty: float = 1.0
    """Above 0; 1 is off. Source: Keskar et al., CTRL, 2019."""
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int | None = None
    """The same seed, prompt and engine give the same tokens; None draws a fresh one."""


GrammarKind = Literal["json_schema", "regex", "lark"]


class Grammar(msgspec.Struct, frozen=True):
    """The form that an answer must have."""

    kind: GrammarKind
    """"lark" is llguidance's variant of Lark's EBNF.
    Source: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md"""
    text: str
    """The schema as JSON text, the regular expression, or the grammar."""


class GenerateRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One text request, whatever dialect it came in. Exactly one of `prompt`, `tokens` and `messages` is given."""

    prompt: str | None = None
    """Text, tokenized with the model's special tokens."""
    tokens: tuple[int, ...] | None = None
    """Token ids, taken as they are."""
    messages: tuple[Message, ...] | None = None
    """A conversation, laid out by the model's own chat template."""
    max_new_tokens: int | None = None
    """At least 1; None generates up to the end of the context."""
    sampling: Sampling = Sampling()
    stop: tuple[str, ...] = ()
    """Generation ends before any of these; the stop string itself is not returned."""
    n: int = 1
    """How many independent answers, at least 1."""
    logprobs: bool = False
    """Whether each token comes with its id and log probability."""
    truncate: int | None = None
    """Keep only this many last prompt tokens; None refuses a prompt that does not fit."""
    stream: bool = False
    """Whether text is reported as it comes. Otherwise it comes once, at the end, which costs nothing on the way."""
    ignore_eos: bool = False
    """Go on past the end-of-text token; for benchmarks."""
    logit_bias: dict[int, float] = {}
    """Added to the logits of these tokens; OpenAI allows -100 to 100."""
    watermark: bool = False
    """Whether the text carries a statistical mark. Source: Kirchenbauer et al., 2023."""
    top_logprobs: int = 0
    """How many of the likeliest tokens come with each token."""
    priority: int = 0
    """Lower goes first, and may send running answers of a higher number back into the queue."""
    deadline_s: float | None = None
    """Seconds from its arrival after which the request fails; None never."""
    best_of: int = 1
    """Draw so many answers and report the `n` with the highest mean log probability, the likeliest first, all at the
    end. 1 is off; otherwise at least `n`, and not streamed."""
    prompt_logprobs: bool = False
    """Whether the first chunk tells how likely the model found each token of the prompt."""
    grammar: Grammar | None = None
    """None leaves the form open."""
    adapter: str = ""
    """The LoRA adapter that answers, by the name it was loaded under; "" is the plain model."""


class Generate(msgspec.Struct, frozen=True, tag="generate", omit_defaults=True):
    """Start one request."""

    id: int
    request: GenerateRequest


class Embed(msgspec.Struct, frozen=True, tag="embed"):
    """Embed texts."""

    id: int
    inputs: tuple[str, ...]


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Nobody waits for this request any more: free its slot within one step. Unknown ids are ignored."""

    id: int


class LoadAdapter(msgspec.Struct, frozen=True, tag="load_adapter"):
    """Load a LoRA adapter while others answer. A name that is in use is refused."""

    id: int
    name: str
    path: str
    """A folder in PEFT's format: adapter_config.json and adapter_model.safetensors."""


class UnloadAdapter(msgspec.Struct, frozen=True, tag="unload_adapter"):
    """Forget a LoRA adapter. Refused while a request uses it."""

    id: int
    name: str


Command = Generate | Embed | Cancel | LoadAdapter | UnloadAdapter


class Token(msgspec.Struct, frozen=True, omit_defaults=True):
    """One generated token, where `logprobs` asked for it."""

    id: int
    text: str
    """What it adds to the answer's text: "" for special tokens and for the first bytes of a longer character."""
    logprob: float
    top: tuple[Token, ...] = ()
    """The likeliest tokens at its place, the likeliest first, where `top_logprobs` asked for them. Their text is each
    token's alone."""


class PromptToken(msgspec.Struct, frozen=True, omit_defaults=True):
    """One token of the prompt, where `prompt_logprobs` asked for it."""

    id: int
    text: str
    """The token's alone."""
    logprob: float | None = None
    """None for the first, which nothing comes before."""


FinishReason = Literal["length", "eos_token", "stop_sequence"]


class Finish(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why and with what counts one answer ended."""

    reason: FinishReason
    prompt_tokens: int
    generated_tokens: int
    seed: int | None = None


class Chunk(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one step added to one answer of one request. Never half a character."""

    id: int
    text: str = ""
    index: int = 0
    """Which of the request's `n` answers."""
    tokens: tuple[Token, ...] = ()
    finish: Finish | None = None
    """Set on an answer's last chunk. The request is over when all `n` answers are."""
    prompt: tuple[PromptToken, ...] = ()
    """On the first chunk of a request's first answer, where `prompt_logprobs` asked for it."""


class Capabilities(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an engine with its model can do. Nothing else is accepted, so nothing is silently dropped."""

    tasks: frozenset[str] = frozenset()
    """Of "generate", "chat", "embed"."""
    parameters: frozenset[str] = frozenset()
    """Which optional request fields it honours: names of `Sampling`, "stop", "n", "logprobs", "truncate",
    "ignore_eos", "logit_bias", "watermark", "top_logprobs", "priority", "deadline_s", "best_of", "prompt_logprobs",
    "grammar", "adapter"."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded and takes requests. The worker's first report, unless it is `Unfit`."""

    engine: str
    """"genai", "transformers", "fake", …"""
    capabilities: Capabilities
    max_context: int
    """Prompt and generated tokens together."""
    load_s: float = 0.0
    """From process start to here, in seconds; the worker fills it in."""
    detail: dict[str, str] = {}
    """What the engine wants people to know: precision, device, library versions."""


class Unfit(msgspec.Struct, frozen=True, tag="unfit"):
    """The model cannot be served here, and trying again would not help."""

    what: str
    why: str = ""
    fix: str = ""


class Step(msgspec.Struct, frozen=True, tag="step"):
    """What one engine step produced, for all running requests together."""

    chunks: tuple[Chunk, ...]


class Embedded(msgspec.Struct, frozen=True, tag="embedded"):
    """The answer to an `Embed`."""

    id: int
    vectors: tuple[tuple[float, ...], ...]
    prompt_tokens: int


class Failed(msgspec.Struct, frozen=True, tag="failed", omit_defaults=True):
    """One request failed; the others go on. `error` is a name of `core.errors.BY_NAME`."""

    id: int
    error: str
    what: str
    why: str = ""
    fix: str = ""


class AdapterDone(msgspec.Struct, frozen=True, tag="adapter_done"):
    """A `LoadAdapter` or `UnloadAdapter` has taken effect."""

    id: int


Report = Ready | Unfit | Step | Embedded | Failed | AdapterDone

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def pack(message: Command | Report) -> bytes:
    """The message as one frame, length first."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def frame_length(header: bytes | memoryview) -> int:
    """The body's length in bytes, from a frame's first 4 bytes.

    Raises:
        ValueError: The frame is longer than `MAX_FRAME_BYTES`.
    """
    (length,) = _LENGTH.unpack(header)
    if length > MAX_FRAME_BYTES:
        raise ValueError(f"A frame of {length} bytes exceeds the limit of {MAX_FRAME_BYTES}.")
    return int(length)


def read_command(body: bytes | memoryview) -> Command:
    """A command from a frame's body.

    Raises:
        msgspec.ValidationError: The bytes are not a command.
    """
    return _commands.decode(body)


def read_report(body: bytes | memoryview) -> Report:
    """A report from a frame's body.

    Raises:
        msgspec.ValidationError: The bytes are not a report.
    """
    return _reports.decode(body)
