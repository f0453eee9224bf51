"""Photos as the image tower wants them."""

import pytest
import torch
from open_clip.transform import image_transform
from PIL import Image

from eiclip.model.inputs import normalise


@pytest.mark.parametrize("shape", [(1, 64, 64, 3), (9, 40, 40, 3), (3, 224, 224, 3), (0, 64, 64, 3)])
def test_photos_are_normalised_as_open_clip_does(shop, shape):
    pixels_BHWC = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    transform = image_transform(shape[1], is_train=False)
    found = normalise(shop.model(), pixels_BHWC)
    assert found.shape == (shape[0], 3, *shape[1:3])
    for photo, pixels_HWC in zip(found, pixels_BHWC, strict=True):
        wanted = transform(Image.fromarray(pixels_HWC.numpy()))
        assert torch.allclose(photo, wanted, atol=2e-6)


def test_photos_that_do_not_lie_in_one_piece_are_normalised_too(shop):
    pixels_BHWC = torch.randint(0, 256, (4, 70, 64, 3), dtype=torch.uint8)[:, 3:67]
    assert torch.equal(normalise(shop.model(), pixels_BHWC), normalise(shop.model(), pixels_BHWC.contiguous()))
