"""dandisets.py: a dandiset is listed, fetched and read as any other dataset. The archive here is a small fake one.

The live archive was never reached from where these tests run. The fake one answers, at the addresses and in the forms
that the real `dandi` client expects, about a drawn BIDS dataset.
"""

import functools
import hashlib
import http.server
import json
import re
import shutil
import sys
import threading
import uuid
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import yaml

from histobridge.data import download as fetching
from histobridge.data import manifest
from histobridge.data.bids import sidecars_of
from histobridge.data.dandisets import IMAGE, mask_of, pixel_size, resolve
from histobridge.data.datasets import load_images, load_masks, subjects
from histobridge.data.manifest import describe_dataset, load_dataset, resolved_path
from histobridge.errors import UserError
from histobridge.io.images import normalise, write_image
from histobridge.io.masks import write_mask
from histobridge.phantom.render import phantom

ID, VERSION = "000001", "0.250101.0900"
WHEN = "2025-01-01T09:00:00Z"
IMAGES = {  # seed and µm/px of each image; the last has no mask
    "sub-m1/micr/sub-m1_sample-1_TEM.png": (1, 0.1),
    "sub-m1/micr/sub-m1_sample-2_TEM.png": (2, 0.2),
    "sub-m2/micr/sub-m2_sample-1_TEM.png": (3, 0.05),
}
FIRST, SECOND, BARE = IMAGES
SIDECARS = {
    "TEM.json": {"PixelSize": [0.05, 0.05], "PixelSizeUnits": "um"},
    "sub-m1/micr/sub-m1_TEM.json": {"PixelSize": [100, 100], "PixelSizeUnits": "nm", "BodyPart": "BRAIN"},
    "sub-m1/micr/sub-m1_sample-2_TEM.json": {"PixelSize": [0.2, 0.2, 1], "PixelSizeUnits": "um"},
    "sub-m1/micr/sub-m1_SEM.json": {"PixelSize": [9, 9], "PixelSizeUnits": "um"},
    "dataset_description.json": {"Name": "drawn", "BIDSVersion": "1.9.0"},
}


@functools.cache
def drawn(path):
    """The drawing in the image `path`, and its exact mask."""
    return phantom("tem", IMAGES[path][0], shape=(64, 64))


def write_bids(folder):
    """Write the drawn dataset: three images, two masks, masks of another kind, JSON files, a README."""
    for path in IMAGES:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / mask_of(path)).parent.mkdir(parents=True, exist_ok=True)
        image, mask = drawn(path)
        write_image(folder / path, image)
        if path != BARE:
            write_mask(folder / mask_of(path), mask)
            shutil.copy(folder / mask_of(path), folder / mask_of(path).replace("axonmyelin", "axon"))
    for path, fields in SIDECARS.items():
        (folder / path).write_text(json.dumps(fields), encoding="utf-8")
    (folder / "README").write_text("Drawn.")


