"""The table of a tagger's settings is checked against the code."""

import importlib.util
import re
from pathlib import Path

from lamlam.annotate.tagger.settings import TaggerSettings

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "annotators.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("\n## tagger\n")[2].partition("\n## ")[0]


def test_every_setting_of_a_tagger_is_described_with_its_default() -> None:
    described = dict(re.findall(r"^\| `([a-z0-9_]+)` \| ([^|]+) \|", SECTION, flags=re.MULTILINE))
    assert described.keys() >= TaggerSettings.model_fields.keys()
    for name, field in TaggerSettings.model_fields.items():
        assert described[name].strip() == str(field.default).lower(), name


def test_the_table_of_scores_is_that_of_the_result_files() -> None:
    path = Path(__file__).resolve().parents[1] / "experiments" / "annotators.py"
    spec = importlib.util.spec_from_file_location("annotators", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.with_scores(PAGE) == PAGE
