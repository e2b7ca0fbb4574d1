"""A model for other tools: each exported file is read by the other side's own library and labels as the model does."""

import base64
import io
import json
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from scipy import ndimage

from histobridge.config import SegmenterSettings
from histobridge.errors import UserError
from histobridge.io.images import read_image, write_image
from histobridge.io.masks import read_mask
from histobridge.phantom import phantom
from histobridge.segmenter import Segmenter
from histobridge.strategies import Labeller
from histobridge.strategies.postprocess import postprocess
from histobridge.strategies.tta import View, final_views
from histobridge.tiles import window_starts
from histobridge.training import sliding_window
from histobridge_label.export import names
from histobridge_label.model import Model
from histobridge_label.model_export import run, windows
from histobridge_label.model_export.anatomy import with_anatomy
from histobridge_label.model_export.components import components, slopes
from histobridge_label.pipeline import apply_model

UM_PER_PX = 0.1
FORMATS = ("bioimageio", "torchscript", "onnx")
pytestmark = pytest.mark.usefixtures("in_float32")


@pytest.fixture(scope="module")
def segmenter():
    """A small segmenter that has learned enough to find fibres in drawn tissue."""
    small = SegmenterSettings(steps=40, save_every=40, crop=64, batch=4, widths=(8, 8, 16, 16, 32, 8))
    trained, drawn = Segmenter(small), [phantom("sem", seed, (96, 96)) for seed in range(4)]
    trained.fit([image for image, _ in drawn], [mask for _, mask in drawn])
    return trained


@pytest.fixture(scope="module")
def model(segmenter):
    """A model as `label` makes one: views and anatomy."""
    facts = {
        "source": {"dataset": "drawn", "um_per_px": UM_PER_PX},
        "strategy": "refined-histogram",
        "provenance": {"profile": "smoke"},
    }
    return Model(Labeller((segmenter,), final_views(1.3), True, 0.5, 14.0), UM_PER_PX, 20.0, None, False, facts)


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """Its folder."""
    place = tmp_path_factory.mktemp("model") / "labels"
    model.save(place)
    return place


@pytest.fixture(scope="module", params=FORMATS)
def exported(request, folder, tmp_path_factory):
    """An exported file of each format: its format, its path, and how much it differs."""
    needs = {"bioimageio": "bioimageio.core", "onnx": "onnxruntime", "torchscript": "torch"}[request.param]
    pytest.importorskip(needs, reason=f"{needs} is not installed: pip install 'histobridge[export]'")
    from histobridge_label.model_export.write import export_model

    path, differs = export_model(folder, request.param, tmp_path_factory.mktemp("exported") / request.param)
    return request.param, path, differs


def test_an_exported_model_gives_the_mask_of_apply(exported, folder, tmp_path):
    """At most 0.1 % of pixels differ, for images of any size, several windows included."""
    to, path, differs = exported
    assert differs <= 0.001
    shapes = {"a": (256, 256), "b": (270, 811)}
    for number, (name, shape) in enumerate(shapes.items()):
        write_image(tmp_path / "images" / f"{name}.png", phantom("sem", 20 + number, shape)[0])
    applied = apply_model(folder, tmp_path / "images", tmp_path / "out", um_per_px=UM_PER_PX)
    label = getattr(run, to)(path)
    for row in applied.handoff.images.itertuples():
        mask = read_mask(applied.handoff.file(row.image, names.COMBINED))[0]
        found = label(read_image(tmp_path / "images" / f"{row.name}.png") * 255).argmax(0)
        assert len(np.unique(mask)) == 3 and (found != mask).mean() <= 0.001


def test_an_exported_file_says_how_to_use_it(exported, model):
    """Pixel size, classes, normalisation, a test image and what comes out of it are in the one file."""
    to, path, _ = exported
    if to == "bioimageio":
        from bioimageio.core import load_model_description

        described = load_model_description(path)
        facts, y = described.config.model_dump()["histobridge"], described.inputs[0].axes[2]
        assert (y.scale, y.unit) == (UM_PER_PX, "micrometer")
        assert described.outputs[0].axes[1].channel_names == ["background", "myelin", "axon"]
        assert [step.id for step in described.inputs[0].preprocessing][1:3] == ["scale_range", "clip"]
        plain = yaml.safe_load(zipfile.ZipFile(path).read("rdf.yaml"))  # Java readers take nothing else for text
        assert all(isinstance(plain[name], str) for name in ("documentation", "license", "description", "name"))
    else:
        facts, test = _held(to, path)
        arrays = np.load(io.BytesIO(test))
        raw = arrays["image"][0, 0] * 255  # normalised already, which stretching again hardly changes
        np.testing.assert_allclose(getattr(run, to)(path)(raw), arrays["classes"][0], atol=0.02)
    assert facts["um_per_px"] == UM_PER_PX and facts["model"] == model.fingerprint
    assert facts["output"]["channels"] == ["background", "myelin", "axon"] and "0.5" in facts["input"]["normalisation"]


def _held(to, path) -> tuple[dict, bytes]:
    """Return facts and test arrays of a file of TorchScript or ONNX."""
    if to == "torchscript":
        held = {"histobridge.json": "", "test.npz": ""}
        torch.jit.load(path, _extra_files=held)
        return json.loads(held["histobridge.json"]), held["test.npz"]
    import onnx

    held = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return json.loads(held["histobridge.json"]), base64.b64decode(held["test.npz.base64"])


@pytest.mark.parametrize("exported", ["bioimageio"], indirect=True)
def test_bioimageio_tests_the_package_itself(exported):
    """Its own test run passes, for both kinds of weights."""
    path = exported[1]
    from bioimageio.core import test_model

    summary = test_model(path)
    assert summary.status == "passed", summary.format()


