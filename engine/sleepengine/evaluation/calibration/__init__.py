"""Finding an editor's settings for a model, by trying them on facts of its own.

facts     what is taught for a trial, and who must not be answered with it
trial     one profile's figures: recall, leaks, distance to the base, seconds
search    one setting after another, as long as a budget of trials lasts
tunables  which settings are tried for which editor, and how the editor is built with them
capacity  at how many facts recall or locality falls off
tune      all of it for one model, to a profile that is stored beside it

`python -m sleepengine.evaluation.calibration` is its command line. It reads nothing that the bench asks or reports.
"""
