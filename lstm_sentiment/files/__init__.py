"""Files that may be damaged, hostile or shared with other processes: how they are read and written.

Reading opens regular files only and states its limits; writing never leaves half a file behind and
never replaces a file of somebody else.
"""
