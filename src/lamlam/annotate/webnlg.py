"""WebNLG as a corpus to train on and be measured by: read, aligned, split by subject."""

from pathlib import Path

from lamlam.annotate.align import Aligner
from lamlam.annotate.forms import spellings
from lamlam.corpus import Corpus
from lamlam.corpus.split import split_by_subject
from lamlam.corpus.webnlg import read_webnlg

__all__ = ["webnlg_corpus"]


def webnlg_corpus(folder: str | Path, *, one_in: int = 8, seed: int = 0) -> Corpus:
    """The corpus of a folder's `train.jsonl` and `dev.jsonl`, with one subject in `one_in` held out by hash.

    Raises `InputError` for a file that is missing or cannot be read.
    """
    train, dev = (list(read_webnlg(Path(folder) / name)) for name in ("train.jsonl", "dev.jsonl"))
    aligner = Aligner()
    return split_by_subject(train, dev, annotate=aligner.annotate, spellings=spellings, one_in=one_in, seed=seed)
