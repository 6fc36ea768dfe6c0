"""`lamlam token add|list|revoke`: who may do what on a server, which heeds a change at the next request."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lamlam.serve.access import Access

__all__ = ["register"]

_Place = Annotated[Path, typer.Argument(metavar="RUN", help="The run's folder, or the file of tokens of its server.")]
_Name = Annotated[str, typer.Argument(help="Whose token it is, for the log of the knowledge base.")]


def register(app: typer.Typer) -> None:
    verbs = typer.Typer(no_args_is_help=True, help="Say who may read, edit or erase what a server serves.")
    app.add_typer(verbs, name="token")

    @verbs.command()
    def add(
        run: _Place,
        name: _Name,
        role: Annotated[str, typer.Option(help="reader, editor or eraser; each may do what those before it may.")],
    ) -> None:
        """Make a token and print it, this once: only a digest is kept."""
        from lamlam.errors import InputError, needs_extra

        with needs_extra("serve", "a server's token"):
            from lamlam.serve.access import Role

        if role not in list(Role):
            raise InputError(f"must be one of {', '.join(Role)}, not '{role}'", field="role")
        typer.echo(_access(run).create(name, Role(role)))

    @verbs.command("list")
    def list_(run: _Place) -> None:
        """List names and roles."""
        for actor in _access(run).actors:
            typer.echo(f"{actor.role:8} {actor.name}")

    @verbs.command()
    def revoke(run: _Place, name: _Name) -> None:
        """Refuse a token from now on."""
        _access(run).revoke(name)
        typer.echo(f"The token of '{name}' is revoked.")


def _access(place: Path) -> "Access":
    from lamlam.errors import InputError, needs_extra

    with needs_extra("serve", "a server's token"):
        from lamlam.serve.access import Access

    if not place.exists():
        raise InputError("no such folder, nor file of tokens: a server makes it when it is first started", path=place)
    return Access(place / "tokens.json" if place.is_dir() else place, open_reads=False)
