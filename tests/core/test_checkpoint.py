"""checkpoint.py: a checkpoint is read as saved, a failed save keeps the old one, and wrong files are refused."""

import errno
import hashlib
import io
import os
import pickle
import resource
import threading

import pytest
import torch

from histobridge.errors import UserError
from histobridge.training import checkpoint

SETTINGS = {"steps": 6, "multipliers": [1, 2], "lr": 0.1}
STATE = {"step": 3, "network": {"weight": torch.linspace(0, 1, 2000)}, "history": [{"loss": 0.5}]}


@pytest.fixture
def saved(tmp_path):
    """A checkpoint on disk."""
    path = tmp_path / "syndiff.pt"
    checkpoint.save(path, STATE, SETTINGS)
    return path


def sealed(path, content: bytes):
    """Write content with a fitting checksum, as somebody may who wants to deceive."""
    path.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    return path


def saved_by_torch(content) -> bytes:
    """What PyTorch writes."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def save_zeros(path):
    """Try to replace a checkpoint; return the error."""
    with pytest.raises(UserError) as error:
        checkpoint.save(path, {"network": {"weight": torch.zeros(2000)}}, SETTINGS)
    return str(error.value)


def refusal(path, settings=None) -> str:
    """The error for a file."""
    with pytest.raises(UserError) as error:
        checkpoint.load(path, settings)
    return str(error.value)


def assert_untouched(path):
    """The checkpoint is that of the fixture, and no other file is beside it."""
    assert torch.equal(checkpoint.load(path)["state"]["network"]["weight"], STATE["network"]["weight"])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_round_trip(tmp_path):
    """State and settings are read as saved; missing folders are created and old files replaced."""
    path = tmp_path / "runs" / "0" / "syndiff.pt"
    for value in (1.0, 2.0):
        checkpoint.save(path, {**STATE, "value": torch.tensor([value])}, SETTINGS)
    saved = checkpoint.load(path, SETTINGS)
    assert saved["settings"] == SETTINGS and saved["state"]["value"].tolist() == [2.0]
    assert torch.equal(saved["state"]["network"]["weight"], STATE["network"]["weight"])
    assert saved["state"]["history"] == STATE["history"]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_would_run_code_is_refused(tmp_path):
    """Also one with a fitting checksum."""
    content = saved_by_torch({"format": checkpoint.FORMAT, "settings": {}, "state": threading.Thread})
    assert "code.pt is no checkpoint" in refusal(sealed(tmp_path / "code.pt", content))


def test_the_error_for_a_missing_checkpoint_says_what_to_do(tmp_path):
    """A folder in its place is no checkpoint either."""
    assert "There is no checkpoint" in refusal(tmp_path / "a.pt") and "train first" in refusal(tmp_path / "a.pt")
    assert f"There is no checkpoint {tmp_path}" in refusal(tmp_path)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(saved, share):
    """The error names the file."""
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    assert f"{saved} is damaged" in refusal(saved)


def test_every_flipped_bit_is_noticed(saved):
    """PyTorch itself reads most of such files."""
    whole = saved.read_bytes()
    for place in range(0, 8 * len(whole), 997):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        saved.write_bytes(flipped)
        assert f"{saved} is damaged" in refusal(saved)


@pytest.mark.filterwarnings("ignore:Using a non-tuple:UserWarning")
@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {"a": 1}, 3, None], ids=str)
def test_other_contents_are_refused(saved, content):
    """A PyTorch file that is no checkpoint is refused, with and without a checksum."""
    assert f"{saved} is no checkpoint" in refusal(sealed(saved, saved_by_torch(content)))
    torch.save(content, saved)
    assert f"{saved} is damaged, or of another version" in refusal(saved)


@pytest.mark.parametrize("content", [b"hello", b"\0" * 500, b"\x89PNG\r\n", b"0.", pickle.dumps(list, protocol=2)])
def test_a_file_of_another_kind_is_refused(saved, content):
    """A text, an image or a pickle is refused in one line, without advice to load it unsafely."""
    for sentence in (refusal(sealed(saved, content)), saved.write_bytes(content) and refusal(saved)):
        assert str(saved) in sentence and "\n" not in sentence and "weights_only" not in sentence


def test_another_format_is_refused(saved, monkeypatch):
    """The error names both format versions."""
    monkeypatch.setattr(checkpoint, "FORMAT", 9)
    assert "has format 2, and this version reads 9" in refusal(saved)


@pytest.mark.parametrize(
    ("now", "phrase"),
    [
        ({**SETTINGS, "lr": 0.2}, "(lr: 0.1 then, 0.2 now)"),
        ({**SETTINGS, "lr": 0.2, "steps": 9}, "(lr: 0.1 then, 0.2 now, steps: 6 then, 9 now)"),
        ({**SETTINGS, "sign": 1}, "(sign: None then, 1 now)"),
        ({"steps": 6, "multipliers": [1, 2]}, "(lr: 0.1 then, None now)"),
    ],
)
def test_other_settings_are_refused_by_name(saved, now, phrase):
    """The error names each changed setting with both values, and no other."""
    assert phrase in refusal(saved, now)
    assert checkpoint.load(saved, dict(SETTINGS)) is not None


def test_a_full_disk_keeps_the_old_checkpoint(saved, monkeypatch):
    """If writing fails, the old file stays and the draft is removed."""

    def full(file):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    sentence = save_zeros(saved)
    assert f"{saved} (No space left on device)" in sentence and "untouched" in sentence
    assert_untouched(saved)


def test_a_disk_that_is_really_full_keeps_the_old_checkpoint(saved):
    """A limit set by the operating system has the same effect."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        sentence = save_zeros(saved)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert f"Could not write {saved}" in sentence
    assert_untouched(saved)


def test_a_kill_while_saving_keeps_the_old_checkpoint(saved, monkeypatch):
    """After a kill the old file is whole, and the next save succeeds."""

    def be_killed(file):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "fsync", be_killed)
        checkpoint.save(saved, {}, SETTINGS)
    assert torch.equal(checkpoint.load(saved)["state"]["network"]["weight"], STATE["network"]["weight"])
    checkpoint.save(saved, STATE, SETTINGS)
    assert_untouched(saved)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    """A file in place of the folder, and a name too long for the disk, raise a UserError."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "a.pt", tmp_path / "file" / "b" / "a.pt", tmp_path / ("n" * 300 + ".pt")):
        assert f"Could not write {path}" in save_zeros(path)
