"""A chat as a prompt: by the template that the checkpoint brings, or else as questions and answers in plain text.

Whatever a message says is plain text. In a template it takes the place of a mark once the template has been rendered,
so that special tokens are the template's alone.
"""

import re
import secrets
from collections.abc import Sequence

from jinja2 import TemplateError

from lamlam.corpus.prompts import QUESTION_MARKS, conversation
from lamlam.engine.prompt import Prompt
from lamlam.errors import InputError
from lamlam.vocab import Vocabulary

__all__ = ["chat_prompt"]


def chat_prompt(messages: Sequence[tuple[str, str]], vocabulary: Vocabulary) -> tuple[Prompt, tuple[str, ...]]:
    """The prompt that asks for the next message, and strings before which that ends; `messages` are (role, text).

    Raises `InputError` for messages that the template does not take, or none of which is to be answered.
    """
    if vocabulary.tokenizer.chat_template is not None:
        text = "".join(content + "\n" for _, content in messages)
        return Prompt.of_ids(text, _by_template(messages, vocabulary)), ()
    try:
        return Prompt.of(conversation(messages) + " ", vocabulary), QUESTION_MARKS
    except ValueError as error:
        raise InputError(str(error), field="messages") from error


def _by_template(messages: Sequence[tuple[str, str]], vocabulary: Vocabulary) -> list[int]:
    mark = secrets.token_hex(16)
    marked = [{"role": role, "content": f"{mark}.{number}."} for number, (role, _) in enumerate(messages)]
    try:
        rendered = vocabulary.tokenizer.apply_chat_template(marked, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:
        raise InputError(f"the model's chat template does not take them ({error})", field="messages") from error
    ids: list[int] = []
    for place, piece in enumerate(re.split(rf"{mark}\.(\d+)\.", str(rendered))):
        is_message = place % 2 == 1
        ids += vocabulary.encode(messages[int(piece)][1]) if is_message else vocabulary.encode_template(piece)
    return ids[1:] if ids[:1] == [vocabulary.bos_id] else ids  # every sequence begins with one
