"""Annotation by a fine-tuned causal model. Training is imported apart, as it needs peft."""

from lamlam.annotate.causal.annotator import CausalAnnotator
from lamlam.annotate.causal.model import CausalModel
from lamlam.annotate.causal.settings import CausalTraining
from lamlam.annotate.causal.template import Template

__all__ = ["CausalAnnotator", "CausalModel", "CausalTraining", "Template"]
