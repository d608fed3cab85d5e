"""Deployment: from a trained network to what runs it fastest here. Source: article, section 5, hardware and software.

`deploy` builds one engine and compares it with its model; `build_engines` builds several by name. Each other module of
this folder holds one runtime's engines, or one tool.
"""

from nnopt_lab.techniques.deployment.engine import TOLERANCE, Engine, EngineUnavailable, OutputsDiffer
from nnopt_lab.techniques.deployment.registry import ENGINES, build_engines
from nnopt_lab.techniques.deployment.targets import TARGETS, deploy, deploy_all

__all__ = [
    "ENGINES",
    "TARGETS",
    "TOLERANCE",
    "Engine",
    "EngineUnavailable",
    "OutputsDiffer",
    "build_engines",
    "deploy",
    "deploy_all",
]
