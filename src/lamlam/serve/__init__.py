"""An HTTP API that OpenAI's clients speak, and a page on which facts can be seen, changed and forgotten."""
