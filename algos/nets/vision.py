"""Images to features, before the hidden layers and for all agents at once.

Axes: P parameter sets, N agents, C channels, H and W height and width, F features; `...` any leading axes.

Observations travel flat, (..., N, O) with O = C H W, and get their shape back only here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..core import Spec
from ..maths.arrays import as_numbers
from .config import NetConfig
from .layers import ACTIVATIONS

CHANNELS = (16, 32, 32)
"""Output channels of the layers. Mnih et al. 2013 have 16 and 32, Mnih et al. 2015 have 32, 64 and 64."""
PART = 2**24
"""Most numbers in a layer's output when no gradient is needed: 64 MiB."""


def is_image(obs_shape: Sequence[int]) -> bool:
    """Returns whether an observation is read as an image: (C, H, W), at least 3 x 3. Everything else is read flat."""
    return len(obs_shape) == 3 and min(obs_shape[1:]) >= 3


def layers_for(height: int, width: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Returns kernel and stride, (H, W) each, of the one to three layers that read images of a size.

    An axis of at least 36 is read by 8/4 (kernel/stride), of at least 12 by 4/2, of at least 5 by 3/1; shorter axes
    are left alone, except in the first layer, where 3 and 4 are read by 3/1. There is no padding.

    For 84 x 84 and 64 x 64 that is the network of Mnih et al. 2015, "Human-level control through deep reinforcement
    learning" (8/4, 4/2, 3/1), which ends in maps of 7 x 7 and 4 x 4. 7 x 7 is read by 3/1 twice: 5 x 5, 3 x 3.
    """
    layers = []
    for k in range(len(CHANNELS)):
        (kernel_h, stride_h), (kernel_w, stride_w) = (_kernel(size, first=k == 0) for size in (height, width))
        if (kernel_h, kernel_w) == (1, 1):
            break
        layers.append(((kernel_h, kernel_w), (stride_h, stride_w)))
        height, width = (height - kernel_h) // stride_h + 1, (width - kernel_w) // stride_w + 1
    return layers


def _kernel(size: int, *, first: bool) -> tuple[int, int]:
    """Returns kernel and stride along one axis."""
    if size >= 36:
        return 8, 4
    if size >= 12:
        return 4, 2
    return (3, 1) if size >= 5 or first else (1, 1)


class Convolution(nn.Module):
    """A convolution with P parameter sets among N agents.

    With one set it is one convolution of all images, with several one grouped convolution with a group for each agent,
    whatever the sizes of the sets.
    """

    sets: Tensor

    def __init__(
        self,
        channels: tuple[int, int],
        kernel: tuple[int, int],
        stride: tuple[int, int],
        sets: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        """Initialises orthogonally with gain sqrt(2), each set on its own, and zero biases.

        Args:
            channels: C of input and output.
            kernel: (H, W).
            stride: (H, W).
            sets: (N,) the parameter set of each agent, see `sharing.parameter_sets`.
            generator: Source of the initial weights.
        """
        super().__init__()
        c_in, c_out = channels
        self.n_sets, self.stride = max(sets) + 1, stride
        weight = torch.empty(self.n_sets, c_out, c_in, *kernel, dtype=torch.float32)  # (P, C_out, C_in, H, W)
        for filters in weight:
            nn.init.orthogonal_(filters, math.sqrt(2.0), generator=generator)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(self.n_sets, c_out, dtype=torch.float32))  # (P, C_out)
        self.register_buffer("sets", torch.tensor(sets), persistent=False)  # (N,)

    def forward(self, x: Tensor) -> Tensor:
        """(rows, N, C_in, H, W) -> (rows, N, C_out, H', W'); with one set N may be any number."""
        rows, n = x.shape[:2]
        if self.n_sets == 1:
            x = F.conv2d(x.flatten(0, 1), self.weight[0], self.bias[0], self.stride)  # (rows * N, C_out, H', W')
            return x.unflatten(0, (rows, n))
        weight, bias = (p.index_select(0, self.sets).flatten(0, 1) for p in (self.weight, self.bias))  # (N * C_out, ..)
        x = F.conv2d(x.flatten(1, 2), weight, bias, self.stride, groups=n)  # (rows, N * C_out, H', W')
        return x.unflatten(1, (n, -1))


class Encoder(nn.Module):
    """Images to features, with one set of parameters, one per group or one per agent.

    Convolutions as in `layers_for`, an activation after each; the last maps are the features. The hidden layers that
    follow take the place of the fully connected layer of Mnih et al. 2015.

    Without a gradient the images pass in parts: a rollout's worth of intermediate maps never exists at once.

    Attributes:
        n_features: F.
    """

    def __init__(
        self,
        obs_shape: Sequence[int],
        sets: Sequence[int],
        *,
        activation: Callable[[Tensor], Tensor],
        generator: torch.Generator,
    ) -> None:
        """Builds it.

        Args:
            obs_shape: (C, H, W), see `is_image`.
            sets: (N,) the parameter set of each agent.
            activation: Activation after each convolution.
            generator: Source of the initial weights.
        """
        super().__init__()
        channels, height, width = obs_shape
        self.obs_shape, self.activation = tuple(obs_shape), activation
        self.layers, sizes = nn.ModuleList(), []
        for (kernel, stride), c_out in zip(layers_for(height, width), CHANNELS, strict=False):
            self.layers.append(Convolution((channels, c_out), kernel, stride, sets, generator))
            channels, height, width = c_out, (height - kernel[0]) // stride[0] + 1, (width - kernel[1]) // stride[1] + 1
            sizes.append(channels * height * width)
        self.n_features = sizes[-1]
        self.part = max(1, PART // (len(sets) * max(sizes)))  # rows of N images

    def forward(self, obs: Tensor) -> Tensor:
        """(..., N, O) numbers, or bytes as `as_bytes` makes them -> (..., N, F)."""
        lead, n = obs.shape[:-2], obs.shape[-2]
        rows = obs.reshape(lead.numel(), n, *self.obs_shape)  # (rows, N, C, H, W)
        if torch.is_grad_enabled() or len(rows) <= self.part:
            features = self._features(rows)
        else:
            features = torch.cat([self._features(part) for part in rows.split(self.part)])  # (rows, N, F)
        return features.unflatten(0, lead)

    def _features(self, x: Tensor) -> Tensor:
        """(rows, N, C, H, W) -> (rows, N, F)."""
        if x.dtype == torch.uint8:
            x = as_numbers(x)
        for layer in self.layers:
            x = self.activation(layer(x))
        return x.flatten(2)


def encoder_for(
    spec: Spec, sets: Sequence[int], net: NetConfig, generator: torch.Generator
) -> tuple[Encoder | None, int]:
    """Builds the encoder of images that a network has in front of its hidden layers.

    Args:
        spec: Shapes.
        sets: (N,) the parameter set of each agent.
        net: Options; the activation is used.
        generator: Source of the initial weights.

    Returns:
        An encoder if observations are images, else None; and how many features of an agent the hidden layers read.
    """
    if not is_image(spec.obs_shape):
        return None, spec.obs_dim
    encoder = Encoder(spec.obs_shape, sets, activation=ACTIVATIONS[net.activation], generator=generator)
    return encoder, encoder.n_features
