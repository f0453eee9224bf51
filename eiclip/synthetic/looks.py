"""A garment as it is seen: everything a photo of it needs to know, and nothing about words or tags."""

from dataclasses import dataclass

from eiclip.synthetic.brands import Signature
from eiclip.synthetic.palette import Colour


@dataclass(frozen=True)
class Look:
    """The visible attributes of one garment; "" is a detail it does not have, None a garment without a brand."""

    kind: str
    colour: Colour
    pattern: str
    pattern_colour: Colour
    pattern_step: float
    fibre: str
    panel_colour: Colour
    sleeve: str = ""
    collar: str = ""
    closure: str = ""
    pocket: str = ""
    panel: str = ""
    signature: Signature | None = None
