"""LoRA adapters: what is read, what is refused, how much they take, and whose token sees which."""

from __future__ import annotations

import itertools
import json
import struct
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saker.core.errors import AlreadyExists, Conflict, InvalidInput, NotFound, TooLarge, Unsupported
from saker.engine.base import EngineOptions, HoldsAdapters
from saker.engine.messages import Chunk, GenerateRequest
from support.adapters import Pair, pairs, write_adapter

pytest.importorskip("openvino")

from saker.engine.paged.adapter_batch import AdapterInputs
from saker.engine.paged.adapter_file import read_adapter
from saker.engine.paged.adapter_graph import Adaptable, Kind
from saker.engine.paged.adapters import Adapter, Adapters
from saker.engine.paged.engine import PagedEngine

LAYERS = 3
INPUTS, OUTPUTS = 6, 5
QUERIES = tuple(f"model.layers.{layer}.self_attn.q_proj" for layer in range(LAYERS))
GATES = tuple(f"model.layers.{layer}.mlp.gate_proj" for layer in range(LAYERS))
KINDS = (Kind("q_proj", QUERIES, INPUTS, OUTPUTS), Kind("gate_proj", GATES, INPUTS, OUTPUTS))
RANK_BYTES = LAYERS * (INPUTS + OUTPUTS) * 4
"""Of one kind, for each rank."""


def make(room: int = 1 << 20, *, is_bf16: bool = False) -> Adapters:
    return Adapters(Adaptable(KINDS, is_bf16), room)


def queries(rank: int = 4, seed: int = 0) -> dict[str, Pair]:
    return pairs(QUERIES, INPUTS, OUTPUTS, rank=rank, seed=seed)


def change(adapter: Adapter, kind: Kind, layer: int) -> npt.NDArray[np.float32]:
    """What it adds to a layer's weights, [outputs, inputs]."""
    downs, ups = adapter.stacks[kind.name]
    product: npt.NDArray[np.float32] = ups[layer].T @ downs[layer]
    return product


# Reading


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({"lora_alpha": 8}, 2.0),
        ({"lora_alpha": 8, "use_rslora": True}, 4.0),
        ({"lora_alpha": 8, "alpha_pattern": {"q_proj": 2}}, 0.5),
        ({"lora_alpha": 8, "alpha_pattern": {"^model.layers.1.self_attn.q_proj": 2}}, 0.5),
        ({"lora_alpha": 8, "alpha_pattern": {"proj": 2, "^q_proj": 2}}, 2.0),  # neither is a whole name
    ],
)
def test_an_adapter_adds_its_scaled_product(tmp_path: Path, config: dict[str, Any], scale: float) -> None:
    given = queries(rank=4)
    adapter = make().load("a", write_adapter(tmp_path, given, **config))
    down, up = given[QUERIES[1]]

    np.testing.assert_allclose(scale * up @ down, change(adapter, KINDS[0], 1), rtol=1e-5)
    assert (0, 4) == (adapter.rank(KINDS[1]), adapter.rank(KINDS[0]))


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("is_bf16", [False, True])
def test_numbers_of_every_type_are_read(tmp_path: Path, dtype: str, is_bf16: bool) -> None:
    given = {module: (np.full((4, INPUTS), 0.75, np.float32), up * 0 - 1.5) for module, (_, up) in queries().items()}
    downs, ups = (
        make(is_bf16=is_bf16).load("a", write_adapter(tmp_path, given, dtype=dtype)).stacks["q_proj"]
    )  # exact in all of them

    if is_bf16:
        downs, ups = ((bits.astype(np.uint32) << 16).view(np.float32) for bits in (downs, ups))
    assert {0.75} == set(downs.ravel().tolist())
    assert {-1.5} == set(ups.ravel().tolist())


def test_rounding_to_bfloat16_goes_to_the_nearest_and_on_ties_to_the_even() -> None:
    values = np.array([1.0, 1 + 2**-9, 1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-7], np.float32)
    bits = Adaptable(KINDS, is_bf16=True).numbers(values)

    assert [1.0, 1.0, 1.0, 1 + 2**-6, -1 - 2**-7] == (bits.astype(np.uint32) << 16).view(np.float32).tolist()


