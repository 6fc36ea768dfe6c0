"""Exports a run's adapter as a folder for others: small, complete, and without paths of this machine."""

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from lamlam.corpus.lines import read_object
from lamlam.errors import InputError
from lamlam.model.adapter import Base
from lamlam.model.folder import is_adapter, move_model
from lamlam.pretrain.recipe import data_folder, load_recipe

__all__ = ["export_adapter"]

_AS_THEY_ARE = ("adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json", "training.json")
_CARD = """\
---
base_model: {name}
license: {license}
library_name: peft
---
# {title}

An adapter for {name} that makes it a limited-memory language model: it looks facts up in a knowledge base that you
bring, and says where each came from. The base model is not in this folder.

```sh
lamlam generate {title} --base PATH --kb FACTS "A prompt"
```

`PATH` is the base model, which `base.json` must accept: a name on the Hugging Face hub, a folder or a GGUF file.
`recipe.yaml` says how the adapter was trained.
"""


def export_adapter(run: Path, out: Path, *, name: str, license: str, accept: tuple[str, ...] = ()) -> None:
    """Write adapter, tokenizer, recipe, a card, and the identity of the base, which others know by `name`.

    `accept` are digests of other accepted forms of the base. Raises `InputError` if the run has no adapter or `out`
    cannot be written.
    """
    if not is_adapter(run):
        raise InputError("the run has no adapter", path=run)
    base = Base.load(run)
    base = replace(base, model=name, digests=tuple(dict.fromkeys((*base.digests, *accept))))
    config = dict(read_object(run / "adapter_config.json").value) | {"base_model_name_or_path": name}
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".saving-") as temporary:
            folder = Path(temporary)
            for file in _AS_THEY_ARE:
                shutil.copyfile(run / file, folder / file)
            base.save(folder)
            (folder / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
            (folder / "recipe.yaml").write_text(_recipe(run, name), encoding="utf-8")
            card = _CARD.format(name=name, license=license, title=out.name)
            (folder / "README.md").write_text(card, encoding="utf-8")
            move_model(folder, out)
    except OSError as error:
        raise InputError(f"cannot be written ({error.strerror})", path=error.filename or out) from error


def _recipe(run: Path, name: str) -> str:
    """Return the run's recipe, with the base's name and `$LAMLAM_DATA` for the folder of public data."""
    recipe = load_recipe(run / "recipe.yaml").model_dump(mode="json")
    recipe["model"]["path"] = name
    return yaml.safe_dump(_without_places(recipe), sort_keys=False, allow_unicode=True)


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_places(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if isinstance(value, str) and value.startswith(data_folder()):
        return "$LAMLAM_DATA" + value.removeprefix(data_folder())
    return value
