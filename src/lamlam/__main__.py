"""`python -m lamlam` and `torchrun -m lamlam`: the `lamlam` command."""

from lamlam.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
