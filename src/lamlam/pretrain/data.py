"""From a recipe's corpora to a stream of encoded documents: read, offload, augment, encode and mix.

Offloading decides which facts are looked up and which stay in the text without a call, for the weights to learn: all
are looked up unless a recipe says otherwise. A fact (an entity and a relation) is looked up everywhere or nowhere, so
that no text teaches what another asks for. Facts of dropped calls stay in the knowledge base.
"""

import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from lamlam.annotate.public_corpora import introductions_corpus, redocred_corpus, webnlg_corpus
from lamlam.corpus import Corpus
from lamlam.corpus.files import documents_from_paper, load_corpus
from lamlam.corpus.split import hold_out_documents
from lamlam.errors import InputError
from lamlam.markup import AnnotatedDocument
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.losses import Loss, call_losses
from lamlam.pretrain.augmentation import ShownFacts, Substitution, ask_about
from lamlam.pretrain.recipe import (
    CorpusSource,
    FolderSource,
    IntroductionsSource,
    OffloadingSettings,
    PaperSource,
    Recipe,
    ReDocREDSource,
    WebNLGSource,
)
from lamlam.vocab import Arm, Encoded, Vocabulary, encode
from lamlam.world import World, WorldSettings

__all__ = ["mixture", "offload", "read_corpora", "train_vocabulary"]

_FactKey = tuple[str, str]


def read_corpora(recipe: Recipe) -> list[Corpus]:
    """Return the recipe's corpora in its order, with calls for what it offloads, each with all values of its lookup."""
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
    """Return the recipe's tokenizer, or its model's, or train a BPE on the training texts and calls.

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
    """Yield encoded documents endlessly, always from the corpus that is furthest behind its share of the tokens."""
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
    """Yield the corpus over and over, each time in another order and with other names."""
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


def offload(corpora: Sequence[Corpus], settings: OffloadingSettings, seed: int) -> list[Corpus]:
    """Return the corpora with calls for a share of their facts, in training and held-out texts alike.

    The policy "hardest" (arXiv 2505.15962) keeps the facts whose values are least likely to the reference model, which
    has read the same texts without calls: it has learnt the others. The threshold is set on the training texts; a fact
    of held-out texts alone is looked up if it is above. Raises `InputError` if the reference is missing.
    """
    if settings.share == 1.0:
        return list(corpora)
    keeps = _drawn_by_hash(settings.share, seed) if settings.policy == "random" else _hardest(corpora, settings)
    return [_with_kept_calls(corpus, keeps) for corpus in corpora]


def _drawn_by_hash(share: float, seed: int) -> Callable[[_FactKey], bool]:
    """Draw facts by a hash, so that every share contains those of the smaller ones."""

    def keeps(pair: _FactKey) -> bool:
        digest = hashlib.sha256(f"{seed}\x1f{pair[0]}\x1f{pair[1]}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < share * 2**64

    return keeps


def _hardest(corpora: Sequence[Corpus], settings: OffloadingSettings) -> Callable[[_FactKey], bool]:
    if settings.reference is None:
        raise InputError("the policy 'hardest' needs a run of the standard arm", field="reference")
    reference = Checkpoint.load(settings.reference)
    train = _fact_losses(reference, (document for corpus in corpora for document in corpus.train))
    heldout = _fact_losses(
        reference, (d for corpus in corpora for documents in corpus.heldout.values() for d in documents)
    )
    least = float(np.quantile(list(train.values()), 1 - settings.share)) if train and settings.share else np.inf
    losses = heldout | train
    return lambda pair: losses.get(pair, -np.inf) >= least


def _fact_losses(reference: Checkpoint, documents: Iterable[AnnotatedDocument]) -> dict[_FactKey, float]:
    """Return the mean loss of each fact's value, in nats per token, over all places that state it."""
    with_calls = [document for document in documents if document.calls]
    rows = call_losses(reference.model, reference.vocabulary, with_calls, "standard", progress=True)
    sums: dict[_FactKey, Loss] = defaultdict(Loss)
    for document, losses in zip(with_calls, rows, strict=True):
        for call, loss in zip(document.calls, losses, strict=True):
            sums[call.entity, call.relation] += loss
    return {pair: loss.mean for pair, loss in sums.items() if loss.tokens}


def _with_kept_calls(corpus: Corpus, keeps: Callable[[_FactKey], bool]) -> Corpus:
    def kept(document: AnnotatedDocument) -> AnnotatedDocument:
        calls = tuple(call for call in document.calls if keeps((call.entity, call.relation)))
        return replace(document, calls=calls)

    heldout = {group: [kept(document) for document in documents] for group, documents in corpus.heldout.items()}
    return replace(corpus, train=[kept(document) for document in corpus.train], heldout=heldout)
