"""What can be told of the threads: counts, sites, stacks, who owns which lock, who is late.

Everything here looks and changes nothing; it may be called while others are stopped, and waits for
none of them.
"""
