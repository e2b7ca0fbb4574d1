"""Sections: an OME-Zarr image is described, labelled and written block by block, as if it were in memory as a whole."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import zarr

from drawn_zarr import chunk_files, write_zarr
from histobridge.cache import Cache
from histobridge.io.images import normalise
from histobridge.items import Account
from histobridge.metrics.calibration import uncertainty
from histobridge.metrics.morphometrics import fibre_summary, fibres
from histobridge.phantom import phantom
from histobridge_label import section as sections
from histobridge_label import section_files, section_labels
from histobridge_label.inspect_folder import scan_folder
from histobridge_label.labelling import label_array
from histobridge_label.model import Model
from histobridge_label.native_grid import resize_map, resize_mask
from histobridge_label.pixel_size import Sidecars

SIDE, BLOCK = 300, 128
ALL = slice(0, SIDE), slice(0, SIDE)


@pytest.fixture(scope="module")
def drawn_grey():
    """A drawn image of 300 px, of 16 bits."""
    return (60_000 * phantom("sem", 80, (SIDE, SIDE))[0]).astype(np.uint16)


@pytest.fixture
def folder(drawn_grey, tmp_path):
    """A folder with a section of 0.1 µm/px."""
    write_zarr(tmp_path / "images" / "a.ome.zarr", drawn_grey)
    return tmp_path / "images"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """A section of 300 px has nine blocks."""
    for module in (sections, section_labels, section_files):
        monkeypatch.setattr(module, "BLOCK_PX", BLOCK)
    monkeypatch.setattr(section_files, "PART_PX", 64)


class Threshold:
    """A labeller that looks at single pixels: dark is myelin, bright is axon, of certainty that grows with contrast."""

    fingerprint = "threshold"

    def label(self, image):
        """Return mask and uncertainty."""
        shares = np.stack([1 - np.abs(image - level) for level in (0.5, 0.0, 1.0)])
        mask, probabilities = shares.argmax(0).astype(np.uint8), (shares / shares.sum(0)).astype(np.float32)
        return mask, uncertainty(probabilities, mask)


def model(um_per_px) -> Model:
    """A model of a pixel size."""
    return Model(Threshold(), um_per_px, 38.0)


def inspect(folder):
    """Return the section of a folder."""
    (found,) = scan_folder(folder, report=lambda line: None).images
    return found


def label_at(folder, um_per_px, cache):
    """Return the label of the section by a model of a pixel size."""
    return section_labels.label_section(model(um_per_px), inspect(folder), Cache(cache), report=lambda line: None)


def test_a_section_is_described_like_an_image(folder, drawn_grey):
    """Size, pixel size and where it comes from, bits, and grey values as those of the whole image."""
    found = inspect(folder)
    assert (found.name, found.height, found.width, found.um_per_px) == ("a", SIDE, SIDE, 0.1)
    assert (found.pixel_size_source, found.stored_as) == ("OME-Zarr metadata", "16-bit grey")
    np.testing.assert_array_equal(found.read(), normalise(drawn_grey.astype(np.float32)))
    assert max(found.thumbnail.shape if found.thumbnail is not None else (0,)) <= 192


def test_a_section_may_be_the_argument_itself(folder):
    """Its name is that of the folder of the image."""
    assert inspect(folder / "a.ome.zarr").name == "a"


def test_evenly_spaced_pixels_stand_for_a_large_section(folder, drawn_grey, monkeypatch):
    """They are those of a regular grid over the whole image, whatever the blocks; the checksum counts every pixel."""
    monkeypatch.setattr(sections, "MOST_SAMPLED", 2500)
    level = sections.open_zarr(folder / "a.ome.zarr")
    sampled, checksum = sections.survey(level)
    np.testing.assert_array_equal(sampled, drawn_grey[::6, ::6])
    write_zarr(folder / "b.ome.zarr", np.where(np.arange(SIDE) == 1, drawn_grey + 1, drawn_grey).astype(np.uint16))
    assert sections.survey(sections.open_zarr(folder / "b.ome.zarr"))[1] != checksum


@pytest.mark.parametrize(
    ("given", "stated", "says"),
    [
        ({"um_per_px": None}, None, "no pixel size is known: state it, such as --um-per-px 0.1"),
        ({"unit": None}, None, "without a unit"),
        ({"axes": ("x", "y")}, 0.1, "has the axes x, y"),
        ({"values": np.zeros((3, 99, 99), np.uint8), "axes": ("c", "y", "x")}, 0.1, r"is a stack (3 along c)"),
        ({"values": np.zeros((99, 99), np.uint8)}, 0.1, "is constant"),
        ({"values": np.full((99, 99), np.nan, np.float32)}, 0.1, "NaN or infinite"),
        ({"values": np.indices((99, 99))[0].astype(np.uint8) // 40}, 0.1, "3 grey values only: a mask?"),
    ],
)
def test_a_section_that_cannot_be_used_is_skipped_in_a_sentence(folder, drawn_grey, given, stated, says):
    """The other one is used."""
    write_zarr(folder / "b.ome.zarr", given.pop("values", drawn_grey), **given)
    found = scan_folder(folder, stated, report=lambda line: None)
    assert [image.name for image in found.images] == ["a"]
    (why,) = found.account.skipped.values()
    assert says in why


def test_a_damaged_chunk_costs_the_section(folder, drawn_grey):
    """It is found while the section is looked at, before any training."""
    path = write_zarr(folder / "b.ome.zarr", drawn_grey)
    chunk = chunk_files(path)[40]
    chunk.write_bytes(chunk.read_bytes()[:30])
    found = scan_folder(folder, report=lambda line: None)
    assert "b.ome.zarr" in next(iter(found.account.skipped.values())) and len(found.images) == 1


def test_labels_beside_their_image_are_told_by_their_name(folder, drawn_grey):
    """As masks in files are."""
    write_zarr(folder / "a_labels.ome.zarr", drawn_grey)
    found = scan_folder(folder, report=lambda line: None)
    assert "by its name it is a mask of a.ome.zarr" in next(iter(found.account.skipped.values()))


def test_models_learn_from_parts_that_are_evenly_spread(folder, monkeypatch):
    """Of a section that is not larger than a part, from all of it."""
    monkeypatch.setattr(sections, "LEARNED_PX", 40)
    found = inspect(folder)
    parts = found.parts_to_learn_from(0.2)
    assert len(parts) == 9 and {(part.height, part.width) for part in parts} == {(80, 80)}
    assert [part.where[0].start for part in parts[::3]] == [10, 110, 210]
    np.testing.assert_array_equal(parts[4].read(), found.read()[110:190, 110:190])
    monkeypatch.setattr(sections, "LEARNED_PX", 400)
    assert found.parts_to_learn_from(0.1)[0].where == ALL


@pytest.mark.parametrize("um_per_px", [0.1, 0.17, 0.06])
def test_tiles_fit_together_to_the_label_of_the_whole_image(folder, tmp_path, um_per_px):
    """At the grid of the user's image, for a model of the same, of larger and of smaller pixels."""
    label, found = label_at(folder, um_per_px, tmp_path / "cache"), inspect(folder)
    mask, uncertain = label_array(model(um_per_px), lambda: found.at_scale(um_per_px))
    assert (label.mask(ALL) == resize_mask(mask, (SIDE, SIDE))).mean() > 0.9999  # equal shares may round to either
    expected = resize_map(np.rint(255 * uncertain) / 255, (SIDE, SIDE))
    np.testing.assert_allclose(label.uncertainty(ALL), expected, atol=0.005)
    part = slice(100, 200), slice(37, 290)
    np.testing.assert_array_equal(label.mask(part), label.mask(ALL)[part])


