"""`lamlam token add|list|revoke`: manage a server's access tokens; changes apply from the next request."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lamlam.serve.access import Access

__all__ = ["register"]

_Place = Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder, or a token file.")]
_Name = Annotated[str, typer.Argument(help="The token's name, as recorded in the log.")]


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(no_args_is_help=True, help="Create, list and revoke a server's access tokens.")
    app.add_typer(verbs, name="token")

    @verbs.command()
    def add(
        run: _Place,
        name: _Name,
        role: Annotated[str, typer.Option(help="reader, editor or eraser; each includes the ones before.")],
    ) -> None:
        """Create a token. It is shown once; only its digest is stored."""
        from lamlam.errors import InputError, needs_extra

        with needs_extra("serve", "a server's token"):
            from lamlam.serve.access import Role

        if role not in list(Role):
            raise InputError(f"must be one of {', '.join(Role)}, not '{role}'", field="role")
        typer.echo(_access(run).create(name, Role(role)))

    @verbs.command("list")
    def list_(run: _Place) -> None:
        """List tokens by name and role."""
        for actor in _access(run).actors:
            typer.echo(f"{actor.role:8} {actor.name}")

    @verbs.command()
    def revoke(run: _Place, name: _Name) -> None:
        """Revoke a token."""
        _access(run).revoke(name)
        typer.echo(f"The token of '{name}' is revoked.")


def _access(place: Path) -> "Access":
    from lamlam.errors import InputError, needs_extra

    with needs_extra("serve", "a server's token"):
        from lamlam.serve.access import Access

    if not place.exists():
        raise InputError("no such run or token file; the server creates one on first start", path=place)
    return Access(place / "tokens.json" if place.is_dir() else place, open_reads=False)
