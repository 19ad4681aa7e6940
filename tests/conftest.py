"""Without a CUDA device Triton's interpreter runs the kernels: that must be said before they are imported."""

import os

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
