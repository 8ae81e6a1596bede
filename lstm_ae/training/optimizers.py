"""What the options of torch's optimizers may be (torch checks them late, or not at all), and one of our own."""

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
    recurrent_lr: Annotated[float, Field(ge=0)] | None


OURS = ("recurrent_lr",)  # the options of these that torch's optimizers do not take: see `parameter_groups`
