"""The forms in which a user may write one parameter: each with its keys, its law, and the domain that is searched.

Reads: one mapping of a config.  Gives: a frozen parameter.  A field's description is what to write for it, the
docstring is the law; errors, `besom check`, the schema and the docs page all use these words.
Knows nothing of names, nesting and files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from besom.controller.sections import Section, WholeNumber

if TYPE_CHECKING:
    from besom.strategies import Domain

__all__ = ["KINDS", "Categorical", "Constant", "IntUniform", "Parameter", "Uniform", "WeightedCategorical"]

MAX_STEPS = 2**50
"""Multiples of q; a strategy's unit interval tells no more apart."""
_REACH = 6.0
"""Deviations of a normal law that are ever drawn."""
_MAX_EXPONENT = 700.0
"""exp() of more is infinite."""

_WHEN = "the values of other parameters with which this one is there, such as when: {optimizer: sgd}"
_Q = "a number above 0, such as q: 0.5; a whole one gives whole values"


_OTHER_NAMES = {
    "mean": "stands under an unknown key; write mu instead of mean",
    "std": "stands under an unknown key; write sigma instead of std",
}
_WEIGHTED = {
    "probabilities": "cannot be with distribution: categorical; write distribution: categorical_w_probabilities"
}


def _rounded_by(distribution: str) -> dict[str, str]:
    return {"q": f"needs another distribution; write distribution: {distribution} with it, or remove q"}


class Parameter(Section):
    """One value of a trial's params, searched or constant."""

    listed: ClassVar[bool] = False
    """Whether its values can be tried one after the other by a grid."""
    inferred: ClassVar[bool] = False
    """Whether it may be written without `distribution`."""
    deprecated: ClassVar[str] = ""
    """What to write in its place."""
    example: ClassVar[str] = ""
    """Its keys with values that can be, as in a sweep file."""

    distribution: str
    when: dict[str, Any] | None = Field(None, description=_WHEN)

    def domain(self) -> Domain:
        """What a strategy searches."""
        return self._domain()

    def _domain(self) -> Domain:
        raise NotImplementedError


class Constant(Parameter):
    """One value for every trial."""

    listed = inferred = True
    example = "{value: 12}"
    distribution: Literal["constant"] = "constant"
    value: Any = Field(description="the value that every trial gets, such as value: 0.1")

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.Constant(self.value)


class Categorical(Parameter):
    """One of several values, equally likely."""

    listed = inferred = True
    example = "{values: [16, 32, 64]}"
    hints = _WEIGHTED
    distribution: Literal["categorical"] = "categorical"
    values: list[Any] = Field(min_length=1, description="a list of at least one value, such as values: [1, 2]")

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.Categorical(tuple(self.values))


class WeightedCategorical(Parameter):
    """One of several values, each with its probability."""

    inferred = True
    example = "{values: [adam, sgd], probabilities: [0.8, 0.2]}"
    distribution: Literal["categorical_w_probabilities"] = "categorical_w_probabilities"
    values: list[Any] = Field(min_length=1, description="a list of at least one value, such as values: [1, 2]")
    probabilities: list[float] = Field(description="a number from 0 for each of the values, such as [0.8, 0.2]")

    @model_validator(mode="after")
    def _sums_to_one(self) -> WeightedCategorical:
        given, wanted = len(self.probabilities), len(self.values)
        if given != wanted:
            raise ValueError(f"{given} probabilities for {wanted} values; write one for each of the values")
        if any(one < 0 for one in self.probabilities):
            raise ValueError(f"probabilities {self.probabilities} has a number below 0; write numbers from 0")
        total = math.fsum(self.probabilities)
        if not math.isclose(total, 1.0, rel_tol=1e-5, abs_tol=1e-8):
            raise ValueError(f"probabilities {self.probabilities} sum to {total:g}; write numbers that sum to 1")
        return self

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.Categorical(tuple(self.values), tuple(self.probabilities))


class _Range(Parameter):
    hints: ClassVar[Mapping[str, str]] = _rounded_by("q_uniform")
    min: float = Field(description="a number, such as min: 0.1")
    max: float = Field(description="a number, such as max: 1.0")

    @model_validator(mode="after")
    def _in_order(self) -> _Range:
        if not self.min < self.max:
            raise ValueError(
                f"min {self.min} is not below max {self.max}; write a min below max, or value: for a single one"
            )
        if not math.isfinite(self.max - self.min):
            raise ValueError(f"min {self.min} and max {self.max} are too far apart; write bounds within 1e300")
        return self


