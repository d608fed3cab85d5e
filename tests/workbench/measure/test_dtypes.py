"""Dtypes: those that operations read and those that they write, inside the block only."""

import torch

from nnopt_lab.workbench import measure


def test_the_dtypes_of_what_is_read_and_written_inside_the_block_are_seen():
    x = torch.ones(3, dtype=torch.int32)
    x.double()
    with measure.Dtypes() as dtypes:
        x.gt(2)
    x.float()
    assert dtypes.seen == {torch.int32, torch.bool}
