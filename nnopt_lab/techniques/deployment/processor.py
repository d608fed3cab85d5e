"""Find the processor's instructions for sums of 8-bit products, which decide how int8 engines choose their grids."""

import platform

import torch

from nnopt_lab.workbench import measure

X86 = ("x86_64", "AMD64")
INT8_INSTRUCTIONS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm", "dotprod", "dot")


def int8_instructions() -> tuple[str, ...]:
    """List this processor's instructions for sums of 8-bit products; empty if it has none, or does not report them.

    VNNI (x86) and ARM's dot products multiply and add four pairs per 32-bit lane at once; AMX and i8mm multiply small
    matrices.
    """
    tells = getattr(torch.cpu, "get_capabilities", dict)()
    known = {name for name, there in tells.items() if there is True} | set(measure.machine().instructions)
    return tuple(name for name in INT8_INSTRUCTIONS if name in known)


def sums_saturate() -> bool:
    """Whether sums of 8-bit products saturate: an x86 processor without VNNI adds two products in 16 bits, which is
    enough for 7-bit numbers only."""
    return platform.machine() in X86 and not int8_instructions()