class IntUniform(_Range):
    """A whole number from min to max, both included, equally likely."""

    listed = inferred = True
    example = "{min: 1, max: 8}"
    distribution: Literal["int_uniform"] = "int_uniform"
    min: WholeNumber = Field(description="a whole number, such as min: 1")
    max: WholeNumber = Field(description="a whole number, such as max: 10")

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.IntUniform(self.min, self.max)


class Uniform(_Range):
    """A real number from min to max, evenly."""

    inferred = True
    example = "{min: 0.0, max: 0.5}"
    distribution: Literal["uniform"] = "uniform"

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.Uniform(self.min, self.max)


class _Positive(_Range):
    """Bounds above 0, so that they have a logarithm."""

    example = "{min: 1e-5, max: 0.1}"
    hints: ClassVar[Mapping[str, str]] = _rounded_by("q_log_uniform_values")
    min: float = Field(gt=0, description="a number above 0, the value itself, such as min: 0.0001")
    max: float = Field(gt=0, description="a number above 0, the value itself, such as max: 0.1")

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.LogUniform(self.min, self.max)


class LogUniformValues(_Positive):
    """A real number from min to max whose logarithm is drawn evenly."""

    distribution: Literal["log_uniform_values"] = "log_uniform_values"


class InvLogUniformValues(_Positive):
    """A real number from min to max, the logarithm of its inverse drawn evenly: the law of log_uniform_values."""

    distribution: Literal["inv_log_uniform_values"] = "inv_log_uniform_values"


class _Exponents(_Range):
    """Bounds that are exponents of e."""

    min: float = Field(ge=-_MAX_EXPONENT, le=_MAX_EXPONENT, description="an exponent of e, such as min: -9.2")
    max: float = Field(ge=-_MAX_EXPONENT, le=_MAX_EXPONENT, description="an exponent of e, such as max: 0")


class LogUniform(_Exponents):
    """exp of a number drawn evenly from min to max."""

    example = "{min: -9.2, max: -2.3}"
    deprecated = "log_uniform_values, with the values themselves as bounds"
    distribution: Literal["log_uniform"] = "log_uniform"

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.LogUniform(math.exp(self.min), math.exp(self.max))


class InvLogUniform(_Exponents):
    """1 / exp of a number drawn evenly from min to max."""

    example = "{min: 2.3, max: 9.2}"
    deprecated = "inv_log_uniform_values, with the values themselves as bounds"
    distribution: Literal["inv_log_uniform"] = "inv_log_uniform"

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.LogUniform(math.exp(-self.max), math.exp(-self.min))


def _check_steps(low: float, high: float, q: float) -> None:
    # By the decimals as written: 0.3 - 0.1 is a step of 0.2, which floats would deny.
    least, most, step = (Fraction(str(number)) for number in (low, high, q))
    if not 1 <= (most - least) / step <= MAX_STEPS:
        fault = "above" if most - least < step else "too small for"
        raise ValueError(f"q {q} is {fault} max - min = {float(most - least):g}; write a q that gives some steps")


class QUniform(_Range):
    """A number drawn evenly from min to max, rounded to a multiple of q between the two."""

    listed = True
    example = "{min: 0.0, max: 0.9, q: 0.1}"
    distribution: Literal["q_uniform"] = "q_uniform"
    q: int | float = Field(1.0, gt=0, description=_Q)

    @model_validator(mode="after")
    def _has_steps(self) -> QUniform:
        _check_steps(self.min, self.max, self.q)
        return self

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.QUniform(self.min, self.max, self.q)


class QLogUniformValues(_Positive):
    """A number whose logarithm is drawn evenly, rounded to a multiple of q from min to max."""

    listed = True
    example = "{min: 16, max: 1024, q: 16}"
    hints = Section.hints
    distribution: Literal["q_log_uniform_values"] = "q_log_uniform_values"
    q: int | float = Field(1.0, gt=0, description=_Q)

    @model_validator(mode="after")
    def _has_steps(self) -> QLogUniformValues:
        _check_steps(self.min, self.max, self.q)
        return self

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.QLogUniform(self.min, self.max, self.q)


class QLogUniform(_Exponents):
    """exp of a number drawn evenly from min to max, rounded to a multiple of q between the two."""

    listed = True
    example = "{min: 2.7, max: 7.0, q: 16}"
    hints = Section.hints
    deprecated = "q_log_uniform_values, with the values themselves as bounds"
    distribution: Literal["q_log_uniform"] = "q_log_uniform"
    q: int | float = Field(1.0, gt=0, description=_Q)

    @model_validator(mode="after")
    def _has_steps(self) -> QLogUniform:
        _check_steps(math.exp(self.min), math.exp(self.max), self.q)
        return self

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.QLogUniform(math.exp(self.min), math.exp(self.max), self.q)


