"""The models that TOFU compares, trained from the run's own checkpoint and kept in its folder.

Each is an ordinary run: its recipe continues the checkpoint (`model.path`) on question-answer pairs, annotated or not
as the arm has it, with the optimizer of the run's own recipe. A run that was cut off resumes, one that has ended is not
trained again; the recipe's name holds a digest of checkpoint and texts, so that what has changed is trained anew.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lamlam.annotate.annotator import Annotator
from lamlam.annotate.spans import facts_in
from lamlam.corpus import Corpus
from lamlam.corpus.questions import text_of
from lamlam.evaluate.tofu.pairs import Pair
from lamlam.evaluate.tofu.unlearning import Method, UnlearningSettings, unlearn
from lamlam.files import atomic_write
from lamlam.markup import AnnotatedDocument
from lamlam.model.checkpoint import Checkpoint
from lamlam.model.weights import weight_digests
from lamlam.pretrain.recipe import FolderSource, ModelSettings, Recipe, TrainingSettings, load_recipe
from lamlam.pretrain.substitution import SubstitutionSettings
from lamlam.pretrain.training import Run, pretrain
from lamlam.vocab import Arm, encode

__all__ = ["Workshop", "corpus_of"]

_CONTEXT = 512
_TOKENS_A_STEP = 1024  # some six to eight pairs: there are few of them, and each is to be learnt from often


@dataclass(frozen=True, slots=True)
class Workshop:
    """Trains models from the checkpoint in `base`, each in a folder of its own in `folder`."""

    base: Path
    checkpoint: Checkpoint
    arm: Arm
    folder: Path
    epochs: int
    seed: int

    def fine_tune(self, name: str, corpus: Corpus) -> Run:
        """The run of a model that was trained further on a corpus; its knowledge base holds the corpus's facts."""
        run, looked_up = Run(self.folder / name), corpus.with_looked_up_values()
        pretrain(self._recipe(f"tofu-{name}-{self._digest(corpus)}", looked_up, run), run.folder, [looked_up])
        return run

    def unlearn(
        self, method: Method, trained: Run, forget: Sequence[Pair], retain: Sequence[Pair], settings: UnlearningSettings
    ) -> Path:
        """The folder of the model of `trained` after it was made to forget; `unlearning.json` is written last there."""
        folder, marker = self.folder / method, self.folder / method / "unlearning.json"
        recipe = (trained.folder / "recipe.yaml").read_text(encoding="utf-8")
        told = json.dumps({"of": recipe, "pairs": len(forget), "settings": settings.model_dump()}, indent=1)
        if marker.exists() and marker.read_text(encoding="utf-8") == told:
            return folder
        marker.unlink(missing_ok=True)
        checkpoint = Checkpoint.load(trained.folder, device=self.checkpoint.model.device)
        unlearn(checkpoint.model, checkpoint.vocabulary, method, forget, retain, settings)
        checkpoint.save(folder)
        with atomic_write(marker) as file:
            file.write(told)
        return folder

    @property
    def learning_rate(self) -> float:
        """The rate of the fine-tuning, where AdamW has one."""
        return self._settings[0].learning_rate

    @property
    def _settings(self) -> tuple[TrainingSettings, SubstitutionSettings]:
        """How the checkpoint was trained; for one without a recipe, AdamW at a low rate.

        An LMLM goes on to see values replaced, and lookups that find nothing, as often as it did. A standard model gets
        the texts as they are: it has only its weights to keep them in.
        """
        own = self.base / "recipe.yaml"
        if not own.exists():
            return TrainingSettings(learning_rate=1e-4), SubstitutionSettings()
        recipe = load_recipe(own)
        return recipe.training, recipe.corpora[0].substitution if self.arm == "lmlm" else SubstitutionSettings()

    def _recipe(self, name: str, corpus: Corpus, run: Run) -> Recipe:
        training, substitution = self._settings
        context = min(_CONTEXT, int(self.checkpoint.model.config.max_position_embeddings))
        once = sum(len(encode(each, self.checkpoint.vocabulary, self.arm).ids) for each in corpus.train)
        changes = {
            "tokens": once * self.epochs,  # packed one after another, so that each pass is substituted afresh
            "epochs": 1.0,
            "context": context,
            "batch": max(1, _TOKENS_A_STEP // context),
            "accumulate": 1,
            "evaluations": 0,
            "checkpoints": 4,
        }
        return Recipe(
            name=name,
            arm=self.arm,
            seed=self.seed,
            corpora=(FolderSource(kind="folder", path=str(run.corpus), substitution=substitution),),
            model=ModelSettings(path=str(self.base)),
            training=training.model_copy(update=changes),
        )

    def _digest(self, corpus: Corpus) -> str:
        texts = [(document.text, [str(call) for call in document.calls]) for document in corpus.train]
        return hashlib.sha256(json.dumps([weight_digests(self.base), texts]).encode()).hexdigest()[:8]


def corpus_of(pairs: Sequence[Pair], annotator: Annotator) -> Corpus:
    """Pairs as documents with calls, and the facts that these name, each with the pair's id as its source."""
    plain = (AnnotatedDocument(pair.id, text_of(pair.question, pair.answer), title=pair.author) for pair in pairs)
    documents = list(annotator.annotate_many(plain))
    return Corpus(documents, {}, [fact for document in documents for fact in facts_in(document)])