def test_layers_of_a_lower_rank_are_filled_up_with_nothing(tmp_path: Path) -> None:
    given = queries(rank=4) | {QUERIES[2]: queries(rank=2)[QUERIES[2]]}
    adapter = make().load("a", write_adapter(tmp_path, given, rank_pattern={"layers.2.self_attn.q_proj": 2}))
    down, up = given[QUERIES[2]]

    assert 4 == adapter.rank(KINDS[0])
    np.testing.assert_allclose(2 * up @ down, change(adapter, KINDS[0], 2), rtol=1e-5)  # alpha 4 by rank 2


# Refusing


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "lora_only"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"init_lora_weights": "pissa_niter_16"}, "init_lora_weights"),
        ({"peft_type": "IA3"}, "IA3"),
        ({"r": "many"}, "damaged"),
        ({"r": 9}, "rank 4"),
        ({"alpha_pattern": {"(a+)+": 1}}, "regular expression"),
    ],
)
def test_what_is_more_than_a_plain_lora_is_refused_by_its_name(
    tmp_path: Path, config: dict[str, Any], word: str
) -> None:
    with pytest.raises(InvalidInput, match=word):
        read_adapter(write_adapter(tmp_path, queries(), **config))


@pytest.mark.parametrize(
    "key",
    [
        "base_model.model.model.embed_tokens.lora_embedding_A",
        f"base_model.model.{QUERIES[0]}.lora_magnitude_vector",
        "base_model.model.lm_head.weight",
        f"{QUERIES[0]}.lora_A.weight",
    ],
)
def test_a_tensor_that_is_no_part_of_a_lora_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(Unsupported, match=key):
        read_adapter(write_adapter(tmp_path, queries(), others={key: np.zeros((4, 6), np.float32)}))


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    key = f"base_model.model.{GATES[0]}.lora_A.weight"
    with pytest.raises(InvalidInput, match="gate_proj"):
        read_adapter(write_adapter(tmp_path, queries(), others={key: np.zeros((4, 6), np.float32)}))


def test_a_pickle_is_refused_and_never_opened(tmp_path: Path) -> None:
    write_adapter(tmp_path, queries())
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")

    with pytest.raises(Unsupported, match="pickle"):
        read_adapter(tmp_path)


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"adapter_config\.json"):
        read_adapter(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(InvalidInput, match="safetensors"):
        read_adapter(tmp_path)


def _header(text: bytes) -> Callable[[bytes], bytes]:
    return lambda _: struct.pack("<Q", len(text)) + text


def _entry(**fields: Any) -> Callable[[bytes], bytes]:
    key = f"base_model.model.{QUERIES[0]}.lora_A.weight"
    entry = {"dtype": "F32", "shape": [4, 6], "data_offsets": [0, 96]} | fields
    return _header(json.dumps({key: entry}).encode())


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:7],
        lambda whole: whole[:-1],
        lambda whole: struct.pack("<Q", 1 << 62) + whole[8:],
        _header(b"["),
        _header(b"[]"),
        _header(b'{"a": 3}'),
        _header(b"[" * 100_000),
        _header(b"{}"),
        _entry(),  # its numbers are missing
        _entry(data_offsets=[-96, 0]),
        _entry(shape=[-4, -6]),
        _entry(shape=[1 << 40, 1 << 40]),
        _entry(shape=[], data_offsets=[0, 0]),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    write_adapter(tmp_path, queries())
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(InvalidInput):
        read_adapter(tmp_path)


def test_a_type_of_numbers_that_it_cannot_read_is_refused_by_its_name(tmp_path: Path) -> None:
    write_adapter(tmp_path, queries())
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"F8X"'))

    with pytest.raises(Unsupported, match="F8X"):
        read_adapter(tmp_path)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (pairs(["model.layers.0.self_attn.q_pro"], INPUTS, OUTPUTS), "Did you mean 'model.layers.0.self_attn.q_proj'"),
        (pairs(["model.layers.7.self_attn.q_proj"], INPUTS, OUTPUTS), r"layers\.7"),
        (pairs(["lm_head"], INPUTS, OUTPUTS), "lm_head"),
        (pairs(QUERIES, INPUTS + 1, OUTPUTS), "7 inputs and 5 outputs; there are 6 and 5"),
    ],
)
def test_an_adapter_of_another_model_is_refused(tmp_path: Path, given: dict[str, Pair], word: str) -> None:
    with pytest.raises(InvalidInput, match=word):
        make().load("a", write_adapter(tmp_path, given))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e30])
