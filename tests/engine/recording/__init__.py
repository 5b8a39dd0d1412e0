"""A recording of what the nodes make, bit for bit, in a hundred and more runs: proof that a change of code changes
nothing that anybody sees.

    python -m engine.recording record before.json [--keep FOLDER]
    python -m engine.recording compare before.json after.json [--kept FOLDER FOLDER]

Runs go through what stays where it is: the node classes by their ids. So this folder records another checkout too, if
that one's ``mask_detailer`` comes on the import path with this one's ``tests``.
"""
