"""networks.py: where generators start, that every weight can learn, and which inputs the outputs depend on."""

import copy

import pytest
import torch

from histobridge.translators.networks import DiffusiveGenerator, Discriminator, Generator, time_embedding

SMALL = dict(width=16, multipliers=(1, 2), blocks=1, stem=2)
SIGNS = (1, -1)


def noise(*shape: int) -> torch.Tensor:
    """Standard normal numbers, the same for the same shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def diffusive(sign: int = 1, latent: int = 8, embedding: int = 16, **unet) -> DiffusiveGenerator:
    """A small diffusive generator, or one of the given size."""
    torch.manual_seed(0)
    return DiffusiveGenerator(sign, latent, embedding, **(unet or SMALL))


def trained(network):
    """The network with a last convolution that is not zero, as after some training."""
    torch.nn.init.normal_(network.unet.last.weight, std=0.1, generator=torch.Generator().manual_seed(1))
    return network


def without_gradient(network) -> list[str]:
    """Names of the parameters that the last backward pass did not reach."""
    return [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("options", [SMALL, {**SMALL, "attention": (1,), "blocks": 2, "stem": 1}])
def test_generators_start_exactly_at_plus_or_minus_their_input(sign, options):
    """Before training F gives ±image and G ±condition, bit for bit, for any noise, level and latent."""
    image = noise(2, 1, 16, 24)
    assert torch.equal(Generator(sign, **options)(image), sign * image)
    start = diffusive(sign, **options)(noise(2, 1, 16, 24).flip(2), image, torch.tensor([1, 4]), noise(2, 8))
    assert torch.equal(start, sign * image)


def test_without_a_sign_generators_start_at_random():
    """With sign 0 neither output is the image, its negative or zero: nothing is added to the network."""
    image = noise(2, 1, 32, 32)
    start = diffusive(0)(noise(2, 1, 32, 32).flip(2), image, torch.tensor([1, 4]), noise(2, 8))
    torch.manual_seed(0)
    for output in start, Generator(0, **SMALL)(image):
        assert output.std() > 0.01
        assert abs(torch.corrcoef(torch.stack([output.flatten(), image.flatten()]))[0, 1]) < 0.5


def test_a_generator_leaves_its_start_at_the_first_step():
    """The residual starts at zero, but its gradient does not."""
    network = Generator(1, **SMALL)
    network(noise(1, 1, 16, 16)).square().mean().backward()
    assert network.unet.last.weight.grad.abs().max() > 1e-4


def test_every_parameter_learns():
    """The gradient reaches every parameter of both generators, with embedding and attention."""
    options = {**SMALL, "attention": (1,)}
    g, f = trained(diffusive(**options)), trained(Generator(1, **options))
    image, level = noise(2, 1, 16, 16), torch.tensor([1, 3])
    (g(image.flip(2), image, level, noise(2, 8)).square().mean() + f(image).square().mean()).backward()
    assert without_gradient(g) == without_gradient(f) == []


def test_the_published_size_has_20_to_30_million_parameters():
    """Width 64, multipliers 1, 1, 2, 2, 4, 4, two blocks per level, attention at level 5."""
    published = dict(width=64, multipliers=(1, 1, 2, 2, 4, 4), blocks=2, attention=(5,))
    network = diffusive(1, latent=100, embedding=256, **published)
    assert 20e6 < sum(p.numel() for p in network.parameters()) < 30e6


@pytest.mark.parametrize("change", ["noisy", "level", "latent"])
def test_a_diffusive_generator_depends_on_all_its_inputs(change):
    """Another noisy image, another level and another latent each give another image."""
    inputs = {"noisy": noise(1, 1, 16, 16), "level": torch.tensor([1]), "latent": noise(1, 8)}
    other = {"noisy": inputs["noisy"].flip(2), "level": torch.tensor([2]), "latent": inputs["latent"].flip(1)}
    network, condition = trained(diffusive()), noise(1, 1, 16, 16).flip(3)
    first = network(condition=condition, **inputs)
    second = network(condition=condition, **{**inputs, change: other[change]})
    assert (first - second).abs().mean() > 1e-3


def test_images_of_a_batch_are_independent():
    """Each image of a batch, with its own level and latent, gives the same as alone."""
    network = trained(diffusive())
    x, y, level, latent = noise(3, 1, 16, 16), noise(3, 1, 16, 16).flip(2), torch.tensor([1, 4, 2]), noise(3, 8)
    together = network(x, y, level, latent)
    one_by_one = [network(*(inputs[i : i + 1] for inputs in (x, y, level, latent))) for i in range(3)]
    torch.testing.assert_close(together, torch.cat(one_by_one), atol=1e-5, rtol=1e-4)


def test_generators_do_not_shift():
    """Moving a spot by a multiple of stem · 2^(levels - 1) px moves its translation by as much."""
    network, block = trained(Generator(1, **SMALL)), 4
    spot = torch.zeros(1, 1, 160, 160)
    spot[0, 0, 78:82, 78:82] = 1
    with torch.no_grad():
        here, there = network(spot), network(spot.roll((block, -2 * block), (2, 3)))
    expected = here.roll((block, -2 * block), (2, 3))
    middle = (..., slice(40, 120), slice(40, 120))  # what the border of the image does not reach
    assert (here[middle] - here[0, 0, 45, 45]).abs().max() > 0.1
    torch.testing.assert_close(there[middle], expected[middle], atol=1e-4, rtol=0)


def test_generators_have_no_preferred_side():
    """The mirrored network gives the mirrored translation: pooling, upsampling and padding are symmetric."""
    network = trained(Generator(1, **SMALL))
    mirrored, image = copy.deepcopy(network), noise(1, 1, 32, 48)
    for layer in mirrored.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data = layer.weight.data.flip(3)
    left_right = [1, 0, 3, 2]  # the four pixels of a block, as channels
    first, last = mirrored.unet.first, mirrored.unet.last
    first.weight.data, last.weight.data = first.weight.data[:, left_right], last.weight.data[left_right]
    torch.testing.assert_close(mirrored(image.flip(3)), network(image).flip(3), atol=1e-5, rtol=1e-4)
    assert (network(image.flip(3)) - network(image).flip(3)).abs().max() > 0.1


def test_time_embeddings_of_levels_differ():
    """Embeddings have constant length, differ between levels, and are sines 0 and cosines 1 at level 0."""
    embedding = time_embedding(torch.arange(5), 16)
    assert embedding.shape == (5, 16)
    torch.testing.assert_close(embedding.square().sum(1), torch.full((5,), 8.0))
    torch.testing.assert_close(embedding[0], torch.tensor([0.0] * 8 + [1.0] * 8))
    assert torch.pdist(embedding).min() > 0.5


@pytest.mark.parametrize(("stem", "multipliers", "side"), [(2, (1, 2, 3), 4), (1, (1, 2), 16), (2, (1, 1, 2, 2), 2)])
def test_discriminators_give_one_logit_per_patch(stem, multipliers, side):
    """A crop of 64 px gives 64 / (stem · 2^levels) logits per side, with a level and without."""
    size = dict(width=16, multipliers=multipliers, stem=stem)
    with_level, plain = Discriminator(2, embedding=16, **size), Discriminator(1, **size)
    assert with_level(noise(2, 2, 64, 64), torch.tensor([0, 3])).shape == (2, 1, side, side)
    assert plain(noise(2, 1, 64, 64)).shape == (2, 1, side, side)


def test_a_discriminator_depends_on_level_and_both_channels():
    """The level and each of the two channels change the logits, and the gradient reaches every parameter."""
    torch.manual_seed(0)
    critic, pair = Discriminator(2, 16, (1, 2), stem=2, embedding=16), noise(1, 2, 32, 32)
    logits = critic(pair, torch.tensor([1]))
    others = [critic(pair, torch.tensor([2]))]
    others += [critic(pair * mask, torch.tensor([1])) for mask in torch.eye(2).view(2, 1, 2, 1, 1)]
    assert all((logits - other).abs().max() > 1e-4 for other in others)
    logits.square().sum().backward()
    assert without_gradient(critic) == []


def test_a_discriminator_shares_nothing_between_images():
    """Each image of a batch gives the same logits as alone, as R1 needs."""
    critic, images = Discriminator(1, 16, (1, 2), stem=2), noise(3, 1, 32, 32)
    one_by_one = torch.cat([critic(image[None]) for image in images])
    torch.testing.assert_close(critic(images), one_by_one, atol=1e-5, rtol=1e-4)