class Archive(http.server.BaseHTTPRequestHandler):
    """The part of the archive's REST interface that listing and downloading need; four assets a page."""

    def do_GET(self):
        """Answer, note what was asked, and obey the faults ordered for a path: a status, content, or half of it."""
        at = urlsplit(self.path)
        self.server.asked.append(at.path)
        fault = self.server.faults.get(at.path)
        if isinstance(fault, int):
            return self.send(b"", status=fault)
        if isinstance(fault, bytes):
            return self.send(fault)
        if at.path.startswith("/blobs/"):
            return self.send(self.server.assets[at.path.split("/")[2]][1].read_bytes(), halved=fault == "half")
        if download := re.fullmatch("/api/assets/(.*)/download/", at.path):
            return self.send(b"", status=302, location=f"{self.server.url}/blobs/{download[1]}")
        answer = self.answers(parse_qs(at.query)).get(at.path)
        return self.send(json.dumps(answer).encode() if answer else b"", status=200 if answer else 404)

    def answers(self, query):
        """What the archive says in JSON, by path."""
        version = dict(version=VERSION, name="Drawn", asset_count=1, size=1, created=WHEN, modified=WHEN)
        version |= dict(status="Published", asset_validation_errors=[], version_validation_errors=[])
        about = dict(identifier=ID, created=WHEN, modified=WHEN, contact_person="x", embargo_status="OPEN")
        about |= dict(draft_version=version | {"version": "draft"}, most_recent_published_version=None)
        info = dict(version="0.3", schema_version="0.6.0", services={"api": {"url": f"{self.server.url}/api"}})
        info |= {"cli-minimal-version": "0.1.0", "cli-bad-versions": []}
        here, at = f"/api/dandisets/{ID}", f"/api/dandisets/{ID}/versions/{VERSION}"
        found = {"/api/info/": info, f"{here}/": about, f"{at}/info/": version, f"{at}/assets/": self.page(query)}
        return found | {f"{at}/assets/{key}/": self.metadata(key) for key in self.server.assets}

    def page(self, query):
        """One page of the list of assets."""
        number, keys = int(query.get("page", ["1"])[0]), list(self.server.assets)
        shown = [self.asset(key, query) for key in keys[4 * number - 4 : 4 * number]]
        following = "".join(f"{name}={values[0]}&" for name, values in query.items() if name != "page")
        following = f"{self.server.url}{urlsplit(self.path).path}?{following}page={number + 1}"
        return {"count": len(keys), "next": following if 4 * number < len(keys) else None, "results": shown}

    def asset(self, key, query):
        """One line of that list, with all metadata if that was asked for."""
        path, file = self.server.assets[key]
        line = dict(asset_id=key, blob=key, zarr=None, path=path, size=file.stat().st_size, created=WHEN, modified=WHEN)
        return line | ({"metadata": self.metadata(key)} if query.get("metadata") == ["1"] else {})

    def metadata(self, key):
        """What is said about one asset: as it was published, whatever became of the file since."""
        path = self.server.assets[key][0]
        return {"path": path, "digest": self.server.digests.get(path, {})}

    def send(self, content, *, status=200, halved=False, location=None):
        """Send an answer; a halved one breaks off."""
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if halved else content)

    def log_message(self, *_):
        """Keep the test output quiet."""


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A running fake archive; `publish()` makes it describe its files as they are now."""
    pytest.importorskip("dandi", reason="the optional client of the DANDI archive is not installed: pip install dandi")
    monkeypatch.setattr(fetching.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    write_bids(tmp_path / "published")

    def publish():
        files = sorted(file for file in running.folder.rglob("*") if file.is_file())
        at = {file.relative_to(running.folder).as_posix(): file for file in files}
        running.assets = {str(uuid.uuid5(uuid.NAMESPACE_URL, path)): (path, file) for path, file in at.items()}
        running.digests = {p: {"dandi:sha2-256": hashlib.sha256(f.read_bytes()).hexdigest()} for p, f in at.items()}

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Archive) as running:
        running.folder, running.publish = tmp_path / "published", publish
        running.faults, running.asked, running.url = {}, [], f"http://127.0.0.1:{running.server_port}"
        running.blob = lambda path: f"/blobs/{uuid.uuid5(uuid.NAMESPACE_URL, path)}"
        publish()
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A function that writes the manifest of a dandiset `toy`; its folder holds it alone and is everybody's default."""
    folder = tmp_path / "manifests"
    folder.mkdir()
    for function in (load_dataset, describe_dataset, resolved_path, resolve, manifest.is_unresolved):
        monkeypatch.setitem(function.__kwdefaults__, "folder", folder)
    monkeypatch.setitem(manifest.dataset_names.__kwdefaults__, "folder", folder)

    def describe(url="http://127.0.0.1:9", **changes):
        fields = dict.fromkeys(("title", "modality", "organism", "tissue", "availability", "citation", "licence"), "x")
        fields |= {
            "name": "toy",
            "images": [],
            "dandiset": {"id": ID, "version": VERSION, "api": f"{url}/api"} | changes,
        }
        (folder / "toy.yaml").write_text(yaml.safe_dump(fields))
        return describe_dataset("toy")

    return describe


# From names and JSON files


def test_the_mask_of_an_image_is_found_by_its_name():
    """The folder below derivatives/labels is the image's own; the ending is replaced, be it double."""
    labels = "derivatives/labels/sub-1/ses-a/micr/"
    assert mask_of("sub-1/ses-a/micr/sub-1_BF.ome.tif") == f"{labels}sub-1_BF_seg-axonmyelin-manual.png"