def test_numbers_that_would_spoil_the_others_answers_are_refused(tmp_path: Path, number: float) -> None:
    given = queries()
    given[QUERIES[1]][1][2, 3] = number
    adapters = make()

    with pytest.raises(InvalidInput, match="diverged"):
        adapters.load("a", write_adapter(tmp_path, given))
    with pytest.raises(InvalidInput, match="diverged"):
        adapters.load("a", write_adapter(tmp_path, queries(), lora_alpha=number * 1e30))
    assert 0 == adapters.bytes


# Names and room


def test_a_name_is_given_once_and_free_again_after_unloading(tmp_path: Path) -> None:
    adapters = make()
    first = adapters.load("a", write_adapter(tmp_path, queries()))
    with pytest.raises(AlreadyExists):
        adapters.load("a", tmp_path)
    with pytest.raises(Conflict, match="2 running"):
        adapters.unload("a", 2)

    assert first is adapters.unload("a", 0)
    with pytest.raises(NotFound):
        adapters.get("a")
    second = adapters.load("a", tmp_path)
    assert second is adapters.get("a")
    assert first.root != second.root  # what was computed under the first is not the second's
    with pytest.raises(InvalidInput, match="name"):
        adapters.load("", tmp_path)


def test_a_wrong_name_brings_the_nearest(tmp_path: Path) -> None:
    adapters = make()
    adapters.load("support", write_adapter(tmp_path, queries()))

    with pytest.raises(NotFound, match="'support'"):
        adapters.get("suport")


def test_all_adapters_together_stay_within_their_room(tmp_path: Path) -> None:
    adapters = make(room=10 * RANK_BYTES)
    for name, rank in (("a", 4), ("b", 4), ("c", 4)):
        write_adapter(tmp_path / name, queries(rank))
    adapters.load("a", tmp_path / "a")
    adapters.load("b", tmp_path / "b")
    with pytest.raises(TooLarge, match=f"{4 * RANK_BYTES:,}.*{2 * RANK_BYTES:,}.*2 loaded.*{10 * RANK_BYTES:,}"):
        adapters.load("c", tmp_path / "c")

    assert 8 * RANK_BYTES == adapters.bytes
    adapters.unload("a", 0)
    adapters.load("c", tmp_path / "c")


def test_numbers_in_bfloat16_take_half_the_room(tmp_path: Path) -> None:
    write_adapter(tmp_path, queries(4))

    assert 2 * RANK_BYTES == make(is_bf16=True).load("a", tmp_path).bytes


# Whose token sees which


class FakeRequest:
    """Keeps what it is shown, as OpenVINO does."""

    def __init__(self) -> None:
        self.shown: dict[str, Any] = {}
        self.count = 0

    def set_tensor(self, name: str, tensor: Any) -> None:
        self.count += 1
        self.shown[name] = tensor

    def __getitem__(self, name: str) -> npt.NDArray[np.float32]:
        content: npt.NDArray[np.float32] = self.shown[name].data
        return content


def _made(name: str, ranks: Sequence[int], seed: int = 0) -> Adapter:
    """An adapter with these ranks for the kinds; 0 leaves a kind alone."""
    draw = np.random.default_rng(seed)
    sizes = (INPUTS, OUTPUTS)
    stacks = {
        kind.name: tuple(draw.normal(size=(LAYERS, rank, size)).astype(np.float32) for size in sizes)
        for kind, rank in zip(KINDS, ranks, strict=True)
        if rank
    }
    return Adapter(name, name.encode(), stacks)  # type: ignore[arg-type]  # pairs


