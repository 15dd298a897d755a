"""The controller: what a sweep is, and what happens to it.

Gives: the checked sweep config, from a file or a mapping.
"""

from __future__ import annotations

from besom.controller.parameters import Parameter
from besom.controller.sweep_config import MetricConfig, SweepConfig, load, parse
from besom.controller.sweep_file import read_sweep_file

__all__ = ["MetricConfig", "Parameter", "SweepConfig", "load", "parse", "read_sweep_file"]
