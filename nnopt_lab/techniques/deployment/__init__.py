"""Deployment: turn a trained network into the engine that runs it fastest here (article, section 5).

`deploy` builds one engine, for the CPU or an accelerator, and compares its outputs with the model's; `build_engines`
builds several by name. Each other module of this folder contains the engines of one runtime, or one tool.
"""

from nnopt_lab.techniques.deployment.accelerator import ACCELERATOR_TARGETS
from nnopt_lab.techniques.deployment.engine import TOLERANCE, Engine, EngineUnavailable, OutputsDiffer
from nnopt_lab.techniques.deployment.registry import ACCELERATOR_ENGINES, ENGINES, build_engines, engines_on
from nnopt_lab.techniques.deployment.targets import TARGETS, deploy, deploy_all, targets_on
from nnopt_lab.techniques.deployment.two_four import prune_two_four

__all__ = [
    "ACCELERATOR_ENGINES",
    "ACCELERATOR_TARGETS",
    "ENGINES",
    "TARGETS",
    "TOLERANCE",
    "Engine",
    "EngineUnavailable",
    "OutputsDiffer",
    "build_engines",
    "deploy",
    "deploy_all",
    "engines_on",
    "prune_two_four",
    "targets_on",
]