def test_what_cannot_be_exported_is_refused_in_a_sentence(folder, model, tmp_path):
    """A model that needs a translation, an unknown format, a folder without a model, a damaged model."""
    from histobridge_label.model_export.contents import Contents
    from histobridge_label.model_export.write import export_model

    with pytest.raises(UserError, match="which no other tool can make"):
        Contents(replace(model, of_translations=True))
    with pytest.raises(UserError, match=r"no format 'keras'\. Valid: bioimageio, onnx, torchscript"):
        export_model(folder, "keras")
    with pytest.raises(UserError, match="holds no model"):
        export_model(tmp_path, "onnx")
    (tmp_path / "model.json").write_text('{"format": 2}')
    with pytest.raises(UserError, match="has format 2"):
        export_model(tmp_path, "onnx")


def test_a_file_that_labels_otherwise_is_not_kept(folder, tmp_path, monkeypatch):
    """The comparison with the model decides, and an earlier file stays."""
    from histobridge_label.model_export import write

    monkeypatch.setattr(write, "_difference", lambda *_: 0.002)
    (tmp_path / "kept.pt").write_text("earlier")
    with pytest.raises(UserError, match=r"labels 0\.20% of pixels otherwise"):
        write.export_model(folder, "torchscript", tmp_path / "kept.pt")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]


def test_the_command_names_file_pixel_size_and_difference(histobridge, folder, tmp_path, monkeypatch):
    """As text, and as JSON; the file is named after the model."""
    monkeypatch.chdir(tmp_path)
    code, out, _ = histobridge("export", folder, "--to", "torchscript", "--json")
    told = json.loads(out)[0]
    assert code == 0 and told["um_per_px"] == 0.1 and told["file"] == "labels.pt" and told["differs"] <= 0.001
    exported = SimpleNamespace(path=tmp_path / "labels.pt", differs=0.00012)
    monkeypatch.setattr("histobridge_label.model_export.write.export_model", lambda *_: exported)
    code, out, _ = histobridge("export", folder)
    assert code == 0 and "takes images of 0.1 µm/px; 0.012% of pixels differ from `histobridge apply`" in out


# --- Operations on tensors -------------------------------------------------------------------------------


def _spiral(side: int) -> np.ndarray:
    """Return a path of one pixel, bool [side, side], that winds to the centre."""
    path, place, step = np.zeros((side, side), bool), np.zeros(2, int), np.array([0, 1])
    path[0, 0] = True
    lengths = [side - 1, *(length for length in range(side - 1, 1, -2) for _ in range(2))]
    for length in lengths:
        for _ in range(length):
            place = place + step
            path[tuple(place)] = True
        step = np.array([step[1], -step[0]])
    return path


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("shape", ["sparse", "dense", "spiral", "full"])
def test_components_are_those_of_scipy(shape, corners):
    """Noise near its percolation thresholds, a long path, and the whole image; of two images at once."""
    noise = np.random.default_rng(0).random((2, 130, 150))
    inside = {"sparse": noise < 0.41, "dense": noise < 0.59, "full": noise < 2}.get(shape)
    inside = np.stack([_spiral(131)] * 2) if inside is None else inside
    structure = np.zeros((3, 3, 3), int)
    structure[1] = 1 if corners else ndimage.generate_binary_structure(2, 1)
    expected = ndimage.label(inside, structure)[0][inside]
    found = components(torch.from_numpy(inside), corners=corners).numpy()[inside]
    pairs = np.unique([expected, found], axis=1).shape[1]
    assert pairs == len(np.unique(expected)) == len(np.unique(found))


@pytest.mark.parametrize("axon_px", [0.0, 25.5])
@pytest.mark.parametrize("seed", range(3))
def test_anatomy_on_tensors_is_that_of_arrays(seed, axon_px):
    """Masks of drawn fibres with holes, gaps and bare axons, of which it changes some per cent."""
    mask = phantom("sem", seed, (512, 512))[1]
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=mask.shape), 3)
    for value, low, high in ((0, 0.13, 9), (1, 0.10, 0.13), (2, -9, -0.13)):
        mask[(noise > low) & (noise < high)] = value
    expected, found = (
        postprocess(mask, axon_px=axon_px),
        with_anatomy(torch.from_numpy(mask.astype(np.int64))[None], slopes(), axon_px)[0].numpy(),
    )
    assert (expected != mask).mean() > 0.01 and (expected != found).mean() < 0.001


def test_windows_are_those_of_the_sliding_window():
    """Their sides, for every side of an image; and their places."""
    sides = range(1, 4000)
    assert [windows.window_side(side) for side in sides] == [sliding_window.window_side(side) for side in sides]
    for side in (64, 700, 769, 1500, 2111):
        window = windows.window_side(side)
        whole = side + windows.missing(side)
        starts = windows.window_pixels(torch.zeros(whole), window)[:, 0].tolist()
        assert starts == window_starts(whole, window, sliding_window.OVERLAP)


def test_views_of_several_segmenters_are_averaged(segmenter):
    """Without anatomy the network returns the probabilities of the labeller, of every turn and zoom."""
    from histobridge_label.model_export.network import LabellerNetwork

    views = (View(0.75, 1, False), View(1.0, 2, True), View(1.5, 3, False))
    labeller = Labeller((segmenter, Segmenter(segmenter.settings, seed=5)), views, False, 0.5)
    image = phantom("sem", 3, (90, 130))[0]
    with torch.no_grad():
        found = LabellerNetwork(labeller)(torch.from_numpy(image)[None, None])[0].numpy()
    np.testing.assert_allclose(found, labeller.probabilities(image), atol=1e-5)
