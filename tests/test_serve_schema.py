"""Requests made up from the server's own OpenAPI description, well-formed and not: none is a fault of the server.

LAMLAM_SCHEMA_EXAMPLES sets how many are made for each operation and kind.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from fakes_serve import FACTS
from guarded import Guarded, guarded
from lamlam.kb import KnowledgeBase
from lamlam.serve.access import Role
from lamlam.serve.settings import ServeSettings

EXAMPLES = int(os.environ.get("LAMLAM_SCHEMA_EXAMPLES", "20"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
WORDS = ("GET", "POST", "PATCH")


@pytest.fixture
def server(tmp_path: Path) -> Guarded:
    """One that has forgotten something."""
    limits = ServeSettings(requests_a_minute=10**9, max_tokens=8, max_texts=3)
    made = guarded(tmp_path, open_reads=False, settings=limits)
    with KnowledgeBase.open(tmp_path / "kb.sqlite") as facts:
        facts.add([("Ada Lovelace", "Secret", "poetry")])
        facts.forget(entity="Ada Lovelace", relation="Secret")
    return made


def operations(server: Guarded) -> list[APIOperation]:
    headers = server.headers(Role.ERASER)
    schema = schemathesis.openapi.from_asgi("/openapi.json", server.app, headers=headers)
    # Other tests see to tokens; a parameter that no route knows is not looked at.
    schema.config.generation.update(with_security_parameters=False, allow_extra_parameters=False)
    found = [each.ok() for each in schema.get_all_operations()]
    assert {each.method.upper() for each in found} == set(WORDS)
    return found


def asked(operation: APIOperation, mode: GenerationMode, server: Guarded, aim: Any = None) -> dict[int, int]:
    """How often an operation answered with which status. Raises what a check of an answer raises."""
    answers: dict[int, int] = {}
    checks = [*CHECKS, negative_data_rejection] if mode is GenerationMode.NEGATIVE else CHECKS

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        if aim is not None:
            aim(case)
        answer = case.call(headers=server.headers(Role.ERASER))
        answers[answer.status_code] = answers.get(answer.status_code, 0) + 1
        case.validate_response(answer, checks=checks)

    ask()
    return answers


def test_what_the_description_allows_is_answered_as_it_says(server: Guarded) -> None:
    answers = {each.label: asked(each, GenerationMode.POSITIVE, server) for each in operations(server)}
    assert sum(200 in each for each in answers.values()) > len(answers) / 2, answers


def test_what_the_description_forbids_is_refused(server: Guarded) -> None:
    for each in operations(server):
        try:
            answers = asked(each, GenerationMode.NEGATIVE, server)
        except Unsatisfiable:  # there is nothing that could be wrong
            assert not each.body
            continue
        assert any(status >= 400 for status in answers), (each.label, answers)


def test_what_is_aimed_at_facts_that_there_are_is_no_fault_either(server: Guarded) -> None:
    """Fewer of these end at "there is no such fact"; what they change is what the next ones find."""
    answers = {
        each.label: asked(each, GenerationMode.POSITIVE, server, _Aim())
        for each in operations(server)
        if each.path.startswith("/kb")
    }
    missed = [label for label, statuses in answers.items() if not {200, 409} & set(statuses)]
    assert not missed, answers


class _Aim:
    """Turns made-up numbers into small ones, and in two of three cases names into known ones; tables into tables.

    Which values are made up varies with the modules that happen to be loaded, so every third request to forget names
    a fact whole and nothing else.
    """

    def __init__(self) -> None:
        self._turn = 0

    def __call__(self, case: Case) -> None:
        self._turn += 1
        fact = dict(zip(("entity", "relation", "value"), FACTS[self._turn % len(FACTS)], strict=True))
        for name, value in (case.path_parameters or {}).items():
            case.path_parameters[name] = int(value) % 9 + 1
        if case.path == "/kb/forget" and self._turn % 3 == 0:
            case.body = dict(zip(fact, FACTS[self._turn // 3 % len(FACTS)], strict=True))
        for said in (case.query, case.body):
            if isinstance(said, dict):
                self._point(said, fact)
        if case.media_type == "text/csv":
            number = str(self._turn % 5 or "")
            case.body = f"id,entity,relation,value\n{number},{fact['entity']},{fact['relation']},{self._turn}\n"

    def _point(self, said: dict[str, Any], fact: dict[str, str]) -> None:
        if "name" in said and self._turn % 3:  # an alias points at one of the three
            pointed = list(fact)[self._turn // 3 % 3]
            for other in fact:
                said.pop(other, None)
            said[pointed] = fact[pointed]
        if self._turn % 3:
            said.pop("include", None)  # which goes with an entity alone
        for name, value in said.items():
            if name in fact and self._turn % 3 and isinstance(value, str):
                said[name] = fact[name]
            elif name in ("fact", "revision", "after", "before") and isinstance(value, int):
                said[name] = value % 9 + 1
            elif isinstance(value, list):
                for each in value:
                    if isinstance(each, dict):
                        self._point(each, fact)
