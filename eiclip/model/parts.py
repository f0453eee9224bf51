"""A tower in two parts: a frozen lower one, whose output can be kept, and an upper one that is trained on that output.

`heads` trains the projection into the shared space alone, `last:N` the last N blocks as well, `frozen` nothing.

Shape suffixes: B batch, C channels, H height, W width, L tokens, D embedding width, F a feature's own dimensions.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import open_clip
import torch
from open_clip.hf_model import HFTextEncoder
from torch import Tensor, nn

from eiclip.errors import SettingsError
from eiclip.model.levels import black_photo, evaluating
from eiclip.model.towers import by_length, encode_cut_text, encode_text, image_size, located, tokenizer_of
from eiclip.settings.training import TowerMode

Side = Literal["image", "text"]


@dataclass(frozen=True)
class TowerParts:
    """The two parts of a tower."""

    towers: Any
    side: Side
    mode: str
    lower: Callable[[Tensor], Tensor]
    """Features (B, F) of normalised pixels (B, C, H, W), or of token ids (B, L)."""
    upper: Callable[[Tensor, Tensor | None], Tensor]
    """Embeddings (B, D) of features (B, F), and of the token ids where the features are those of tokens."""

    @property
    def by_token(self) -> bool:
        """Whether a text's features are one a token, and not one a text."""
        return self.side == "text" and self.mode.startswith("last:")

    def trained(self) -> list[str]:
        """Names of the towers' weights that the upper part uses: those that a gradient reaches."""
        towers, kept = self.towers, {n: (p.grad, p.requires_grad) for n, p in self.towers.named_parameters()}
        device = next(towers.parameters()).device
        try:
            with evaluating(towers), torch.enable_grad():
                for parameter in towers.parameters():
                    parameter.grad = None
                    parameter.requires_grad_(True)
                tokens_BL = tokenizer_of(towers)(["a"]).to(device) if self.side == "text" else None
                given = black_photo(towers) if tokens_BL is None else tokens_BL
                with torch.no_grad():
                    features_BF = self.lower(given)
                embedding_BD = self.upper(features_BF.clone(), tokens_BL)
                if embedding_BD.requires_grad:
                    embedding_BD.sum().backward()
            return [name for name, parameter in towers.named_parameters() if parameter.grad is not None]
        finally:
            for name, parameter in towers.named_parameters():
                parameter.grad, wanted = kept[name]
                parameter.requires_grad_(wanted)

    def frozen(self) -> list[str]:
        """Names of this tower's weights and statistics that the upper part does not use."""
        trained = set(self.trained())
        return [
            name
            for name in self.towers.state_dict()
            if name.startswith("visual.") == (self.side == "image")
            and name not in trained
            and name not in ("logit_scale", "logit_bias")
        ]

    def digest(self) -> str:
        """What identifies the lower part: its weights, how it reads and where it is cut."""
        config = located(self.towers.config, Path())  # wherever its files lie
        found = hashlib.sha256(f"{self.side}/{self.mode}/{config}".encode())
        state = self.towers.state_dict()
        for name in sorted(self.frozen()):
            found.update(name.encode())
            found.update(state[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return found.hexdigest()[:16]


def tower_parts(towers: Any, side: Side, mode: TowerMode) -> TowerParts | None:
    """The parts of a tower; None where it is trained as a whole.

    Raises:
        SettingsError: the tower has no projection, or not as many blocks as the mode names.
    """
    if mode == "full":
        return None
    if mode == "frozen":
        whole = towers.encode_image if side == "image" else lambda tokens_BL: encode_text(towers, tokens_BL)
        return TowerParts(towers, side, mode, whole, lambda features_BF, _: features_BF)
    if mode == "heads":
        return _image_heads(towers) if side == "image" else _text_heads(towers)
    return _last_blocks(towers, side, mode)


def projections(towers: Any) -> list[str]:
    """Names of the weights that project the towers into the shared space; of a tower without such weights none."""
    found = []
    sides: tuple[Side, ...] = ("image", "text")
    for side in sides:
        with contextlib.suppress(SettingsError):
            parts = tower_parts(towers, side, "heads")
            found += [] if parts is None else parts.trained()
    return found


def _image_heads(towers: Any) -> TowerParts:
    visual = towers.visual
    if (trunk := getattr(visual, "trunk", None)) is not None:
        if len(visual.head):
            return TowerParts(towers, "image", "heads", trunk, lambda features_BF, _: visual.head(features_BF))
        if isinstance(classifier := trunk.get_classifier(), nn.Linear):

            def pooled(pixels_BCHW: Tensor) -> Tensor:
                return trunk.forward_head(trunk.forward_features(pixels_BCHW), pre_logits=True)

            return TowerParts(towers, "image", "heads", pooled, lambda features_BF, _: classifier(features_BF))
        if getattr(trunk, "attn_pool", None) is not None:  # SigLIP: attention pools into the shared space
            head = trunk.forward_head
            return TowerParts(towers, "image", "heads", trunk.forward_features, lambda features, _: head(features))
        raise _no_projection("image")
    name = "attnpool" if hasattr(visual, "attnpool") else "proj"
    return _projected(towers, "image", visual, name, lambda pixels_BCHW: towers.encode_image(pixels_BCHW))


def _text_heads(towers: Any) -> TowerParts:
    text = getattr(towers, "text", towers)
    name = "proj" if isinstance(text, HFTextEncoder) else "text_projection"
    return _projected(towers, "text", text, name, lambda tokens_BL: encode_text(towers, tokens_BL))


def _projected(towers: Any, side: Side, owner: Any, name: str, encode: Callable[[Tensor], Tensor]) -> TowerParts:
    """Parts of a tower whose last step is the module or matrix `name`: the lower one does without it."""
    projection = getattr(owner, name, None)
    if projection is None or isinstance(projection, nn.Identity) or isinstance(towers, open_clip.CoCa):
        raise _no_projection(side)

    def lower(inputs: Tensor) -> Tensor:
        setattr(owner, name, nn.Identity() if isinstance(projection, nn.Module) else None)
        try:
            return encode(inputs)
        finally:
            setattr(owner, name, projection)

    def upper(features_BF: Tensor, _: Tensor | None) -> Tensor:
        found = getattr(owner, name)
        return found(features_BF) if isinstance(found, nn.Module) else features_BF @ found

    return TowerParts(towers, side, "heads", lower, upper)


def _no_projection(side: Side) -> SettingsError:
    return SettingsError(
        f"EICLIP_TRAINING__{side.upper()}_TOWER='heads': this tower has no projection of its own; choose full, frozen "
        "or last:N"
    )


class ReachedError(Exception):
    """The input of a block, which is all that was wanted of a tower."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden


def _last_blocks(towers: Any, side: Side, mode: TowerMode) -> TowerParts:
    """Parts of a tower cut before its last blocks.

    The lower part ends at the first of these. The upper one is the tower without the blocks before, fed at that place:
    whatever comes first (embeddings, masks) is as the tower has it, on one plain photo or the texts' own tokens.
    """
    blocks, count = blocks_of(towers, side), int(mode.removeprefix("last:"))
    held = 0 if blocks is None else len(blocks)
    if blocks is None or count >= held:
        found = "no row of blocks that it could be cut at" if blocks is None else f"{held} block{'s' * (held != 1)}"
        raise SettingsError(
            f"EICLIP_TRAINING__{side.upper()}_TOWER={mode!r}: this tower has {found}; choose full, heads or frozen"
            + (f", or last:N with N below {held}" if held > 1 else "")
        )
    first, size = blocks[held - count], image_size(towers)
    encode = towers.encode_image if side == "image" else lambda tokens_BL: encode_cut_text(towers, tokens_BL)

    def lower(inputs: Tensor) -> Tensor:
        def reached(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            raise ReachedError(given[0])

        with _hook(first, reached):
            try:
                encode(inputs)
            except ReachedError as found:
                return found.hidden
        raise AssertionError("the tower did not come to its last blocks")

    def fed(plain: Tensor, features_BF: Tensor) -> Tensor:
        def feed(_: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (features_BF, *given[1:])

        with _hook(first, feed), _only_last(blocks, count):
            return encode(plain)

    def upper(features_BF: Tensor, tokens_BL: Tensor | None) -> Tensor:
        if tokens_BL is None:
            return fed(features_BF.new_zeros(1, 3, size, size), features_BF)
        return by_length(towers, fed, tokens_BL, features_BF)

    return TowerParts(towers, side, mode, lower, upper)


def blocks_of(towers: Any, side: Side) -> Any:
    """The row of a tower's blocks, or None where it is of another build."""
    tower = towers.visual if side == "image" else getattr(towers, "text", towers)
    if side == "image" and (trunk := getattr(tower, "trunk", None)) is not None:
        return getattr(trunk, "blocks", None) or getattr(trunk, "stages", None)
    transformer: Any = getattr(tower, "transformer", None)
    if isinstance(tower, HFTextEncoder):
        children = getattr(transformer, "encoder", transformer).children()
        return next((child for child in children if isinstance(child, nn.ModuleList)), None)
    return getattr(transformer, "resblocks", None)


@contextlib.contextmanager
def _hook(block: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    handle = block.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def _only_last(blocks: Any, count: int) -> Iterator[None]:
    """The row of blocks with its last ones alone, meanwhile."""
    kept = blocks._modules
    blocks._modules = {str(number): block for number, block in enumerate(list(kept.values())[-count:])}
    try:
        yield
    finally:
        blocks._modules = kept
