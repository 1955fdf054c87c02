"""The configuration: ``config.toml`` parsed once into one frozen value, every problem told in one message."""

from kb.config.load import Setting, Settings, load, user_config_path, user_store_path
from kb.config.schema import Config
from kb.config.write import render_default, render_own

__all__ = [
    "Config",
    "Setting",
    "Settings",
    "load",
    "render_default",
    "render_own",
    "user_config_path",
    "user_store_path",
]