class _Gaussian(Parameter):
    mu: float = Field(0.0, ge=-1e300, le=1e300, description="the mean, a number such as mu: 0.5")
    sigma: float = Field(1.0, ge=0, le=1e300, description="the standard deviation, a number from 0 such as sigma: 0.1")


class Normal(_Gaussian):
    """A number from the normal law with mean mu and deviation sigma."""

    example = "{mu: 0.0, sigma: 1.0}"
    hints = _OTHER_NAMES | _rounded_by("q_normal")
    distribution: Literal["normal"] = "normal"

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.Normal(self.mu, self.sigma)


class _LogGaussian(_Gaussian):
    @model_validator(mode="after")
    def _has_finite_values(self) -> _LogGaussian:
        if abs(self.mu) + _REACH * self.sigma > _MAX_EXPONENT:
            raise ValueError(
                f"mu {self.mu} and sigma {self.sigma} give values beyond 1e304; they are of the logarithm, "
                "write smaller ones"
            )
        return self


class LogNormal(_LogGaussian):
    """A number above 0 whose logarithm is normal, with mean mu and deviation sigma."""

    example = "{mu: -4.6, sigma: 1.0}"
    hints = _OTHER_NAMES | _rounded_by("q_log_normal")
    distribution: Literal["log_normal"] = "log_normal"

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.LogNormal(self.mu, self.sigma)


class _Shapes(Parameter):
    a: float = Field(1.0, ge=1e-3, le=1e6, description="a number from 0.001 to 1000000, such as a: 2")
    b: float = Field(1.0, ge=1e-3, le=1e6, description="a number from 0.001 to 1000000, such as b: 5")


class Beta(_Shapes):
    """A number between 0 and 1 from the beta law with shapes a and b."""

    example = "{a: 2.0, b: 5.0}"
    hints = _rounded_by("q_beta")
    distribution: Literal["beta"] = "beta"

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.Beta(self.a, self.b)


def _check_multiples(furthest: float, q: float) -> None:
    if furthest / q > MAX_STEPS:
        raise ValueError(f"q {q} is too small for values up to {furthest:g}; write a larger q")


class QNormal(_Gaussian):
    """A number from the normal law with mean mu and deviation sigma, rounded to a multiple of q."""

    example = "{mu: 128, sigma: 40, q: 8}"
    hints = _OTHER_NAMES
    distribution: Literal["q_normal"] = "q_normal"
    q: int | float = Field(1.0, gt=0, description=_Q)

    @model_validator(mode="after")
    def _has_steps(self) -> QNormal:
        _check_multiples(abs(self.mu) + _REACH * self.sigma, self.q)
        return self

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.Rounded(strategies.Normal(self.mu, self.sigma), self.q)


class QLogNormal(_LogGaussian):
    """A number whose logarithm is normal, with mean mu and deviation sigma, rounded to a multiple of q."""

    example = "{mu: 5.0, sigma: 0.5, q: 16}"
    hints = _OTHER_NAMES
    distribution: Literal["q_log_normal"] = "q_log_normal"
    q: int | float = Field(1.0, gt=0, description=_Q)

    @model_validator(mode="after")
    def _has_steps(self) -> QLogNormal:
        _check_multiples(math.exp(self.mu + _REACH * self.sigma), self.q)
        return self

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.Rounded(strategies.LogNormal(self.mu, self.sigma), self.q)


class QBeta(_Shapes):
    """A number between 0 and 1 from the beta law with shapes a and b, rounded to a multiple of q."""

    example = "{a: 2.0, b: 5.0, q: 0.1}"
    distribution: Literal["q_beta"] = "q_beta"
    q: int | float = Field(1.0, gt=0, description=_Q)

    @model_validator(mode="after")
    def _has_steps(self) -> QBeta:
        _check_multiples(1.0, self.q)
        return self

    def _domain(self) -> Domain:
        from besom import strategies

        return strategies.Rounded(strategies.Beta(self.a, self.b), self.q)


_ALL: tuple[type[Parameter], ...] = (
    Constant, Categorical, WeightedCategorical, IntUniform, Uniform, LogUniformValues, InvLogUniformValues, QUniform,
    QLogUniformValues, Normal, LogNormal, Beta, QNormal, QLogNormal, QBeta, LogUniform, InvLogUniform, QLogUniform,
)  # fmt: skip
KINDS: dict[str, type[Parameter]] = {kind.model_fields["distribution"].default: kind for kind in _ALL}
"""Distribution to its form."""
