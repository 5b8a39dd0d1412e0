"""A recording of what the nodes make, bit for bit, in some hundred runs: proof that a change of code changes nothing
that anybody sees. From the checkout's root:

    export PYTHONPATH=.env/link:.env/comfyui/0.30.0:tests
    .env/venv/bin/python -m engine.recording record before.json [--keep FOLDER] [--only TEXT]
    .env/venv/bin/python -m engine.recording compare before.json after.json [--kept FOLDER FOLDER] [--outputs]
    .env/venv/bin/python -m engine.recording write

The last one writes the few pictures that ``test_recording.py`` compares with.

Runs go through what stays where it is: the node classes by their ids. So this folder records another checkout too, if
that one's ``mask_detailer`` comes on the import path with this one's ``tests``. On one machine two recordings of the
same code are equal; on another processor last bits differ.
"""
