"""The revise bench: what is left of a value that was corrected, and of a fact that was forgotten.

plan     what to run, and its options
cast     one seed's facts by role: corrected, forgotten, others that stay, controls that are never taught
asking   prompts and log-probabilities of all of them under one view
course   learns, sleeps, revises, sleeps again, and asks after each
scores   replies to shares, log-probabilities to AUCs, and the bounds that they are held to
table    how it is shown
"""
