"""Phantoms: drawn nerve tissue as any of four modalities shows it, with its exact mask."""

from histobridge.phantom.render import RENDERERS, phantom, render
from histobridge.phantom.tissue import Geometry, draw_geometry

__all__ = ["RENDERERS", "Geometry", "draw_geometry", "phantom", "render"]
