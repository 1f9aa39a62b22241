"""Random programs: six threads do a few operations each, and all that was promised has to hold.

The explorer cannot switch within a call of C, where a free-threaded build has its races. So here
the threads run as they like, many times over, and what they do is drawn by Hypothesis, which makes
a program that fails as small as it can. A program is plain data (`_program`), and `_player` says
what each of its operations does. What has to hold is looked at while a world or a hold stands
(`_standing`), of what threads ask of each other (`_tasks`), of what they share (`_shared`), and
at the end of each round (`_stage`), by the freezer's public names alone. `_search` draws.
"""
