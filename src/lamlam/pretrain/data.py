"""From a recipe's corpora to one packed file: read, substitute, encode and mix."""

import random
from collections.abc import Iterator, Sequence

from lamlam.annotate.public_corpora import introductions_corpus, redocred_corpus, webnlg_corpus
from lamlam.corpus import Corpus
from lamlam.corpus.files import documents_from_paper, load_corpus
from lamlam.corpus.split import hold_out_documents
from lamlam.markup import AnnotatedDocument
from lamlam.pretrain.offloading import offload
from lamlam.pretrain.questions import ask_about
from lamlam.pretrain.recipe import (
    CorpusSource,
    FolderSource,
    IntroductionsSource,
    PaperSource,
    Recipe,
    ReDocREDSource,
    WebNLGSource,
)
from lamlam.pretrain.shown import ShownFacts
from lamlam.pretrain.substitution import Substitution
from lamlam.vocab import Arm, Encoded, Vocabulary, encode
from lamlam.world import World, WorldSettings

__all__ = ["mixture", "read_corpora", "train_vocabulary"]


def read_corpora(recipe: Recipe) -> list[Corpus]:
    """The recipe's corpora in its order, with calls for what it offloads, and in them all values of a lookup."""
    corpora = [_read(source, recipe.seed) for source in recipe.corpora]
    return [corpus.with_looked_up_values() for corpus in offload(corpora, recipe.offloading, recipe.seed)]


def _read(source: CorpusSource, seed: int) -> Corpus:
    if isinstance(source, FolderSource):
        return load_corpus(source.path)
    if isinstance(source, PaperSource):
        return hold_out_documents(list(documents_from_paper(source.path)), every=source.heldout_every)
    if isinstance(source, WebNLGSource):
        return webnlg_corpus(source.path, one_in=source.one_in, seed=seed)
    if isinstance(source, IntroductionsSource):
        return introductions_corpus(source.path, documents=source.documents, seed=seed)
    if isinstance(source, ReDocREDSource):
        return redocred_corpus(source.path, heldout_every=source.heldout_every)
    return World(WorldSettings(people=source.people, size=source.size, seed=seed)).corpus()


def train_vocabulary(recipe: Recipe, corpora: Sequence[Corpus]) -> Vocabulary:
    """The tokenizer that the recipe names, or its model's, or a BPE over the training texts and calls.

    It is the same for both arms.
    """
    if given := recipe.model.path or recipe.vocabulary.path:
        return Vocabulary.extend(given)
    texts = (text for corpus in corpora for document in corpus.train for text in _texts(document))
    return Vocabulary.train(texts, recipe.vocabulary.size)


def _texts(document: AnnotatedDocument) -> Iterator[str]:
    yield document.text
    for call in document.calls:
        yield f" {call.entity} {call.relation} {call.value}"


def mixture(recipe: Recipe, corpora: Sequence[Corpus], vocabulary: Vocabulary) -> Iterator[Encoded]:
    """Encoded documents without end: always from the corpus that is furthest behind its share of the tokens."""
    weights = [source.weight for source in recipe.corpora]
    streams = [
        _endless(corpus, source, vocabulary, recipe.arm, random.Random(f"{recipe.seed}:{i}"))
        for i, (source, corpus) in enumerate(zip(recipe.corpora, corpora, strict=True))
    ]
    tokens = [0] * len(streams)
    while True:
        behind = min(range(len(streams)), key=lambda i: tokens[i] / weights[i])
        document = next(streams[behind])
        tokens[behind] += len(document.ids)
        yield document


def _endless(
    corpus: Corpus, source: CorpusSource, vocabulary: Vocabulary, arm: Arm, rng: random.Random
) -> Iterator[Encoded]:
    """The corpus over and over, each time in another order and with other names."""
    documents = [document for document in corpus.train if document.text]
    names = (name for d in documents for call in d.calls for name in (call.entity, call.value))
    substitution, shown = Substitution(source.substitution, names), ShownFacts(source.facts, documents)
    while True:
        rng.shuffle(documents)
        for document in documents:
            asked = bool(source.questions and document.calls) and rng.random() < source.questions
            document = ask_about(document, rng, unknown=source.unanswered) if asked else document
            renamed = substitution.apply(document, rng)
            given = shown.before(renamed, rng) if source.facts else ""
            yield encode(renamed, vocabulary, arm, partial=source.partial and not asked, given=given)
