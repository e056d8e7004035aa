"""Saker's own engine for CPUs: continuous batching over OpenVINO's paged attention, with every way to draw a token.

A step goes through the files in this order: `schedule` decides who computes how many tokens, `blocks` gives them room
for keys and values, `runner` puts all rows into one inference of the model that `compile` made, `sample` draws a token
from each row of logits, and `engine` hands the tokens to their answers.
"""
