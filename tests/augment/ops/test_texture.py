import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest
import scipy.ndimage
import torch
from scipy.ndimage import correlate

from eyeshot.augment import augmentation, make_samples, sample_labels, stack
from eyeshot.augment.ops.texture import RANDOM_CONVOLUTION, AmplitudeMix, sobel

from ..helpers import applied, drawn, largest_difference, pool_of, textured


def kernel_of(values, most=7):
    """`values` (3, 3, k, k) in the middle of the greatest kernel."""
    kernel = np.zeros((3, 3, most, most), dtype=np.float32)
    margin = (most - values.shape[2]) // 2
    kernel[:, :, margin : most - margin, margin : most - margin] = values
    return kernel


@pytest.mark.parametrize("side", [1, 3, 5, 7])
@pytest.mark.parametrize("size", [(20, 20), (13, 26)])
def test_the_convolution_is_that_of_scipy_with_mirrored_edges(side, size):
    random = np.random.default_rng(side)
    values = random.standard_normal((3, 3, side, side)) / (3 * side)
    images = textured(2, *size)
    ours = applied(RANDOM_CONVOLUTION, images, side=side, kernel=kernel_of(values), own=0.3)
    for image, result in zip(images.double().numpy() - 127.5, ours, strict=True):
        convolved = [sum(correlate(image[i], values[o, i], mode="mirror") for i in range(3)) for o in range(3)]
        expected = (0.7 * np.array(convolved) + 0.3 * image + 127.5).round().clip(0, 255)
        assert largest_difference(result, torch.from_numpy(expected)) <= 1


def test_a_side_of_1_mixes_channels_alone():
    images = textured()
    weights = np.array([[0.2, 0.7, 0.1], [0.0, -1.0, 0.5], [0.3, 0.3, 0.3]])
    ours = applied(RANDOM_CONVOLUTION, images, side=1, kernel=kernel_of(weights[:, :, None, None]), own=0.0)
    mixed = torch.einsum("oi,nihw->nohw", torch.from_numpy(weights), images.double() - 127.5) + 127.5
    assert largest_difference(ours, mixed.round().clamp(0, 255)) <= 1


def test_all_weight_on_the_image_changes_nothing():
    images = textured(24)
    operation = RANDOM_CONVOLUTION
    draws = [{**draw, "own": 1.0} for draw in drawn(operation, images)]
    assert {draw["side"] for draw in draws} == {1, 3, 5, 7}
    assert torch.equal(operation.apply(images, stack(draws)), images)


def test_kernels_have_the_papers_variance_and_every_side_is_as_likely():
    draws = [RANDOM_CONVOLUTION.draw(np.random.default_rng(n), (8, 8)) for n in range(2000)]
    for side in (1, 3, 5, 7):
        kernels = [draw["kernel"] for draw in draws if draw["side"] == side]
        assert abs(len(kernels) - 500) < 80
        margin = (7 - side) // 2
        inner = np.array(kernels)[:, :, :, margin : 7 - margin, margin : 7 - margin]
        assert np.count_nonzero(kernels) == inner.size  # nothing beside the kernel
        assert inner.var() * 3 * side * side == pytest.approx(1, rel=0.1)
    assert np.mean([draw["own"] for draw in draws]) == pytest.approx(0.5, abs=0.03)


def test_convolved_images_do_not_mix_up():
    images, operation = textured(16), RANDOM_CONVOLUTION
    draws = drawn(operation, images)
    together = operation.apply(images, stack(draws))
    for number in range(16):
        alone = operation.apply(images[number : number + 1], stack(draws[number : number + 1]))
        assert largest_difference(alone[0], together[number]) <= 1


def faint(seed, height=24, width=31):
    """Images whose mixtures stay within 0 to 255, so that nothing is clipped."""
    return textured(4, height, width, seed) // 4 + 96


def test_no_weight_of_the_other_image_changes_nothing():
    for images, partners in ((textured(), textured(seed=1)), (faint(0), faint(1))):
        other = torch.zeros(len(images))
        assert torch.equal(AmplitudeMix().mix(images, partners.unsqueeze(1), {"other": other}), images)


def test_phases_are_kept_and_amplitudes_are_the_weighted_means():
    images, partners = faint(0), faint(1)
    other = torch.tensor([0.25, 0.5, 1.0, 0.8])
    result = AmplitudeMix().mix(images, partners.unsqueeze(1), {"other": other}).double().numpy()
    own, theirs = np.fft.fft2(images.numpy()), np.fft.fft2(partners.numpy())
    share = other.double().numpy()[:, None, None, None]
    amplitude = (1 - share) * abs(own) + share * abs(theirs)
    expected = np.fft.ifft2(amplitude * np.exp(1j * np.angle(own))).real
    assert expected.min() >= 0
    assert expected.max() <= 255
    assert abs(result - expected).max() <= 0.51
    # Where an amplitude is far above that of rounding, its phase is the image's.
    spectrum, loud = np.fft.fft2(result), amplitude > 600
    assert loud.sum() > 100
    assert abs(np.angle(spectrum[loud] / own[loud])).max() < 0.1


