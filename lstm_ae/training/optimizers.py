"""What the options of torch's optimizers may be: torch itself checks them late, or not at all."""

from typing import Annotated, TypedDict

from pydantic import Field

Fraction = Annotated[float, Field(ge=0, lt=1)]


class OptimizerOptions(TypedDict, total=False):
    """The options that optimizers of `torch.optim` share, by name; an option that is not here is left to torch."""

    lr: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)]
    momentum: Fraction
    alpha: Fraction
    betas: tuple[Fraction, Fraction]
    nesterov: bool
