"""The fusion of photo and text: the plain mean at first, learned from then on."""

import pytest
import torch
from torch.nn import functional as F

from eiclip.model.views import ViewFusion


def units(seed, count=4, width=8):
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("name", ["same_style", "eiclip"])
def test_a_new_fusion_is_the_mean_of_both_views_as_is_having_none(shop, name):
    model = shop.model(name)
    image, text = units(1, width=128), units(2, width=128)
    new = model.encode_joint(image, text)
    assert (model.views is None) == (name == "eiclip")
    assert torch.allclose(new, (image + text) / (image + text).norm(dim=-1, keepdim=True), atol=1e-6)
    assert torch.allclose(new.norm(dim=-1), torch.ones(4))


def test_it_learns_what_a_sum_cannot():
    """Which view to trust depends on the text: a target that no fixed weights of the two reach."""
    torch.manual_seed(0)
    image, text = units(1, 256), units(2, 256)
    target = torch.where(text[:, :1] > 0, image, text)
    fusion = ViewFusion(8)
    optimizer = torch.optim.Adam(fusion.parameters(), lr=1e-2)
    for _ in range(150):
        loss = 1 - (fusion(image, text) * target).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    sums = [F.normalize(w * image + (1 - w) * text, dim=-1) for w in torch.linspace(0, 1, 21)]
    best_sum = max(float((found * target).sum(-1).mean()) for found in sums)
    assert 1 - float(loss.detach()) > best_sum + 0.1