@pytest.mark.parametrize("name", ["sem", "tem"])
def test_the_rules_fit_the_published_names(name):
    """In the manifests of two BIDS datasets by the same owners, the rules find every image, subject and mask."""
    for image in load_dataset(name).images:
        assert IMAGE.fullmatch(image.path) and not IMAGE.fullmatch(image.mask)
        assert (mask_of(image.path), image.path.split("/")[0]) == (image.mask, image.subject)


@pytest.mark.real
@pytest.mark.parametrize("name", ["sem", "tem"])
def test_the_rules_fit_the_published_json_files(mirror, name):
    """The JSON files beside the real images give the pixel sizes that the manifests state."""
    jsons = {file.relative_to(mirror / name).as_posix(): file for file in (mirror / name).rglob("*.json")}
    fields = {path: json.loads(file.read_text(encoding="utf-8")) for path, file in jsons.items()}
    for image in load_dataset(name).images:
        if image.split == "development":
            assert pixel_size(image.path, fields) == image.um_per_px


def test_the_nearer_json_file_counts():
    """Fields are inherited from above; a file for one sample goes over one for the subject, that over the root's."""
    assert sidecars_of(SECOND, sorted(SIDECARS)) == [
        "TEM.json",
        "sub-m1/micr/sub-m1_TEM.json",
        "sub-m1/micr/sub-m1_sample-2_TEM.json",
    ]
    assert {path: pixel_size(path, SIDECARS) for path in IMAGES} == {path: um for path, (_, um) in IMAGES.items()}


def test_a_json_file_of_a_neighbour_says_nothing():
    """Another subject's, another sample's, another modality's and a deeper folder's file are not read."""
    others = ["sub-m2/micr/sub-m2_TEM.json", "sub-m1_sample-3_TEM.json", "sub-m1/micr/sub-m1_SEM.json"]
    assert sidecars_of(FIRST, [*others, "sub-m1/micr/x/sub-m1_TEM.json", "dataset_description.json"]) == []


@pytest.mark.parametrize(("size", "unit"), [(0.00493, "um"), (0.00493, "µm"), (4.93, "nm"), (4.93e-6, "mm")])
def test_units_become_micrometres(size, unit):
    """The same pixel in four units is exactly the same number."""
    assert pixel_size(FIRST, {"TEM.json": {"PixelSize": [size, size], "PixelSizeUnits": unit}}) == 0.00493


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "no usable PixelSize .None. in TEM.json: it is never guessed"),
        ({"PixelSize": []}, "no usable PixelSize"),
        ({"PixelSize": ["0.1", "0.1"]}, "no usable PixelSize"),
        ({"PixelSize": [True, True]}, "no usable PixelSize"),
        ({"PixelSize": [0, 0]}, "no usable PixelSize"),
        ({"PixelSize": float("nan")}, "no usable PixelSize"),
        ({"PixelSize": [0.1, 0.2]}, "0.1 × 0.2 um: only square"),
        ({"PixelSizeUnits": None}, "no PixelSizeUnits"),
        ({"PixelSizeUnits": "inch"}, "no PixelSizeUnits of .*um.* .inch."),
    ],
)
def test_a_pixel_size_that_is_not_certain_is_refused(fields, told):
    """Nothing is guessed: neither a size, nor a unit, nor which side of a pixel is meant."""
    whole = {"PixelSize": [0.1, 0.1], "PixelSizeUnits": "um"} | fields if fields else {}
    with pytest.raises(UserError, match=told):
        pixel_size(FIRST, {"TEM.json": whole})


# Before the archive was asked


def test_an_unlisted_dandiset_names_the_command(toy):
    """Whoever wants images of a dandiset that was never asked for learns how to ask."""
    toy()
    for ask in (lambda: load_dataset("toy"), lambda: load_images("toy", 0.1, "data"), lambda: subjects("toy")):
        with pytest.raises(UserError, match="'toy' are not listed yet: run `histobridge fetch toy`"):
            ask()


def test_a_list_of_another_version_does_not_count(toy):
    """A manifest that moves on to the next version makes the old list worthless; the right one loads."""
    described = toy()
    path = resolved_path("toy")
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"dandiset": described.dandiset.model_dump(), "images": [], "assets": {}}))
    assert load_dataset("toy").images == ()
    toy(version="0.260101.0900")
    with pytest.raises(UserError, match="not listed yet"):
        load_dataset("toy")


