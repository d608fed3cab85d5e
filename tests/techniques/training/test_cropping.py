"""Crops are slices, and smaller pictures follow their plan."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms import v2

from nnopt_lab.techniques.training import cropping
from nnopt_lab.techniques.training.cropping import RandomCrops, SmallerPictures


class TestCrops:
    @given(st.integers(1, 4), st.integers(1, 3), st.integers(2, 9), st.integers(1, 9), st.integers(0, 999))
    def test_crop_is_a_slice_of_each_picture(self, batch, channels, side, size, seed):
        size = min(size, side)
        generator = torch.Generator().manual_seed(seed)
        images = torch.randint(0, 256, (batch, channels, side, side + 1), dtype=torch.uint8, generator=generator)
        top = torch.randint(side - size + 1, (batch,), generator=generator)
        left = torch.randint(side + 2 - size, (batch,), generator=generator)
        cropped = cropping.crop(images, top, left, size)
        assert cropped.dtype == torch.uint8 and cropped.shape == (batch, channels, size, size)
        for i in range(batch):
            assert cropped[i].equal(images[i, :, top[i] : top[i] + size, left[i] : left[i] + size])

    @pytest.mark.parametrize(("top", "left", "size"), [(-1, 0, 2), (0, 3, 2), (3, 0, 2), (0, 0, 0)])
    def test_refuses_a_square_outside(self, top, left, size):
        with pytest.raises(ValueError, match=f"size={size}: a square .* does not lie inside 4×4"):
            cropping.crop(torch.zeros(1, 1, 4, 4), torch.tensor([top]), torch.tensor([left]), size)

    @given(st.integers(1, 8), st.integers(0, 4), st.integers(0, 999), st.booleans())
    def test_one_size_a_batch_between_the_bounds_and_padded_to_the_old_shape(self, low, spread, seed, pad):
        crops, images = RandomCrops(low, low + spread, pad=pad, seed=seed), torch.ones(5, 1, 12, 12, dtype=torch.uint8)
        sizes = set()
        for _ in range(4):
            out = crops(images)
            left = out.sum((1, 2, 3), dtype=torch.long)
            side = round(left[0].item() ** 0.5)
            assert low <= side <= low + spread and (left == side**2).all()
            assert out.shape[-2:] == ((12, 12) if pad else (side, side))
            sizes.add(side)
        again = RandomCrops(low, low + spread, pad=pad, seed=seed)
        crops = RandomCrops(low, low + spread, pad=pad, seed=seed)
        assert all(crops(images).equal(again(images)) for _ in range(3))

    def test_a_size_that_does_not_fit_is_refused(self):
        with pytest.raises(ValueError, match="size=5: a square"):
            RandomCrops(5, 5)(torch.ones(2, 1, 4, 4))

    @pytest.mark.parametrize("resize", [False, True])
    def test_smaller_pictures_follow_the_plan_and_keep_their_targets(self, resize):
        batches = [(torch.rand(4, 3, 16, 16), torch.arange(4)), (torch.rand(2, 3, 16, 16), torch.arange(2))] * 5
        plans = [v2.Resize(4), v2.Resize(8)] if resize else [RandomCrops(4, 4, pad=False), RandomCrops(6, 9, pad=False)]
        loader = SmallerPictures(batches, lambda epoch: plans[min(epoch, 1)])
        assert len(loader) == 10
        assert [x.shape[-1] for x, _ in loader] == [4] * 10
        for _ in range(2):
            seen = list(loader)
            sizes = {x.shape[-1] for x, _ in seen}
            assert sizes == {8} if resize else sizes <= {6, 7, 8, 9} and len(sizes) > 1
            assert all(y.equal(wanted) for (_, y), (_, wanted) in zip(seen, batches, strict=True))
