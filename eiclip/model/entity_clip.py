"""EntityClipModel: the towers and the entities of one variant together, its loss, and its checkpoint folder.

A checkpoint folder is open_clip's own (see `towers`) with some files more: `eiclip.json` (variant and settings),
`vocabulary.json`, and where the variant has them `entities.safetensors` (encoders and gates), `views.safetensors`,
`levels.safetensors` (the head over the image tower's levels) and `cross.safetensors` (a cross-encoder).

Shape suffixes: B batch, K entity groups, M entities of one, L tokens, D embedding width.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from eiclip.errors import NonFiniteError, WeightsError
from eiclip.model.cross_encoder import CrossEncoder
from eiclip.model.description import Description
from eiclip.model.entities import EntityFusion, FusedEntities
from eiclip.model.levels import ImageLevels, LevelHead
from eiclip.model.losses import Gather, LossTerms, Pairs, contrastive_loss, sigmoid_loss, unit
from eiclip.model.parts import projections, tower_parts
from eiclip.model.towers import embedding_width, encode_text, give_bias, load_towers, save_towers
from eiclip.model.variants import Variant
from eiclip.model.views import ViewFusion
from eiclip.model.vocabulary import Vocabulary
from eiclip.settings.training import LossTerm, TrainingSettings
from eiclip.storage.cache import LOG_FILE, MANIFEST
from eiclip.storage.files import sha256_file, whole_folder, write_json


class TextParts(NamedTuple):
    """E_D (scaled as it is summed) and, in rows 4 and 5, the entities."""

    description_BD: Tensor
    entities: FusedEntities | None

    def joint(self) -> Tensor:
        """E_T = E_D + E_A^ (B, D); a product without any entity falls back to E_D."""
        return self.description_BD if self.entities is None else self.description_BD + self.entities.sum_BD


class EntityClipModel(nn.Module):
    """One variant's model.

    Args:
        towers: an open_clip model with a `config` attribute.
        variant: the row of Table 1.
        vocabulary: the dataset's entities; used by every variant's caller, trained on by rows 4 and 5.
        training: as `EntityFusion`'s; whether E_D too has length one before the sum; which terms the loss has.
    """

    def __init__(self, towers: nn.Module, variant: Variant, vocabulary: Vocabulary, training: TrainingSettings) -> None:
        super().__init__()
        self.towers: Any = towers
        self.variant = variant
        self.vocabulary = vocabulary
        self.training_settings = training
        self.fusion: EntityFusion | None = None
        if variant.gates != "none":
            self.fusion = EntityFusion(vocabulary, embedding_width(towers), variant.gates, training)
        self.views = ViewFusion(embedding_width(towers)) if variant.pairs != "none" else None
        has_bias = self.towers.logit_bias is not None
        wanted = has_bias if training.loss is None else training.loss == "sigmoid"
        is_cross = variant.cross != "none"
        self.sigmoid = wanted and self.views is None and not is_cross
        if self.sigmoid and not has_bias and variant.trained:
            give_bias(towers)
        self.image_parts = tower_parts(towers, "image", training.image_tower)
        self.text_parts = tower_parts(towers, "text", training.text_tower)
        self.image_levels = ImageLevels(towers, None if self.image_parts is None else self.image_parts.lower)
        self.level_head: LevelHead | None = None
        # Row 1 is what the towers are, and so are cross-encoders' but row 14's: nothing would train a head.
        if training.image_levels and variant.trained and variant.cross in ("none", "rerank"):
            self.level_head = LevelHead(self.image_levels.width, embedding_width(towers))
        self.cross: CrossEncoder | None = None
        if variant.cross != "none":
            kind = training.cross.kind if variant.cross == "rerank" else variant.cross
            self.cross = CrossEncoder(
                towers, kind, training.cross, self.fusion, embedding_width(towers), aligned=variant.cross == "rerank"
            )
        self._frozen: list[nn.Module] = []
        self.train()

    def freeze(self) -> None:
        """Leave what is not to be trained of the towers as it is: their frozen parts take no gradient.

        A cross-encoder is trained alone, on towers and entities as they are.
        """
        if self.cross is not None:
            self._frozen = [module for name, module in self.named_children() if name != "cross"]
            for module in self._frozen:
                module.requires_grad_(False)
            self.train(self.training)
            return
        weights = dict(self.towers.named_parameters())
        for parts in (self.image_parts, self.text_parts):
            for name in [] if parts is None else parts.frozen():
                if name in weights:
                    weights[name].requires_grad_(False)
        self._frozen = [m for m in self.towers.modules() if (own := list(m.parameters())) and not any(
            weight.requires_grad for weight in own
        )]  # fmt: skip
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what is trained: frozen parts stay in that of evaluation (no dropout, no new statistics).

        So does batch norm, unless the settings say otherwise: its statistics are those of many more photos than a batch
        has, whatever a process or a chunk sees of it.
        """
        super().train(mode)
        still = self.training_settings.batch_norm == "frozen"
        for module in [*self._frozen, *(m for m in self.modules() if still and isinstance(m, _BatchNorm))]:
            module.eval()
        return self

    def encode_image(self, pixels_BCHW: Tensor) -> Tensor:
        """E_I (B, D), of any length, of normalised pixels."""
        if self.level_head is None:
            return self.towers.encode_image(pixels_BCHW)
        with self.image_levels.read() as levels:
            image_BD = self.towers.encode_image(pixels_BCHW)
        return F.normalize(image_BD, dim=-1) + self.level_head(self.image_levels.of(pixels_BCHW, levels))

    def encode_image_features(self, features_BF: Tensor) -> Tensor:
        """E_I (B, D) of features (B, F) of the image tower's frozen part; with a level head, levels are their end."""
        assert self.image_parts is not None
        if self.level_head is None:
            return self.image_parts.upper(features_BF.float(), None)
        values = self.image_levels.width
        image_BD = self.image_parts.upper(
            features_BF[:, :-values].float().unflatten(1, self.image_levels.looked_shape), None
        )
        return F.normalize(image_BD, dim=-1) + self.level_head(features_BF[:, -values:])

    def encode_description(self, tokens_BL: Tensor, features_BF: Tensor | None = None) -> Tensor:
        """E_D (B, D), scaled as it is summed, of token ids, or of features of the text tower's frozen part of them."""
        if features_BF is None or self.text_parts is None:
            description_BD = encode_text(self.towers, tokens_BL)
        else:
            description_BD = self.text_parts.upper(features_BF.float(), tokens_BL)
        scaled = self.fusion is not None and self.training_settings.unit_norm
        return F.normalize(description_BD, dim=-1) if scaled else description_BD

    def encode_text(self, tokens_BL: Tensor, ids_BKM: Tensor, features_BF: Tensor | None = None) -> TextParts:
        """E_D and E_A^ of token ids (or their features) and entity ids (-1: missing); rows 1 to 3 have no E_A^."""
        entities = None if self.fusion is None else self.fusion(ids_BKM)
        return TextParts(self.encode_description(tokens_BL, features_BF), entities)

    def encode_joint(self, image_BD: Tensor, text_BD: Tensor) -> Tensor:
        """m (B, D), the joint view of unit embeddings of photos and texts; without a fusion their mean. Length one."""
        return F.normalize(image_BD + text_BD, dim=-1) if self.views is None else self.views(image_BD, text_BD)

    @property
    def width(self) -> int:
        """D, the width of the embeddings."""
        return embedding_width(self.towers)

    @property
    def scale(self) -> Tensor:
        """The learned inverse temperature."""
        return self.towers.logit_scale.exp()

    @torch.no_grad()
    def bound_scale(self) -> None:
        """Keep the inverse temperature within CLIP's bound, after a step (a clamp in the loss ends its gradient)."""
        self.towers.logit_scale.clamp_(0, math.log(100))

    @property
    def loss_terms(self) -> tuple[LossTerm, ...]:
        """The terms of the loss that are minimised: those of the settings; for rows 1 to 3 L(E_I, E_D) alone."""
        return ("description",) if self.fusion is None else self.training_settings.loss_terms

    def loss(
        self, image_BD: Tensor, text: TextParts, scale: Tensor, gather: Gather | None = None, first: int = 0
    ) -> LossTerms:
        """L(E_I, E_D + E_A^), L(E_I, E_D) and L(E_I, E_A^), those too that are not minimised: the log shows them.

        Args:
            image_BD: E_I of this process's pairs.
            text: their texts and entities.
            scale: the inverse temperature, from `scale`.
            gather: rows of all processes (G, D) from this one's (B, D); None: it is alone.
            first: row of this process's first pair among everyone's.
        """
        own = [unit(image_BD), unit(text.description_BD)]
        keep_G = None
        if text.entities is not None:
            own += [unit(text.joint()), unit(text.entities.sum_BD)]
            keep_G = text.entities.present_B
        everyone = own
        if gather is not None:
            everyone = [gather(embedding_BD) for embedding_BD in own]
            keep_G = None if keep_G is None else gather(keep_G[:, None].float())[:, 0] > 0

        def term(side: int, keep_G: Tensor | None = None) -> Tensor:
            candidates = None if gather is None else Pairs(everyone[0], everyone[side])
            pairs = Pairs(own[0], own[side])
            if self.sigmoid:
                return sigmoid_loss(pairs, scale, self.towers.logit_bias, candidates, first, keep_G)
            return contrastive_loss(pairs, scale, candidates, first, keep_G)

        if text.entities is None:
            description = term(1)
            return LossTerms(description, description, description.new_zeros(()))
        return LossTerms(term(2), term(1), term(3, keep_G))

    def parameter_groups(self, training: TrainingSettings) -> list[dict[str, Any]]:
        """Optimizer groups, each with a learning rate. What is frozen is in none.

        They are `towers`, their `heads` (with the temperature) where these have a rate of their own, `entities`,
        `gates`, and `views` and `levels` at the entities' rate; of a cross-encoder its own.
        """
        if self.cross is not None:
            return self.cross.parameter_groups(training.tower_lr)
        towers = {name: weight for name, weight in self.towers.named_parameters() if weight.requires_grad}
        names = [] if training.head_lr is None else [*projections(self.towers), "logit_scale", "logit_bias"]
        heads = [name for name in names if name in towers]
        groups: list[tuple[str, list[nn.Parameter], float]] = [
            ("towers", [weight for name, weight in towers.items() if name not in heads], training.tower_lr),
            ("heads", [towers[name] for name in heads], training.head_lr or 0.0),
        ]
        others = [
            ("entities", self.fusion and self.fusion.encoders, training.entity_lr),
            ("gates", self.fusion and self.fusion.gates, training.gate_lr),
            ("views", self.views, training.entity_lr),
            ("levels", self.level_head, training.entity_lr),
        ]
        groups += [(name, list(module.parameters()), rate) for name, module, rate in others if module is not None]
        return [{"name": name, "params": weights, "lr": rate} for name, weights, rate in groups if weights]

    def modules_by_file(self) -> dict[str, nn.Module]:
        """What the variant has beside the towers, by the name of its file in a checkpoint folder."""
        found = {
            "entities.safetensors": self.fusion,
            "views.safetensors": self.views,
            "levels.safetensors": self.level_head,
            "cross.safetensors": self.cross,
        }
        return {file: module for file, module in found.items() if module is not None}


