"""Tokens per second of many clients: with each kind of sampling beside OpenVINO GenAI, and what only our engine has."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial

from msgspec import structs

from bench import bare
from bench.paged.pair import NEW_TOKENS, Pair, requests, run
from bench.paged.plan import GREEDY, MANY, SAMPLING, Plan
from bench.report import Figure
from saker.engine.base import Engine
from saker.engine.messages import GenerateRequest, Sampling

TARGETS: Mapping[tuple[str, int], float] = {("top_p", 32): 2.0}
"""Of our engine over genai; 1 where nothing is said."""
VARIANT_TARGET = 0.85
"""Of an answer with something that only our engine has, over a greedy one."""

VARIANTS: Mapping[str, Callable[[GenerateRequest], GenerateRequest]] = {
    GREEDY: lambda request: request,
    "typical_p": lambda request: structs.replace(request, sampling=Sampling(temperature=0.8, typical_p=0.9, seed=1)),
    "watermark": lambda request: structs.replace(request, watermark=True),
    "top_logprobs=5": lambda request: structs.replace(request, logprobs=True, top_logprobs=5),
}


def measure(pair: Pair, plan: Plan) -> list[Figure]:
    """Every sampling at every number of clients."""
    figures: list[Figure] = []
    for name in plan.samplings:
        for clients in plan.clients:
            if clients < MANY or name == GREEDY or not plan.many_clients_only_greedy:
                figures += _beside_genai(pair, plan, name, clients)
    return figures


def measure_variants(pair: Pair, plan: Plan) -> list[Figure]:
    """What only our engine has, beside greedy answers of the same rounds."""
    return [figure for clients in plan.variant_clients for figure in _beside_greedy(pair, plan, clients)]


def _beside_genai(pair: Pair, plan: Plan, name: str, clients: int) -> list[Figure]:
    sampling = SAMPLING[name]
    sides: dict[str, Callable[[int], float]] = {
        "own": partial(_rate, pair, pair.own, sampling, clients),
        "genai": partial(_rate, pair, pair.genai, sampling, clients),
    }
    if name == GREEDY and clients < MANY:
        sides["bare pipeline"] = partial(_bare_rate, pair, clients)
    rates = pair.interleave(sides, plan.budget(clients))
    title = f"{name}, {_clients(clients)}"
    target = TARGETS.get((name, clients), 1.0)
    peers = {side: statistics.median(of) for side, of in rates.items() if side != "own"}
    figures = [Figure(f"{title}: tokens/s", statistics.median(rates["own"]), "/s", peers=peers)]
    for peer in peers:
        aim = target if peer == "genai" else None
        figures.append(
            Figure(f"{title}: own / {peer}, median of {_rounds(rates)}", _ratio(rates, peer), "", target=aim)
        )
    return figures


def _beside_greedy(pair: Pair, plan: Plan, clients: int) -> list[Figure]:
    sides = {name: partial(_variant_rate, pair, name, clients) for name in VARIANTS}
    rates = pair.interleave(sides, plan.budget(clients))
    greedy = statistics.median(rates[GREEDY])
    figures = []
    for name in list(VARIANTS)[1:]:
        title = f"{name}, {_clients(clients)}"
        own, ratio = statistics.median(rates[name]), _ratio(rates, GREEDY, name)
        figures.append(Figure(f"{title}: tokens/s", own, "/s", peers={"own, greedy": greedy}))
        title += f": over greedy, median of {_rounds(rates)}"
        figures.append(Figure(title, ratio, "", target=VARIANT_TARGET))
    return figures


def _rate(pair: Pair, engine: Engine, sampling: Sampling, clients: int, seed: int) -> float:
    asked = requests(pair.prompts(seed, clients), NEW_TOKENS, sampling)
    return clients * NEW_TOKENS / run(engine, asked, clients)


def _bare_rate(pair: Pair, clients: int, seed: int) -> float:
    result = bare.answer(pair.bare, bare.Batch(list(map(list, pair.prompts(seed, clients))), clients, NEW_TOKENS))
    return result.tokens / result.wall_s


def _variant_rate(pair: Pair, name: str, clients: int, seed: int) -> float:
    """Each variant reads prompts of its own, because all run in one engine with one prefix cache."""
    asked = requests(pair.prompts(f"{seed} {name}", clients), NEW_TOKENS)
    return clients * NEW_TOKENS / run(pair.own, list(map(VARIANTS[name], asked)), clients)


def _ratio(rates: Mapping[str, list[float]], peer: str, own: str = "own") -> float:
    return statistics.median(mine / other for mine, other in zip(rates[own], rates[peer], strict=True))


def _rounds(rates: Mapping[str, list[float]]) -> str:
    count = len(next(iter(rates.values())))
    return f"{count} round{'s' if count > 1 else ''}"


def _clients(count: int) -> str:
    return f"{count} client{'s' if count > 1 else ''}"
