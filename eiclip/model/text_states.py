"""A copy of the lower layers of a text tower: states of a text's words, of which some may be hidden.

Shape suffixes: B batch, L tokens, W width of the text tower.
"""

import copy
from typing import Any

import torch
from open_clip.hf_model import HFTextEncoder
from torch import Tensor, nn

from eiclip.errors import SettingsError
from eiclip.model.parts import ReachedError, blocks_of
from eiclip.model.towers import encode_cut_text, length_groups, tokenizer_of


class _Stop(nn.Module):
    """In place of a block: ends the tower there. open_clip asks the first block for the type of its weights."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype

    def get_weight_dtype(self) -> torch.dtype:
        return self._dtype

    def forward(self, hidden: Tensor, *_: Any, **__: Any) -> Tensor:
        raise ReachedError(hidden)


class TextStates(nn.Module):
    """The embeddings and lower blocks of a text tower; the blocks are trained apart from those they are copied from.

    Embeddings stay as they are: gradients of a whole vocabulary are most of a step, and a few thousand products do not
    move them.

    Args:
        towers: whose text tower it is, which stays as it is.
        layers: how many of its lower blocks; 0: its embeddings alone.

    Raises:
        SettingsError: the tower has fewer blocks, or none that are known.
    """

    def __init__(self, towers: Any, layers: int) -> None:
        super().__init__()
        self.tokenizer = tokenizer_of(towers)
        visual, known = towers.visual, getattr(towers, "tokenizer", None)
        try:  # a copy without photos' tower and the tokenizer's tables
            towers.visual, towers.tokenizer = nn.Identity(), None
            self.tower: Any = copy.deepcopy(towers).requires_grad_(True).train()
        finally:
            towers.visual, towers.tokenizer = visual, known
        self.tower.tokenizer = self.tokenizer
        blocks = blocks_of(self.tower, "text")
        held = 0 if blocks is None else len(blocks)
        if blocks is None or layers >= held:
            raise SettingsError(
                f"EICLIP_TRAINING__CROSS__TEXT_LAYERS={layers}: this text tower has {held} blocks that are known; "
                f"choose 0 to {max(0, held - 1)}"
            )
        del blocks[layers + 1 :]
        blocks[layers] = _Stop(next(blocks[layers].parameters()).dtype)
        self.hidden = nn.Parameter(torch.zeros(self.width))
        """What stands for a word that is hidden."""
        blocks_left = [weight for block in blocks[:layers] for weight in block.parameters()]
        for weight in self.tower.parameters():
            weight.requires_grad_(any(weight is one for one in blocks_left))

    @property
    def embedding(self) -> Any:
        """The tower's embeddings of tokens."""
        text = getattr(self.tower, "text", self.tower)
        return text.transformer.get_input_embeddings() if isinstance(text, HFTextEncoder) else text.token_embedding

    @property
    def width(self) -> int:
        """W."""
        return int(self.embedding.embedding_dim)

    def forward(self, tokens_BL: Tensor, hidden_BL: Tensor | None = None) -> Tensor:
        """States (B, L, W) of token ids; those of `hidden_BL` are not shown."""
        state_BLW = self.hidden.new_zeros(*tokens_BL.shape, self.width)
        for rows, longest in length_groups(self.lengths(tokens_BL), tokens_BL.device):
            chosen = None if hidden_BL is None else hidden_BL[rows, :longest]
            state_BLW = state_BLW.index_put((rows[:, None], torch.arange(longest)), self._states(
                tokens_BL[rows, :longest], chosen
            ).float())  # fmt: skip
        return state_BLW

    def _states(self, tokens_BL: Tensor, hidden_BL: Tensor | None) -> Tensor:
        def hide(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            if hidden_BL is None:
                return output
            chosen_BL = nn.functional.pad(hidden_BL, (0, output.shape[1] - hidden_BL.shape[1]))
            return torch.where(chosen_BL[..., None], self.hidden.to(output.dtype), output)

        hook = self.embedding.register_forward_hook(hide)
        try:
            encode_cut_text(self.tower, tokens_BL)
        except ReachedError as found:
            return found.hidden[:, : tokens_BL.shape[1]]
        finally:
            hook.remove()
        raise AssertionError("the text tower did not come to its last block")

    def lengths(self, tokens_BL: Tensor) -> Tensor:
        """Tokens of each text (B,), as far as they were not cut off: what follows is padding."""
        return self.tokenizer.lengths(tokens_BL)
