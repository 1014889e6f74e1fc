"""Rich styles from component classes, with translucent colours blended."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


def component_style(widget: Widget, name: str) -> Style:
    """Return the style of a component class, to be combined with the style of the widget.

    Textual's partial Rich styles ignore the alpha of a colour (``$foreground 50%``). Here it is
    blended with the widget's background.
    """
    styles = widget.get_component_styles(name)
    _, background = widget.background_colors
    color = bgcolor = None
    if styles.has_rule("background"):
        background = background + styles.background
        bgcolor = background.rich_color
    if styles.has_rule("color"):
        color = (background + styles.color).rich_color
    style = Style(color=color, bgcolor=bgcolor)
    return style + styles.text_style if styles.has_rule("text_style") else style