def test_without_the_client_the_sentence_says_what_to_install(toy, monkeypatch, histobridge):
    """The client is optional: fetching a dandiset without it stops with the command that installs it."""
    monkeypatch.setitem(sys.modules, "dandi.dandiapi", None)
    toy()
    code, _, err = histobridge("fetch", "toy")
    assert code == 2 and "pip install 'histobridge[dandi]'" in err and "Traceback" not in err


def test_without_names_the_commands_leave_unlisted_dandisets_out(toy, histobridge, tmp_path):
    """`data` and `fetch` for all datasets neither fail nor ask the archive, and say what they left out."""
    toy()
    for command in ("data", "fetch"):
        code, out, _ = histobridge(command, "--data", tmp_path)
        assert code == 0 and "Left out" in out and "toy" in out


# With the archive


def test_a_dandiset_is_fetched_and_read_as_any_other(archive, toy, histobridge, tmp_path):
    """One command lists and brings three images and two masks; they are read back as they were drawn."""
    toy(archive.url)
    code, out, err = histobridge("fetch", "toy", "--data", tmp_path)
    assert (code, err) == (0, "") and "toy: 3 images, 2 with a mask, of 2 subjects" in out
    dataset = load_dataset("toy")
    assert {image.path: image.um_per_px for image in dataset.images} == {p: um for p, (_, um) in IMAGES.items()}
    assert subjects("toy") == ["sub-m1", "sub-m1", "sub-m2"]
    assert [one.state for one in fetching.status(dataset, tmp_path)] == ["here"] * 5
    samples, masks = load_images("toy", 0.1, tmp_path), load_masks("toy", 0.1, tmp_path)
    assert [sample.image.shape for sample in samples] == [(64, 64), (128, 128), (32, 32)]
    assert list(masks) == [samples[0].name, samples[1].name] == ["sub-m1_sample-1_TEM", "sub-m1_sample-2_TEM"]
    image, mask = drawn(FIRST)
    np.testing.assert_allclose(samples[0].image, normalise(image), atol=0.02)  # 8 bits
    assert np.array_equal(masks[samples[0].name], mask)


def test_the_archive_is_asked_once(archive, toy, histobridge, tmp_path):
    """The list comes in pages with all metadata, unread JSON stays there; afterwards the list on disk is enough."""
    toy(archive.url)
    histobridge("fetch", "toy", "--data", tmp_path)
    listing = f"/api/dandisets/{ID}/versions/{VERSION}/assets/"
    assert archive.asked.count(listing) == 4  # 13 files in pages of four
    assert not any(path.startswith(listing) and path != listing for path in archive.asked)
    assert sum(path.startswith("/blobs/") for path in archive.asked) == 5 + 3  # images, masks; JSON that counts
    archive.asked.clear()
    assert histobridge("fetch", "toy", "--data", tmp_path)[0] == 0 and archive.asked == []
    assert histobridge("fetch", "toy", "--data", tmp_path / "elsewhere")[0] == 0
    assert archive.asked and listing not in archive.asked


def test_what_is_returned_is_what_is_written(archive, toy):
    """`resolve` gives the dataset that `load_dataset` reads afterwards from a file with a line an image."""
    assert resolve(toy(archive.url)) == load_dataset("toy")
    lines = resolved_path("toy").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# Written by `histobridge fetch toy`")
    assert sum(line.startswith("- {path: sub-") and line.endswith("split: development}") for line in lines) == 3


def test_an_archive_that_lists_no_metadata_is_asked_file_by_file(archive, toy, monkeypatch):
    """Should the list come without metadata, the client fetches them one by one, and the result is the same."""
    whole = resolve(toy(archive.url))
    monkeypatch.setattr(Archive, "asset", lambda self, key, _, usual=Archive.asset: usual(self, key, {}))
    assert resolve(toy(archive.url)) == whole


def test_an_interrupted_download_leaves_no_half_file_and_can_be_repeated(archive, toy, histobridge, tmp_path):
    """A file that always breaks off stays missing with its reason; the next run brings that file alone."""
    toy(archive.url)
    archive.faults[archive.blob(SECOND)] = "half"
    code, out, _ = histobridge("fetch", "toy", "--data", tmp_path)
    assert code == 2 and "missing 1 (the download from 127.0.0.1" in out.replace("\n", " ") and "broke off" in out
    assert not (tmp_path / "toy" / SECOND).exists() and not list(tmp_path.rglob("*.part"))
    archive.faults.clear()
    archive.asked.clear()
    assert histobridge("fetch", "toy", "--data", tmp_path)[0] == 0
    assert [path for path in archive.asked if path.startswith("/blobs/")] == [archive.blob(SECOND)]


