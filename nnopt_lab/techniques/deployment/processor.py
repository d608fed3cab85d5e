"""What the processor offers for sums of 8-bit products, which decides how int8 engines choose their grids."""

import platform

import torch

from nnopt_lab.workbench import measure

X86 = ("x86_64", "AMD64")
INT8_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "dotprod", "dot")


def int8_instructions() -> tuple[str, ...]:
    """Which instructions for sums of 8-bit products this processor has; empty where it has none, or does not tell.

    VNNI (x86) and the dot products of ARM multiply and add four pairs a lane at once, AMX and i8mm small matrices.
    """
    tells = getattr(torch.cpu, "get_capabilities", dict)()
    known = {name for name, there in tells.items() if there is True} | set(measure.machine().instructions)
    return tuple(name for name in INT8_INSTRUCTIONS if name in known)


def sums_saturate() -> bool:
    """Whether sums of 8-bit products overflow: an x86 processor without VNNI adds two of them in 16 bits, which hold
    them for 7-bit numbers only."""
    return platform.machine() in X86 and not int8_instructions()
