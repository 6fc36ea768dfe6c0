"""Annotation by a fine-tuned causal model. Training is imported apart, as it needs peft."""

from lamlam.annotate.causal.annotator import CausalAnnotator
from lamlam.annotate.causal.model import CausalModel, Template
from lamlam.annotate.causal.training import CausalTraining

__all__ = ["CausalAnnotator", "CausalModel", "CausalTraining", "Template"]
