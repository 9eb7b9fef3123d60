"""How the site is made: `make docs`, offline, every warning an error."""

from importlib.metadata import version as installed

project = "starsmith"
copyright = "The starsmith developers"
version = release = installed("starsmith")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx-mathjax-offline",
]
exclude_patterns = ["build"]
html_theme = "pydata_sphinx_theme"
html_title = "starsmith"
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": True,
    "secondary_sidebar_items": ["page-toc"],
    "header_links_before_dropdown": 7,
}
html_show_sourcelink = False
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_timeout = 600  # s, of one cell: the small grid is made on first use
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_show_tb = True
autosummary_generate = True
autodoc_typehints = "none"  # units and shapes stand in the docstrings
napoleon_google_docstring = False
napoleon_use_rtype = False