def test_an_image_mixed_with_itself_stays():
    images = textured()
    mixed = AmplitudeMix().mix(images, images.unsqueeze(1), {"other": torch.full((6,), 0.7)})
    assert largest_difference(mixed, images) == 0


def test_the_label_stays_the_images_own():
    entry, pool = augmentation("amplitude-mix"), pool_of(textured())
    assert not entry.mixes
    samples = make_samples(entry, pool, range(6), seed=0, draw=0)
    sources, weights = sample_labels(entry, pool, range(6), seed=0, draw=0)
    assert torch.equal(samples.sources, sources)
    assert torch.equal(weights, torch.tensor([[1.0, 0.0]]).expand(6, 2))
    assert (sources[:, 0] != sources[:, 1]).all()
    others = [AmplitudeMix().draw(np.random.default_rng(n), (8, 8))["other"] for n in range(1000)]
    assert np.mean(others) == pytest.approx(0.5, abs=0.04)
    assert max(others) > 0.98


def test_in_a_batch_the_label_stays_too():
    transform = augmentation("amplitude-mix").as_transform(class_count=6, always=True)
    torch.manual_seed(0)
    images, targets = transform(textured(), torch.arange(6))
    assert torch.equal(targets, torch.eye(6))
    assert largest_difference(images, textured()) > 10


def drawing(background, line, *, size=64):
    """A circle and a square, as uint8 (1, 3, H, W)."""
    picture = PIL.Image.new("RGB", (size, size), (background,) * 3)
    pen = PIL.ImageDraw.Draw(picture)
    pen.ellipse((12, 12, 50, 50), outline=(line,) * 3, width=2)
    pen.rectangle((24, 24, 58, 40), outline=(line,) * 3, width=2)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None]


def sampled(name, images):
    samples = make_samples(augmentation(name), pool_of(images), range(len(images)), seed=0, draw=0)
    return samples.images, samples.success


def test_the_gradient_is_that_of_scipy():
    brightness = textured(1)[:, :1].float()
    down, along = (scipy.ndimage.sobel(brightness[0, 0].numpy(), axis, mode="mirror") for axis in (0, 1))
    assert np.allclose(sobel(brightness)[0, 0].numpy(), np.hypot(down, along) / 4, atol=1e-3)


def test_a_step_of_one_level_has_a_gradient_of_one():
    step = torch.zeros(1, 1, 9, 9)
    step[..., 5:] = 1
    assert float(sobel(step).max()) == pytest.approx(1)


@pytest.mark.parametrize("name", ["edges", "pencil"])
@pytest.mark.parametrize(("background", "line"), [(255, 0), (0, 255), (200, 60)])
def test_drawings_give_lines_and_succeed(name, background, line):
    images, success = sampled(name, drawing(background, line))
    assert success.all()
    ground = 255 if name == "pencil" else 0
    marked = (images[0, 0].int() - ground).abs() > 100
    assert 0.02 < float(marked.float().mean()) < 0.45
    assert (images[0, 0, :8, :8].int() - ground).abs().max() < 10


def test_the_same_edges_are_found_in_the_negative():
    images = drawing(180, 20)
    one, other = sampled("edges", images)[0], sampled("edges", 255 - images)[0]
    assert (one.int() - other.int()).abs().max() <= 2


@pytest.mark.parametrize("name", ["edges", "pencil"])
@pytest.mark.parametrize("level", [0, 128, 255])
def test_empty_edge_maps_fail_and_leave_the_image_as_it_was(name, level):
    images = torch.full((2, 3, 32, 32), level, dtype=torch.uint8)
    images[1] = textured(1)[0] // 64 + 100
    result, success = sampled(name, images)
    assert success.tolist() == [False, False]
    assert torch.equal(result, images)


def test_full_edge_maps_fail():
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8))
    ramp = torch.linspace(0, 255, 64).round().to(torch.uint8).expand(1, 3, 64, 64)
    assert not sampled("edges", noise)[1].any()
    assert not sampled("edges", ramp)[1].any()


def test_only_the_failed_images_of_a_batch_stay_clean():
    images = torch.cat([drawing(255, 0), torch.zeros(1, 3, 64, 64, dtype=torch.uint8), drawing(0, 200)])
    result, success = sampled("pencil", images)
    assert success.tolist() == [True, False, True]
    assert torch.equal(result[1], images[1])
    assert not torch.equal(result[2], images[2])


@pytest.mark.shared
def test_most_photographs_and_drawings_succeed(shared):
    for kind, folder in (("photo", "dog"), ("sketch", "horse")):
        files = sorted((shared / "data" / "pacs" / kind / folder).iterdir())[:60]
        pictures = [np.array(PIL.Image.open(file).convert("RGB").resize((64, 64))) for file in files]
        images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        for name in ("edges", "pencil"):
            assert float(sampled(name, images)[1].float().mean()) > 0.9
