"""The values that flow through topcon. Pure: nothing here reads a file, a clock or a colour."""
