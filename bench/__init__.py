"""lorabench: claims about parameter-efficient fine-tuning become tests that pass or fail on your hardware."""

__version__ = "0.1.0"
