"""The engine: everything Luthier does, without a screen. Imports go down this list, never up.

types.py            the nouns: frozen dataclasses and closed sets
errors.py           what a person may be told has gone wrong
events.py           what a run says while it goes
guide/              what is known about tuning, as tables
hyperparameters     every setting, one row each
techniques          every technique, one row each
defaults            which value suits this model and these rows
compatibility       which combinations make no sense, and why
data/               from a file to rows the trainer can use
models/             from a folder of weights to a voice
training/           from a plan to checkpoints
results/            from checkpoints to judgements (grows later)
workspace.py        the one door the screens and the command line use
__main__.py         the command line
"""
