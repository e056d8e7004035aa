"""Draws the next token with transformers' own logits processors."""

from __future__ import annotations

from typing import Any

import torch
from transformers.generation import logits_process as processors

from saker.engine.messages import Sampling


class FrequencyPresencePenalty(processors.LogitsProcessor):  # type: ignore[misc]  # the library has no types
    """Lowers tokens that the answer holds already: by their count, and by whether they occur.

    Source: https://platform.openai.com/docs/api-reference/chat/create (frequency_penalty, presence_penalty).
    """

    def __init__(self, frequency: float, presence: float, prompt_length: int) -> None:
        self._frequency = frequency
        self._presence = presence
        self._prompt_length = prompt_length

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores after the penalties; the prompt's tokens do not count."""
        counts = torch.zeros_like(scores)
        answer = input_ids[:, self._prompt_length :]
        counts.scatter_add_(1, answer, torch.ones_like(answer, dtype=scores.dtype))
        return scores - self._frequency * counts - self._presence * (counts > 0)


class Sampler:
    """One answer's way to choose tokens."""

    def __init__(self, sampling: Sampling, seed: int, prompt_length: int, model: Any) -> None:
        self._is_greedy = sampling.temperature <= 0
        self._processors = _build(sampling, prompt_length)
        forced = getattr(model.generation_config, "forced_bos_token_id", None)
        if forced is not None:
            self._processors.append(processors.ForcedBOSTokenLogitsProcessor(forced))
        self._generator = torch.Generator(device=model.device)
        self._generator.manual_seed(seed % 2**63)

    def draw(self, ids: Any, logits: Any) -> tuple[int, float]:
        """The next token and its log probability before any processing.

        Args:
            ids: All tokens so far, shape [1, tokens].
            logits: Of the next token, shape [1, vocabulary], float32.
        """
        scores = self._processors(ids, logits)
        if self._is_greedy:
            token = int(scores.argmax(dim=-1))
        else:
            shares = torch.softmax(scores, dim=-1)
            token = int(torch.multinomial(shares, 1, generator=self._generator))
        return token, float(torch.log_softmax(logits, dim=-1)[0, token])


def _build(sampling: Sampling, prompt_length: int) -> Any:
    """Processors in the order in which transformers' generate applies them."""
    found = processors.LogitsProcessorList()
    if sampling.repetition_penalty != 1.0:
        found.append(processors.RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))
    if sampling.frequency_penalty or sampling.presence_penalty:
        found.append(FrequencyPresencePenalty(sampling.frequency_penalty, sampling.presence_penalty, prompt_length))
    if sampling.temperature <= 0:
        return found
    if sampling.temperature != 1.0:
        found.append(processors.TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_k:
        found.append(processors.TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1.0:
        found.append(processors.TopPLogitsWarper(sampling.top_p))
    if sampling.min_p > 0.0:
        found.append(processors.MinPLogitsWarper(sampling.min_p))
    if sampling.typical_p < 1.0:
        found.append(processors.TypicalLogitsWarper(sampling.typical_p))
    return found
