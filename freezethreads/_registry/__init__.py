"""Who is enrolled, and what is asked of whom. Nobody is stopped here.

To read: `status`, the one word that says what a thread is asked to stop for and whether it stands;
`record`, what the freezer knows of a thread; `registry`, who is enrolled and the flag that says
whether anything is asked. `requests` and `todos` are what can be asked, `places` where a thread
counts as stopped, and `states` what others see of it.

Each of these is read and written by many threads at once, without a lock. What may be written by
whom, and in which order, stands at the top of each module; a model and the explorer hold for it.
"""
