"""device.py and distributed.py: how many processes train, in which precision, and that they train alike."""

import numpy as np
import pytest
import torch

from histobridge.errors import UserError
from histobridge.machine import precision
from histobridge.training import device as devices
from histobridge.training.distributed import device_count, equal_shares, fabric, launch
from histobridge.translators import SynDiff


def rank_and_size(fabric, fail: bool):
    """Return the number of this process and the number of all, or raise a user's mistake."""
    if fail:
        raise UserError("mend it")
    return fabric.global_rank, fabric.world_size


@pytest.mark.parametrize(("asked", "gpus", "expected"), [("auto", 0, 1), ("auto", 4, 4), ("3", 0, 3), ("2", 4, 2)])
def test_all_gpus_or_one_cpu_train_by_default(monkeypatch, asked, gpus, expected):
    """HISTOBRIDGE_DEVICES overrides the number of visible GPUs."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setenv("HISTOBRIDGE_DEVICES", asked)
    assert device_count() == expected


@pytest.mark.parametrize(
    ("asked", "reason"), [("0", "number"), ("many", "number"), ("-1", "number"), ("5", "2 are vis")]
)
def test_an_impossible_number_of_devices_is_refused(monkeypatch, asked, reason):
    """Values that are no positive number, and more GPUs than are visible, raise a UserError."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("HISTOBRIDGE_DEVICES", asked)
    with pytest.raises(UserError, match=reason):
        device_count()


@pytest.mark.parametrize(("batch", "most", "expected"), [(1, 8, 1), (8, 3, 2), (6, 4, 3), (7, 7, 7), (12, 5, 4)])
def test_shares_are_equal(batch, most, expected):
    """The number of processes is the largest divisor of the batch that the devices allow."""
    assert equal_shares(batch, most) == expected


def test_a_single_process_is_the_current_one(monkeypatch, capsys):
    """A batch without equal shares is trained in the current process, which prints so, and errors pass through."""
    monkeypatch.setenv("HISTOBRIDGE_DEVICES", "2")
    seen = []
    assert launch(lambda fabric: seen.append(fabric.world_size) or 7, batch=3) == 7
    assert seen == [1] and "1 of 2 devices" in capsys.readouterr().out
    with pytest.raises(UserError, match="mend it"):
        launch(rank_and_size, True, batch=1)


@pytest.mark.parametrize(("supported", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_networks_run_in_bfloat16_where_it_is_supported(monkeypatch, supported, dtype):
    """Autocast gives bfloat16 with hardware support and float32 without, never float16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: supported)
    layer = torch.nn.Linear(2, 2).to(devices.device())
    for autocast in (devices.autocast, fabric().autocast):
        with autocast():
            assert layer(torch.ones(1, 2, device=devices.device())).dtype == dtype


@pytest.mark.parametrize(("asked", "expected"), [("float32", "float32"), ("auto", "bfloat16"), (None, "bfloat16")])
def test_float32_can_be_requested(monkeypatch, asked, expected):
    """HISTOBRIDGE_PRECISION=float32 turns bfloat16 off."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.delenv("HISTOBRIDGE_PRECISION", raising=False)
    if asked:
        monkeypatch.setenv("HISTOBRIDGE_PRECISION", asked)
    assert precision() == expected


def test_an_unknown_precision_is_refused(monkeypatch):
    """The error lists the valid values."""
    monkeypatch.setenv("HISTOBRIDGE_PRECISION", "float16")
    with pytest.raises(UserError, match="auto, float32"):
        precision()


def test_networks_and_images_are_placed_channels_last():
    """`place` changes the memory layout and not the values."""
    layer, image = torch.nn.Conv2d(8, 8, 3), torch.rand(2, 8, 5, 5)
    weight = layer.weight.clone()
    assert devices.place(layer).weight.is_contiguous(memory_format=torch.channels_last)
    assert devices.place(image).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(layer.weight.cpu(), weight)


@pytest.mark.usefixtures("in_float32")
def test_two_processes_train_as_one(drawn, tiny_syndiff, tmp_path, monkeypatch, capfd):
    """Two processes that share six images in parts of 2 + 1 give the losses, weights and files of one process."""
    settings = tiny_syndiff.model_copy(update={"steps": 2, "batch": 2, "accumulate": 3})
    source, target = ([image for image, _ in drawn[modality]] for modality in ("tem", "sem"))

    def fit(processes: int, folder: str, **options):
        monkeypatch.setenv("HISTOBRIDGE_DEVICES", str(processes))
        model = SynDiff(settings, sign=-1)
        history = model.fit(source, target, checkpoint=tmp_path / folder / "it.pt", **options)
        return model.generators.state_dict(), history.drop(columns="seconds")

    (weights_of_one, losses_of_one), (weights_of_two, losses_of_two) = fit(1, "one"), fit(2, "two")
    assert capfd.readouterr().out.count("step 1 of 2") == 2  # once in each training
    np.testing.assert_allclose(losses_of_two, losses_of_one, rtol=1e-4, atol=1e-6)
    assert [file.name for file in (tmp_path / "two").iterdir()] == ["it.pt"]
    resumed_weights, resumed_losses = fit(1, "two", report=lambda line: pytest.fail("trained anew"))
    assert resumed_losses.equals(losses_of_two)
    for name, weights in weights_of_two.items():
        torch.testing.assert_close(weights, resumed_weights[name], rtol=0, atol=0)
        torch.testing.assert_close(weights, weights_of_one[name], rtol=0.01, atol=1e-4)


@pytest.mark.slow
def test_an_error_in_several_processes_is_raised_as_in_one(monkeypatch):
    """The result is that of the first process, and a UserError arrives without the traceback of another process."""
    monkeypatch.setenv("HISTOBRIDGE_DEVICES", "2")
    assert launch(rank_and_size, False, batch=2) == (0, 2)
    with pytest.raises(UserError, match=r"^mend it$"):
        launch(rank_and_size, True, batch=2)