def _outcome(request: FakeRequest, kind: Kind, x_TI: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What the graph adds to the first layer's outputs."""
    found: npt.NDArray[np.float32] = ((x_TI @ request[kind.down][0].T) * request[kind.mask]) @ request[kind.up][0]
    return found


ROWS = st.lists(st.tuples(st.sampled_from([None, 0, 1, 2, 3]), st.integers(1, 4)), min_size=1, max_size=8)


@given(
    ranks=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3)), min_size=4, max_size=4),
    steps=st.lists(ROWS, min_size=1, max_size=5),
)
def test_each_token_gets_what_its_own_adapter_adds(
    ranks: list[tuple[int, int]], steps: list[list[tuple[int | None, int]]]
) -> None:
    adapters = [_made(str(place), pair, place) for place, pair in enumerate(ranks)]
    request = FakeRequest()
    inputs = AdapterInputs(request, Adaptable(KINDS, is_bf16=False))
    for rows in steps:
        owners = [None if place is None else adapters[place] for place, _ in rows]
        lengths = [length for _, length in rows]
        inputs.fill(owners, lengths)
        x_TI = np.random.default_rng(1).normal(size=(sum(lengths), INPUTS)).astype(np.float32)
        for kind in KINDS:
            found = np.broadcast_to(_outcome(request, kind, x_TI), (len(x_TI), OUTPUTS))
            expected = np.zeros((len(x_TI), OUTPUTS), np.float32)
            ends = np.cumsum(lengths)
            for owner, length, end in zip(owners, lengths, ends, strict=True):
                if owner is not None and owner.rank(kind):
                    expected[end - length : end] = x_TI[end - length : end] @ change(owner, kind, 0).T

            np.testing.assert_allclose(expected, found, atol=1e-4)


def test_a_step_like_the_last_one_sets_nothing() -> None:
    adapters = [_made("a", (2, 2)), _made("b", (3, 0))]
    request = FakeRequest()
    inputs = AdapterInputs(request, Adaptable(KINDS, is_bf16=False))
    for rows in ([None, None], adapters, [adapters[0], None]):
        inputs.fill(rows, [1, 1])
        count = request.count
        inputs.fill(rows, [1, 1])

        assert count == request.count


def test_without_adapters_nothing_is_multiplied() -> None:
    request = FakeRequest()
    inputs = AdapterInputs(request, Adaptable(KINDS, is_bf16=False))
    inputs.fill([_made("a", (2, 2))], [3])
    inputs.fill([None], [7])

    assert (LAYERS, 0, INPUTS) == request[KINDS[0].down].shape
    assert (1, 0) == request[KINDS[0].mask].shape


def test_adapters_that_rest_for_a_step_need_no_copying_after_it() -> None:
    few = [_made(name, (2, 2)) for name in "abc"]
    request = FakeRequest()
    inputs = AdapterInputs(request, Adaptable(KINDS, is_bf16=False))
    inputs.fill(few, [1, 1, 1])
    kept = request.shown[KINDS[0].down].data
    for rows in (few[:2], few[1:], few[:1], few):
        inputs.fill(rows, [1] * len(rows))

    assert kept.ctypes.data == request.shown[KINDS[0].down].data.ctypes.data


def test_adapters_that_rest_are_left_out_where_they_are_many() -> None:
    many = [_made(str(place), (2, 2)) for place in range(8)]
    request = FakeRequest()
    inputs = AdapterInputs(request, Adaptable(KINDS, is_bf16=False))
    inputs.fill(many, [1] * 8)
    inputs.fill(many[:3], [1] * 3)

    assert (3, 6) == request[KINDS[0].mask].shape


def test_a_forgotten_adapter_is_held_nowhere() -> None:
    one, other = _made("a", (2, 2)), _made("b", (2, 2))
    request = FakeRequest()
    inputs = AdapterInputs(request, Adaptable(KINDS, is_bf16=False))
    inputs.fill([one, other], [1, 1])
    inputs.fill([one], [1])
    inputs.forget(other)
    assert not inputs._kept.adapters
    assert [one] == list(inputs._bound.adapters)
    inputs.forget(one)

    assert not inputs._bound.adapters


# In the engine, with the model that ships inside the package

EMBEDDED = Path(str(files("saker.models") / "embedded"))
PROMPT = tuple(range(3, 103))
MIXED = (None, "a", "b", "a", None)


