"""How close an image is to another: SSIM, PSNR and L1."""

from __future__ import annotations

import numpy as np

from histobridge.metrics.validation import require_same_shape


def ssim(image: np.ndarray, returned: np.ndarray) -> float:
    """Return the structural similarity, at most 1, of two images [H, W] in 0..1 of at least 11 px a side.

    As in Wang et al. (IEEE TIP 2004): a Gaussian window of 1.5 px, K1 = 0.01, K2 = 0.03, data range 1.
    """
    from skimage.metrics import structural_similarity  # a second, with scipy.stats

    require_same_shape(image, returned)
    published = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return float(structural_similarity(image, returned, data_range=1.0, **published))


def psnr(image: np.ndarray, returned: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio -10 log10(mean squared error), in dB, of two images [H, W] in 0..1.

    Identical images give inf, and so does every mean over them.
    """
    from skimage.metrics import peak_signal_noise_ratio

    require_same_shape(image, returned)
    with np.errstate(divide="ignore"):
        return float(peak_signal_noise_ratio(image, returned, data_range=1.0))


def l1(image: np.ndarray, returned: np.ndarray) -> float:
    """Return the mean absolute difference, in 0..1, of two images [H, W] in 0..1.

    >>> l1(np.array([[0.0, 1.0]]), np.array([[0.5, 1.0]]))
    0.25
    """
    require_same_shape(image, returned)
    return float(np.mean(np.abs(image - returned), dtype=np.float64))
