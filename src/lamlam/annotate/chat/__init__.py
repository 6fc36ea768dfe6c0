"""Annotation by chat models over HTTP."""

from lamlam.annotate.chat.annotator import ChatAnnotator
from lamlam.annotate.chat.cache import AnswerCache
from lamlam.annotate.chat.client import ChatClient
from lamlam.annotate.chat.estimate import Estimate, estimate
from lamlam.annotate.chat.settings import ChatSettings

__all__ = ["AnswerCache", "ChatAnnotator", "ChatClient", "ChatSettings", "Estimate", "estimate"]