def test_other_content_than_the_archive_describes_is_refused(archive, toy, histobridge, tmp_path):
    """A file as long as the right one, with another checksum, is not kept."""
    toy(archive.url)
    changed = (archive.folder / FIRST).read_bytes()
    (archive.folder / FIRST).write_bytes(changed[::-1])
    code, out, _ = histobridge("fetch", "toy", "--data", tmp_path)
    assert code == 2 and "wrong checksum" in out and not (tmp_path / "toy" / FIRST).exists()


def without_pixel_size(archive):
    """Publish the dataset without the JSON file that gives sub-m2 its pixel size."""
    (archive.folder / "TEM.json").unlink()
    archive.publish()


def with_a_false_sidecar(archive):
    """Change a JSON file behind the archive's back."""
    (archive.folder / "TEM.json").write_text("{}")


def with_a_broken_sidecar(archive):
    """Publish a JSON file that is none."""
    (archive.folder / "TEM.json").write_text("{PixelSize")
    archive.publish()


def without_a_checksum(archive):
    """Publish an image whose sha256 the archive has not computed yet."""
    archive.digests[BARE] = {"dandi:dandi-etag": "0"}


def without_images(archive):
    """Publish a dataset of another kind."""
    for path in IMAGES:
        (archive.folder / path).unlink()
    archive.publish()


def with_another_page(archive):
    """Answer as some proxies do: politely, and with something else."""
    archive.faults[f"/api/dandisets/{ID}/versions/{VERSION}/assets/"] = b"<html>Log in</html>"


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            without_pixel_size,
            rf"{BARE} has no usable PixelSize .None. in any JSON file .there is none.: it is never",
        ),
        (with_a_false_sidecar, r"TEM\.json could not be read: .* wrong checksum"),
        (with_a_broken_sidecar, r"TEM\.json is no valid JSON"),
        (without_a_checksum, f"knows no sha256 of {BARE}"),
        (without_images, f"Dandiset {ID} lists no images"),
        (with_another_page, "gave an answer that the dandi client cannot use"),
        (lambda archive: archive.faults.update({"/api/info/": 503}), r"could not be reached .HTTP 503.: try again"),
        (lambda archive: archive.faults.update({archive.blob("TEM.json"): 404}), r"TEM\.json could not be read.* 404"),
        (lambda archive: (archive.shutdown(), archive.server_close()), "could not be reached .ConnectionError.:"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_cannot_be_listed_for_certain_is_refused_whole(archive, toy, histobridge, spoil, told):
    """One sentence with what is wrong, no traceback, and no list: neither half of it nor a guess."""
    toy(archive.url)
    spoil(archive)
    code, _, err = histobridge("fetch", "toy")
    assert code == 2 and re.search(told, err) and err.count("\n") == 1, err
    assert not resolved_path("toy").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"version": "0.990101.0900"}, "No such version: '0.990101.0900' of Dandiset 000001"),
        ({"id": "999999"}, "No such Dandiset: '999999'"),
    ],
)
def test_an_unknown_version_is_the_manifests_fault(archive, toy, changes, told):
    """The archive's word is repeated, and the manifest named as the place to look."""
    with pytest.raises(UserError, match=rf"{told}.*Is the manifest right\?"):
        resolve(toy(archive.url, **changes))


def test_a_mask_without_an_image_is_left_out_aloud(archive, toy):
    """A mask that matches no image is not silently lost."""
    (archive.folder / BARE).unlink()
    shutil.copy(archive.folder / mask_of(FIRST), archive.folder / mask_of(BARE))
    archive.publish()
    with pytest.warns(UserWarning, match=f"1 masks belong to no image.*{mask_of(BARE)}"):
        assert len(resolve(toy(archive.url)).images) == 2


def test_the_clients_log_stays_off_the_screen_and_is_given_back(archive, toy, caplog):
    """An error that the client meets is not logged beside our sentence; its logger is then as it was."""
    import logging

    before = logging.getLogger("dandi").level
    with pytest.raises(UserError):
        resolve(toy(archive.url, id="999999"))
    assert caplog.records == [] and logging.getLogger("dandi").level == before