def save_checkpoint(model: EntityClipModel, folder: Path, extra: dict[str, Any], log: pa.Table | None = None) -> None:
    """Write a checkpoint folder whole, with a manifest of its files' checksums; `extra` goes into `eiclip.json`.

    `log`, the step log, lies beside them and outside the manifest: it holds times, which differ between equal runs.

    Raises:
        NonFiniteError: a weight is NaN or infinite; nothing is written.
    """
    for name, value in model.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise NonFiniteError(f"{folder.name}: weight {name} is not finite; lower the learning rates")
    with whole_folder(folder) as part:
        save_towers(model.towers, part, folder)
        for file, module in model.modules_by_file().items():
            save_file({name: value.contiguous() for name, value in module.state_dict().items()}, part / file)
        write_json(part / "vocabulary.json", {"names": model.vocabulary.names, "priors": model.vocabulary.priors})
        described = {"variant": model.variant.name, "training": model.training_settings.model_dump(), **extra}
        write_json(part / "eiclip.json", described)
        write_json(part / MANIFEST, {file.name: sha256_file(file) for file in sorted(part.iterdir())})
        if log is not None:
            pq.write_table(log, part / LOG_FILE)


def load_beside(model: EntityClipModel, folder: Path) -> None:
    """Give a model what a checkpoint folder holds beside the towers, as far as both have it.

    Raises:
        WeightsError: a file is of another shape.
    """
    for file, module in model.modules_by_file().items():
        if (folder / file).is_file():
            try:
                module.load_state_dict(load_file(folder / file))
            except (RuntimeError, SafetensorError) as error:
                raise WeightsError(f"{folder / file}: of another shape than this row's ({error})") from error


def load_checkpoint(folder: Path, device: str = "cpu") -> EntityClipModel:
    """Load a checkpoint folder for inference; nothing in it is unpickled.

    Raises:
        WeightsError: a file is missing or of another shape.
    """
    try:
        described = Description.read(folder)
        model = EntityClipModel(load_towers(folder), described.variant, described.vocabulary, described.training)
        for file, module in model.modules_by_file().items():
            module.load_state_dict(load_file(folder / file))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{folder}: not a whole checkpoint ({error}); materialise it again") from error
    return model.eval().to(device)
