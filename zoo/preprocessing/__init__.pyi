from .renderer import rendered_screens as rendered_screens
