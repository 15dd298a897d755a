"""`import besom.compat.wandb`: from here on `import wandb` gives besom, in this process, to libraries too.

`besom exec -- python train.py` does the same for a program that is not to be changed, and for its child processes.
"""

from __future__ import annotations

import importlib
import sys

from besom.compat.finder import install

for _name in [name for name in sys.modules if name == "wandb" or name.startswith("wandb.")]:
    del sys.modules[_name]  # wandb itself, imported earlier; who holds it already keeps it
install()
sys.modules[__name__] = importlib.import_module("wandb")  # for `import besom.compat.wandb as wandb`
