"""Who may do what: tokens with a role, of which only digests are kept."""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request

from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.serve.errors import Fault

__all__ = ["Access", "Actor", "Editor", "Eraser", "Reader", "Role"]


class Role(StrEnum):
    """What a token allows; each role allows what those before it do."""

    READER = "reader"
    EDITOR = "editor"
    ERASER = "eraser"

    def allows(self, other: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: the token's name, "" for someone without one, and the role."""

    name: str
    role: Role


class Access:
    """The tokens in a file: name, role, and the SHA-256 of each. `open_reads` lets readers in without one."""

    def __init__(self, path: Path, *, open_reads: bool) -> None:
        self.path, self.open_reads = path, open_reads
        self._known = _read(path)

    def create(self, name: str, role: Role) -> str:
        """A new token, which is nowhere kept and told once. Raises `InputError` when the name is taken."""
        if any(name == actor.name for actor in self._known.values()):
            raise InputError(f"there is a token of the name '{name}'")
        token = f"lamlam-{role}-{secrets.token_urlsafe(24)}"
        self._known[_digest(token)] = Actor(name, role)
        tokens = [{"name": a.name, "role": a.role, "sha256": digest} for digest, a in self._known.items()]
        with atomic_write(self.path) as file:
            json.dump({"tokens": tokens}, file, indent=1)
        self.path.chmod(0o600)
        return token

    @property
    def empty(self) -> bool:
        return not self._known

    def actor(self, authorization: str | None) -> Actor | None:
        """Whose token the header `Authorization` bears; None where it bears none that is known."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        digest = _digest(token.strip())
        return next((actor for known, actor in self._known.items() if hmac.compare_digest(known, digest)), None)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _read(path: Path) -> dict[str, Actor]:
    try:
        said: Any = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"tokens": []}
        return {each["sha256"]: Actor(each["name"], Role(each["role"])) for each in said["tokens"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("is no file of tokens", path=path) from error


def _require(role: Role) -> Any:
    def check(request: Request) -> Actor:
        access: Access = request.app.state.site.access
        given = request.headers.get("authorization")
        actor = access.actor(given)
        if actor is None and access.open_reads and (given is None or role is Role.READER):
            actor = Actor("", Role.READER)  # OpenAI's clients must send some token: where none is needed, any will do
        if actor is None:
            raise Fault(401, "a token is needed", headers={"WWW-Authenticate": "Bearer"})
        if not actor.role.allows(role):
            status = 403 if given else 401
            raise Fault(status, f"this takes a token of the role {role}", headers={"WWW-Authenticate": "Bearer"})
        return actor

    return Depends(check)


Reader = Annotated[Actor, _require(Role.READER)]
Editor = Annotated[Actor, _require(Role.EDITOR)]
Eraser = Annotated[Actor, _require(Role.ERASER)]
