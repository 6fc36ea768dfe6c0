"""The figures that a run is judged by, as rows of text: for the page and for the screen."""

from dataclasses import dataclass

from lamlam.report.run import RunResults

__all__ = ["ARMS", "GROUPS", "Row", "changes", "headline"]

ARMS = {"lmlm": "LMLM", "standard": "standard"}
GROUPS = {"seen": "entities in training", "unseen": "entities only in the knowledge base"}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the headline table: texts for both arms, and which of them is better, if either is."""

    label: str
    note: str
    lmlm: str
    standard: str
    best: str = ""


def headline(run: RunResults) -> list[Row]:
    """Completions, queries and perplexities of both arms; figures that the run does not have are left out."""
    rows = []
    for group, note in GROUPS.items():
        lmlm, standard = (run.number(f"{arm}.{group}.accuracy") for arm in ARMS)
        rows.append(
            Row(
                f"Facts of {note}",
                "completions that start with the value",
                _share(run, f"lmlm.{group}"),
                _share(run, f"standard.{group}"),
                _best(lmlm, standard, more=True),
            )
        )
    rows.append(Row("The same, lookups forbidden", "what is left in the weights", _share(run, "lmlm.db_off"), "—"))
    for group, note in GROUPS.items():
        query = _percent(run.number(f"lmlm.{group}.right_query"))
        rows.append(Row("Right query", note, query, "—"))
    standard = run.number("standard.perplexity")
    for name, note in (
        ("normalized", "text and calls, over the tokens of the text"),
        ("static", "text alone, gold calls in the context"),
        ("dynamic", "text alone, the model's own calls"),
    ):
        lmlm = run.number(f"lmlm.perplexity.{name}")
        best = _best(lmlm, standard, more=False)
        rows.append(Row(f"Perplexity, {name}", note, _plain(lmlm), _plain(standard), best))
    return [row for row in rows if row.lmlm != "—" or row.standard != "—"]


def changes(run: RunResults) -> list[tuple[str, str, str]]:
    """Figures of edits and forgetting: number, label, explanation."""
    wanted = (
        ("edit.success", "of edits taken", "the model says the new value"),
        ("edit.locality", "of other facts unchanged", "letter for letter, after the edits"),
        ("forget.survival", "of forgotten facts survive", "the model still says the old value"),
        ("forget.wrong_answer", "wrong answers instead", "another value instead of the forgotten one"),
        ("forget.collateral", "of other facts lost", "right before, wrong after"),
    )
    return [(_percent(run.number(path)), label, note) for path, label, note in wanted if run.number(path) is not None]


def _share(run: RunResults, path: str) -> str:
    """A share with its interval, "96.5% (93.8–98.0)"."""
    value, interval = run.number(f"{path}.accuracy"), run.figure(f"{path}.interval")
    if value is None or not interval:
        return _percent(value)
    return f"{_percent(value)} ({100 * interval[0]:.1f}–{100 * interval[1]:.1f})"


def _percent(value: float | None) -> str:
    return "—" if value is None else f"{100 * value:.1f}%"


def _plain(value: float | None) -> str:
    return "—" if value is None else f"{value:.2f}"


def _best(lmlm: float | None, standard: float | None, *, more: bool) -> str:
    if lmlm is None or standard is None or lmlm == standard:
        return ""
    return "lmlm" if (lmlm > standard) == more else "standard"
