"""One plane of pixels, as a file declares it. This page says what is read how.

What a file declares decides; what it does not declare is refused, never guessed. The content decides on the format,
not the name of the file. `histobridge.io.images` makes images of planes, `histobridge.io.masks` masks.

===================  ==============================================================================================
declaration          reading
===================  ==============================================================================================
*grey*               PNG grey, JPEG grey, TIFF MINISBLACK: as stored.
                     TIFF MINISWHITE: turned so that high is bright, within the declared bits: `2**bits - 1 - x` for
                     unsigned, `-1 - x` for signed integers, `1 - x` for floats.
*colour*             PNG and TIFF RGB as stored; JPEG, and JPEG compression in a TIFF, as decoded to RGB. CMYK of a
                     JPEG is converted. TIFF YCBCR without JPEG compression, and SEPARATED, CIELAB, CFA, LOGLUV, MASK
                     and all else: refused. A TIFF without a photometric interpretation: refused.
*colour table*       PNG palettes; TIFF PALETTE with an index of 1 to 16 bits. 16 bits of a table are kept, unless it
                     repeats 8 bits, or leaves the lower ones empty. A table whose values are all below 256 holds
                     8 bits, as in libtiff.
*sample format*      Unsigned and signed integers, IEEE floats of 16, 24, 32 and 64 bits. Complex, void: refused.
*bits*               The declared ones count: white of a 12-bit TIFF is 4095, of a 2-bit PNG 3. PNG's sBIT is a note
                     on the origin and has no effect.
*extra samples*      Only a declared alpha is one: TIFF associated or unassociated, PNG alpha, PNG tRNS.
                     In an image, unassociated alpha has no effect; associated alpha that is not opaque everywhere has
                     darkened the colours: refused. In a mask, less than half opaque is background.
                     Any other extra sample is a channel, so that there are several planes: refused.
*axes*               Dimensions of size one have no effect, whatever their names. Several pages, a page of several
                     planes (ImageJ, MetaMorph, depth), an animated PNG: refused as a stack. Reduced pages, as in
                     pyramids, are not planes. Of an OME set in several files, the one page of this file is the plane.
*orientation*        Neither TIFF's nor Exif's is applied: the stored grid counts, and masks lie on it.
*pixel size*         OME PhysicalSize; the resolution of an ImageJ file in a unit of length. A resolution in inch or cm
                     alone is one of printing.
*no pixels stored*   Strips or tiles that a TIFF leaves out have its `nodata` value, 0 if there is none; told.
===================  ==============================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from histobridge.errors import UserError
from histobridge.io.limits import check_memory
from histobridge.io.units import DeclaredSize


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane of pixels; high is bright.

    Attributes
    ----------
    values : ndarray
        `[H, W]` grey or `[H, W, 3]` red, green, blue; integers or floats.
    full_scale : int
        The value of white: the largest one of the declared bits, 1 for floats.
    alpha : ndarray or None
        `[H, W]`, how opaque each pixel is, on the scale of `values`; only if the file declares it.
    alpha_is_associated : bool
        Whether the values were multiplied by alpha.
    declared_size : DeclaredSize or None
        The pixel size in the file's metadata.
    remarks : tuple of str
        What the user should be told.
    sha256 : str
        Of the bytes that were decoded.
    """

    values: np.ndarray
    full_scale: int
    alpha: np.ndarray | None = None
    alpha_is_associated: bool = False
    declared_size: DeclaredSize | None = None
    remarks: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def um_per_px(self) -> float | None:
        """The declared side of a square pixel, µm/px; None if there is none that can be used."""
        return self.declared_size.um_per_px if self.declared_size else None

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.values.shape[:2]

    @property
    def is_grey(self) -> bool:
        """Whether there is one value a pixel."""
        return self.values.ndim == 2

    @property
    def stored_as(self) -> str:
        """Bits and kind, such as `16-bit grey` or `8-bit colour`."""
        kind, bits = self.values.dtype.kind, self.full_scale.bit_length()
        bits = {"u": bits, "i": bits + 1, "f": 8 * self.values.dtype.itemsize}[kind]
        return f"{bits}-bit {'grey' if self.is_grey else 'colour'}"


def check_room(shape: tuple[int, int], bytes_per_px: int, name: object, *, more: int = 0) -> None:
    """Raise a `UserError` about `name` unless there is memory to decode a plane and to make an image of it.

    The estimate is two times the decoded samples (decoders hold a second copy), and for each pixel the four bytes of
    a float image and four of an intermediate result. `more` bytes come on top.
    """
    check_memory(shape[0] * shape[1] * (2 * bytes_per_px + 8) + more, name)


def refuse_stack(name: object, what: str, advice: str = "save the plane you want as a file of its own.") -> None:
    """Raise the `UserError` for a file that holds several planes."""
    raise UserError(f"{name} is a stack ({what}): {advice}")
