"""Annotation by a fine-tuned causal model. Training needs peft: the extra `lora` brings it."""

from lamlam.annotate.causal.annotator import AnnotationSettings, CausalAnnotator
from lamlam.annotate.causal.gold import GoldSource
from lamlam.annotate.causal.model import CausalModel
from lamlam.annotate.causal.training import CausalTraining

__all__ = ["AnnotationSettings", "CausalAnnotator", "CausalModel", "CausalTraining", "GoldSource"]
