"""Runs in the torch engine environment: renders chat templates with transformers.

Reads a JSON list of [template, special tokens, messages] from stdin; writes a JSON list of texts, null where it
refuses.
"""

from __future__ import annotations

import json
import sys

import jinja2
from transformers.utils.chat_template_utils import render_jinja_template


def render(template: str, special_tokens: dict[str, str], messages: list[dict[str, str]]) -> str | None:
    """What transformers gives to the model."""
    try:
        texts, _ = render_jinja_template(
            conversations=[messages], chat_template=template, add_generation_prompt=True, **special_tokens
        )
    except (jinja2.TemplateError, TypeError, ValueError, LookupError):
        return None
    text: str = texts[0]
    return text


if __name__ == "__main__":
    json.dump([render(*case) for case in json.load(sys.stdin)], sys.stdout)
