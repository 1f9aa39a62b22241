"""What can be told of the threads: counts, sites, stacks, who owns which lock, who is late or gone.

Everything here looks and changes nothing (`ended` puts a hook into `threading`); it may be called
while others are stopped, and waits for none of them.
"""
