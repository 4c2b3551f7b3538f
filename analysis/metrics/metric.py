"""How to speak of one metric."""

from dataclasses import dataclass
from typing import Any, Literal

MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Metric:
    """How to speak of one metric.

    Attributes:
        name: its name in the tracking store.
        label: its name in words.
        unit: the unit of an axis; empty where it has none.
        decimals: digits after the point; None writes four significant digits.
        change: how a change is told: as a ``"ratio"``, as a ``"difference"``, or by its two
            ``"ends"``.
        is_share: written as per cent, with differences in percentage points.
        floor: the value an axis starts from; None where zero means nothing.
        ceiling: the largest value there can be; None where there is none.
        reading: what high and low values mean, for a caption.
    """

    name: str
    label: str
    unit: str = ""
    decimals: int | None = 3
    change: Literal["ratio", "difference", "ends"] = "ends"
    is_share: bool = False
    floor: float | None = None
    ceiling: float | None = None
    reading: str = ""

    def write(self, value: float) -> str:
        """A value, without its unit but with its per cent sign."""
        return f"{self.write_bare(value)} %" if self.is_share else self.write_bare(value)

    def write_bare(self, value: float, sign: str = "") -> str:
        """A value or a spread without unit and per cent sign; sign ``"+"`` marks a difference."""
        if self.is_share:
            return _printed(f"{100 * value:{sign}.1f}")
        # Metrics outside the catalogue come in all sizes, from ranks to curvatures.
        kind = ".4g" if self.decimals is None else f".{self.decimals}f"
        return _printed(f"{value:{sign}{kind}}")

    def write_difference(self, value: float) -> str:
        """A difference of two values, with its sign and unit."""
        unit = "points" if self.is_share else self.unit
        return f"{self.write_bare(value, '+')} {unit}".rstrip()


SHARE: dict[str, Any] = {"is_share": True, "floor": 0.0, "ceiling": 1.0}
"""What all metrics have in common that are written as per cent."""


def _printed(number: str) -> str:
    """Minus signs as in print, and no sign before a zero."""
    return number.replace("-", MINUS) if float(number) != 0 else number.lstrip("+-")
