"""Component classes as Rich styles for line-API widgets, with translucent colours blended in."""

from __future__ import annotations

from rich.style import Style
from textual.widget import Widget


def component_style(widget: Widget, name: str) -> Style:
    """What a component class says, to be laid over the widget's own style.

    Textual's partial rich styles ignore the alpha of a colour (``$foreground 50%``); terminals know
    none, so it is blended with the widget's background here.
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
