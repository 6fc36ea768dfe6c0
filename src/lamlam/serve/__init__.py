"""An HTTP API that OpenAI's clients speak, and a page on which facts can be seen, changed and forgotten."""

from lamlam.serve.app import build_app
from lamlam.serve.settings import ServeSettings
from lamlam.serve.site import Served

__all__ = ["ServeSettings", "Served", "build_app"]
