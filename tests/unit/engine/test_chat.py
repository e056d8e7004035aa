"""Conversations laid out by chat templates."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from saker.core.errors import InvalidInput, SakerError, Unsupported
from saker.engine.chat import ChatTemplate, read_special_tokens
from saker.engine.messages import Message
from support.environment import ROOT, data, torch_python

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
HELLO = (Message("user", "Hello"),)
CONVERSATIONS = [
    HELLO,
    (Message("system", "Be brief."), Message("user", "Why?")),
    (Message("user", " 你好 <b>&amp;</b>\n"), Message("assistant", "Yes."), Message("user", "More")),
    (Message("assistant", "out of order"), Message("user", "x")),
    (Message("tool", "an unknown role"),),
]


def render(source: str, *messages: Message) -> str:
    return ChatTemplate(source, TOKENS).render(messages or HELLO)


def test_special_tokens_and_messages_are_there() -> None:
    source = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m['content'] }}{{ eos_token }}{% endfor %}"

    assert render(source) == "<s>[user]Hello</s>"


def test_the_assistants_turn_is_opened() -> None:
    assert render("{% if add_generation_prompt %}go{% endif %}") == "go"


def test_tokens_that_the_model_lacks_render_as_nothing() -> None:
    assert render("a{{ pad_token }}b") == "ab"


def test_blocks_leave_no_empty_lines() -> None:
    assert render("a\n  {% if true %}\nb\n  {% endif %}\nc") == "a\nb\nc"


def test_json_is_not_escaped_for_html() -> None:
    assert render("{{ messages | tojson }}", Message("user", "<é>")) == '[{"role": "user", "content": "<é>"}]'


def test_the_date_can_be_told() -> None:
    assert render("{{ strftime_now('%Y') }}") == str(datetime.now().astimezone().year)


def test_marks_for_training_mean_nothing() -> None:
    assert render("{% generation %}a{{ messages[0].content }}{% endgeneration %}b") == "aHellob"


def test_loops_can_be_left() -> None:
    assert render("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "01"


def test_a_template_that_refuses_says_why() -> None:
    with pytest.raises(InvalidInput, match="Roles must alternate"):
        render("{{ raise_exception('Roles must alternate.') }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{% for i in range(10**9) %}{% endfor %}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(source: str) -> None:
    with pytest.raises(InvalidInput):
        render(source)


def test_a_failing_template_does_not_repeat_the_prompt() -> None:
    with pytest.raises(InvalidInput) as caught:
        render("{{ messages[0].content + 1 }}", Message("user", "secret"))

    assert "secret" not in str(caught.value)


def test_a_template_that_is_no_jinja_is_refused_with_its_line() -> None:
    with pytest.raises(Unsupported, match="Line 2"):
        ChatTemplate("ok\n{% if %}", TOKENS)


def folder_with(folder: Path, config: dict[str, object], template: str | None = None) -> Path:
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


def rendered(folder: Path, own: str | None = None) -> str | None:
    template = ChatTemplate.from_folder(folder, own)
    return None if template is None else template.render(HELLO)


def test_the_template_is_found_where_models_keep_it(tmp_path: Path) -> None:
    assert rendered(folder_with(tmp_path, {})) is None
    assert rendered(folder_with(tmp_path, {"chat_template": "one"})) == "one"
    several = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "two"}]
    assert rendered(folder_with(tmp_path, {"chat_template": several})) == "two"
    assert rendered(folder_with(tmp_path, {"chat_template": "one"}, "a file wins")) == "a file wins"
    assert rendered(tmp_path, "one's own wins") == "one's own wins"


def test_special_tokens_are_read_in_both_shapes(tmp_path: Path) -> None:
    folder_with(tmp_path, {"bos_token": {"content": "<b>"}, "eos_token": "<e>", "pad_token": None})
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"unk_token": "<u>", "eos_token": "<old>"}))

    assert read_special_tokens(tmp_path) == {"bos_token": "<b>", "eos_token": "<e>", "unk_token": "<u>"}


def templates() -> list[str]:
    """The templates of well-known models."""
    found = [path.read_text() for path in sorted(data("chat_templates").rglob("*.jinja"))]
    for path in sorted(data("tokenizers").rglob("tokenizer_config.json")):
        found.append(json.loads(path.read_text()).get("chat_template") or "")
    found += [path.read_text() for path in sorted(data("tokenizers").rglob("*.jinja"))]
    return [re.sub(r"strftime_now\([^)]*\)", "'today'", text) for text in found if text]


def ours(source: str, messages: tuple[Message, ...]) -> str | None:
    try:
        return ChatTemplate(source, TOKENS).render(messages)
    except SakerError:
        return None


@pytest.mark.torch
def test_every_template_renders_as_with_transformers() -> None:
    cases = [(source, messages) for source in templates() for messages in CONVERSATIONS]
    script = ROOT / "tests" / "support" / "torch_chat.py"
    plain = [[source, TOKENS, [{"role": m.role, "content": m.content} for m in messages]] for source, messages in cases]
    done = subprocess.run(
        [torch_python(), "-P", script], input=json.dumps(plain), capture_output=True, text=True, check=True, timeout=120
    )
    expected = json.loads(done.stdout)

    assert [ours(source, messages) for source, messages in cases] == expected
    assert sum(text is not None for text in expected) > len(cases) / 2
