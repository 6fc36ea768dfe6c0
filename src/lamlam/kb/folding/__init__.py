"""Relations of one meaning found among all names, and folded by aliases."""

from lamlam.kb.folding.decisions import Folding, apply_decisions, read_decisions, write_decisions
from lamlam.kb.folding.proposal import Proposal, propose

__all__ = ["Folding", "Proposal", "apply_decisions", "propose", "read_decisions", "write_decisions"]
