"""What the tests of the built site share with the tools: where it is, and who reads it."""

from tools.browsing import SITE, Quiet, Reader, serve

__all__ = ["SITE", "Quiet", "Reader", "serve"]
