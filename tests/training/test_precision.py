import pytest
import torch
from torch import nn

from eyeshot.core.errors import InputError
from eyeshot.models import autocast
from eyeshot.training import precision
from eyeshot.training.precision import choose_execution, choose_precision, make_scaler, time_layouts
from eyeshot.training.recipe.objectives import classification

from .helpers import Tiny

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")
SHAPE = (4, 3, 16, 16)


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of a given compute capability, as far as the choice asks for it."""

    def make(*capability):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Example GPU")

    return make


@pytest.mark.parametrize(
    ("capability", "chosen"), [((6, 1), "fp32"), ((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")]
)
def test_the_format_follows_from_what_the_gpu_has_natively(gpu, capability, chosen):
    gpu(*capability)
    name, reason = choose_precision(CUDA)
    assert name == chosen
    assert f"Example GPU, compute capability {capability[0]}.{capability[1]}" in reason


@pytest.mark.parametrize("device", [CPU, MPS])
def test_without_cuda_the_format_is_float32(device):
    name, reason = choose_precision(device)
    assert name == "fp32"
    assert "float32" in reason


def test_a_wanted_format_is_taken_where_the_device_has_it(gpu):
    gpu(7, 5)
    assert choose_precision(CUDA, "fp32") == ("fp32", "asked for")
    assert choose_precision(CUDA, "fp16") == ("fp16", "asked for")
    assert choose_precision(CPU, "bf16") == ("bf16", "asked for")


def test_a_format_that_the_device_lacks_is_refused_with_the_rule(gpu):
    gpu(7, 5)
    with pytest.raises(InputError, match=r"fp16 needs a CUDA GPU, got device cpu. Give precision auto, fp32 or bf16"):
        choose_precision(CPU, "fp16")
    with pytest.raises(InputError, match=r"bf16 needs a GPU of compute capability 8.0 or later, got Example GPU"):
        choose_precision(CUDA, "bf16")
    with pytest.raises(InputError, match="got device mps"):
        choose_precision(MPS, "bf16")


def loss_and_gradient(model, name):
    random = torch.Generator().manual_seed(0)
    images = torch.randn(SHAPE, generator=random)
    targets = torch.eye(8)[:4]
    model.zero_grad()
    with autocast(CPU, name):
        loss, _ = classification(model, images, targets)
    loss.backward()
    return loss, torch.cat([weight.grad.flatten() for weight in model.parameters()])


def test_bfloat16_gives_nearly_the_same_loss_and_gradient_and_the_loss_is_float32():
    torch.manual_seed(0)
    model = Tiny()
    model.layers[3] = nn.Identity()  # without dropout
    loss, gradient = loss_and_gradient(model, "fp32")
    other_loss, other_gradient = loss_and_gradient(model, "bf16")
    assert other_loss.dtype == torch.float32
    assert other_loss != loss
    assert other_loss.item() == pytest.approx(loss.item(), rel=0.02)
    assert torch.nn.functional.cosine_similarity(gradient, other_gradient, dim=0) > 0.99
    assert all(weight.dtype == torch.float32 for weight in model.parameters())


def test_float32_is_computed_without_any_autocast():
    with autocast(CPU, "fp32"):
        assert not torch.is_autocast_enabled("cpu")
    with autocast(CPU, "bf16"):
        assert torch.is_autocast_enabled("cpu")


def step_with(scaler, gradient):
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    scaler.scale((weight * torch.tensor(gradient)).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    return weight.tolist()


def test_the_scaler_of_float16_leaves_out_a_step_that_overflows_and_halves_its_scale():
    scaler = make_scaler(CPU, "fp16")
    assert step_with(scaler, [1.0, 2.0]) == [0.5, 0.0]
    scale = scaler.get_scale()
    assert step_with(scaler, [float("inf"), 1.0]) == [1.0, 1.0]
    assert scaler.get_scale() == scale / 2
    again = make_scaler(CPU, "fp16")
    again.load_state_dict(scaler.state_dict())
    assert again.get_scale() == scale / 2


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_other_formats_pass_the_scaler_untouched(name):
    scaler = make_scaler(CPU, name)
    loss = torch.tensor(3.0)
    assert scaler.scale(loss) is loss
    assert scaler.state_dict() == {}
    assert step_with(scaler, [1.0, 2.0]) == [0.5, 0.0]


def choose(device=CUDA, steps=10_000):
    return choose_execution(
        Tiny(), SHAPE,
        layout=torch.contiguous_format, device=device, precision="fp32", planned_steps=steps, key="tiny",
    )  # fmt: skip


@pytest.fixture
def timings(gpu, monkeypatch):
    """Timings as a GPU could give them: of both layouts and of the compiled network."""
    gpu(9, 0)
    monkeypatch.setattr(precision, "_measured", {})
    monkeypatch.setattr(precision, "_compiled", {})
    calls = []

    def make(last_s, compiled=(1.0, 1.0)):
        def layouts(*_, layout, **__):
            calls.append("layouts")
            fastest = torch.channels_last if last_s < 0.97 else layout
            return fastest, {"channels first": 1.0, "channels last": last_s}

        def compile_it(*_, **__):
            calls.append("compiled")
            return compiled

        monkeypatch.setattr(precision, "time_layouts", layouts)
        monkeypatch.setattr(precision, "_time_compiled", compile_it)
        return calls

    return make


def test_on_a_cpu_nothing_is_timed(timings):
    calls = timings(0.5)
    layout, compiled, reason = choose(CPU)
    assert (layout, compiled, calls) == (torch.contiguous_format, False, [])
    assert "not be repeatable" in reason


def test_a_short_run_is_not_timed_and_the_reason_names_the_rule(timings):
    calls = timings(0.5)
    layout, compiled, reason = choose(steps=399)
    assert (layout, compiled, calls) == (torch.contiguous_format, False, [])
    assert "399 steps, it pays from 400 on" in reason


def test_the_faster_layout_is_taken_and_timed_once(timings):
    calls = timings(0.5)
    layout, compiled, reason = choose(steps=1000)
    assert (layout, compiled) == (torch.channels_last, False)
    assert "1000.0 ms channels first, 500.0 ms channels last" in reason
    assert "not compiled: that pays in runs of 20 min" in reason
    assert choose(steps=1000) == (layout, compiled, reason)
    assert calls == ["layouts"]


@pytest.mark.parametrize(
    ("compiled", "taken", "says"),
    [
        ((0.8, 100.0), True, "; compiled: a step takes 800.0 ms compiled"),
        ((0.98, 100.0), False, "; not compiled"),  # within noise
        ((0.8, 5000.0), False, "; not compiled"),  # 2,000 s gained by 5,000 s of compiling
        ("it fails (BackendCompilerFailed)", False, "not compiled: it fails (BackendCompilerFailed)"),
    ],
)
def test_a_network_is_compiled_where_a_long_run_gains_more_than_that_takes(timings, compiled, taken, says):
    timings(1.0, compiled)
    layout, is_compiled, reason = choose(steps=10_000)
    assert (layout, is_compiled) == (torch.contiguous_format, taken)
    assert says in reason


def test_a_gpu_without_room_for_a_second_network_trains_as_it_is(timings, monkeypatch):
    timings(0.5)

    def full(*_, **__):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(precision, "time_layouts", full)
    layout, compiled, reason = choose()
    assert (layout, compiled) == (torch.contiguous_format, False)
    assert "no memory for a second copy" in reason


def test_timing_changes_neither_the_network_nor_the_random_state():
    model = Tiny()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    fastest, seconds = time_layouts(model, SHAPE, layout=torch.contiguous_format, device=CPU, precision="bf16")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert fastest in (torch.contiguous_format, torch.channels_last)
    assert set(seconds) == {"channels first", "channels last"}
    assert min(seconds.values()) > 0
