"""The generated pages of the reference, one module per subject; each page is a function that returns its Markdown."""
