"""Deployment: from a trained network to what runs it fastest here. Source: article, section 5, hardware and software.

`deploy` builds one engine, for the CPU or an accelerator, and compares it with its model; `build_engines` builds
several by name. Each other module of this folder holds one runtime's engines, or one tool.
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
