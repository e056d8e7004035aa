"""OpenAI's API: models, chat completions, completions, embeddings."""

from saker.doors.openai.door import OpenAiDoor

__all__ = ["OpenAiDoor"]
