"""Ready files for what stands around topcon: each function returns the text of one."""
