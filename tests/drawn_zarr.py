"""OME-Zarr images of any version, axes and metadata, for tests of readers."""

import zarr

AXES = ("y", "x")


def write_zarr(path, values, *, um_per_px=0.1, unit="micrometer", axes=AXES, version="0.4", chunks=(32, 32)):
    """Write an array as an OME-Zarr image of one level; `um_per_px` None writes no scale, `unit` None no unit."""
    new = version >= "0.5"
    group = zarr.open_group(path, mode="w", zarr_format=3 if new else 2)
    chunks = (1,) * (values.ndim - 2) + chunks
    array = group.create_array("0", shape=values.shape, chunks=chunks, dtype=values.dtype)
    array[:] = values
    dataset = {"path": "0"}
    if um_per_px is not None:
        scale = [1.0] * (values.ndim - 2) + [um_per_px] * 2
        dataset["coordinateTransformations"] = [{"type": "scale", "scale": scale}]
    multiscale = {"version": version, "datasets": [dataset]}
    if version >= "0.3":
        multiscale["axes"] = [_axis(name, unit, version) for name in axes]
    group.attrs.update(
        {"ome": {"version": version, "multiscales": [multiscale]}} if new else {"multiscales": [multiscale]}
    )
    return path


def _axis(name, unit, version):
    if version < "0.4":
        return name
    axis = {"name": name, "type": {"t": "time", "c": "channel"}.get(name, "space")}
    return axis | ({"unit": unit} if unit and axis["type"] == "space" else {})


def chunk_files(path):
    """Return the files that hold pixels."""
    files = (file for file in (path / "0").rglob("*") if file.is_file())
    return sorted(file for file in files if not file.name.startswith((".z", "zarr")))
