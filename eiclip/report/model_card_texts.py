"""What model cards say that no table holds: what each row is, code that loads it, and where its weights come from."""

from pathlib import Path

from eiclip.model.sources import HUB

WHAT = {
    "clip_pretrained": "The two towers that all other rows of this run start from, with no training on products: the "
    "lower end of the comparison.",
    "clip_description": "Both towers fine-tuned on photos and descriptions. It reads no tags.",
    "clip_entities_text": "Both towers fine-tuned on photos and on texts into which the product’s tags are written. "
    "The baseline that EI-CLIP is measured against.",
    "eiclip_equal": "Both towers fine-tuned, and an encoder for each group of tags whose embeddings are added to the "
    "description’s, all with the same weight.",
    "eiclip": "Both towers fine-tuned, and an encoder for each group of tags whose embeddings are added to the "
    "description’s, each weighted by a gate that was learned for that tag.",
    "eiclip_plus": "Row 5, whose photos are read once more by a head over the image tower’s earlier blocks, which "
    "hold colour and texture. Not in the paper.",
}
"""By variant."""

LOAD_TOWERS = """\
import open_clip
import torch
from PIL import Image

folder = "local-dir:."  # where this file lies
model, _, preprocess = open_clip.create_model_and_transforms(folder)
tokens = open_clip.get_tokenizer(folder)(["a red wool coat", "white sneakers"])
photo = preprocess(Image.new("RGB", (256, 256), "red")).unsqueeze(0)  # Image.open("photo.jpg")
with torch.inference_mode():
    image = model.eval().encode_image(photo, normalize=True)
    text = model.encode_text(tokens, normalize=True)
print(image @ text.T)
"""

LOAD_MODEL = """\
from eiclip import EntityClip

model = EntityClip.from_folder(".")  # where this file lies
"""

LOAD_TAGS = """\
group = model.groups[0]
tags = {group: "some name of it"}  # an unknown tag is read as <unk>, a missing one not at all
texts = model.encode_text(["a red wool coat"], [tags])
print(model.unknown([tags]), texts.shape)  # length one, ready for dot products with `model.encode_image(photos)`
"""

LOAD_TEXTS = """\
texts = model.encode_text(["a red wool coat"])
print(texts.shape)  # length one, ready for dot products with `model.encode_image(photos)`
"""

NOTHING_MEASURED = "Nothing has been measured yet: materialise leaderboard, then this card."

GENERAL = "general"


def start_of(pretrained: str, *, embedded: bool) -> str:
    """What is known of the rights in weights and data: the first question of whoever wants to use the model."""
    if pretrained == GENERAL:
        weights = (
            "The towers were pretrained by this project itself on pictures it draws (`general`): no one else’s weights "
            "are in this model."
        )
    else:
        name = f"released weights (`{pretrained}` of open_clip)"
        if pretrained.startswith(HUB):
            name = f"the hub repository `{pretrained.removeprefix(HUB)}`"
        elif Path(pretrained).is_absolute() or Path(pretrained).exists():
            name = f"local weights (`{Path(pretrained).name}`)"
        weights = (
            f"The towers started from {name}: this model is derived from them, and their licence and their card say "
            "what may be done with it."
        )
    data = (
        "The training data was drawn by this project; brand names stand in it as words alone."
        if embedded
        else "The training data is not this project’s: its terms may restrict what may be done with weights that were "
        "trained on it (research sets often allow research alone)."
    )
    return f"{weights} {data} The code is under the MIT licence."
