"""The names under which the figures of both arms are known."""

from fakes_evaluate import FakeEngine, always, never, probe
from lamlam.engine.settings import DecodingSettings
from lamlam.evaluate.completion import complete
from lamlam.evaluate.editing import EditingResult
from lamlam.evaluate.perplexity import PerplexityResult
from lamlam.evaluate.results import Share
from lamlam.evaluate.summary import ArmResults, summarise
from lamlam.model.losses import Loss
from lamlam.report.run import RunResults
from lamlam.vocab import Arm

PROBES = [probe(n, group="seen" if n % 2 else "unseen") for n in range(10)]


def arm(name: Arm, answer: object) -> ArmResults:
    completion = complete(FakeEngine(PROBES, answer), PROBES, DecodingSettings())  # type: ignore[arg-type]
    groups = {
        group: PerplexityResult(name, 1, 10, Loss(total, tokens), Loss(2 * total, tokens), {})
        for group, total, tokens in (("seen", 1.0, 1), ("unseen", 0.0, 3))
    }
    return ArmResults(completion, groups, completion)


def test_every_figure_has_its_name() -> None:
    edit = EditingResult(1, (), Share(1, 1), Share(9, 9), Share(1, 1))
    summary = summarise(arm("lmlm", always), arm("standard", never), edit, seconds={"editing": 1.26})
    run = RunResults(summary)
    assert run.number("lmlm.seen.accuracy") == run.number("lmlm.unseen.accuracy") == 1
    assert run.number("standard.seen.accuracy") == run.number("standard.unseen.accuracy") == 0
    assert run.number("lmlm.db_off.accuracy") == run.number("lmlm.db_off.seen.accuracy") == 1
    assert run.number("edit.success") == 1
    assert run.number("seconds.editing") == 1.3
    assert run.figure("forget") is None


def test_perplexity_of_all_documents_is_that_of_all_tokens() -> None:
    run = RunResults(summarise(arm("lmlm", always), arm("standard", never)))
    assert run.number("lmlm.perplexity.static") == 2.718281828459045 ** (1 / 4)
    assert run.number("lmlm.perplexity.normalized") == 2.718281828459045 ** (2 / 4)
    assert run.number("standard.perplexity") == run.number("lmlm.perplexity.static")
    assert run.number("standard.perplexity_detail.by_group.unseen.perplexity") == 1