def test_interrupted_labelling_continues_with_the_next_tile(folder, tmp_path, monkeypatch):
    """No tile is labelled twice; a tile that was cut is labelled again."""
    seen, plain = [], Threshold.label

    def until_killed(self, image):
        seen.append(image.shape)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return plain(self, image)

    monkeypatch.setattr(Threshold, "label", until_killed)
    with pytest.raises(KeyboardInterrupt):
        label_at(folder, 0.1, tmp_path)
    label = label_at(folder, 0.1, tmp_path)
    assert len(seen) == 10
    label.tiles()[3][1].mask.write_bytes(b"cut")
    label_at(folder, 0.1, tmp_path)
    assert len(seen) == 11


@pytest.fixture
def written(folder, tmp_path):
    """What is written of the section, labelled at its own pixel size, and the folder of results."""
    return section_files.write_section(label_at(folder, 0.1, tmp_path / "cache"), tmp_path / "out"), tmp_path


def test_the_zarr_holds_image_labels_and_fibres(written):
    """Each on the grid of the user's image; every fibre of the table has its number in the map."""
    files, _ = written
    group, mask = zarr.open_group(files.zarr, mode="r"), files.label.mask(ALL)
    np.testing.assert_array_equal(group["0"][:], np.rint(255 * files.label.section.read()))
    np.testing.assert_array_equal(group["labels/axon-myelin/0"][:], mask)
    numbers = group["labels/fibres/0"][:]
    assert set(np.unique(numbers)) - {0} == set(files.fibres["fibre"]) and not (numbers[mask == 0]).any()
    uncertain = zarr.open_group(files.folder / "uncertainty.ome.zarr", mode="r")["0"][:]
    np.testing.assert_allclose(uncertain / 255, files.label.uncertainty(ALL), atol=0.003)


