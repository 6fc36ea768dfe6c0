"""Access tokens with a role, stored as digests.

A token has 192 random bits, so no dictionary attack applies: one round of SHA-256 protects it as well as bcrypt would
and costs microseconds per request.
"""

import hashlib
import hmac
import json
import logging
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.types import Scope

from lamlam.errors import InputError
from lamlam.files import atomic_write
from lamlam.serve.errors import Fault

__all__ = ["ACTOR", "Access", "Actor", "Editor", "Eraser", "Reader", "Role", "require_reader", "router"]

_LONGEST_NAME, _LONGEST_TOKEN = 100, 200  # characters
ACTOR = "lamlam.actor"  # key in a request's scope
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LOG = logging.getLogger(__name__)


class Role(StrEnum):
    """What a token allows; each role includes the ones before."""

    READER = "reader"
    EDITOR = "editor"
    ERASER = "eraser"

    def allows(self, other: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Actor:
    """The requester: the token's name ("" without a token) and role."""

    name: str
    role: Role


class Access:
    """The tokens in a file: name, role and SHA-256 of each. `open_reads` allows reading without a token.

    The file is reread whenever it changes, so a running server sees revocations. Raises `InputError` if it isn't a
    valid token file; if it becomes invalid later, no token is accepted until it is fixed.
    """

    def __init__(self, path: Path, *, open_reads: bool) -> None:
        self.path, self.open_reads = path, open_reads
        self._stamp = _stamp(path)
        self._tokens = _read(path)

    def create(self, name: str, role: Role) -> str:
        """Create a token. It is returned once; only its digest is stored.

        Raises `InputError` when the name is taken or isn't valid.
        """
        known = self._known()
        if not name.isprintable() or name != name.strip() or not 0 < len(name) <= _LONGEST_NAME:
            raise InputError(f"a token's name has 1 to {_LONGEST_NAME} printable characters")
        if any(name == actor.name for actor in known.values()):
            raise InputError(f"a token named '{name}' already exists")
        token = f"lamlam-{role}-{secrets.token_urlsafe(24)}"
        self._write({**known, _digest(token): Actor(name, role)})
        return token

    def revoke(self, name: str) -> None:
        """Revoke a token. Raises `InputError` if there is no token with this name."""
        known = self._known()
        left = {digest: actor for digest, actor in known.items() if actor.name != name}
        if len(left) == len(known):
            raise InputError(f"no token is named '{name}'")
        self._write(left)

    @property
    def actors(self) -> list[Actor]:
        """Everyone who has a token."""
        return list(self._known().values())

    @property
    def empty(self) -> bool:
        return not self._known()

    def actor(self, authorization: str | None) -> Actor | None:
        """Return the owner of the token in an `Authorization` header; None if missing or unknown."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or len(token) > _LONGEST_TOKEN:
            return None
        digest = _digest(token.strip())
        found = [actor for known, actor in self._known().items() if hmac.compare_digest(known, digest)]
        return found[0] if found else None

    def actor_of(self, scope: Scope) -> Actor | None:
        """Return the owner of a request's token, determined once per request."""
        if ACTOR not in scope:
            scope[ACTOR] = self.actor(Headers(scope=scope).get("authorization"))
        return cast(Actor | None, scope[ACTOR])

    def _known(self) -> dict[str, Actor]:
        if (stamp := _stamp(self.path)) != self._stamp:
            try:
                self._tokens = _read(self.path)
            except InputError as error:
                _LOG.error("%s: no token is accepted until it is fixed", error)
                self._tokens = {}
            self._stamp = stamp
        return self._tokens

    def _write(self, tokens: Mapping[str, Actor]) -> None:
        told = [{"name": actor.name, "role": actor.role, "sha256": digest} for digest, actor in tokens.items()]
        with atomic_write(self.path, permissions=0o600) as file:
            json.dump({"tokens": told}, file, indent=1)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """A fingerprint that changes whenever the file does; None if it is missing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> dict[str, Actor]:
    try:
        said: Any = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"tokens": []}
        tokens = {each["sha256"]: Actor(each["name"], Role(each["role"])) for each in said["tokens"]}
        if not all(_DIGEST.fullmatch(digest) for digest in tokens):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("is not a valid token file", path=path) from error
    return tokens


# Dependencies of routes

_BEARER = HTTPBearer(auto_error=False, scheme_name="token", description="A token from `lamlam token add`.")
_Given = Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
_WHO = {"WWW-Authenticate": "Bearer"}


def require_reader(access: Access, scope: Scope) -> Actor:
    """Return who sent a request. Raises `Fault` (401) if they may not read."""
    return _allowed(access, scope, Role.READER)


def _allowed(access: Access, scope: Scope, role: Role) -> Actor:
    actor = access.actor_of(scope)
    if actor is None and access.open_reads and role is Role.READER:
        actor = Actor("", Role.READER)  # OpenAI's clients always send a token: if none is required, any will do
    if actor is None:
        raise Fault(401, f"this requires a token with role {role}", headers=_WHO)
    if not actor.role.allows(role):
        raise Fault(403, f"this requires a token with role {role}; '{actor.name}' is {actor.role}")
    return actor


def _require(role: Role) -> Any:
    async def check(request: Request, _: _Given) -> Actor:
        return _allowed(request.app.state.lamlam.access, request.scope, role)

    return Depends(check)


Reader = Annotated[Actor, _require(Role.READER)]
Editor = Annotated[Actor, _require(Role.EDITOR)]
Eraser = Annotated[Actor, _require(Role.ERASER)]

router = APIRouter(tags=["access"])


class Whoever(BaseModel):
    """The requester, as the server sees it."""

    name: str = Field(description="The token's name; empty without a known token.")
    role: Role | None = Field(description="The role; null if nothing is allowed.")
    open_reads: bool = Field(description="Whether reading requires no token.")


@router.get("/access", openapi_extra={"security": [{}, {_BEARER.scheme_name: []}]})
async def whoever(request: Request) -> Whoever:
    """Show the requester's name and role. Requires no token."""
    access: Access = request.app.state.lamlam.access
    actor = access.actor_of(request.scope)
    role = actor.role if actor else Role.READER if access.open_reads else None
    return Whoever(name=actor.name if actor else "", role=role, open_reads=access.open_reads)
