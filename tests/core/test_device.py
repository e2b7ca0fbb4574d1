"""compute.py: how many processes train, that they train alike, and what comes back from them."""

import numpy as np
import pytest
import torch

from histobridge.errors import UserError
from histobridge.training import device as compute
from histobridge.training.distributed import devices, equal_shares, fabric, launch
from histobridge.translators.syndiff import SynDiff


def whoami(fabric, stop: bool):
    """Tell the caller's number among the processes, or stop at a mistake of the user's."""
    if stop:
        raise UserError("mend it")
    return fabric.global_rank, fabric.world_size


@pytest.mark.parametrize(("asked", "gpus", "expected"), [("auto", 0, 1), ("auto", 4, 4), ("3", 0, 3), ("2", 4, 2)])
def test_all_gpus_or_one_cpu_unless_told_otherwise(monkeypatch, asked, gpus, expected):
    """HISTOBRIDGE_DEVICES wins over what is there."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setenv("HISTOBRIDGE_DEVICES", asked)
    assert devices() == expected


@pytest.mark.parametrize(("asked", "told"), [("0", "number"), ("many", "number"), ("-1", "number"), ("5", "2 are vis")])
def test_a_number_of_devices_that_cannot_be_is_refused(monkeypatch, asked, told):
    """Neither nonsense nor more GPUs than there are."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("HISTOBRIDGE_DEVICES", asked)
    with pytest.raises(UserError, match=told):
        devices()


@pytest.mark.parametrize(("batch", "most", "expected"), [(1, 8, 1), (8, 3, 2), (6, 4, 3), (7, 7, 7), (12, 5, 4)])
def test_shares_are_equal(batch, most, expected):
    """The largest divisor that the devices allow."""
    assert equal_shares(batch, most) == expected


def test_one_process_is_this_one(monkeypatch, capsys):
    """A batch that cannot be shared stays in this process, says so, and raises as any function does."""
    monkeypatch.setenv("HISTOBRIDGE_DEVICES", "2")
    seen = []
    assert launch(lambda fabric: seen.append(fabric.world_size) or 7, batch=3) == 7
    assert seen == [1] and "1 of 2 devices" in capsys.readouterr().out
    with pytest.raises(UserError, match="mend it"):
        launch(whoami, True, batch=1)


@pytest.mark.parametrize(("has", "inside"), [(True, torch.bfloat16), (False, torch.float32)])
def test_precision_is_what_the_processor_does_well(monkeypatch, has, inside):
    """bfloat16 where there is hardware for it, else float32; never float16."""
    monkeypatch.setattr(compute, "has_bfloat16", lambda: has)
    layer = torch.nn.Linear(2, 2).to(compute.device())
    with fabric().autocast():
        assert layer(torch.ones(1, 2, device=compute.device())).dtype == inside


@pytest.mark.parametrize(("asked", "told"), [("float32", False), ("auto", True), (None, True)])
def test_float32_can_be_asked_for(monkeypatch, asked, told):
    """HISTOBRIDGE_PRECISION wins over what the processor has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.delenv("HISTOBRIDGE_PRECISION", raising=False)
    if asked:
        monkeypatch.setenv("HISTOBRIDGE_PRECISION", asked)
    assert compute.has_bfloat16() is told


def test_a_precision_that_there_is_not_is_refused(monkeypatch):
    """The ones that there are stand in the message."""
    monkeypatch.setenv("HISTOBRIDGE_PRECISION", "float16")
    with pytest.raises(UserError, match="auto, float32"):
        compute.has_bfloat16()


@pytest.mark.usefixtures("in_float32")
def test_two_processes_train_as_one(drawn, tiny_syndiff, tmp_path, monkeypatch, capfd):
    """Shares of 2 + 1 of six images: the losses of one process, one checkpoint, one that prints, and it can go on."""
    settings = tiny_syndiff.model_copy(update={"steps": 2, "batch": 2, "accumulate": 3})
    source, target = ([image for image, _ in drawn[modality]] for modality in ("tem", "sem"))

    def fit(processes: int, folder: str, **options):
        monkeypatch.setenv("HISTOBRIDGE_DEVICES", str(processes))
        model = SynDiff(settings, sign=-1)
        return model, model.fit(source, target, checkpoint=tmp_path / folder / "it.pt", **options).drop(
            columns="seconds"
        )

    (file_lock, expected), (shared, found) = fit(1, "one"), fit(2, "two")
    assert capfd.readouterr().out.count("step 1 of 2") == 2  # once each
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert [file.name for file in (tmp_path / "two").iterdir()] == ["it.pt"]
    again, history = fit(1, "two", report=lambda line: pytest.fail("trained anew"))
    assert history.equals(found)
    for name, weights in shared.generators.state_dict().items():
        torch.testing.assert_close(weights, again.generators.state_dict()[name], rtol=0, atol=0)
        torch.testing.assert_close(weights, file_lock.generators.state_dict()[name], rtol=0.01, atol=1e-4)


@pytest.mark.slow
def test_a_mistake_in_many_processes_is_told_as_in_one(monkeypatch):
    """The first process answers; a UserError comes back as such, without the traceback of another process."""
    monkeypatch.setenv("HISTOBRIDGE_DEVICES", "2")
    assert launch(whoami, False, batch=2) == (0, 2)
    with pytest.raises(UserError, match=r"^mend it$"):
        launch(whoami, True, batch=2)
