"""The networks of SynDiff (Özbey et al., arXiv 2207.08208): diffusive and non-diffusive generators, discriminators.

Both generators are a `UNet`, with or without an embedding of noise level and latent. A non-diffusive generator F adds
its output to plus or minus its input, and the output starts at zero: in unpaired translation the start decides whether
the contrast is kept or inverted, and no loss corrects a wrong start (see `histobridge.strategies.polarity`). A
diffusive generator G needs no such start, because it learns the polarity from the pairs that F makes: its prediction
is the output of its network. If G added its condition too, it would begin as the exact inverse of F, and return every
real image.

Shapes: images are [B, 1, H, W] in -1..1; H and W must be multiples of `stem * 2 ** (levels - 1)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def time_embedding(level: Tensor, channels: int) -> Tensor:
    """Embed noise levels [B] as sines and cosines [B, channels] (Vaswani et al., arXiv 1706.03762, section 3.5)."""
    frequency = torch.exp(-math.log(10_000) * torch.arange(channels // 2, device=level.device) / (channels // 2))
    angle = level.float()[:, None] * frequency[None]
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _groups(channels: int) -> int:
    return math.gcd(channels, 8)


class AdaptiveGroupNorm(nn.Module):
    """Group norm with scale and shift from an embedding of noise level and latent (StyleGAN, arXiv 1812.04948)."""

    def __init__(self, channels: int, embedding: int):
        super().__init__()
        self.norm = nn.GroupNorm(_groups(channels), channels, affine=embedding == 0)
        self.style = nn.Linear(embedding, 2 * channels) if embedding else None

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """Normalise x [B, C, H, W]; `embedding` is [B, E], [1, E] for all images, or None for a plain affine norm."""
        if self.style is None:
            return self.norm(x)
        scale, shift = self.style(embedding).chunk(2, dim=1)
        if (
            len(embedding) == 1
        ):  # one scale and shift can be those of the norm itself, which saves a pass over the image
            return F.group_norm(x, self.norm.num_groups, 1 + scale[0], shift[0], self.norm.eps)
        return torch.addcmul(shift[:, :, None, None], self.norm(x), 1 + scale[:, :, None, None])


class ResidualBlock(nn.Module):
    """Two times norm, SiLU and convolution, with a skip connection around them."""

    def __init__(self, inside: int, outside: int, embedding: int):
        super().__init__()
        self.norm_1 = AdaptiveGroupNorm(inside, embedding)
        self.conv_1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.norm_2 = AdaptiveGroupNorm(outside, embedding)
        self.conv_2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.skip = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """Map [B, inside, H, W] to [B, outside, H, W]."""
        h = self.conv_1(F.silu(self.norm_1(x, embedding)))
        h = self.conv_2(F.silu(self.norm_2(h, embedding)))
        return (self.skip(x) + h) * math.sqrt(0.5)  # the sum of two independent terms keeps its variance


class Attention(nn.Module):
    """Self-attention over all pixels of a small feature map, with a skip connection around it."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.GroupNorm(_groups(channels), channels)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, H, W] to the same shape."""
        q, k, v = self.to_qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)  # each [B, HW, C]
        h = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        return (x + self.out(h)) * math.sqrt(0.5)


class UNetStage(nn.Module):
    """A residual block, followed by self-attention if `attend`."""

    def __init__(self, inside: int, outside: int, embedding: int, attend: bool):
        super().__init__()
        self.block = ResidualBlock(inside, outside, embedding)
        self.attend = Attention(outside) if attend else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        """Map [B, inside, H, W] to [B, outside, H, W]."""
        return self.attend(self.block(x, embedding))


class Embedding(nn.Module):
    """Joint embedding [B, channels] of the noise level and the latent z."""

    def __init__(self, width: int, latent: int, channels: int):
        super().__init__()
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, channels), nn.SiLU(), nn.Linear(channels, channels))
        self.latent = nn.Sequential(nn.Linear(latent, channels), nn.SiLU(), nn.Linear(channels, channels))

    def forward(self, level: Tensor, latent: Tensor) -> Tensor:
        """Embed `level` int64 [B] and `latent` float [B, latent]."""
        return F.silu(self.time(time_embedding(level, self.width)) + self.latent(latent))