@pytest.fixture
def engine(tmp_path: Path) -> PagedEngine:
    """With the adapters a and b."""
    modules = [f"model.layers.{layer}" for layer in range(5)]
    attention = pairs([f"{name}.self_attn.q_proj" for name in modules], 64, 64, seed=1)
    value = pairs([f"{name}.mlp.gate_proj" for name in modules], 64, 172, rank=8, seed=2)
    write_adapter(tmp_path / "a", attention, lora_alpha=8)
    write_adapter(tmp_path / "b", value, dtype="BF16")
    options = EngineOptions(
        str(EMBEDDED), precision="fp32", adapters={"a": str(tmp_path / "a")}, adapter_bytes=1 << 20, max_context=256
    )
    made = PagedEngine(options)
    assert isinstance(made, HoldsAdapters)
    made.load_adapter("b", str(tmp_path / "b"))
    return made


def ask(
    engine: PagedEngine, *adapters: str | None, after: Callable[[int], None] = lambda steps: None
) -> list[list[int]]:
    """The tokens of requests with these adapters, all at once; `after` is called after each step."""
    for id, adapter in enumerate(adapters):
        engine.submit(
            id,
            GenerateRequest(
                tokens=PROMPT, max_new_tokens=24, ignore_eos=True, logprobs=True, stream=True, adapter=adapter or ""
            ),
        )
    found: list[list[int]] = [[] for _ in adapters]
    for steps in itertools.count(1):
        for chunk in engine.step():
            assert isinstance(chunk, Chunk), chunk
            found[chunk.id] += [token.id for token in chunk.tokens]
        after(steps)
        if not engine.has_work():
            return found
    raise AssertionError("count() never ends")


@pytest.mark.real
def test_each_request_is_answered_by_its_own_adapter(engine: PagedEngine) -> None:
    """
    Mixed in one batch, and one after another, where each finds the prefix cache that the one before it has left.
    """
    plain = PagedEngine(EngineOptions(str(EMBEDDED), precision="fp32", max_context=256))
    alone = {adapter: ask(engine, adapter)[0] for adapter in (None, "a", "b")}

    assert alone[None] == ask(plain, None)[0]
    assert 3 == len({tuple(tokens) for tokens in alone.values()})
    assert [alone[adapter] for adapter in MIXED] == ask(engine, *MIXED)
    assert alone == {adapter: ask(engine, adapter)[0] for adapter in ("b", "a", None)}


@pytest.mark.real
def test_another_adapter_under_an_old_name_inherits_nothing(engine: PagedEngine, tmp_path: Path) -> None:
    a, b = ask(engine, "a", "b")
    engine.unload_adapter("a")
    engine.unload_adapter("b")
    engine.load_adapter("a", str(tmp_path / "b"))
    with pytest.raises(NotFound):
        engine.submit(7, GenerateRequest(tokens=PROMPT, adapter="b"))

    assert [b] == ask(engine, "a")
    engine.load_adapter("b", str(tmp_path / "a"))
    assert [b, a] == ask(engine, "a", "b")


@pytest.mark.real
def test_an_adapter_in_use_stays(engine: PagedEngine) -> None:
    engine.submit(1, GenerateRequest(tokens=PROMPT, max_new_tokens=8, adapter="a"))
    with pytest.raises(Conflict):
        engine.unload_adapter("a")
    engine.step()
    with pytest.raises(Conflict):
        engine.unload_adapter("a")
    engine.unload_adapter("b")
    engine.cancel(1)

    engine.unload_adapter("a")
    assert not engine.has_work()


@pytest.mark.real
def test_loading_and_failing_to_load_disturbs_nobody(engine: PagedEngine, tmp_path: Path) -> None:
    expected = ask(engine, *MIXED)

    def load(steps: int) -> None:
        if steps == 3:
            engine.load_adapter("c", str(tmp_path / "a"))
        if steps == 6:
            with pytest.raises(InvalidInput):
                engine.load_adapter("d", str(tmp_path))
            engine.unload_adapter("c")

    assert expected == ask(engine, *MIXED, after=load)


@pytest.mark.real
def test_without_room_there_are_no_adapters(tmp_path: Path) -> None:
    plain = PagedEngine(EngineOptions(str(EMBEDDED), max_context=256))

    assert "adapter" not in plain.describe().capabilities.parameters
    with pytest.raises(Unsupported, match="room"):
        plain.load_adapter("a", str(tmp_path))
