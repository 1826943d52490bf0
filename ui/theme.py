"""Colours, type and spacing as a Gradio theme; `assets/theme/luthier.css` draws our own panels in the same palette."""

from __future__ import annotations

import gradio as gr

VARNISH = gr.themes.Color(
    name="varnish", c50="#fdf6f0", c100="#f9e8da", c200="#f1cdb0", c300="#e8ab7f", c400="#db8450", c500="#c4652f",
    c600="#a64d1d", c700="#8a3d16", c800="#6f3115", c900="#5a2914", c950="#331307",
)  # fmt: skip
"""The warm red-brown of a violin; 600 and 700 carry white text at 6:1 and 8:1."""

MAPLE = gr.themes.Color(
    name="maple", c50="#faf8f5", c100="#f4f1ec", c200="#e7e2da", c300="#d3ccc1", c400="#a79e91", c500="#7b7266",
    c600="#5f574c", c700="#484138", c800="#2c2722", c900="#1f1b17", c950="#161310",
)  # fmt: skip
"""Greys with a little wood in them."""

SYSTEM_FONTS = [
    gr.themes.Font(name)
    for name in (
        "ui-sans-serif",
        "system-ui",
        "-apple-system",
        "Segoe UI",
        "Inter",
        "Roboto",
        "Noto Sans",
        "sans-serif",
    )
]
MONO_FONTS = [
    gr.themes.Font(name) for name in ("ui-monospace", "SFMono-Regular", "Consolas", "DejaVu Sans Mono", "monospace")
]

_SURFACES = {
    "body_background_fill": ("#f7f5f1", "#161412"),
    "body_text_color": ("#211c17", "#f2ede6"),
    "body_text_color_subdued": ("#635b50", "#b5ab9e"),
    "background_fill_primary": ("#ffffff", "#1e1b18"),
    "background_fill_secondary": ("#faf8f5", "#24201c"),
    "block_background_fill": ("#ffffff", "#1e1b18"),
    "block_border_color": ("#e4dfd6", "#36302a"),
    "border_color_primary": ("#e4dfd6", "#36302a"),
    "border_color_accent": ("#a64d1d", "#e39a63"),
    "panel_background_fill": ("transparent", "transparent"),
    "block_label_background_fill": ("transparent", "transparent"),
    "block_label_text_color": ("#635b50", "#b5ab9e"),
    "block_title_text_color": ("#211c17", "#f2ede6"),
    "block_info_text_color": ("#635b50", "#b5ab9e"),
    "input_background_fill": ("#ffffff", "#161412"),
    "input_border_color": ("#cfc7ba", "#4a433b"),
    "input_border_color_focus": ("#a64d1d", "#e39a63"),
    "input_placeholder_color": ("#716859", "#9a9084"),
    "color_accent_soft": ("#fbf0e6", "#34241a"),
    "link_text_color": ("#8a3d16", "#eba873"),
    "error_text_color": ("#9b1c1c", "#fca5a5"),
}
"""Theme name -> value in light, value in dark."""

_BUTTONS = {
    "button_primary_background_fill": ("#9a4519", "#a64d1d"),
    "button_primary_background_fill_hover": ("#84390f", "#b5571f"),
    "button_primary_border_color": ("#9a4519", "#a64d1d"),
    "button_primary_text_color": ("#ffffff", "#ffffff"),
    "button_secondary_background_fill": ("#ffffff", "#2a2621"),
    "button_secondary_background_fill_hover": ("#f4f1ec", "#35302a"),
    "button_secondary_border_color": ("#cfc7ba", "#4a433b"),
    "button_secondary_text_color": ("#211c17", "#f2ede6"),
    "slider_color": ("#a64d1d", "#db8450"),
    "checkbox_background_color_selected": ("#9a4519", "#a64d1d"),
    "checkbox_border_color_selected": ("#9a4519", "#a64d1d"),
    "checkbox_border_color": ("#8d8375", "#6f665b"),
}

_SHAPES = {
    "block_shadow": "none", "block_border_width": "1px", "block_radius": "10px", "block_padding": "12px",
    "block_title_text_weight": "600", "block_title_text_size": "13px", "block_info_text_size": "12px",
    "input_border_width": "1px", "input_shadow": "none", "input_radius": "7px", "input_padding": "7px 10px",
    "input_text_size": "14px", "layout_gap": "12px", "button_border_width": "1px", "button_large_padding": "8px 16px",
    "button_large_radius": "8px", "button_large_text_size": "14px", "button_large_text_weight": "600",
    "button_medium_padding": "7px 14px", "button_medium_radius": "8px", "button_medium_text_size": "14px",
    "button_medium_text_weight": "600", "button_small_radius": "7px", "button_small_text_size": "13px",
    "button_primary_shadow": "none", "button_secondary_shadow": "none", "block_label_border_width": "0px",
    "block_label_text_size": "12px", "chatbot_text_size": "14px", "button_transform_hover": "none",
    "button_transform_active": "none",
}  # fmt: skip


def theme() -> gr.themes.Base:
    """Return the theme: flat panels with one-pixel borders, one accent, system fonts, a value for light and for dark."""
    base = gr.themes.Base(
        primary_hue=VARNISH, secondary_hue=VARNISH, neutral_hue=MAPLE, radius_size=gr.themes.sizes.radius_md,
        font=SYSTEM_FONTS, font_mono=MONO_FONTS,
    )  # fmt: skip
    paired = {**_SURFACES, **_BUTTONS}
    values = {name: light for name, (light, _) in paired.items()}
    values |= {f"{name}_dark": dark for name, (_, dark) in paired.items()}
    return base.set(**values, **_SHAPES)
