"""How good an annotator is: its calls against those of a gold annotation."""

from lamlam.annotate.score.score import Score, ScoreSettings, score

__all__ = ["Score", "ScoreSettings", "score"]
