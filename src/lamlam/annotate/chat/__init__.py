"""Annotation by chat models over HTTP."""

from lamlam.annotate.chat.annotator import ChatAnnotator, Estimate, estimate
from lamlam.annotate.chat.client import AnswerCache, ChatClient, ChatSettings

__all__ = ["AnswerCache", "ChatAnnotator", "ChatClient", "ChatSettings", "Estimate", "estimate"]
