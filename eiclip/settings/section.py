"""What every group of settings is."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A group of settings: unknown names are refused, values cannot change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
