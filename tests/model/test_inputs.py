"""What a model reads of a product: photos as the image tower wants them, and the text of row 3."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from open_clip.transform import image_transform
from PIL import Image

from eiclip.model.description import compose_text
from eiclip.model.inputs import normalise

GROUPS = ("brand", "subcategory", "season")
words = st.text(alphabet="abcxyz ", min_size=1, max_size=8)
tagged = st.dictionaries(st.sampled_from([*GROUPS, "elsewhere"]), st.lists(words, max_size=3))


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


@given(words, tagged, st.booleans(), st.sampled_from(["", *GROUPS]))
def test_text_is_the_description_with_the_tags_of_the_groups_in_their_order(
    description, entities, first, excluded_group
):
    text = compose_text(description, entities, GROUPS, entities_first=first, excluded_group=excluded_group)
    tags = [name for group in GROUPS if group in entities and group != excluded_group for name in entities[group]]
    assert text.endswith(description) if first or not tags else text.startswith(description)
    assert len(text) == len(description) + (len(", ".join(tags)) + 2 if tags else 0)
    places = [text.find(tag) for tag in tags]
    assert -1 not in places


@given(words, tagged, st.booleans())
def test_a_group_left_out_is_a_group_that_is_not_there(description, entities, first):
    without = {group: entity for group, entity in entities.items() if group != "season"}
    excluded_group = compose_text(description, entities, GROUPS, entities_first=first, excluded_group="season")
    assert excluded_group == compose_text(description, without, GROUPS, entities_first=first)


def test_tags_before_or_after():
    entities = {"season": ["fw2016"], "brand": ["diesel", "acne"]}
    assert compose_text("A coat.", entities, GROUPS, entities_first=True) == "diesel, acne, fw2016. A coat."
    assert compose_text("A coat.", entities, GROUPS, entities_first=False) == "A coat. diesel, acne, fw2016."
    assert compose_text("A coat.", {}, GROUPS, entities_first=True) == "A coat."
