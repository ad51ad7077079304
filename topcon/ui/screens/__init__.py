"""The screens that lie over the tree."""
