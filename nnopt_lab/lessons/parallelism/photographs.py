"""Pictures as a camera stores them: lesson 10 reads them one by one, also in other processes."""

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nnopt_lab.workbench import data


class Photographs(torch.utils.data.Dataset):
    """A grey split as JPEG files (in memory), decoded and shrunk each time one is read.

    Args:
        split: pictures uint8 [N, 1, 28, 28]; enlarged sixteen times, to cost as much work as a photograph.
        pictures: the set that they come from.
    """

    SIDE = 448

    def __init__(self, split: data.Split, pictures: data.Pictures):
        self.labels, self.pictures, self.files = split.labels, pictures, []
        for picture in split.images[:, 0].numpy():
            file = io.BytesIO()
            Image.fromarray(picture).resize((self.SIDE, self.SIDE)).save(file, "JPEG", quality=90)
            self.files.append(file.getvalue())

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, position: int) -> tuple[Tensor, Tensor]:
        """float32 [3, 32, 32], normalised, and the label."""
        picture = Image.open(io.BytesIO(self.files[position])).resize((28, 28), Image.Resampling.BOX)
        return self.pictures.to_input(torch.from_numpy(np.array(picture))[None]), self.labels[position]
