"""torch's values as `run.log` meets them."""

from __future__ import annotations

import pytest
import torch

from besom.tracking.values import plain

pytestmark = pytest.mark.integrations


def test_a_tensor_with_a_gradient_is_logged_as_its_number() -> None:
    """A loss needs neither `detach` nor `item`."""
    loss = torch.ones(1, requires_grad=True).sum() * 2.5
    assert plain(loss) == 2.5
