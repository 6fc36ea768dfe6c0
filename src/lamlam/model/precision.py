"""Which floating-point type a device computes fastest in, without loss that matters to a language model."""

import torch

__all__ = ["fast_dtype"]


def fast_dtype(device: str | torch.device = "cpu") -> torch.dtype:
    """bfloat16 where the device multiplies it in hardware, else float32."""
    kind = torch.device(device).type
    if kind == "cuda":
        fast = torch.cuda.is_bf16_supported()
    else:
        # A processor without these instructions emulates bfloat16, more slowly than it computes float32.
        asked = (
            getattr(torch.cpu, name, lambda: False) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        )
        fast = kind == "cpu" and any(ask() for ask in asked)
    return torch.bfloat16 if fast else torch.float32
