"""The configuration: ``config.toml`` parsed once into one frozen value, every mistake reported in one message."""

from kb.config.find import belongs_to_kb, find_file, look_for, user_config_path, user_store_path, why_none
from kb.config.load import load
from kb.config.schema import Config
from kb.config.settings import Setting, Settings
from kb.config.write import render_default, render_own

__all__ = [
    "Config",
    "Setting",
    "Settings",
    "belongs_to_kb",
    "find_file",
    "load",
    "look_for",
    "render_default",
    "render_own",
    "user_config_path",
    "user_store_path",
    "why_none",
]