class UNet(nn.Module):
    """Encoder and decoder with skip connections, working on `stem` x `stem` blocks of pixels.

    Parameters
    ----------
    inside : int
        Input channels: 1 (the condition), or 2 (noisy image and condition).
    width, multipliers, blocks : int, sequence of int, int
        Channels, their factor at each level, and residual blocks per level.
    stem : int
        Side of the blocks of pixels that are folded into channels before the first convolution.
    attention : sequence of int
        Levels with self-attention; 0 is the finest.
    embedding : int
        Length of the embedding that controls the norms; 0 for a network without one.
    zero : bool
        Whether the output starts at zero, as a correction to something else does.
    """

    def __init__(
        self,
        inside: int,
        width: int,
        multipliers: Sequence[int],
        blocks: int,
        *,
        stem: int = 1,
        attention: Sequence[int] = (),
        embedding: int = 0,
        zero: bool = False,
    ):
        super().__init__()
        self.stem, self.blocks = stem, blocks
        self.first = nn.Conv2d(inside * stem**2, width * multipliers[0], 3, padding=1)
        stages = [(width * m, level in attention) for level, m in enumerate(multipliers) for _ in range(blocks)]
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels = width * multipliers[0]
        for outside, attend in stages:
            self.down.append(UNetStage(channels, outside, embedding, attend))
            channels = outside
        self.middle = ResidualBlock(channels, channels, embedding)
        for outside, attend in reversed(stages):
            self.up.append(UNetStage(channels + outside, outside, embedding, attend))
            channels = outside
        self.last_norm = nn.GroupNorm(_groups(channels), channels)
        self.last = nn.Conv2d(channels, stem**2, 3, padding=1)
        if zero:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        """Map [B, inside, H, W] to [B, 1, H, W]."""
        h = self.first(F.pixel_unshuffle(x, self.stem))  # [B, width, H / stem, W / stem]
        skips = []
        for i, stage in enumerate(self.down):
            if i and i % self.blocks == 0:
                h = F.avg_pool2d(h, 2)
            h = stage(h, embedding)
            skips.append(h)
        h = self.middle(h, embedding)
        for i, stage in enumerate(self.up):
            if i and i % self.blocks == 0:
                h = F.interpolate(h, scale_factor=2.0, mode="nearest")
            h = stage(torch.cat([h, skips.pop()], dim=1), embedding)
        return F.pixel_shuffle(self.last(F.silu(self.last_norm(h))), self.stem)


class Generator(nn.Module):
    """Non-diffusive generator F: sign * image + residual(image), or without a `sign` (0) the output of its network."""

    def __init__(self, sign: int, **unet):
        super().__init__()
        self.register_buffer("sign", torch.tensor(float(sign)))
        self.unet = UNet(1, zero=bool(sign), **unet)

    def forward(self, image: Tensor) -> Tensor:
        """Translate `image` [B, 1, H, W]."""
        return self.sign * image + self.unet(image)


class DiffusiveGenerator(nn.Module):
    """Diffusive generator G(x_{t+1}, y, t, z): the clean image x_0 from a noisy one and its condition y.

    With a `sign` other than 0 it adds plus or minus its condition to the output of its network, which starts at zero.
    """

    def __init__(self, sign: int, latent: int, embedding: int, **unet):
        super().__init__()
        self.register_buffer("sign", torch.tensor(float(sign)))
        self.latent = latent
        self.embed = Embedding(unet["width"], latent, embedding)
        self.unet = UNet(2, embedding=embedding, zero=bool(sign), **unet)

    def forward(self, noisy: Tensor, condition: Tensor, level: Tensor, latent: Tensor) -> Tensor:
        """Predict x_0 [B, 1, H, W] from noisy image and condition [B, 1, H, W], level int64 [B], latent [B, latent]."""
        return self.sign * condition + self.unet(torch.cat([noisy, condition], 1), self.embed(level, latent))


class Discriminator(nn.Module):
    """Patch discriminator: one logit per patch, from an image and, if `embedding` is not 0, its noise level.

    It has no normalisation. With the statistics of a batch or group, the gradient that R1 penalises would depend on
    other images and distant pixels.
    """

    def __init__(self, inside: int, width: int, multipliers: Sequence[int], *, stem: int = 1, embedding: int = 0):
        super().__init__()
        self.stem, self.width = stem, width
        widths = [width * m for m in multipliers]
        self.first = nn.Conv2d(inside * stem**2, widths[0], 3, padding=1)
        before = [widths[0], *widths[:-1]]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(before, widths, strict=True))
        self.embed = nn.Linear(width, embedding) if embedding else None
        self.styles = nn.ModuleList(nn.Linear(embedding, c) for c in widths) if embedding else None
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)
        for conv in [self.first, *self.convs]:
            # PyTorch's default initialisation shrinks the signal in every layer: logits would stay near zero for long.
            nn.init.kaiming_normal_(conv.weight, a=0.2)

    def forward(self, x: Tensor, level: Tensor | None = None) -> Tensor:
        """Map [B, inside, H, W] (and `level` int64 [B]) to patch logits [B, 1, h, w]."""
        h = self.first(F.pixel_unshuffle(x, self.stem))
        if self.embed is not None:
            embedding = F.silu(self.embed(time_embedding(level, self.width)))
        for i, conv in enumerate(self.convs):
            h = conv(F.leaky_relu(h, 0.2))
            if self.styles is not None:
                h = h + self.styles[i](embedding)[:, :, None, None]
            h = F.avg_pool2d(h, 2)
        return self.last(F.leaky_relu(h, 0.2))