def test_fibres_are_measured_as_in_the_whole_image(written, monkeypatch):
    """Each once, whichever block it lies in, as far as it is not larger than what is seen around a block."""
    files, _ = written
    mask = files.label.mask(ALL)
    whole = fibres(mask, 0.1)
    by_place = ["y_px", "x_px"]
    found, expected = (table.sort_values(by_place, ignore_index=True) for table in (files.fibres, whole))
    columns = [*by_place, "axon_area_um2", "axon_diameter_um", "image_border_touching"]
    pd.testing.assert_frame_equal(found[columns], expected[columns], atol=1e-4, check_dtype=False)
    summary, all_at_once = files.summary.iloc[0], fibre_summary(mask, whole, 0.1)
    for name in ("mvf", "avf", "n_fibres", "n_unmyelinated", "density_per_mm2", "aggregate_g_ratio"):
        assert summary[name] == pytest.approx(all_at_once[name], abs=1e-4)


def test_the_most_uncertain_parts_are_handed_off(written):
    """Their labels are those of the section; of a small section all of it is handed off."""
    files, _ = written
    parts = files.doubtful_parts()
    means = [files.label.uncertainty(part.image.where).mean() for part in parts]
    assert len(parts) == section_files.PARTS and np.diff(means).max() < 0.002  # tiles at a border overlap
    assert means[0] > files.label.uncertainty(ALL).mean()
    first = parts[0]
    np.testing.assert_array_equal(first.at_native_grid()[0], files.label.mask(first.image.where))
    np.testing.assert_array_equal(first.image.read(), files.label.section.read()[first.image.where])
    assert first.working_mask().shape == (64, 64) and first.image.name.startswith("a-y")


def test_a_small_section_is_handed_off_whole(written, monkeypatch):
    """Under its own name."""
    monkeypatch.setattr(section_files, "PART_PX", SIDE // 2)
    (part,) = written[0].doubtful_parts()
    assert part.image.name == "a" and part.at_native_grid()[0].shape == (SIDE, SIDE)


def edited_classes(files):
    """Edit the classes of a section."""
    zarr.open_group(files.zarr)["labels/axon-myelin/0"][:9] = 2


def edited_fibres(files):
    """Edit the numbers of its fibres."""
    zarr.open_group(files.zarr)["labels/fibres/0"][:9] = 77


def added_labels(files):
    """Add labels, as napari saves them."""
    (files.zarr / "labels" / "mine").mkdir()


def added_notes(files):
    """Add a file."""
    (files.folder / "notes.txt").write_text("look at the upper left")


@pytest.mark.parametrize("work", [edited_classes, edited_fibres, added_labels, added_notes])
def test_the_same_labels_are_written_once_and_edited_ones_are_set_aside(work, written, folder, capsys, monkeypatch):
    """A new model replaces what nobody has touched; the work of people stays."""
    files, place = written

    def write_again(fingerprint):
        monkeypatch.setattr(Threshold, "fingerprint", fingerprint)
        return section_files.write_section(label_at(folder, 0.1, place / "cache"), place / "out")

    before = (files.folder / "section.json").stat().st_mtime_ns
    write_again("threshold")
    assert (files.folder / "section.json").stat().st_mtime_ns == before
    write_again("newer")
    assert [path.name for path in files.folder.parent.iterdir()] == ["a"]
    work(files)
    write_again("newest")
    assert {path.name for path in files.folder.parent.iterdir()} == {"a", "a.set-aside"}
    assert "was edited" in capsys.readouterr().out
    assert json.loads((files.folder / "section.json").read_text())["made_from"]


def test_a_section_that_changes_meanwhile_is_skipped(folder, drawn_grey, tmp_path):
    """Nothing of it is written."""
    found, account = inspect(folder), Account()
    write_zarr(folder / "a.ome.zarr", drawn_grey[::-1])
    done = section_files.label_sections(model(0.1), [found], tmp_path / "out", Cache(tmp_path / "cache"), account)
    assert done == [] and "has changed since it was looked at" in account.skipped[found.path]
    assert not list((tmp_path / "out").rglob("*.zarr"))


def test_the_memory_that_is_asked_for_does_not_grow_with_the_section(folder):
    """It is that of a block with what is seen around it."""
    found = inspect(folder)
    huge = replace(found, height=200_000, width=200_000)
    assert huge.most_at_once_px == found.most_at_once_px


def test_sidecars_give_the_pixel_size_of_a_section_too(folder):
    """As of any image: they come before its metadata."""
    (folder / "a.json").write_text(json.dumps({"PixelSize": [0.3, 0.3], "PixelSizeUnits": "um"}))
    path = (folder / "a.ome.zarr").resolve()
    assert Sidecars(path.parent).pixel_size(path) is not None
    assert SimpleNamespace(**vars(inspect(folder))).um_per_px == 0.3
